"""The boxes of a sample table as tests write them (ISO/IEC 14496-12, clauses 8.6 and 8.7), as wrong as one asks."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from struct import pack

from drm.isobmff.box import encode_full_box
from drm.isobmff.table import encode_table

__all__ = ["Ctts", "Stco", "Stsc", "Stss", "Stsz", "Stts"]


def _counted(kind: str, numbers: array[int], per_row: int = 1, version: int = 0) -> bytes:
    count = pack(">I", len(numbers) // per_row)
    return encode_full_box(kind, version, 0, count, encode_table(numbers))


@dataclass(frozen=True)
class Stts:
    runs: array[int]  # flat: samples in the run, then the duration of each

    def encode(self) -> bytes:
        return _counted("stts", self.runs, 2)


@dataclass(frozen=True)
class Ctts:
    runs: array[int]  # flat: samples in the run, then composition minus decoding time, signed

    def encode(self) -> bytes:
        return _counted("ctts", self.runs, 2, version=1)


@dataclass(frozen=True)
class Stsc:
    runs: array[int]  # flat: first chunk (from 1), samples in each chunk, sample description index

    def encode(self) -> bytes:
        return _counted("stsc", self.runs, 3)


@dataclass(frozen=True)
class Stsz:
    sample_count: int
    constant_size: int = 0  # not 0: every sample has it
    sizes: array[int] = field(default_factory=lambda: array("I"))

    def encode(self) -> bytes:
        return encode_full_box(
            "stsz", 0, 0, pack(">II", self.constant_size, self.sample_count), encode_table(self.sizes)
        )


@dataclass(frozen=True)
class Stco:
    offsets: array[int]  # of type code Q: written as co64

    def encode(self) -> bytes:
        return _counted("co64" if self.offsets.typecode == "Q" else "stco", self.offsets)


@dataclass(frozen=True)
class Stss:
    numbers: array[int]  # from 1

    def encode(self) -> bytes:
        return _counted("stss", self.numbers)
