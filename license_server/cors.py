"""Cross-origin headers, on errors too: without them a page cannot read why it was refused.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["NO_CORS", "CompleteResponse", "Cors"]

_MAX_AGE: Final = 600  # seconds that a browser may remember a preflight
_METHODS: Final = "GET, HEAD, POST, OPTIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which pages may read answers. An echoed origin gives no page a user's rights: what knows cookies goes without."""

    origins: frozenset[str] | None = None  # None: every origin
    headers: tuple[str, ...] = ("Content-Type", "Authorization")

    def answer(self, origin: str | None, method: str) -> Iterator[tuple[str, str]]:
        """The headers for an answer to a request by `method` from a page of `origin`; besides `Vary`."""
        if origin is None or (self.origins is not None and origin not in self.origins):
            return
        # The origin itself and never "*": dash.js sends credentials as soon as an app sets Authorization.
        yield "Access-Control-Allow-Origin", origin
        yield "Access-Control-Allow-Credentials", "true"
        if method == "OPTIONS":
            yield "Access-Control-Allow-Methods", _METHODS
            yield "Access-Control-Allow-Headers", ", ".join(self.headers)
            yield "Access-Control-Max-Age", str(_MAX_AGE)
        else:
            yield "Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate"

    def install(self, app: Flask) -> None:
        """Add the headers to every answer of `app` that is not complete already."""

        @app.after_request
        def add(response: Response) -> Response:
            if not isinstance(response, CompleteResponse) and response.headers.pop(NO_CORS, None) is None:
                response.vary.add("Origin")
                response.headers.extend(self.answer(request.headers.get("Origin"), request.method))
            return response


NO_CORS: Final = "X-No-Cors"
"""Set by a view whose answer must go without these headers; it is never sent."""


class CompleteResponse(Response):
    """An answer that has all its headers. To look for single ones afterwards costs more than a license does."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002 - werkzeug's signature
        """Return them as they are: there is no location to make absolute, and the length is known."""
        return self.headers
