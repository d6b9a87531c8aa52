"""The protection scheme information box and what stands in it: which scheme, which key, which pattern.

ISO/IEC 14496-12, clause 8.12 (`sinf`, `frma`, `schm`) and ISO/IEC 23001-7, clause 8.2 (`tenc`).
"""

from __future__ import annotations

from struct import pack
from typing import ClassVar

import msgspec

from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.reader import Reader
from drm.keys import KeyId

__all__ = ["PIFF_TENC", "Frma", "PiffTenc", "Schm", "Sinf", "Tenc"]

PIFF_TENC = bytes.fromhex("8974dbce7be74c5184f97148f9882554")
"""Extended type of PIFF 1.1's Track Encryption box, the forerunner of `tenc`."""

_MAX_FOREIGN = 16
_NO_KEY = KeyId(bytes(16))


class Frma(msgspec.Struct, frozen=True):
    """Original Format: the four-cc that the sample entry had before it was encrypted."""

    TYPE: ClassVar[str] = "frma"

    format: str

    @classmethod
    def parse(cls, r: Reader) -> Frma:
        """Read it."""
        return cls(r.fourcc())

    def encode(self) -> bytes:
        """Return the whole box."""
        return encode_box(self.TYPE, self.format.encode("latin-1"))


class Schm(msgspec.Struct, frozen=True):
    """Scheme Type: `cenc`, `cbcs` and so on."""

    TYPE: ClassVar[str] = "schm"

    scheme: str
    scheme_version: int = 0x00010000
    uri: bytes | None = None  # flag 1: where the scheme is described

    @classmethod
    def parse(cls, r: Reader) -> Schm:
        """Read it."""
        _version, flags = r.full_box()
        scheme, scheme_version = r.fourcc(), r.u32()
        return cls(scheme, scheme_version, r.rest() if flags & 1 else None)

    def encode(self) -> bytes:
        """Return the whole box."""
        head = self.scheme.encode("latin-1") + pack(">I", self.scheme_version)
        return encode_full_box(self.TYPE, 0, int(self.uri is not None), head, self.uri or b"")


class Tenc(msgspec.Struct, frozen=True):
    """Track Encryption: what holds for each sample that no sample group says otherwise about."""

    TYPE: ClassVar[str] = "tenc"

    key_id: KeyId
    iv_size: int  # bytes of each sample's own IV: 0, 8 or 16
    constant_iv: bytes = b""  # 8 or 16 bytes, when iv_size is 0
    crypt_blocks: int = 0  # pattern, in blocks of 16 bytes
    skip_blocks: int = 0
    is_protected: bool = True
    version: int = 0

    @classmethod
    def parse(cls, r: Reader) -> Tenc:
        """Read it. The pattern is only there from version 1 on; the constant IV only when protected without own IVs."""
        version, _flags = r.known_full_box(1)
        _reserved, pattern = r.u8(), r.u8()
        is_protected, iv_size = r.u8(), r.u8()
        if is_protected > 1:
            r.fail(f"isProtected is {is_protected}; 0 and 1 are defined")
        if iv_size not in {0, 8, 16}:
            r.fail(f"IVs of {iv_size} bytes; 0, 8 and 16 are defined")
        key_id = KeyId(r.take(16))
        constant_iv = r.take(r.u8()) if is_protected and iv_size == 0 else b""
        if constant_iv and len(constant_iv) not in {8, 16}:
            r.fail(f"a constant IV of {len(constant_iv)} bytes; 8 and 16 are defined")
        crypt, skip = (pattern >> 4, pattern & 15) if version else (0, 0)
        return cls(key_id, iv_size, constant_iv, crypt, skip, bool(is_protected), version)

    def encode(self) -> bytes:
        """Return the whole box; a pattern makes it version 1."""
        pattern = self.crypt_blocks << 4 | self.skip_blocks
        version = max(self.version, int(pattern > 0))
        fields = pack(">BBBB", 0, pattern, self.is_protected, self.iv_size) + self.key_id.value
        constant = b""
        if self.is_protected and self.iv_size == 0:
            constant = bytes((len(self.constant_iv),)) + self.constant_iv
        return encode_full_box(self.TYPE, version, 0, fields, constant)


class PiffTenc(msgspec.Struct, frozen=True):
    """PIFF 1.1's Track Encryption box: an extended type, and algorithm 0 (none), 1 (AES-CTR) or 2 (AES-CBC)."""

    TYPE: ClassVar[str] = "uuid"

    algorithm: int
    iv_size: int
    key_id: KeyId

    @classmethod
    def parse(cls, r: Reader) -> PiffTenc:
        """Read it."""
        r.full_box()
        algorithm, iv_size = r.u24(), r.u8()
        if iv_size not in {0, 8, 16}:
            r.fail(f"IVs of {iv_size} bytes; 0, 8 and 16 are defined")
        return cls(algorithm, iv_size, KeyId(r.take(16)))

    def encode(self) -> bytes:
        """Return the whole box."""
        fields = pack(">II", 0, self.algorithm << 8 | self.iv_size)
        return encode_box(self.TYPE, PIFF_TENC, fields, self.key_id.value)


class Sinf(msgspec.Struct, frozen=True):
    """Protection Scheme Information: original format, scheme, and the scheme's own box. `schm` may be absent."""

    TYPE: ClassVar[str] = "sinf"

    frma: Frma
    schm: Schm | None = None
    tenc: Tenc | PiffTenc | None = None
    foreign: frozenset[str] = frozenset()  # types of other boxes in schi, by which a scheme of others is known

    @classmethod
    def parse(cls, r: Reader) -> Sinf:
        """Read it and the boxes in it; of others the types are kept."""
        foreign: set[str] = set()
        frma: Frma | None = None
        schm: Schm | None = None
        tenc: Tenc | PiffTenc | None = None
        for box in r.boxes():
            if box.type == Frma.TYPE:
                frma = Frma.parse(box)
            elif box.type == Schm.TYPE:
                schm = Schm.parse(box)
            elif box.type == "schi":
                for inner in box.boxes():
                    if inner.type == Tenc.TYPE:
                        tenc = Tenc.parse(inner)
                    elif inner.uuid == PIFF_TENC:
                        tenc = PiffTenc.parse(inner)
                    elif len(foreign) < _MAX_FOREIGN:
                        foreign.add(inner.type)
        if frma is None:
            r.fail("sinf lacks frma, which names the original format")
        return cls(frma, schm, tenc, frozenset(foreign))

    def encode(self) -> bytes:
        """Return the whole box."""
        schm = self.schm.encode() if self.schm else b""
        schi = encode_box("schi", self.tenc.encode()) if self.tenc else b""
        return encode_box(self.TYPE, self.frma.encode(), schm, schi)
