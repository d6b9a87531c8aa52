"""Per-sample encryption data and where it lies: `senc`, `saiz`, `saio` (ISO/IEC 23001-7, clause 7; 14496-12, 8.7.8-9).

`senc` cannot be read alone: the size of its IVs stands in `tenc` or in a sample group, and which samples it speaks of
in yet other boxes. So it stays packed here, and `drm.isobmff.sample_crypto` opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import ClassVar

import msgspec

from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.reader import Reader
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
    payload: bytes  # the entries, packed
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
        return cls(count, r.rest(), bool(flags & 2), is_piff, version, override, at)

    def encode(self) -> bytes:
        """Return the whole box."""
        flags = 2 * self.has_subsamples | (self.override is not None)
        fields = b""
        if self.override:
            algorithm, iv_size, key_id = self.override
            fields = pack(">I", algorithm << 8 | iv_size) + key_id.value
        fields += pack(">I", self.sample_count)
        if self.is_piff:
            return encode_box("uuid", PIFF_SENC, pack(">I", self.version << 24 | flags), fields, self.payload)
        return encode_full_box(self.TYPE, self.version, flags, fields, self.payload)


class Saiz(msgspec.Struct, frozen=True):
    """Sample Auxiliary Information Sizes: one byte per sample, or one default for all."""

    TYPE: ClassVar[str] = "saiz"

    sample_count: int
    default_size: int = 0  # not 0: every sample has this many bytes, and `sizes` is empty
    sizes: bytes = b""
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
        _version, flags = r.full_box()
        aux_type, parameter = (r.fourcc(), r.u32()) if flags & 1 else (None, 0)
        default, count = r.u8(), r.u32()
        return cls(count, default, b"" if default else r.take(count), aux_type, parameter)

    def encode(self) -> bytes:
        """Return the whole box."""
        fields = pack(">BI", self.default_size, self.sample_count) + self.sizes
        return encode_full_box(self.TYPE, 0, int(self.aux_type is not None), _aux_type(self), fields)


class Saio(msgspec.Struct, frozen=True):
    """Sample Auxiliary Information Offsets: one for all samples, or one for each run or chunk."""

    TYPE: ClassVar[str] = "saio"

    offsets: tuple[int, ...]
    aux_type: str | None = None
    aux_parameter: int = 0
    version: int = 0  # 1: offsets of 64 bits

    @classmethod
    def parse(cls, r: Reader) -> Saio:
        """Read it."""
        version, flags = r.full_box()
        aux_type, parameter = (r.fourcc(), r.u32()) if flags & 1 else (None, 0)
        count, width = r.u32(), 8 if version else 4
        offsets = unpack(f">{count}{'Q' if version else 'I'}", r.take_view(count * width))
        return cls(offsets, aux_type, parameter, version)

    def encode(self) -> bytes:
        """Return the whole box; an offset beyond 32 bits makes it version 1."""
        version = max(self.version, int(max(self.offsets, default=0) > 0xFFFF_FFFF))
        table = pack(f">I{len(self.offsets)}{'Q' if version else 'I'}", len(self.offsets), *self.offsets)
        return encode_full_box(self.TYPE, version, int(self.aux_type is not None), _aux_type(self), table)


def _aux_type(box: Saiz | Saio) -> bytes:
    return b"" if box.aux_type is None else box.aux_type.encode("latin-1") + pack(">I", box.aux_parameter)
