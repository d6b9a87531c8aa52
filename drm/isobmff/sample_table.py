"""The sample table of a progressive file: times, sizes, chunks, sync samples (ISO/IEC 14496-12, clauses 8.6 and 8.7).

Each box can be sound while the table is not; `drm.isobmff.progressive` joins them.
"""

from __future__ import annotations

from itertools import pairwise
from struct import pack, unpack
from typing import ClassVar

import msgspec

from drm.isobmff.box import encode_full_box
from drm.isobmff.reader import Reader
from drm.isobmff.table import Table, encode_table, read_table, signed

__all__ = ["Ctts", "Stco", "Stsc", "Stss", "Stsz", "Stts"]


class Stts(msgspec.Struct, frozen=True):
    """Decoding Time to Sample."""

    TYPE: ClassVar[str] = "stts"

    runs: Table[int]  # flat: samples in the run, then the duration of each

    @classmethod
    def parse(cls, r: Reader) -> Stts:
        """Read it."""
        r.full_box()
        return cls(read_table(r, 2 * r.u32()))

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_full_box(self.TYPE, 0, 0, pack(">I", len(self.runs) // 2), encode_table(self.runs))


class Ctts(msgspec.Struct, frozen=True):
    """Composition Time to Sample. Read as signed in either version: encoders write negative ones into version 0."""

    TYPE: ClassVar[str] = "ctts"

    runs: Table[int]  # flat: samples in the run, then composition minus decoding time, signed

    @classmethod
    def parse(cls, r: Reader) -> Ctts:
        """Read it."""
        r.full_box()
        return cls(signed(read_table(r, 2 * r.u32())))

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_full_box(self.TYPE, 1, 0, pack(">I", len(self.runs) // 2), encode_table(self.runs))


class Stsc(msgspec.Struct, frozen=True):
    """Sample to Chunk."""

    TYPE: ClassVar[str] = "stsc"

    runs: Table[int]  # flat: first chunk (from 1), samples in each chunk, sample description index

    @classmethod
    def parse(cls, r: Reader) -> Stsc:
        """Read it. First chunks must rise."""
        r.full_box()
        runs = read_table(r, 3 * r.u32())
        first = runs[0::3]
        if first and (first[0] != 1 or any(b <= a for a, b in pairwise(first))):
            r.fail("the first chunks in stsc do not rise from 1")
        return cls(runs)

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_full_box(self.TYPE, 0, 0, pack(">I", len(self.runs) // 3), encode_table(self.runs))


class Stsz(msgspec.Struct, frozen=True):
    """Sample Sizes. Also reads the compact form, `stz2`."""

    TYPE: ClassVar[str] = "stsz"

    sample_count: int
    constant_size: int = 0  # bytes; not 0: every sample has it, and `sizes` is empty
    sizes: Table[int] | bytes = b""

    @classmethod
    def parse(cls, r: Reader) -> Stsz:
        """Read it."""
        r.full_box()
        if r.type == "stz2":
            return cls._parse_compact(r)
        constant, count = r.u32(), r.u32()
        return cls(count, constant, b"" if constant else read_table(r, count))

    @classmethod
    def _parse_compact(cls, r: Reader) -> Stsz:
        r.skip(3)
        width, count = r.u8(), r.u32()
        if width not in {4, 8, 16}:
            r.fail(f"stz2 with fields of {width} bits; 4, 8 and 16 are defined")
        data = r.take((count * width + 7) // 8)
        if width == 4:
            return cls(count, 0, bytes(n for byte in data for n in (byte >> 4, byte & 15))[:count])
        return cls(count, 0, data if width == 8 else Table("I", unpack(f">{count}H", data)))

    def encode(self) -> bytes:
        """Return the whole box."""
        table = b"" if self.constant_size else encode_table(Table("I", iter(self.sizes)))
        return encode_full_box(self.TYPE, 0, 0, pack(">II", self.constant_size, self.sample_count), table)


class Stco(msgspec.Struct, frozen=True):
    """Chunk Offsets. Also reads and writes the 64-bit form, `co64`."""

    TYPE: ClassVar[str] = "stco"

    offsets: Table[int]  # absolute

    @classmethod
    def parse(cls, r: Reader) -> Stco:
        """Read it."""
        r.full_box()
        count = r.u32()
        if r.type == "co64":
            data = r.take_view(8 * count)
            return cls(Table("Q", unpack(f">{count}Q", data)))
        return cls(read_table(r, count))

    def encode(self) -> bytes:
        """Return the whole box; offsets beyond 32 bits make it a `co64`."""
        count = pack(">I", len(self.offsets))
        if max(self.offsets, default=0) > 0xFFFF_FFFF:
            return encode_full_box("co64", 0, 0, count, pack(f">{len(self.offsets)}Q", *self.offsets))
        return encode_full_box(self.TYPE, 0, 0, count, encode_table(Table("I", self.offsets)))


class Stss(msgspec.Struct, frozen=True):
    """Sync Samples. Without this box every sample is one."""

    TYPE: ClassVar[str] = "stss"

    numbers: Table[int]  # from 1

    @classmethod
    def parse(cls, r: Reader) -> Stss:
        """Read it."""
        r.full_box()
        return cls(read_table(r, r.u32()))

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_full_box(self.TYPE, 0, 0, pack(">I", len(self.numbers)), encode_table(self.numbers))
