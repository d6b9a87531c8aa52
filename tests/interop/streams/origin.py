"""A loopback origin: a folder over HTTP, with faults, and with a memory of what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Origin:
    """`faults`: by path, what the next requests get in turn: a status, "cut" (half of the body), or a URL to go to."""

    url: str
    gives_parts: bool = True
    faults: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [path for path, _headers in self.asked]


@contextlib.contextmanager
def origin(folder: Path, *, gives_parts: bool = True) -> Iterator[Origin]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).lstrip("/")
            told.asked.append((path, dict(self.headers)))
            fault = told.faults[path].pop(0) if told.faults[path] else None
            if isinstance(fault, str) and fault != "cut":
                self.answer(302, b"", {"Location": fault})
                return
            if isinstance(fault, int):
                self.answer(fault, b"")
                return
            file = folder / path
            if not file.is_file():
                self.answer(404, b"")
                return
            data, status, more = file.read_bytes(), 200, {}
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if part and told.gives_parts:
                start, end = int(part[1]), int(part[2] or len(data) - 1)
                more = {"Content-Range": f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"}
                data, status = data[start : end + 1], 206
            self.answer(status, data, more, cut=fault == "cut")

        def answer(self, status: int, body: bytes, more: dict[str, str] | None = None, *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    told = Origin(f"http://127.0.0.1:{server.server_port}", gives_parts)
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
