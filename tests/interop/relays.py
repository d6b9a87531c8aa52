"""Servers between a player and a license server: one that wants a header, one that alters what passes through it."""

import contextlib
import http.server
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from drm.license.clearkey import FORMS_HEADER


@contextlib.contextmanager
def relay(target: str, *, wanted: tuple[str, str] | None = None, drop_pmp: bool = False, keep: float = 0.0,
          content_type: str = "") -> Iterator[str]:  # fmt: skip
    """Pass requests on to `target`; give the URL to ask.

    `wanted`: a header without which the answer is 401. `drop_pmp`: the request arrives without that member, as a
    man in the middle would have it. `keep`: seconds for which a sealed license is kept back. `content_type`: of the
    answer.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            if wanted and self.headers.get(wanted[0]) != wanted[1]:
                self.answer(401, "text/plain", b"")
                return
            asked = urllib.request.Request(target.removesuffix("/license") + self.path, method="OPTIONS")
            with urllib.request.urlopen(asked, timeout=10) as answer:
                self.send_response(answer.status)
                self.send_header(FORMS_HEADER, answer.headers[FORMS_HEADER])
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if wanted and self.headers.get(wanted[0]) != wanted[1]:
                self.answer(401, "text/plain", b"")
                return
            if drop_pmp:
                body = json.dumps({k: v for k, v in json.loads(body).items() if k != "pmp"}).encode()
            status, kind, answer = ask(target.removesuffix("/license") + self.path, body, self.headers["Content-Type"])
            if kind == "application/jose":
                time.sleep(keep)
            self.answer(status, content_type or kind, answer)

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with serving(Handler) as url:
        yield url


def ask(url: str, body: bytes, content_type: str = "application/json") -> tuple[int, str, bytes]:
    """POST; return the status, the media type and the body, whatever the status is."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


@contextlib.contextmanager
def fixed_answer(body: bytes) -> Iterator[str]:
    """Answer every POST with these bytes as JSON, whatever it asks; give the URL to ask."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with serving(Handler) as url:
        yield url


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 until the end of the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/license"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
