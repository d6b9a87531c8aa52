"""Sample groups of type `seig`: samples with a key, an IV size or a pattern of their own.

ISO/IEC 14496-12, clause 8.9 (`sgpd`, `sbgp`, `csgp`) and ISO/IEC 23001-7, clause 6 (the entry). Groups of other types
are read by nobody here: those of `HARMLESS_GROUPS` are about seeking, timing and layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, cycle, islice
from struct import pack
from typing import ClassVar, Final

import msgspec

from drm.isobmff.box import encode_full_box
from drm.isobmff.reader import Reader
from drm.isobmff.table import Numbers, Table, encode_table, read_numbers, spread
from drm.keys import KeyId

__all__ = ["FRAGMENT_INDEX", "HARMLESS_GROUPS", "Csgp", "Sbgp", "Seig", "SeigKey", "Sgpd", "grouping_type"]

FRAGMENT_INDEX: Final = 0x10000  # indices above it count in the fragment's own sgpd (ISO/IEC 14496-12, 8.9.4)
HARMLESS_GROUPS: Final = frozenset(
    {"alst", "av1f", "av1m", "av1s", "avll", "avss", "dtrt", "linf", "mvif", "nalm", "oinf", "prol", "rap ", "rash",
     "roll", "sap ", "scif", "scnm", "stsa", "sync", "tele", "trif", "tsas", "tscl", "vipr"}
)  # fmt: skip
_MULTI_KEY, _WIDE_PATTERN = 0x80, 0x40  # flags of the edition of 2023, in a byte that was reserved before


def grouping_type(r: Reader) -> str:
    """The type of group that an `sgpd`, `sbgp` or `csgp` box is about, without taking anything."""
    peek = r.copy()
    peek.full_box()
    return peek.fourcc()


class SeigKey(msgspec.Struct, frozen=True):
    """One of the keys of a group whose samples have several; they name it by its place, from 1."""

    key_id: KeyId
    iv_size: int  # bytes: 0, 8 or 16
    constant_iv: bytes = b""

    @classmethod
    def parse(cls, r: Reader, *, is_protected: bool) -> SeigKey:
        """Read it: the fields that a group of one key has too."""
        iv_size = r.u8()
        if iv_size not in {0, 8, 16}:
            r.fail(f"IVs of {iv_size} bytes in a sample group; 0, 8 and 16 are defined")
        key_id = KeyId(r.take(16))
        constant_iv = r.take(r.u8()) if is_protected and iv_size == 0 else b""
        if constant_iv and len(constant_iv) not in {8, 16}:
            r.fail(f"a constant IV of {len(constant_iv)} bytes; 8 and 16 are defined")
        return cls(key_id, iv_size, constant_iv)

    def encode(self, *, is_protected: bool) -> bytes:
        """Return its bytes."""
        fields = bytes((self.iv_size,)) + self.key_id.value
        if is_protected and self.iv_size == 0:
            fields += bytes((len(self.constant_iv),)) + self.constant_iv
        return fields


class Seig(msgspec.Struct, frozen=True):
    """CencSampleEncryptionInformationGroupEntry."""

    key_id: KeyId
    iv_size: int  # bytes: 0, 8 or 16
    constant_iv: bytes = b""
    crypt_blocks: int = 0
    skip_blocks: int = 0
    is_protected: bool = True
    keys: tuple[SeigKey, ...] = ()  # several keys per sample (edition of 2023); key and IVs above are the first one's
    refusal: str = ""  # why samples of this group cannot be read

    @classmethod
    def parse(cls, r: Reader) -> Seig:
        """Read it."""
        reserved, pattern, is_protected = r.u8(), r.u8(), r.u8()
        if reserved & _WIDE_PATTERN:
            r.rest()
            return cls(KeyId(bytes(16)), 0, refusal="a pattern of more than 15 blocks")
        if is_protected > 1:
            r.fail(f"isProtected is {is_protected} in a sample group; 0 and 1 are defined")
        count = r.u16() if reserved & _MULTI_KEY else 1
        if not count:
            r.fail("a sample group of several keys names none")
        keys = tuple(SeigKey.parse(r, is_protected=bool(is_protected)) for _ in range(count))
        first, own = keys[0], (pattern >> 4, pattern & 15, bool(is_protected))
        return cls(first.key_id, first.iv_size, first.constant_iv, *own, keys if reserved & _MULTI_KEY else ())

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """Every key that its samples may need; none when they are clear, or cannot be read."""
        if not self.is_protected or self.refusal:
            return ()
        return tuple(dict.fromkeys(key.key_id for key in self.keys)) or (self.key_id,)

    def encode(self) -> bytes:
        """Return the entry (not a box)."""
        pattern = self.crypt_blocks << 4 | self.skip_blocks
        if self.keys:
            head = pack(">BBBH", _MULTI_KEY, pattern, self.is_protected, len(self.keys))
            return head + b"".join(key.encode(is_protected=self.is_protected) for key in self.keys)
        own = SeigKey(self.key_id, self.iv_size, self.constant_iv)
        return pack(">BBB", 0, pattern, self.is_protected) + own.encode(is_protected=self.is_protected)


class Sgpd(msgspec.Struct, frozen=True):
    """Sample Group Description of `seig` entries."""

    TYPE: ClassVar[str] = "sgpd"

    entries: tuple[Seig, ...]
    default_index: int = 0  # version 2: for samples that no sbgp speaks of

    @classmethod
    def parse(cls, r: Reader) -> Sgpd:
        """Read it."""
        version, _flags = r.known_full_box(2)
        if r.fourcc() != "seig":
            r.fail("sgpd is of another grouping type than seig")
        # Version 0 gives no lengths; each seig entry then ends where its own fields end.
        default_length = r.u32() if version >= 1 else None
        default_index = r.u32() if version >= 2 else 0
        count = r.u32()
        if 20 * count > r.remaining:
            r.fail("the sgpd box ends before its entries do", seen=f"{count} entries, {r.remaining} bytes are left")
        entries, keys = [], 0
        for _ in range(count):
            if default_length is None:
                entries.append(Seig.parse(r))
            else:
                entries.append(Seig.parse(r.part(default_length or r.u32())))
            keys += max(1, len(entries[-1].keys))
            if keys > FRAGMENT_INDEX:  # no index reaches further
                r.fail(f"more than {FRAGMENT_INDEX} encryption groups, or keys in them")
        return cls(tuple(entries), default_index)

    def encode(self) -> bytes:
        """Return the whole box; lengths stand before each entry."""
        rows = [pack(">I", len(row)) + row for row in (entry.encode() for entry in self.entries)]
        version, default = (2, pack(">I", self.default_index)) if self.default_index else (1, b"")
        head = b"seig" + pack(">I", 0) + default + pack(">I", len(rows))
        return encode_full_box(self.TYPE, version, 0, head, *rows)


class Sbgp(msgspec.Struct, frozen=True):
    """Sample to Group, of `seig`. Samples behind the last run are in no group (index 0)."""

    TYPE: ClassVar[str] = "sbgp"

    runs: Table[int] | Numbers  # flat: samples in the run, then their index

    @classmethod
    def parse(cls, r: Reader) -> Sbgp:
        """Read it."""
        version, _flags = r.known_full_box(1)
        if r.fourcc() != "seig":
            r.fail("sbgp is of another grouping type than seig")
        if version:
            r.skip(4)  # the parameter
        return cls(read_numbers(r, 2 * r.u32()))

    def encode(self) -> bytes:
        """Return the whole box."""
        count = pack(">I", len(self.runs) // 2)
        return encode_full_box(self.TYPE, 0, 0, b"seig", count, encode_table(self.runs[:]))

    def indices(self) -> Iterator[int]:
        """The group of each sample."""
        return spread(self.runs)


class Csgp(msgspec.Struct, frozen=True):
    """Compact Sample to Group, of `seig` (clause 8.9.5): patterns of groups, each repeated over some samples."""

    TYPE: ClassVar[str] = "csgp"

    patterns: tuple[tuple[int, tuple[int, ...]], ...]  # samples, and the groups that repeat over them

    @classmethod
    def parse(cls, r: Reader) -> Csgp:
        """Read it; group indices become those of `sbgp`: above `FRAGMENT_INDEX` they count in the fragment's sgpd."""
        _version, flags = r.known_full_box(0)
        if r.fourcc() != "seig":
            r.fail("csgp is of another grouping type than seig")
        if flags & 0x40:
            r.skip(4)  # the parameter
        length_bits, count_bits, index_bits = (4 << (flags >> shift & 3) for shift in (4, 2, 0))
        count = r.u32()
        if count * (length_bits + count_bits) > 8 * r.remaining:
            r.fail("the csgp box ends before its patterns do", seen=f"{count} patterns, {r.remaining} bytes are left")
        bits = _Bits(r.rest())
        heads = [(bits.take(length_bits), bits.take(count_bits)) for _ in range(count)]
        if sum(length for length, _ in heads) * index_bits > bits.remaining:
            r.fail("the csgp box ends before its group indices do")
        if any(samples and not length for length, samples in heads):
            r.fail("a pattern of csgp has samples and names no group")
        local = 1 << (index_bits - 1) if flags & 0x80 else 0

        def index() -> int:
            found = bits.take(index_bits)
            return found - local + FRAGMENT_INDEX if found & local else found

        return cls(tuple((samples, tuple(index() for _ in range(length))) for length, samples in heads))

    def indices(self) -> Iterator[int]:
        """The group of each sample."""
        return chain.from_iterable(islice(cycle(groups), samples) for samples, groups in self.patterns)


class _Bits:
    """Fields of 4, 8, 16 or 32 bits out of bytes, one behind the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0  # in half bytes

    @property
    def remaining(self) -> int:
        return 8 * len(self._data) - 4 * self._at

    def take(self, bits: int) -> int:
        first, self._at = self._at, self._at + bits // 4
        part = int.from_bytes(self._data[first // 2 : (self._at + 1) // 2], "big") >> 4 * (self._at % 2)
        return part & ((1 << bits) - 1)
