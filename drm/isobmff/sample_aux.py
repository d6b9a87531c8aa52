"""Per-sample encryption data and where it lies: `senc`, `saiz`, `saio` (ISO/IEC 23001-7, clause 7; 14496-12, 8.7.8-9).

`senc` cannot be read alone: the size of its IVs stands in `tenc` or in a sample group, and which samples it speaks of
in yet other boxes. So it stays packed here, and `drm.isobmff.sample_crypto` opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import ClassVar

import msgspec

from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.reader import Reader
from drm.isobmff.table import WINDOW, Numbers, read_numbers
from drm.keys import KeyId
from drm.media import Subsample

__all__ = ["PIFF_SENC", "AuxEntry", "Saio", "Saiz", "Senc", "encode_entry"]

PIFF_SENC = bytes.fromhex("a2394f525a9b4f14a2446c427c648df4")
"""Extended type of PIFF 1.1's Sample Encryption box, the forerunner of `senc`."""

AuxEntry = tuple[bytes, Sequence[Subsample]]
"""One sample's own IV (empty with a constant one) and its subsamples (empty: none are told)."""


def encode_entry(iv: bytes, subsamples: Sequence[Subsample], *, with_subsamples: bool) -> bytes:
    """One entry of `senc`, which is also one sample's auxiliary information."""
    if not with_subsamples:
        return iv
    flat = [part for pair in subsamples for part in pair]
    return iv + pack(">H" + "HI" * len(subsamples), len(subsamples), *flat)


@dataclass(frozen=True, slots=True)
class Senc:
    """Sample Encryption, or PIFF's form of it (`is_piff`)."""

    TYPE: ClassVar[str] = "senc"

    sample_count: int
    payload: bytes | Reader  # the entries, packed; a reader of them where they are long
    has_subsamples: bool
    is_piff: bool = False
    version: int = 0  # 1: entries for several keys per sample (edition of 2023)
    override: tuple[int, int, KeyId] | None = None  # PIFF, flag 1: algorithm, IV size and KID of this fragment
    payload_offset: int = field(default=0, compare=False)  # absolute, where it was read

    @classmethod
    def pack(cls, entries: Iterable[AuxEntry], *, with_subsamples: bool) -> Senc:
        """Make one from entries."""
        packed = [encode_entry(iv, subsamples, with_subsamples=with_subsamples) for iv, subsamples in entries]
        return cls(len(packed), b"".join(packed), with_subsamples)

    @classmethod
    def parse(cls, r: Reader) -> Senc:
        """Read it, either form."""
        version, flags = r.full_box()
        is_piff = r.uuid == PIFF_SENC
        override = None
        if is_piff and flags & 1:
            override = (r.u24(), r.u8(), KeyId(r.take(16)))
        count, at = r.u32(), r.offset
        payload = r.rest() if r.remaining <= WINDOW else r.part(r.remaining)
        return cls(count, payload, bool(flags & 2), is_piff, version, override, at)

    def entries(self) -> Reader:
        """A reader of the entries, from the first one."""
        if isinstance(self.payload, Reader):
            return self.payload.copy()
        return Reader(self.payload, base=self.payload_offset)

    def encode(self) -> bytes:
        """Return the whole box."""
        flags = 2 * self.has_subsamples | (self.override is not None)
        fields = b""
        if self.override:
            algorithm, iv_size, key_id = self.override
            fields = pack(">I", algorithm << 8 | iv_size) + key_id.value
        fields += pack(">I", self.sample_count)
        payload = self.entries().rest()
        if self.is_piff:
            return encode_box("uuid", PIFF_SENC, pack(">I", self.version << 24 | flags), fields, payload)
        return encode_full_box(self.TYPE, self.version, flags, fields, payload)


class Saiz(msgspec.Struct, frozen=True):
    """Sample Auxiliary Information Sizes: one byte per sample, or one default for all."""

    TYPE: ClassVar[str] = "saiz"

    sample_count: int
    default_size: int = 0  # not 0: every sample has this many bytes, and `sizes` is empty
    sizes: bytes | Numbers = b""
    aux_type: str | None = None
    aux_parameter: int = 0

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Saiz:
        """Make the shortest box that says `sizes`."""
        if sizes and sizes[0] and len(set(sizes)) == 1:
            return cls(len(sizes), sizes[0])
        return cls(len(sizes), 0, bytes(sizes))

    @classmethod
    def parse(cls, r: Reader) -> Saiz:
        """Read it."""
        _version, flags = r.known_full_box(0)
        aux_type, parameter = (r.fourcc(), r.u32()) if flags & 1 else (None, 0)
        default, count = r.u8(), r.u32()
        sizes = b"" if default else read_numbers(r, count, "B")
        return cls(count, default, sizes if isinstance(sizes, Numbers) else bytes(sizes), aux_type, parameter)

    def encode(self) -> bytes:
        """Return the whole box."""
        fields = pack(">BI", self.default_size, self.sample_count) + bytes(self.sizes)
        return encode_full_box(self.TYPE, 0, int(self.aux_type is not None), _aux_type(self), fields)


class Saio(msgspec.Struct, frozen=True):
    """Sample Auxiliary Information Offsets: one for all samples, or one for each run or chunk."""

    TYPE: ClassVar[str] = "saio"

    offsets: tuple[int, ...] | Numbers
    aux_type: str | None = None
    aux_parameter: int = 0
    version: int = 0  # 1: offsets of 64 bits

    @classmethod
    def parse(cls, r: Reader) -> Saio:
        """Read it."""
        version, flags = r.known_full_box(1)
        aux_type, parameter = (r.fourcc(), r.u32()) if flags & 1 else (None, 0)
        offsets = read_numbers(r, r.u32(), "Q" if version else "I")
        return cls(offsets if isinstance(offsets, Numbers) else tuple(offsets), aux_type, parameter, version)

    def encode(self) -> bytes:
        """Return the whole box; an offset beyond 32 bits makes it version 1."""
        version = max(self.version, int(max(self.offsets, default=0) > 0xFFFF_FFFF))
        table = pack(f">I{len(self.offsets)}{'Q' if version else 'I'}", len(self.offsets), *self.offsets)
        return encode_full_box(self.TYPE, version, int(self.aux_type is not None), _aux_type(self), table)


def _aux_type(box: Saiz | Saio) -> bytes:
    return b"" if box.aux_type is None else box.aux_type.encode("latin-1") + pack(">I", box.aux_parameter)
