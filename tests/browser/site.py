"""A web site on loopback: the players' pages, the players, and media with byte ranges. Not the server's origin."""

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

PAGES = Path(__file__).parent / "pages"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mpd": "application/dash+xml",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
}


@contextlib.contextmanager
def site(folders: Mapping[str, Path]) -> Iterator[str]:
    """Serve `folders`, each below its name, for the length of a `with` block; give the base URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
            folder = folders.get(name)
            path = None if folder is None else (folder / rest).resolve()
            # Modules are asked for as bundlers find them: without `.js`, or by their folder.
            if path is not None and (module := path.with_name(f"{path.name}.js")).is_file():
                path = module
            elif path is not None and (path / "index.js").is_file():
                self._answer(302, b"", Location=f"/{name}/{path.relative_to(folder.resolve())}/index.js")
                return
            if path is None or not path.is_file() or not path.is_relative_to(folder.resolve()):
                self._answer(404, b"")
                return
            data = path.read_bytes()
            kind = TYPES.get(path.suffix, "application/octet-stream")
            if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                first = int(match[1])
                last = min(int(match[2] or len(data)), len(data) - 1)
                said = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                self._answer(206, data[first : last + 1], kind, **said)
            else:
                self._answer(200, data, kind)

        def _answer(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            for header, value in headers.items():
                self.send_header(header, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a player may give up what it asked for
                self.wfile.write(body)

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a browser that ends does not say goodbye
                super().handle()

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
