"""`POST /signal`: any packager's manifest, rewritten into the forms that browsers' players play with Clear Key.

It touches no key, so it is as open as `/license`. What it costs is time, so manifests are bounded, and so is what one
client may send in a minute.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from flask import Blueprint, Response, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from drm.errors import DRMError, InvalidArgumentError, KeyMissingError
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import ANY, Initialization
from drm.manifests.rewrite import check_manifest, is_playlist, signal_manifest
from drm.manifests.rewritten import (
    Outcome,
    Signalled,
    finding_members,
    outcome_of,
    require_known,
    verdict_members,
)
from drm.media import Scheme
from license_server.problems import PROBLEM_TYPE, ProblemError

__all__ = ["MAX_MANIFEST", "MINUTE_BYTES", "SignalOrder", "order_of", "signal", "signaller"]

MAX_MANIFEST: Final = 1 << 20  # bytes
MINUTE_BYTES: Final = 16 << 20
"""What one client address may send to one worker in a minute."""

_JSON: Final = "application/json"
_NAME: Final = "the manifest"
_Word = TypeVar("_Word", Player, Scheme)


class SignalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a manifest: as the options of `clearkey signal`."""

    license_url: str = ""
    keys_base: str | None = None
    player: Player | None = None  # None: all that one manifest can serve
    kid: KeyId | None = None  # for media whose key ids the manifest does not tell
    scheme: Scheme | None = None
    only: bool = False
    check: bool = False


def order_of(fields: Mapping[str, str], license_url: str) -> SignalOrder:
    """Read the words of a query or a form; empty ones are none. Raises InvalidArgumentError for what is not known.

    Without `license_url` among them, `license_url` is what players will ask.
    """
    given = {name: text.strip() for name, text in fields.items() if text.strip()}
    unknown = sorted(given.keys() - {"license_url", "keys_base", "for", "kid", "scheme", "only", "check"})
    if unknown:
        raise InvalidArgumentError(
            f"nothing here is named {unknown[0][:32]!r}",
            remedy="give license_url, keys_base, for, kid, scheme, only and check",
        )
    wanted = given.get("for", "all")
    return SignalOrder(
        license_url=given.get("license_url", license_url),
        keys_base=given.get("keys_base"),
        player=None if wanted == "all" else _one_of(Player, wanted, "for"),
        kid=KeyId.parse(given["kid"]) if "kid" in given else None,
        scheme=_one_of(Scheme, given["scheme"], "scheme") if "scheme" in given else None,
        only=_flag(given, "only"),
        check=_flag(given, "check"),
    )


def signal(data: bytes, order: SignalOrder) -> Signalled:
    """Rewrite a manifest, or judge it as it is. No media is at hand here, so no verdict says that it plays.

    Raises:
        InvalidArgumentError: the order contradicts itself, or names what is no URL.
        KeyMissingError: a key id is needed and neither the manifest nor the order tells it.
        MediaError: this is no manifest, or one that cannot be rewritten.
    """
    kids = {} if order.kid is None else {ANY: Initialization((order.kid,), order.scheme)}
    if order.check:
        return check_manifest(data, _NAME, kids, order.player)
    done = signal_manifest(
        data, _NAME, order.license_url, order.keys_base, kids, order.player, only_clearkey=order.only
    )
    require_known(done, _NAME)
    return done


def signaller() -> Blueprint:
    """Return what serves `POST /signal`."""
    blueprint = Blueprint("signal", __name__)
    spent = _Spent()

    @blueprint.post("/signal")
    def rewrite() -> Response:
        try:
            data = _manifest()
            spent.count(request.remote_addr or "", len(data))
            order = _order()
            done = _done(data, order)
            told = _told(done, order, is_changed=done.data != data)
            if not order.check and told["outcome"] is Outcome.NOWHERE:
                why = next(each.why for each in done.verdicts if order.player in {None, each.player})
                detail = f"no player plays what came of it: {why}"
                raise ProblemError(422, "manifest_plays_nowhere", detail, more=told)
            kind = "application/vnd.apple.mpegurl" if is_playlist(data, _NAME) else "application/dash+xml"
        except ProblemError as problem:
            return Response(problem.body(), problem.status, problem.headers, content_type=PROBLEM_TYPE)
        wants_json = request.accept_mimetypes.best_match([kind, _JSON]) == _JSON
        if order.check or wants_json:
            return Response(msgspec.json.encode(told), content_type=_JSON)
        return Response(done.data, content_type=kind)

    return blueprint


def _manifest() -> bytes:
    request.max_content_length = MAX_MANIFEST + 1
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge:
        data = None
    if data is None or len(data) > MAX_MANIFEST:
        raise ProblemError(413, "request_too_large", f"a manifest has at most {MAX_MANIFEST} bytes")
    return data


def _order() -> SignalOrder:
    try:
        return order_of(request.args, url_for("license_", _external=True))
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", _sentence(error)) from None


def _done(data: bytes, order: SignalOrder) -> Signalled:
    try:
        return signal(data, order)
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", _sentence(error)) from None
    except KeyMissingError as error:
        raise ProblemError(422, "manifest_lacks_kids", _sentence(error)) from None
    except DRMError as error:
        raise ProblemError(422, "manifest_malformed", _sentence(error)) from None


def _sentence(error: DRMError) -> str:
    return "; ".join(part for part in (error.what, error.where, error.seen, error.maybe, error.remedy) if part)


def _told(done: Signalled, order: SignalOrder, *, is_changed: bool) -> dict[str, object]:
    """The verdicts of the players that were asked about; the members are those of `clearkey signal --json`."""
    verdicts = [each for each in done.verdicts if order.player in {None, each.player}]
    told: dict[str, object] = {
        "verdicts": [verdict_members(each) for each in verdicts],
        "notes": done.notes,
        "outcome": outcome_of(verdicts),
        "findings": [finding_members(each) for each in done.findings],
    }
    if not order.check:
        told |= {"changed": is_changed, "manifest": done.data.decode("utf-8", "replace")}
    return told


def _one_of(kind: type[_Word], text: str, name: str) -> _Word:
    try:
        return kind(text)
    except ValueError:
        raise InvalidArgumentError(
            f"{name}={text[:32]} is not known", remedy=f"give one of {', '.join(kind)}"
        ) from None


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "0")
    if text not in {"0", "1"}:
        raise InvalidArgumentError(f"{name} is 0 or 1", seen=repr(text[:32]))
    return text == "1"


class _Spent:
    """The bytes of this minute by client, in this worker. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._bytes: dict[str, int] = {}

    def count(self, client: str, size: int) -> None:
        """Count what came. Raises ProblemError: more than one may send."""
        now = time.monotonic()
        with self._lock:
            if now - self._since >= 60:
                self._since, self._bytes = now, {}
            total = self._bytes.get(client, 0) + size
            self._bytes[client] = min(total, MINUTE_BYTES + 1)
        if total > MINUTE_BYTES:
            wait = max(1, math.ceil(60 - (now - self._since)))
            raise ProblemError(
                429,
                "rate_limited",
                f"{MINUTE_BYTES} bytes of manifests a minute are taken from one client; come again in {wait} seconds",
                headers=(("Retry-After", str(wait)),),
            )
