"""The boxes of a movie fragment: where a run of samples starts, and how long, large and dependent each is.

ISO/IEC 14496-12, clauses 8.8.7 (`tfhd`), 8.8.8 (`trun`) and 8.8.12 (`tfdt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import ClassVar, Final

import msgspec

from drm.isobmff.box import encode_full_box
from drm.isobmff.reader import Reader
from drm.isobmff.table import Table, encode_table, read_table, signed

__all__ = ["NON_SYNC", "Tfdt", "Tfhd", "Trun"]

NON_SYNC: Final = 0x0001_0000  # sample_is_non_sync_sample, in the flags of a sample

_BASE_DATA_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_DURATION_IS_EMPTY, _BASE_IS_MOOF = 0x10000, 0x20000
_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_COLUMNS: Final = (0x100, 0x200, 0x400, 0x800)  # duration, size, flags, composition offset


class Tfhd(msgspec.Struct, frozen=True):
    """Track Fragment Header. None: `trex` says it."""

    TYPE: ClassVar[str] = "tfhd"

    track_id: int
    base_data_offset: int | None = None  # absolute
    description_index: int | None = None
    duration: int | None = None
    size: int | None = None  # bytes
    flags: int | None = None  # of each sample
    base_is_moof: bool = True
    duration_is_empty: bool = False

    @classmethod
    def parse(cls, r: Reader) -> Tfhd:
        """Read it."""
        _version, has = r.full_box()
        return cls(
            r.u32(),
            r.u64() if has & _BASE_DATA_OFFSET else None,
            r.u32() if has & _DESCRIPTION else None,
            r.u32() if has & _DURATION else None,
            r.u32() if has & _SIZE else None,
            r.u32() if has & _FLAGS else None,
            bool(has & _BASE_IS_MOOF),
            bool(has & _DURATION_IS_EMPTY),
        )

    def encode(self) -> bytes:
        """Return the whole box."""
        has = _BASE_IS_MOOF * self.base_is_moof | _DURATION_IS_EMPTY * self.duration_is_empty
        fields = [pack(">I", self.track_id)]
        if self.base_data_offset is not None:
            has |= _BASE_DATA_OFFSET
            fields.append(pack(">Q", self.base_data_offset))
        words = (self.description_index, self.duration, self.size, self.flags)
        for flag, word in zip((_DESCRIPTION, _DURATION, _SIZE, _FLAGS), words, strict=True):
            if word is not None:
                has |= flag
                fields.append(pack(">I", word))
        return encode_full_box(self.TYPE, 0, has, *fields)


class Tfdt(msgspec.Struct, frozen=True):
    """Track Fragment Decode Time: when the fragment's first sample is decoded."""

    TYPE: ClassVar[str] = "tfdt"

    decode_time: int  # in the track's timescale

    @classmethod
    def parse(cls, r: Reader) -> Tfdt:
        """Read it."""
        version, _flags = r.full_box()
        return cls(r.u64() if version else r.u32())

    def encode(self) -> bytes:
        """Return the whole box."""
        version = int(self.decode_time > 0xFFFF_FFFF)
        return encode_full_box(self.TYPE, version, 0, pack(">Q" if version else ">I", self.decode_time))


class Trun(msgspec.Struct, frozen=True):
    """Track Fragment Run. A column that is None holds the default for every sample.

    A run without columns says its count in four bytes and nothing else: whoever walks it bounds it first.
    """

    TYPE: ClassVar[str] = "trun"

    sample_count: int
    data_offset: int | None = None  # from the base of the fragment
    first_flags: int | None = None  # of the first sample alone
    durations: Table[int] | None = None
    sizes: Table[int] | None = None
    flags: Table[int] | None = None
    cts_offsets: Table[int] | None = None  # signed

    @classmethod
    def parse(cls, r: Reader) -> Trun:
        """Read it: one unpacking for the whole table, then a stride for each column."""
        _version, has = r.full_box()
        count = r.u32()
        data_offset = r.i32() if has & _DATA_OFFSET else None
        first_flags = r.u32() if has & _FIRST_FLAGS else None
        present = [bool(has & column) for column in _COLUMNS]
        width = sum(present)
        table = read_table(r, count * width)
        columns: list[Table[int] | None] = []
        at = 0
        for there in present:
            columns.append(table[at::width] if there else None)
            at += there
        durations, sizes, flags, offsets = columns
        # Offsets are read as signed in version 0 too: writers put negative ones there.
        return cls(
            count, data_offset, first_flags, durations, sizes, flags, None if offsets is None else signed(offsets)
        )

    def encode(self) -> bytes:
        """Return the whole box, version 1."""
        columns: Sequence[Table[int] | None] = (self.durations, self.sizes, self.flags, self.cts_offsets)
        has = sum(flag for flag, column in zip(_COLUMNS, columns, strict=True) if column is not None)
        there = [Table("I", column.tobytes()) for column in columns if column is not None]
        table = Table("I", [value for row in zip(*there, strict=True) for value in row])
        head = pack(">I", self.sample_count)
        if self.data_offset is not None:
            has |= _DATA_OFFSET
            head += pack(">i", self.data_offset)
        if self.first_flags is not None:
            has |= _FIRST_FLAGS
            head += pack(">I", self.first_flags)
        return encode_full_box(self.TYPE, 1, has, head, encode_table(table))
