"""Cross-origin headers, on errors too: without them a page cannot read why it was refused.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Flask, Request, Response, request

__all__ = ["Cors"]

_MAX_AGE: Final = 600  # seconds that a browser may remember a preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which pages may read answers. The server knows no cookies, so an echoed origin gives no page a user's rights."""

    origins: frozenset[str] | None = None  # None: every origin
    headers: tuple[str, ...] = ("Content-Type", "Authorization")

    def install(self, app: Flask) -> None:
        """Answer preflights, and add the headers to every answer of `app`."""

        @app.after_request
        def add(response: Response) -> Response:
            self._add(request, response)
            return response

    def _add(self, asked: Request, response: Response) -> None:
        response.vary.add("Origin")
        origin = asked.headers.get("Origin")
        if origin is None or (self.origins is not None and origin not in self.origins):
            return
        # The origin itself and never "*": dash.js sends credentials as soon as an app sets Authorization.
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        if asked.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = ", ".join(self.headers)
            response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
