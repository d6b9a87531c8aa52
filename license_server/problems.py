"""Refusals as problem documents, RFC 9457.

Both kinds of client show them: a page gets `code` and `kids` out of its player's error, our application out of
the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from drm.keys import KeyId

__all__ = ["CODES", "PROBLEM_TYPE", "ProblemError"]

PROBLEM_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    "request_malformed": "The request cannot be read",
    "type_not_offered": "This kind of license is not offered",
    "key_unknown": "No such key",
    "sealed_required": "A sealed license is required",
    "level_too_low": "The isolation level is too low",
    "license_expired": "The license period is over",
    "license_not_yet_valid": "The license period has not begun",
    "play_not_granted": "Playback is not granted",
    "individualization_required": "This device is not known",
    "device_refused": "This device is not enrolled",
    "request_stale": "The request is not fresh",
    "request_replayed": "The request was made before",
    "request_too_large": "The request is too large",
    "token_missing": "A token is required",
    "token_invalid": "The token is not one of ours",
    "token_expired": "The token has expired",
    "token_audience": "The token is for another server",
    "token_kids": "The token does not cover these keys",
    "token_replayed": "The token was used before",
    "token_revoked": "The token was revoked",
    "key_revoked": "The key was revoked",
    "content_revoked": "The content was revoked",
    "device_revoked": "This device was revoked",
    "rate_limited": "Too many attempts",
    "manifest_malformed": "The manifest cannot be rewritten",
    "manifest_lacks_kids": "The manifest does not tell its key ids",
    "manifest_plays_nowhere": "No player plays this manifest",
    "admin_not_set_up": "This server has no administration",
    "admin_token_missing": "The administrator's token is required",
    "admin_token_wrong": "This is not an administrator's token",
    "confirmation_required": "This has to be confirmed",
    "key_differs": "Another key is held",
    "not_set_up": "The server is not set up for this",
    "method_not_allowed": "Not this method",
    "not_found": "Nothing here",
    "server_busy": "The server is busy",
    "server_error": "The server failed",
}

CODES: Final = tuple(_TITLES)
"""Every code that an answer may carry, in a fixed order."""


class ProblemError(Exception):
    """A refusal: becomes a problem document at one place. It never holds a key, and no text of the request's keys."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        kids: Iterable[KeyId] = (),
        individualize: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.kids = tuple(kids)
        self.individualize = individualize
        self.headers = headers
        self.more = more or {}

    def body(self) -> bytes:
        """The document. `kids` are written as EME writes them; `individualize` is relative to the license URL.

        `more` holds members of one kind of problem (RFC 9457, 3.2).
        """
        members: dict[str, object] = {
            "type": f"urn:clearkey:problem:{self.code}",
            "title": _TITLES.get(self.code, "The request was refused"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.kids:
            members["kids"] = [kid.base64url for kid in self.kids]
        if self.individualize is not None:
            members["individualize"] = self.individualize
        return msgspec.json.encode({**self.more, **members})
