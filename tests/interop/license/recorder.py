"""A Clear Key license server that notes what it is sent, and says what it is told to say of itself."""

import contextlib
import http.server
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from drm.license.clearkey import FORMS_HEADER
from tests.interop.relays import serving


@dataclass
class Recorder:
    """What came: the method and the path, and each body."""

    url: str = ""
    lines: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    forms: str = ""  # what OPTIONS is answered with


@contextlib.contextmanager
def recorder(
    keys: dict[str, str], *, forms: str = "", refuses: int = 0, path: str = "/license", missing: int = 404
) -> Iterator[Recorder]:
    """Serve `keys` at `path` (base64url KID to base64url key); elsewhere is `missing`.

    `refuses`: the status for a request with members that EME does not have; 0: they are left unread. The requested
    path may be a whole URL, as a proxy gets it.
    """
    noted = Recorder(forms=forms)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self.note()
            headers = {FORMS_HEADER: noted.forms} if noted.forms else {}
            self.answer(204 if self.is_there else missing, b"", **headers if self.is_there else {})

        def do_POST(self) -> None:
            self.note()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            noted.bodies.append(body)
            request = json.loads(body)
            if not self.is_there:
                self.answer(missing, b"nothing here")
            elif refuses and set(request) - {"kids", "type"}:
                self.answer(refuses, b"what is this?")
            else:
                found = [{"kty": "oct", "kid": kid, "k": keys[kid]} for kid in request["kids"] if kid in keys]
                self.answer(200, json.dumps({"keys": found, "type": request["type"]}).encode())

        @property
        def is_there(self) -> bool:
            return self.path.partition("?")[0].endswith(path)

        def note(self) -> None:
            noted.lines.append(f"{self.command} {self.path}")

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with serving(Handler) as url:
        noted.url = url.removesuffix("/license") + path
        yield noted
