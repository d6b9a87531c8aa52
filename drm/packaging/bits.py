"""Reading bit fields and Exp-Golomb codes out of an H.264 or HEVC NAL unit (ITU-T H.264, 7.2, 7.3.1 and 9.1)."""

from __future__ import annotations

from typing import Final

from drm.errors import MalformedMediaError

__all__ = ["BitReader", "OutOfBitsError"]

_EMULATION: Final = b"\0\0\x03"
_LONGEST_CODE: Final = 32  # leading zeros of an Exp-Golomb code


class OutOfBitsError(MalformedMediaError):
    """The bits that were given end before the syntax does: for a cut prefix this only means that it was too short."""


class BitReader:
    """Bits of `nal`, emulation prevention bytes left out. Every method raises OutOfBitsError at the end."""

    __slots__ = ("_at", "_bits", "_nal", "_size")

    def __init__(self, nal: bytes | memoryview) -> None:
        self._nal = bytes(nal)
        payload = self._nal.replace(_EMULATION, b"\0\0")
        self._size = 8 * len(payload)
        self._at = 0
        # As text: finding the end of a code is one search, and a long string costs no more to read than a short one.
        self._bits = f"{int.from_bytes(payload, 'big'):0{self._size}b}" if payload else ""

    def u(self, width: int) -> int:
        """Take `width` bits, unsigned."""
        at = self._at
        self.skip(width)
        return int(self._bits[at : self._at], 2) if width else 0

    def skip(self, width: int) -> None:
        """Pass over `width` bits."""
        end = self._at + width
        if end > self._size:
            raise OutOfBitsError("a NAL unit ends inside its header")
        self._at = end

    def flag(self) -> bool:
        """Take one bit."""
        at = self._at
        self.skip(1)
        return self._bits[at] == "1"

    def ue(self) -> int:
        """Take an unsigned Exp-Golomb code."""
        one = self._bits.find("1", self._at)
        if one < 0:
            raise OutOfBitsError("a NAL unit ends inside its header")
        zeros = one - self._at
        if zeros > _LONGEST_CODE:
            raise MalformedMediaError(f"an Exp-Golomb code with {zeros} leading zeros in a NAL unit")
        self.skip(2 * zeros + 1)
        return int(self._bits[one : self._at], 2) - 1

    def se(self) -> int:
        """Take a signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def align(self) -> None:
        """Pass to the next whole byte."""
        self._at = min(self._size, self._at + 7 & ~7)

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
