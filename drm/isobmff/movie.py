"""The movie box's own facts: time scales, track ids, handlers, edit lists, defaults for fragments.

ISO/IEC 14496-12, clauses 8.2 to 8.8. Fields that nothing here needs are passed over when read and are written as the
standard's own defaults.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import ClassVar, Final

import msgspec

from drm.isobmff.box import encode_full_box
from drm.isobmff.reader import Reader
from drm.media import Edit, TrackType

__all__ = ["Elst", "Hdlr", "Mdhd", "Mehd", "Mvhd", "Tkhd", "Trex"]

_UNITY: Final = pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_TIMES_32: Final = Struct(">8xII")  # creation, modification, then two words
_TIMES_64: Final = Struct(">16xIQ")
_TYPES: Final = {"vide": TrackType.VIDEO, "soun": TrackType.AUDIO}


def _wide(*values: int) -> int:
    return int(max(values) > 0xFFFF_FFFF)


def _scale_and_duration(r: Reader, version: int) -> tuple[int, int]:
    timescale, duration = r.unpack(_TIMES_64 if version else _TIMES_32)
    if timescale == 0:
        r.fail("a timescale of 0 units per second")
    unknown = 0xFFFF_FFFF_FFFF_FFFF if version else 0xFFFF_FFFF
    return timescale, 0 if duration == unknown else duration


def _encode_scale_and_duration(timescale: int, duration: int, version: int) -> bytes:
    return pack(">QQIQ" if version else ">IIII", 0, 0, timescale, duration)


class Mvhd(msgspec.Struct, frozen=True):
    """Movie Header."""

    TYPE: ClassVar[str] = "mvhd"

    timescale: int  # units per second
    duration: int = 0  # 0: not known

    @classmethod
    def parse(cls, r: Reader) -> Mvhd:
        """Read it."""
        version, _flags = r.full_box()
        found = cls(*_scale_and_duration(r, version))
        r.skip(80)  # rate, volume, matrix, next track id
        return found

    def encode(self) -> bytes:
        """Return the whole box."""
        version = _wide(self.duration)
        head = _encode_scale_and_duration(self.timescale, self.duration, version)
        return encode_full_box(
            self.TYPE, version, 0, head, pack(">IH10x", 0x10000, 0x100), _UNITY, bytes(24), pack(">I", 0xFFFF_FFFF)
        )


class Tkhd(msgspec.Struct, frozen=True):
    """Track Header."""

    TYPE: ClassVar[str] = "tkhd"

    track_id: int
    duration: int = 0  # in the movie's timescale
    width: int = 0  # pixels, as it is to be shown
    height: int = 0

    @classmethod
    def parse(cls, r: Reader) -> Tkhd:
        """Read it."""
        version, _flags = r.full_box()
        r.skip(16 if version else 8)
        track_id = r.u32()
        if track_id == 0:
            r.fail("a track id of 0")
        r.skip(4)
        duration = r.u64() if version else r.u32()
        r.skip(52)
        return cls(track_id, duration, r.u32() >> 16, r.u32() >> 16)

    def encode(self) -> bytes:
        """Return the whole box: enabled, in the movie."""
        version = _wide(self.duration)
        head = pack(">QQIIQ" if version else ">IIIII", 0, 0, self.track_id, 0, self.duration)
        size = pack(">II", self.width << 16, self.height << 16)
        return encode_full_box(self.TYPE, version, 3, head, bytes(16), _UNITY, size)


class Mdhd(msgspec.Struct, frozen=True):
    """Media Header."""

    TYPE: ClassVar[str] = "mdhd"

    timescale: int  # units per second
    duration: int = 0
    language: str = ""  # ISO 639-2, three letters

    @classmethod
    def parse(cls, r: Reader) -> Mdhd:
        """Read it."""
        version, _flags = r.full_box()
        timescale, duration = _scale_and_duration(r, version)
        packed = r.u16()
        r.skip(2)
        letters = [packed >> shift & 31 for shift in (10, 5, 0)]
        # Below 0x400 it is a QuickTime language number, above it may be anything: only letters are letters.
        language = "".join(chr(n + 0x60) for n in letters) if all(1 <= n <= 26 for n in letters) else ""
        return cls(timescale, duration, "" if language == "und" else language)

    def encode(self) -> bytes:
        """Return the whole box."""
        version = _wide(self.duration)
        a, b, c = (ord(letter) - 0x60 for letter in self.language or "und")
        head = _encode_scale_and_duration(self.timescale, self.duration, version)
        return encode_full_box(self.TYPE, version, 0, head, pack(">HH", a << 10 | b << 5 | c, 0))


class Hdlr(msgspec.Struct, frozen=True):
    """Handler Reference: what kind of track it is."""

    TYPE: ClassVar[str] = "hdlr"

    handler: str

    @classmethod
    def parse(cls, r: Reader) -> Hdlr:
        """Read it; the handler's name is not kept."""
        r.full_box()
        r.skip(4)
        found = cls(r.fourcc())
        r.skip(12)
        return found

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_full_box(self.TYPE, 0, 0, bytes(4), self.handler.encode("latin-1"), bytes(12), b"\0")

    @property
    def track_type(self) -> TrackType:
        """Video, audio or other."""
        return _TYPES.get(self.handler, TrackType.OTHER)


