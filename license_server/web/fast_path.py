"""The fast path: a plain WSGI callable (PEP 3333) for license requests, in front of the Flask application.

Most of what a small Flask view costs is Flask's own dispatch. The two requests that players make are answered here, by
the same service as in the views, and with the same bytes; everything else goes to the application. Bodies are read to
their end: a chunked one has no length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from time import sleep
from typing import TYPE_CHECKING, Final

from drm.license.clearkey import FORMS_HEADER, MAX_MESSAGE, PLAIN_FORM, SEALED_FORM
from license_server.cors import Cors
from license_server.decisions import Decision, KeyRequest
from license_server.issuing.service import LicenseService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["LICENSE_OPTIONS", "FastPath", "in_pieces"]

LICENSE_OPTIONS: Final = (("Allow", "OPTIONS, POST"), (FORMS_HEADER, f"{PLAIN_FORM}, {SEALED_FORM}"))
"""What `OPTIONS /license` is answered with: a client learns of the sealed form before it asks for a key."""

_LICENSE: Final = "/license"
_HLS_KEY: Final = "/hls/key/"
# RFC 9111 5.2.2.5: keys are no thing to keep, nor is a refusal.
_ALWAYS: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_MOST_PAGES: Final = 256  # whose headers are remembered
_STATUS: Final = {
    status.value: f"{status.value} {status.phrase.upper()}" for status in HTTPStatus
}  # as werkzeug has it


class FastPath:
    """Answers `POST|OPTIONS /license` and `GET|HEAD /hls/key/KID`, and hands the rest on. Safe for several threads."""

    def __init__(self, service: LicenseService, cors: Cors, application: WSGIApplication) -> None:
        self._service = service
        self._cors = cors
        self._application = application
        self._pages: dict[tuple[str | None, str], tuple[tuple[str, str], ...]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == _LICENSE:
            if method == "POST":
                decision = self._service.license(_ask(environ, _body(environ)))
                return self._send(decision, method, environ, start_response)
            if method == "OPTIONS":
                page = self._for_page(environ.get("HTTP_ORIGIN"), method)
                start_response(_STATUS[204], [*LICENSE_OPTIONS, *_ALWAYS, *page])
                return []
        elif path.startswith(_HLS_KEY) and method in ("GET", "HEAD"):
            kid = path[len(_HLS_KEY) :]
            if kid and "/" not in kid:
                decision = self._service.hls_key(kid, _ask(environ, b""))
                return self._send(decision, method, environ, start_response)
        return self._application(environ, start_response)

    def _send(
        self, decision: Decision, method: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        body = decision.body
        headers = [
            ("Content-Type", decision.media_type),
            ("Content-Length", str(len(body))),
            *decision.headers,
            *_ALWAYS,
        ]
        if decision.cors:
            headers += self._for_page(environ.get("HTTP_ORIGIN"), method)
        start_response(_STATUS.get(decision.status, f"{decision.status} UNKNOWN"), headers)
        if method == "HEAD":
            return []
        return in_pieces(body, decision.pause) if decision.pause else [body]

    def _for_page(self, origin: str | None, method: str) -> tuple[tuple[str, str], ...]:
        """The headers for a page of `origin`: few pages ask, and each asks often."""
        headers = self._pages.get((origin, method))
        if headers is None:
            headers = (("Vary", "Origin"), *self._cors.answer(origin, method))
            if len(self._pages) < _MOST_PAGES:
                self._pages[origin, method] = headers
        return headers


def in_pieces(body: bytes, pause: float) -> Iterator[bytes]:
    """Yield the body in two halves, with a pause between them: a fault that was asked for."""
    half = len(body) // 2
    yield body[:half]
    sleep(pause)
    yield body[half:]


def _ask(environ: WSGIEnvironment, body: bytes) -> KeyRequest:
    return KeyRequest(
        body, environ.get("HTTP_AUTHORIZATION", ""), environ.get("QUERY_STRING", ""), environ.get("REMOTE_ADDR", "")
    )


def _body(environ: WSGIEnvironment) -> bytes:
    """The body, or its beginning: one byte more than is taken tells one that is too large."""
    read = environ["wsgi.input"].read
    body: bytes = read(MAX_MESSAGE + 1)
    while len(body) <= MAX_MESSAGE:
        more = read(MAX_MESSAGE + 1 - len(body))
        if not more:
            break
        body += more
    return body
