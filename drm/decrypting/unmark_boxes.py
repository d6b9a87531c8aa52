"""Takes the marks of encryption out of `moov` and `moof` without moving a byte: boxes are renamed to `free`.

Sizes do not change, so every offset in the file stays true: `sidx`, `trun`, `stco`, `tfra` and the rest. A sample entry
gets its original four-cc back from `frma` (ISO/IEC 14496-12, clause 8.12). Boxes are walked here by hand, in memory
and in a file, and next to nothing is imported, because a one-shot decryption has to start faster than the readers of
`drm.isobmff` load.
"""

from __future__ import annotations

import os
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

__all__ = [
    "PIFF_PSSH", "PIFF_SENC", "BoxPlace", "OddLayoutError", "boxes", "entry_boxes", "file_boxes", "inside",
    "is_of_encryption", "patch_moof", "patch_moov", "read_exactly", "sample_entries", "track_id_of", "unprotect",
]  # fmt: skip

_HEAD = Struct(">I4s")
_U32 = Struct(">I")
_U64 = Struct(">Q")

_ENCRYPTED = frozenset({b"encv", b"enca", b"enct", b"encs", b"encm", b"encu"})
PIFF_SENC = bytes.fromhex("a2394f525a9b4f14a2446c427c648df4")
PIFF_PSSH = bytes.fromhex("d08a4f1810f34a82b6c832d8aba183d3")
_AUX_TYPES = frozenset({b"cenc", b"cens", b"cbc1", b"cbcs", b"piff"})
_ENTRY_HEAD = 8  # bytes of any sample entry before its own fields
_VISUAL_HEAD = 78  # and of a visual one before its boxes (ISO/IEC 14496-12, clause 12.1.3)
_SOUND_HEAD = 28  # of a sound one (clause 12.2.3); QuickTime's versions 1 and 2 have more
_QUICKTIME_MORE = {1: 16, 2: 36}


BoxPlace = tuple[bytes, int, int, int]  # type, start, start of the payload, end


class OddLayoutError(ValueError):
    """These bytes are not laid out as this module expects; nothing is said about whether they are sound."""


def boxes(data: bytearray, at: int, end: int) -> Iterator[BoxPlace]:
    """Each box from `at` to `end`. Raises OddLayoutError."""
    while end - at >= 8:
        kind, body, stop = _box_at(data, at, end)
        yield kind, at, body, stop
        at = stop
    if any(data[at:end]):
        raise OddLayoutError("bytes behind the last box")


def file_boxes(source: int, at: int, end: int) -> Iterator[BoxPlace]:
    """Each box from `at` to `end` of the file `source`, where nothing else may be. Raises OddLayoutError."""
    while end - at >= 8:
        head = bytearray(min(16, end - at))
        read_exactly(source, memoryview(head), at)
        kind, body, stop = _box_at(head, 0, end - at)
        yield kind, at, at + body, at + stop
        at += stop
    if at != end:
        raise OddLayoutError("bytes behind the last box")


def _box_at(data: bytearray, at: int, end: int) -> tuple[bytes, int, int]:
    """Type, start of the payload and end of the box that begins at `at` and may not reach beyond `end`."""
    size, kind = _HEAD.unpack_from(data, at)
    body = at + 8
    if size == 1:
        if end - at < 16:
            raise OddLayoutError("a box header is cut")
        size, body = _U64.unpack_from(data, body)[0], at + 16
    elif size == 0:
        size = end - at
    if size < body - at or size > end - at:
        raise OddLayoutError(f"a box of {size} bytes where {end - at} are left")
    return kind, body, at + size


def read_exactly(source: int, into: memoryview, offset: int) -> None:
    """Fill `into` from `offset` of the file `source`. Raises OddLayoutError."""
    try:
        count = os.preadv(source, [into], offset)
    except OSError:
        count = 0
    if count != len(into):
        raise OddLayoutError("the file cannot be read to its end")


def unprotect(data: bytearray, start: int) -> None:
    """Rename the box that begins at `start` to `free`."""
    data[start + 4 : start + 8] = b"free"


def patch_moov(data: bytearray, at: int, end: int, kept: Container[int] = ()) -> set[int]:
    """Take the marks of encryption out of the payload of a `moov`; return the tracks that had any. May raise.

    Tracks whose ids are `kept` stay as they are: their samples were not decrypted.
    """
    protected = set()
    for kind, start, body, stop in boxes(data, at, end):
        if kind == b"pssh" or (kind == b"uuid" and data[body : body + 16] == PIFF_PSSH):
            unprotect(data, start)
        elif kind == b"trak" and track_id_of(data, body, stop) not in kept and _patch_trak(data, body, stop):
            protected.add(track_id_of(data, body, stop))
    return protected


def patch_moof(data: bytearray, at: int, end: int, protected: Container[int]) -> None:
    """The same for the payload of a `moof`: of its track fragments those of the tracks that are `protected`."""
    for kind, start, body, stop in boxes(data, at, end):
        if kind == b"pssh" or (kind == b"uuid" and data[body : body + 16] == PIFF_PSSH):
            unprotect(data, start)
        elif kind == b"traf":
            for inner, _, fields, inner_end in boxes(data, body, stop):
                if inner == b"tfhd":
                    if inner_end - fields < 8:
                        raise OddLayoutError("tfhd is cut")
                    if _U32.unpack_from(data, fields + 4)[0] in protected:
                        _patch_table(data, body, stop)
                    break


