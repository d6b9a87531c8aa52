"""A real HTTP server for one file, with the faults that media servers have: switches that may be set in mid-play."""

from __future__ import annotations

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class MediaServer(ThreadingHTTPServer):
    """Serves `data` on any path. A context manager; listens on a port of its own."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.etag = '"one"'
        self.gives_parts = True
        self.tells_length = True
        self.encoding = ""  # Content-Encoding
        self.redirects = 0  # that come first
        self.status = 0  # to answer with, instead
        self.breaks_after: int | None = None  # bytes of each answer
        self.stalls_at: int | None = None  # offset in the file from which nothing comes
        self.trickles = False  # a byte now and then
        self.requests: list[int] = []  # the offset of each
        self.stalled = threading.Event()  # somebody waits
        self.released = threading.Event()  # nobody waits any more

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/film"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MediaServer

    def log_message(self, *_: object) -> None:
        """Nothing to be read in a test's output."""

    def do_GET(self) -> None:
        server = self.server
        if self.path.startswith("/film") and server.redirects:
            return self.redirect()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        server.requests.append(start)
        size = len(server.data)
        if server.status:
            return self.head(server.status, {"Content-Length": "0"})
        if not (asked and server.gives_parts):
            self.head(200, {"Content-Length": str(size)} if server.tells_length else {"Connection": "close"})
            return self.body(0)
        if start >= size:
            return self.head(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
        told = {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        self.head(206, told)
        return self.body(start)

    def redirect(self) -> None:
        number = int(self.path.rpartition("-")[2]) if "-" in self.path else 0
        place = "/elsewhere" if number + 1 >= self.server.redirects else f"/film-{number + 1}"
        self.head(302, {"Location": place, "Content-Length": "0"})

    def head(self, status: int, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (fields | {"ETag": self.server.etag}).items():
            self.send_header(name, value)
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
        self.end_headers()

    def body(self, start: int) -> None:
        server, at = self.server, start
        try:
            while at < len(server.data):
                if server.stalls_at is not None and at >= server.stalls_at:
                    self.wfile.flush()
                    server.stalled.set()
                    server.released.wait(60)
                    break
                end = min(at + (1 if server.trickles else 4096), server.stalls_at or len(server.data))
                if server.breaks_after is not None and end > start + server.breaks_after:
                    break
                self.wfile.write(server.data[at:end])
                at = end
                if server.trickles and server.released.wait(0.05):
                    break
        except OSError:
            pass
        if at < len(server.data):
            self.close_connection = True


def wait_for(event: threading.Event, limit: float = 10.0) -> None:
    """Fail, rather than wait for ever."""
    began = time.monotonic()
    assert event.wait(limit), f"nothing after {time.monotonic() - began:.1f} seconds"
