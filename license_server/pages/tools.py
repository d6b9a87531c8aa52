"""What people look up while they make Clear Key play: a manifest's form, a pssh box, a token; and a token to try."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

import msgspec
from flask import Blueprint, render_template, request, url_for

from drm.errors import DRMError, InvalidArgumentError
from drm.manifests.forms import Player
from drm.manifests.key_ids import Statement, box_statements
from drm.manifests.rewritten import Signalled
from license_server.issuing.token_keys import TokenError, TokenKeys
from license_server.pages.admission import guarded
from license_server.pages.token_maker import TokenMaker
from license_server.web.signalling import order_of, signal

__all__ = ["TokenReport", "add_tools", "decoded_boxes", "read_token"]

_MOST: Final = 1 << 20  # bytes of a form
_TIMES: Final = ("exp", "nbf", "iat")


class TokenReport(msgspec.Struct, frozen=True):
    """What a token says, and whether it is one of ours."""

    header: dict[str, object]
    claims: dict[str, object]
    verdict: str
    is_good: bool | None  # None: this server has no keys to verify with

    @property
    def times(self) -> list[tuple[str, float]]:
        """Claims that are moments."""
        claims = [(name, self.claims.get(name)) for name in _TIMES]
        return [(name, float(value)) for name, value in claims if isinstance(value, int | float)]


def decoded_boxes(text: str) -> list[Statement]:
    """Read boxes in hex or base64, whatever space is among it, and the data in them. Raises DRMError."""
    plain = re.sub(r"\s+", "", text)
    try:
        if re.fullmatch(r"(?:0x)?(?:[0-9A-Fa-f]{2})+", plain):
            data = bytes.fromhex(plain.removeprefix("0x"))
        else:
            data = base64.b64decode(plain.replace("-", "+").replace("_", "/") + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidArgumentError("this is neither hex nor base64") from None
    found = box_statements(data, "the boxes")
    if not found:
        raise InvalidArgumentError("these are no boxes")
    return found


def read_token(text: str, keys: TokenKeys | None) -> TokenReport:
    """Read a token and try its signature. Raises InvalidArgumentError."""
    parts = text.strip().split(".")
    try:
        header, claims = (
            msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, object])
            for part in parts[:2]
        )
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        raise InvalidArgumentError("this is no JSON Web Token: two parts of JSON and a signature") from None
    if keys is None:
        return TokenReport(header, claims, "this server asks for no tokens, so it has no key to verify one with", None)
    try:
        keys.verify(text.strip())
    except TokenError as error:
        return TokenReport(header, claims, error.why, is_good=False)
    return TokenReport(header, claims, "its signature holds", is_good=True)


def add_tools(blueprint: Blueprint, tokens: TokenKeys | None, maker: TokenMaker | None = None) -> None:
    """Add the page. What is pasted is not kept. `maker`: signs tokens, where the server has a key for that."""

    @blueprint.route("/tools", methods=["GET", "POST"])
    @guarded
    def tools() -> str:
        given = {"license_url": url_for("license_", _external=True)}
        results: dict[str, object] = {}
        if request.method == "POST":
            given |= request.form.to_dict()
            tool = given.get("tool", "")
            try:
                if tool == "signal":
                    results["signalled"] = _signalled(given)
                elif tool == "pssh":
                    results["boxes"] = decoded_boxes(given.get("pssh", ""))
                elif tool == "token":
                    results["token"] = read_token(given.pop("token", ""), tokens)
                elif tool == "make-token" and maker is not None:
                    results["made"] = maker.make(given, request.remote_addr or "")
            except DRMError as error:
                results["trouble"] = (tool, error)
        return render_template("tools.html", given=given, players=list(Player), can_make=maker is not None, **results)

    @blueprint.before_request
    def allow_more() -> None:
        if request.path == url_for("pages.tools"):
            request.max_content_length = request.max_form_memory_size = _MOST


def _signalled(given: dict[str, str]) -> Signalled:
    words = {"license_url": "license_url", "kid": "kid", "scheme": "scheme", "player": "for", "only_check": "check"}
    order = order_of({words[name]: text for name, text in given.items() if name in words}, "")
    return signal(given.get("manifest", "").encode(), order)