def _patch_table(data: bytearray, at: int, end: int) -> None:
    """Rename what tells how samples are encrypted, in a `stbl` or a `traf`."""
    for kind, start, body, stop in boxes(data, at, end):
        if (
            kind == b"senc"
            or (kind in {b"saiz", b"saio"} and is_of_encryption(data, body, stop))
            or (kind in {b"sbgp", b"csgp", b"sgpd"} and data[body + 4 : body + 8] == b"seig")
            or (kind == b"uuid" and data[body : body + 16] == PIFF_SENC)
        ):
            unprotect(data, start)


def is_of_encryption(data: bytearray, body: int, stop: int) -> bool:
    """Auxiliary information of no type is that of the track's scheme (clause 8.7.8)."""
    return stop - body < 8 or not data[body + 3] & 1 or bytes(data[body + 4 : body + 8]) in _AUX_TYPES


def _patch_trak(data: bytearray, at: int, end: int) -> bool:
    found = False
    for stbl, stbl_end in inside(data, at, end, (b"mdia", b"minf", b"stbl")):
        for entry in list(sample_entries(data, stbl, stbl_end)):
            start, stop = entry
            kind = bytes(data[start + 4 : start + 8])
            if kind not in _ENCRYPTED:
                continue
            sinfs = [(at, body, end) for inner, at, body, end in entry_boxes(data, start, stop) if inner == b"sinf"]
            original = _frma(data, *sinfs[0][1:]) if sinfs else b""
            if original:
                for sinf, _, _ in sinfs:
                    unprotect(data, sinf)
                data[start + 4 : start + 8] = original
                found = True
        if found:
            _patch_table(data, stbl, stbl_end)
    return found


def inside(data: bytearray, at: int, end: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Payload and end of every box at `path`."""
    if not path:
        yield at, end
        return
    for kind, _, body, stop in boxes(data, at, end):
        if kind == path[0]:
            yield from inside(data, body, stop, path[1:])


def sample_entries(data: bytearray, stbl: int, stbl_end: int) -> Iterator[tuple[int, int]]:
    """Start and end of each sample entry of a sample table."""
    for body, stop in inside(data, stbl, stbl_end, (b"stsd",)):
        for _, start, _, end in boxes(data, body + 8, stop):
            yield start, end


def entry_boxes(data: bytearray, start: int, stop: int) -> Iterator[BoxPlace]:
    """The boxes inside a sample entry, those in QuickTime's `wave` too."""
    at = start + 8 + _ENTRY_HEAD
    if data[start + 4 : start + 8] == b"encv":
        at = start + 8 + _VISUAL_HEAD
    elif data[start + 4 : start + 8] == b"enca":
        version = int.from_bytes(data[at : at + 2], "big")
        at = start + 8 + _SOUND_HEAD
        # ISO's own version 1 has no more fields: there a box follows at once.
        if not (version == 1 and _box_follows(data, at, stop)):
            at += _QUICKTIME_MORE.get(version, 0)
    elif bytes(data[start + 4 : start + 8]) in _ENCRYPTED:
        at += _fields_of_text(data, at, stop)
    if at > stop:
        raise OddLayoutError("a sample entry is cut")
    for found in boxes(data, at, stop):
        yield found
        if found[0] == b"wave":
            yield from boxes(data, found[2], found[3])


def _fields_of_text(data: bytearray, at: int, stop: int) -> int:
    """Bytes of fields in an encrypted entry of text or metadata. Raises OddLayoutError."""
    from drm.isobmff.reader import Reader  # noqa: PLC0415 - the way that starts fast never comes here
    from drm.isobmff.sample_entry import encrypted_fields  # noqa: PLC0415

    size = encrypted_fields(Reader(memoryview(data), at=at, end=stop))
    if size is None:
        raise OddLayoutError("a text entry without sinf")
    return size


def _box_follows(data: bytearray, at: int, stop: int) -> bool:
    if stop - at < 8:
        return True
    size, kind = _HEAD.unpack_from(data, at)
    name = kind.decode("latin-1")
    return bool(8 <= size <= stop - at and name.isascii() and name.isalnum())


def _frma(data: bytearray, at: int, end: int) -> bytes:
    for kind, _, body, stop in boxes(data, at, end):
        if kind == b"frma" and stop - body >= 4:
            return bytes(data[body : body + 4])
    return b""


def track_id_of(data: bytearray, trak: int, trak_end: int) -> int:
    """The id that `tkhd` gives. Raises OddLayoutError: there is none."""
    for kind, _, body, stop in boxes(data, trak, trak_end):
        if kind == b"tkhd":
            at = body + (20 if data[body] else 12)
            if at + 4 <= stop:
                return int(_U32.unpack_from(data, at)[0])
    raise OddLayoutError("a track without an id")
