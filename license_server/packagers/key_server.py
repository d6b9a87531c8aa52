"""Content keys for packagers: the key-server protocol of Shaka Packager (`--enable_widevine_encryption`).

`answer` takes the bytes of a request and decides; the blueprint is HTTP and nothing else. The keys
are Clear Key's: what the protocol calls WIDEVINE is its name for the one kind of box that it carries, and the box is
that of W3C's common system.

Who may be lying: the client, until a signature of a known signer is verified over the very bytes that are read then.
"""

from __future__ import annotations

import base64
import binascii
import enum
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

import msgspec
from flask import Blueprint, Response, request

from drm.errors import DRMError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import WIDEVINE, make_data
from drm.keys import ContentKey, KeyId
from license_server.cors import NO_CORS
from license_server.decisions import Decision, KeyRequest
from license_server.packagers.signers import Signer

__all__ = ["MAX_REQUEST", "PackagerKeySource", "PackagerStatus", "Slot", "Through", "answer", "packager_keys"]

_log = logging.getLogger(__name__)
_Kind = TypeVar("_Kind", bound=msgspec.Struct)

Through: TypeAlias = Callable[[str, KeyRequest, Callable[[float], Decision]], Decision]
"""How a decision is taken and told: `LicenseService.answer`."""

MAX_REQUEST: Final = 64 << 10  # bytes
_MOST_KEYS: Final = 512  # tracks times periods
_MOST_CONTENT: Final = 64  # bytes of a content id: its hex fits the key store
_LAST_PERIOD: Final = 0x7FFF_FFFF
_TRACKS: Final = frozenset({"SD", "HD", "UHD1", "UHD2", "AUDIO"})
_SCHEMES: Final = {"": "cenc", "UNSPECIFIED": "cenc", "CENC": "cenc", "CBC1": "cbc1", "CENS": "cens", "CBCS": "cbcs"}
_PRINTABLE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class PackagerStatus(enum.StrEnum):
    """What became of a request, in the protocol's words."""

    OK = "OK"
    SIGNATURE_FAILED = "SIGNATURE_FAILED"
    CONTENT_ID_MISSING = "CONTENT_ID_MISSING"
    TRACK_TYPE_MISSING = "TRACK_TYPE_MISSING"
    TRACK_TYPE_UNKNOWN = "TRACK_TYPE_UNKNOWN"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    NO_REQUESTED_CRYPTO_PERIODS = "NO_REQUESTED_CRYPTO_PERIODS"
    INTERNAL_ERROR = "INTERNAL_ERROR"


_HTTP: Final = {PackagerStatus.OK: 200, PackagerStatus.SIGNATURE_FAILED: 403, PackagerStatus.INTERNAL_ERROR: 500}


class Slot(msgspec.Struct, frozen=True):
    """What a key is for."""

    track: str  # SD, HD, UHD1, UHD2 or AUDIO
    period: int | None = None  # crypto period; None: keys do not change


class PackagerKeySource(Protocol):
    """Where keys come from."""

    def keys_of(self, content: str, slots: Sequence[Slot]) -> list[tuple[KeyId, ContentKey]]:
        """Return KID and key of each slot, always the same ones; those that are not there yet are made."""


class _Signed(msgspec.Struct):
    request: str = ""  # base64
    signature: str = ""
    signer: str = ""


class _Track(msgspec.Struct):
    type: str = ""


class _Request(msgspec.Struct):
    content_id: str = ""  # base64
    tracks: list[_Track] = []
    protection_scheme: str = ""
    first_crypto_period_index: int | None = None
    crypto_period_count: int | None = None


class _RefusedError(Exception):
    def __init__(self, status: PackagerStatus) -> None:
        super().__init__(status)
        self.status = status


def packager_keys(
    source: PackagerKeySource, signers: Mapping[str, Signer], through: Through | None = None
) -> Blueprint:
    """The blueprint that answers `POST /packager/getkey`. Bodies may come in chunks, without a length.

    `through` is what counts decisions and writes them down.
    """
    blueprint = Blueprint("packager_keys", __name__)

    @blueprint.post("/packager/getkey")
    def getkey() -> Response:
        # Shaka Packager sends chunks and no length, so the body is what comes until it ends.
        body = bytearray()
        while part := request.stream.read(MAX_REQUEST + 1 - len(body)):
            body += part
        ask = KeyRequest(bytes(body), client=request.remote_addr or "")
        if through is None:
            decision = answer(ask.body, source, signers)
        else:
            decision = through("packager", ask, lambda _now: answer(ask.body, source, signers))
        response = Response(decision.body, decision.status, content_type=decision.media_type)
        response.headers["Cache-Control"] = "no-store"
        response.headers[NO_CORS] = "1"  # no page is a packager
        return response

    return blueprint