class Elst(msgspec.Struct, frozen=True):
    """Edit List: which part of the media is presented, and when."""

    TYPE: ClassVar[str] = "elst"

    edits: tuple[Edit, ...]

    @classmethod
    def parse(cls, r: Reader) -> Elst:
        """Read it; the media rate is not kept."""
        version, _flags = r.full_box()
        count = r.u32()
        shape = Struct(">Qq4x" if version else ">Ii4x")
        if count * shape.size > r.remaining:
            r.fail("the elst box ends before its entries do", seen=f"{count} entries, {r.remaining} bytes are left")
        return cls(tuple(Edit(*r.unpack(shape)) for _ in range(count)))

    def encode(self) -> bytes:
        """Return the whole box."""
        version = _wide(*(max(e.duration, e.media_time * 2) for e in self.edits), 0)
        rows = [pack(">QqI" if version else ">IiI", e.duration, e.media_time, 0x10000) for e in self.edits]
        return encode_full_box(self.TYPE, version, 0, pack(">I", len(rows)), *rows)


class Mehd(msgspec.Struct, frozen=True):
    """Movie Extends Header: the duration of a fragmented movie, when it was known."""

    TYPE: ClassVar[str] = "mehd"

    duration: int  # in the movie's timescale

    @classmethod
    def parse(cls, r: Reader) -> Mehd:
        """Read it."""
        version, _flags = r.full_box()
        return cls(r.u64() if version else r.u32())

    def encode(self) -> bytes:
        """Return the whole box."""
        version = _wide(self.duration)
        return encode_full_box(self.TYPE, version, 0, pack(">Q" if version else ">I", self.duration))


class Trex(msgspec.Struct, frozen=True):
    """Track Extends: what holds in fragments that do not say otherwise."""

    TYPE: ClassVar[str] = "trex"

    track_id: int
    description_index: int = 1
    duration: int = 0
    size: int = 0  # bytes
    flags: int = 0
    is_told: bool = True  # False: the file has none for this track, and the numbers above are nobody's

    @classmethod
    def parse(cls, r: Reader) -> Trex:
        """Read it."""
        r.full_box()
        return cls(r.u32(), r.u32(), r.u32(), r.u32(), r.u32())

    def encode(self) -> bytes:
        """Return the whole box."""
        fields = (self.track_id, self.description_index, self.duration, self.size, self.flags)
        return encode_full_box(self.TYPE, 0, 0, pack(">5I", *fields))
