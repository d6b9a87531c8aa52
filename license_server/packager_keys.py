"""Content keys for packagers: the key-server protocol of Shaka Packager (`--enable_widevine_encryption`).

`answer` takes the bytes of a request and gives those of the answer; the blueprint is HTTP and nothing else. The keys
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
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from flask import Blueprint, Response, request

from drm.errors import DRMError
from drm.isobmff.pssh import Pssh
from drm.isobmff.pssh_payload import WIDEVINE, make_data
from drm.keys import ContentKey, KeyId
from license_server.packager_signers import Signer

__all__ = ["MAX_REQUEST", "PackagerKeySource", "PackagerStatus", "Slot", "answer", "packager_keys"]

_log = logging.getLogger(__name__)
_Kind = TypeVar("_Kind", bound=msgspec.Struct)

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


def packager_keys(source: PackagerKeySource, signers: Mapping[str, Signer]) -> Blueprint:
    """The blueprint that answers `POST /packager/getkey`. Bodies may come in chunks, without a length."""
    blueprint = Blueprint("packager_keys", __name__)

    @blueprint.post("/packager/getkey")
    def getkey() -> Response:
        # Shaka Packager sends chunks and no length, so the body is what comes until it ends.
        body = bytearray()
        while part := request.stream.read(MAX_REQUEST + 1 - len(body)):
            body += part
        status, data = answer(bytes(body), source, signers)
        made = Response(data, _HTTP.get(status, 400), content_type="application/json")
        made.headers["Cache-Control"] = "no-store"
        return made

    return blueprint


def answer(body: bytes, source: PackagerKeySource, signers: Mapping[str, Signer]) -> tuple[PackagerStatus, bytes]:
    """Answer one request: the status, and the document that carries it, with keys only if it is OK."""
    try:
        signed = _decoded(body, _Signed)
        inner = _unbase64(signed.request)
        signer = signers.get(signed.signer)
        if signer is None or not signer.has_signed(inner, _unbase64(signed.signature)):
            raise _RefusedError(PackagerStatus.SIGNATURE_FAILED)  # which of the two is nobody's business
        wanted = _decoded(inner, _Request)
        content, slots = _content(wanted), _slots(wanted)
        scheme = _SCHEMES.get(wanted.protection_scheme.upper())
        if scheme is None:
            raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
        keys = source.keys_of(content, slots)
    except _RefusedError as refused:
        return refused.status, _wrapped({"status": refused.status.value})
    except DRMError as error:
        _log.error("no keys for a packager: %s", error.what)
        return PackagerStatus.INTERNAL_ERROR, _wrapped({"status": PackagerStatus.INTERNAL_ERROR.value})
    tracks = [_track(slot, kid, key, scheme) for slot, (kid, key) in zip(slots, keys, strict=True)]
    drm = [{"type": "WIDEVINE", "system_id": WIDEVINE.value.hex()}]
    told = {"status": PackagerStatus.OK.value, "drm": drm, "tracks": tracks, "content_id": wanted.content_id}
    return PackagerStatus.OK, _wrapped(told)


def _decoded(data: bytes, kind: type[_Kind]) -> _Kind:
    if len(data) > MAX_REQUEST:
        raise _RefusedError(PackagerStatus.MALFORMED_REQUEST)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
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


def _wrapped(told: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({"response": _base64(msgspec.json.encode(told))})
