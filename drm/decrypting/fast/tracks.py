"""What the fast way needs of `moov`: for each track the defaults of its fragments and the cipher of each description.

Reads the usual alone and raises OddLayoutError for the rest; `drm.isobmff.tracks` is the reader that knows it all.
"""

from __future__ import annotations

from struct import Struct

from drm.decrypting.fast.ciphers import CbcsCipher, CencCipher
from drm.decrypting.unmark_boxes import (
    PIFF_SENC,
    OddLayoutError,
    boxes,
    entry_boxes,
    inside,
    sample_entries,
    track_id_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FastCipher", "FastTrack", "read_tracks", "track_ciphers"]

_U32 = Struct(">I")
_ENTRIES = {b"vide": b"encv", b"soun": b"enca"}  # the encrypted sample entry of each handler
_IV_SIZES = (0, 8, 16)

FastCipher = CencCipher | CbcsCipher


class FastTrack:
    """One track: how each of its sample descriptions is encrypted, and what `trex` says."""

    __slots__ = ("ciphers", "default_description", "default_size")

    def __init__(self, ciphers: list[FastCipher | None]) -> None:
        self.ciphers = ciphers  # by sample description; None: a clear one
        self.default_description = 1
        self.default_size = 0


def read_tracks(data: bytearray, at: int, end: int, keys: Mapping[bytes, bytes]) -> dict[int, FastTrack]:
    """The tracks by id, out of the payload of `moov`. Raises OddLayoutError, also when a key is missing."""
    tracks: dict[int, FastTrack] = {}
    fragmented = False
    for kind, _, body, stop in boxes(data, at, end):
        if kind == b"trak":
            track_id = track_id_of(data, body, stop)
            if track_id in tracks:
                raise OddLayoutError("two tracks have the same id")
            _refuse_samples(data, body, stop)
            tracks[track_id] = FastTrack(track_ciphers(data, body, stop, keys))
    for mvex, mvex_end in inside(data, at, end, (b"mvex",)):
        fragmented = True
        for kind, _, body, stop in boxes(data, mvex, mvex_end):
            if kind == b"trex" and stop - body >= 24:
                track = tracks.get(_U32.unpack_from(data, body + 4)[0])
                if track is not None:
                    track.default_description = _U32.unpack_from(data, body + 8)[0]
                    track.default_size = _U32.unpack_from(data, body + 16)[0]
    if not fragmented or not any(cipher for track in tracks.values() for cipher in track.ciphers):
        raise OddLayoutError("not fragmented, or not encrypted")
    return tracks


def _refuse_samples(data: bytearray, at: int, end: int) -> None:
    """A track of fragments has none in `moov`."""
    for stbl, stbl_end in inside(data, at, end, (b"mdia", b"minf", b"stbl")):
        for kind, _, body, stop in boxes(data, stbl, stbl_end):
            if kind in {b"stsz", b"stz2"} and (stop - body < 12 or _U32.unpack_from(data, body + 8)[0]):
                raise OddLayoutError("samples in moov")


def track_ciphers(data: bytearray, at: int, end: int, keys: Mapping[bytes, bytes]) -> list[FastCipher | None]:
    """The cipher of each sample description of the `trak` with this payload; None: a clear one. May raise."""
    ciphers: list[FastCipher | None] = []
    # Which fields a sample entry has before its boxes, its handler says.
    handlers = [bytes(data[hdlr + 8 : hdlr + 12]) for hdlr, _ in inside(data, at, end, (b"mdia", b"hdlr"))]
    wanted = _ENTRIES.get(handlers[0] if handlers else b"", b"")
    for stbl, stbl_end in inside(data, at, end, (b"mdia", b"minf", b"stbl")):
        for kind, _, body, _ in boxes(data, stbl, stbl_end):
            if kind in {b"sgpd", b"sbgp", b"csgp"} and data[body + 4 : body + 8] == b"seig":
                raise OddLayoutError("encryption groups")
            if kind == b"uuid" and data[body : body + 16] == PIFF_SENC:
                raise OddLayoutError("the boxes of PIFF")
        told = sum(_U32.unpack_from(data, stsd + 4)[0] for stsd, _ in inside(data, stbl, stbl_end, (b"stsd",)))
        ciphers += [_cipher(data, start, stop, keys, wanted) for start, stop in sample_entries(data, stbl, stbl_end)]
        if not told == len(ciphers) > 0:
            raise OddLayoutError("another number of sample descriptions than stsd says")
    return ciphers


def _cipher(data: bytearray, start: int, stop: int, keys: Mapping[bytes, bytes], wanted: bytes) -> FastCipher | None:
    """The cipher of one sample entry, of type `wanted` if it is encrypted; None: its samples are clear."""
    kind = data[start + 4 : start + 8]
    if kind != wanted:
        if kind.startswith(b"enc"):
            raise OddLayoutError("an encrypted track of another kind")
        return None
    sinfs = [(body, end) for inner, _, body, end in entry_boxes(data, start, stop) if inner == b"sinf"]
    if len(sinfs) != 1:
        raise OddLayoutError("not one sinf")
    scheme, tenc, original = b"", b"", False
    for inner, _, body, end in boxes(data, *sinfs[0]):
        if inner == b"schm":
            scheme = bytes(data[body + 4 : body + 8])
        elif inner == b"frma":
            original = end - body == 4
        elif inner == b"schi":
            for innermost, _, fields, fields_end in boxes(data, body, end):
                if innermost == b"tenc":
                    tenc = bytes(data[fields:fields_end])
    if not original:
        raise OddLayoutError("sinf without frma")
    return _make(scheme, tenc, keys)


def _make(scheme: bytes, tenc: bytes, keys: Mapping[bytes, bytes]) -> FastCipher:
    """Read `tenc` (ISO/IEC 23001-7, clause 8.2)."""
    if len(tenc) < 24 or tenc[6] != 1 or tenc[7] not in _IV_SIZES:
        raise OddLayoutError("an unusual tenc")
    iv_size, constant = tenc[7], b""
    if not iv_size:
        constant = tenc[25 : 25 + tenc[24]] if len(tenc) > 24 else b""
        if len(constant) not in {8, 16} or len(constant) != tenc[24]:
            raise OddLayoutError("no constant IV")
    key = keys.get(tenc[8:24])
    if key is None:
        raise OddLayoutError("a key is missing")
    pattern = tenc[5] if tenc[0] else 0
    if scheme == b"cenc":
        return CencCipher(key, iv_size, constant)
    if scheme == b"cbcs" and (pattern >> 4 or not pattern):
        return CbcsCipher(key, iv_size, constant, pattern >> 4, pattern & 15)
    raise OddLayoutError("another scheme")
