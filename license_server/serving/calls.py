"""One call of a WSGI application (PEP 3333): its environment, made of an ASGI request, and its answer, part by part."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from werkzeug.wsgi import FileWrapper

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["Answer", "begun", "environ_of"]

_BLOCK: Final = 64 << 10  # bytes of a file that are read at a time
_ALONE: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def environ_of(scope: dict[str, Any], body: bytes) -> WSGIEnvironment:
    """Make the environment of a request whose body, or as much of it as is taken, is here."""
    host, port = scope["server"] or ("", 0)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,  # werkzeug's word for: a body without a length can be read to its end
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _blocks,
    }
    for name, value in scope["headers"]:
        # With "_" a name would be taken for another one, which a proxy in front may have removed.
        if b"_" in name:
            continue
        key = _ALONE.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if name == b'cookie' else ','}{text}"
        environ[key] = text
    return environ


class Answer:
    """What an application answers: status, headers, and the part of the body that is to be sent next."""

    def __init__(self, status: str, headers: list[tuple[str, str]], parts: Iterable[bytes]) -> None:
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.part = b""
        self.is_whole = False
        self._parts = parts
        self._rest = iter(parts)
        self._left = next((int(value) for name, value in self.headers if name == b"content-length"), None)

    @classmethod
    def complete(cls, status: int, media_type: str, body: bytes) -> Answer:
        """Make one that no application was asked for."""
        headers = [("Content-Type", media_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        answer = cls(str(status), headers, [body])
        answer.go_on()
        return answer

    def go_on(self) -> None:
        """Take the next part. It may take its time: call it in a thread."""
        part = next(self._rest, None)
        self.part = part or b""
        if self._left is not None:
            self._left -= len(self.part)
        if part is None or self._left == 0:
            self.close()

    def close(self) -> None:
        """Let the application know that no more is taken."""
        self.is_whole = True
        if close := getattr(self._parts, "close", None):
            close()


def begun(application: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Call the application, and return the answer with its first part, which is all there is to most of them."""
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _error: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        told[:] = [(status, headers)]
        return _write

    parts = application(environ, start_response)
    answer = Answer(*told[0], parts)  # Flask has said it by now; a generator would say it at its first part
    try:
        answer.go_on()
    except BaseException:
        answer.close()
        raise
    return answer


def _blocks(file: IO[bytes], _size: int = 0) -> FileWrapper:
    """Read a file in larger blocks than werkzeug asks for: each is a way to a thread and back."""
    return FileWrapper(file, _BLOCK)


def _write(_data: bytes) -> object:
    raise NotImplementedError("an application of before PEP 333's time")
