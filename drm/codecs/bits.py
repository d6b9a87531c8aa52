"""Bit fields, and the Exp-Golomb codes and escapes of H.264 and HEVC (ITU-T H.264, clauses 7.2, 7.3.1 and 9.1)."""

from __future__ import annotations

from typing import Final

from drm.errors import MalformedMediaError

__all__ = ["BitReader", "Bits", "OutOfBitsError"]

_EMULATION: Final = b"\0\0\x03"
_LONGEST_CODE: Final = 32  # leading zeros of an Exp-Golomb code


class OutOfBitsError(MalformedMediaError):
    """The bits that were given end before the syntax does: for a cut prefix this only means that it was too short."""


class Bits:
    """Bits of `data` as they stand. Every method raises OutOfBitsError at the end."""

    __slots__ = ("_at", "_bits", "_size")

    def __init__(self, data: bytes) -> None:
        self._size = 8 * len(data)
        self._at = 0
        # As text: finding the end of a code is one search, and a long string costs no more to read than a short one.
        self._bits = f"{int.from_bytes(data, 'big'):0{self._size}b}" if data else ""

    @property
    def place(self) -> int:
        """Bits taken so far."""
        return self._at

    def u(self, width: int) -> int:
        """Take `width` bits, unsigned."""
        at = self._at
        self.skip(width)
        return int(self._bits[at : self._at], 2) if width else 0

    def skip(self, width: int) -> None:
        """Pass over `width` bits."""
        end = self._at + width
        if end > self._size:
            raise OutOfBitsError("a header ends before its syntax does")
        self._at = end

    def flag(self) -> bool:
        """Take one bit."""
        at = self._at
        self.skip(1)
        return self._bits[at] == "1"

    def align(self) -> None:
        """Pass to the next whole byte."""
        self._at = min(self._size, self._at + 7 & ~7)


class BitReader(Bits):
    """Bits of a NAL unit, emulation prevention bytes left out (ITU-T H.264, clause 7.3.1)."""

    __slots__ = ("_nal",)

    def __init__(self, nal: bytes | memoryview) -> None:
        self._nal = bytes(nal)
        super().__init__(self._nal.replace(_EMULATION, b"\0\0"))

    def ue(self) -> int:
        """Take an unsigned Exp-Golomb code."""
        one = self._bits.find("1", self._at)
        if one < 0:
            raise OutOfBitsError("a header ends before its syntax does")
        zeros = one - self._at
        if zeros > _LONGEST_CODE:
            raise MalformedMediaError(f"an Exp-Golomb code with {zeros} leading zeros in a NAL unit")
        self.skip(2 * zeros + 1)
        return int(self._bits[one : self._at], 2) - 1

    def se(self) -> int:
        """Take a signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def bytes_taken(self) -> int:
        """How many bytes of the NAL unit, emulation prevention bytes among them, hold the bits taken so far."""
        wanted = (self._at + 7) // 8
        at = self._nal.find(_EMULATION)
        dropped = 0
        # Each byte that was left out before the point shifts it by one.
        while at >= 0 and at + 2 - dropped < wanted:
            dropped += 1
            at = self._nal.find(_EMULATION, at + 3)
        return wanted + dropped