def answer(body: bytes, source: PackagerKeySource, signers: Mapping[str, Signer]) -> Decision:
    """Decide over one request: a document that carries a status, with keys only if that is OK."""
    name = ""  # of the signer, once that is certain
    try:
        signed = _decoded(body, _Signed)
        inner = _unbase64(signed.request)
        signer = signers.get(signed.signer)
        if signer is None or not signer.has_signed(inner, _unbase64(signed.signature)):
            raise _RefusedError(PackagerStatus.SIGNATURE_FAILED)  # which of the two is nobody's business
        name = signed.signer
        wanted = _decoded(inner, _Request)
        content, slots = _content(wanted), _slots(wanted)
        scheme = _SCHEMES.get(wanted.protection_scheme.upper())
        if scheme is None:
            raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
        keys = source.keys_of(content, slots)
    except _RefusedError as refused:
        return _decision(refused.status, {}, name)
    except DRMError as error:
        _log.error("no keys for a packager: %s", error.what)
        return _decision(PackagerStatus.INTERNAL_ERROR, {}, name)
    tracks = [_track(slot, kid, key, scheme) for slot, (kid, key) in zip(slots, keys, strict=True)]
    drm = [{"type": "WIDEVINE", "system_id": WIDEVINE.value.hex()}]
    fields = {"drm": drm, "tracks": tracks, "content_id": wanted.content_id}
    return _decision(PackagerStatus.OK, fields, name, tuple(kid for kid, _key in keys))


def _decision(
    status: PackagerStatus, fields: Mapping[str, object], signer: str, kids: tuple[KeyId, ...] = ()
) -> Decision:
    document = msgspec.json.encode({"response": _base64(msgspec.json.encode({"status": status.value, **fields}))})
    code = "issued" if status is PackagerStatus.OK else status.value.lower()
    http = _HTTP.get(status, 400)
    return Decision(http, "application/json", document, code, kids, subject=signer, cors=False)


def _decoded(data: bytes, kind: type[_Kind]) -> _Kind:
    if len(data) > MAX_REQUEST:
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST) from None


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST) from None


def _content(wanted: _Request) -> str:
    """The content's name in the store: the id itself if it is plain text, and its hex otherwise."""
    value = _unbase64(wanted.content_id)
    if not value:
        raise _RefusedError(PackagerStatus.CONTENT_ID_MISSING)
    if len(value) > _MOST_CONTENT:
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
    text = value.decode("ascii", "replace")
    # Text that reads as hex might be another content's hex.
    is_plain = _PRINTABLE.fullmatch(text) and not re.fullmatch(r"hex:.*", text)
    return text if is_plain else f"hex:{value.hex()}"


def _slots(wanted: _Request) -> list[Slot]:
    tracks = list(dict.fromkeys(track.type for track in wanted.tracks))
    if not tracks or "" in tracks:
        raise _RefusedError(PackagerStatus.TRACK_TYPE_MISSING)
    if not _TRACKS.issuperset(tracks):
        raise _RefusedError(PackagerStatus.TRACK_TYPE_UNKNOWN)
    first, count = wanted.first_crypto_period_index, wanted.crypto_period_count
    if first is None and count is None:
        return [Slot(track) for track in tracks]
    if first is None or count == 0:
        raise _RefusedError(PackagerStatus.NO_REQUESTED_CRYPTO_PERIODS)
    count = 1 if count is None else count
    if first < 0 or count < 0 or first + count > _LAST_PERIOD or count * len(tracks) > _MOST_KEYS:
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
    return [Slot(track, period) for period in range(first, first + count) for track in tracks]


def _track(slot: Slot, kid: KeyId, key: ContentKey, scheme: str) -> dict[str, object]:
    box = {
        "drm_type": "WIDEVINE",
        "data": _base64(make_data(WIDEVINE, (kid,), scheme)),
        "boxes": _base64(Pssh.common(kid).encode()),  # what a packager of today puts into the media
    }
    period = {} if slot.period is None else {"crypto_period_index": slot.period}
    return {"type": slot.track, "key_id": _base64(kid.value), "key": _base64(key.secret), "pssh": [box], **period}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
