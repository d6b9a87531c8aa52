"""Reading bit fields and Exp-Golomb codes out of an H.264 NAL unit (ITU-T H.264, clauses 7.2, 7.3.1 and 9.1)."""

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

    __slots__ = ("_bits", "_left", "_nal", "_size")

    def __init__(self, nal: bytes | memoryview) -> None:
        self._nal = bytes(nal)
        payload = self._nal.replace(_EMULATION, b"\0\0")
        self._bits = int.from_bytes(payload, "big")
        self._size = self._left = 8 * len(payload)

    def u(self, width: int) -> int:
        """Take `width` bits, unsigned."""
        left = self._left - width
        if left < 0:
            raise OutOfBitsError("a NAL unit ends inside its header")
        self._left = left
        return self._bits >> left & (1 << width) - 1

    def flag(self) -> bool:
        """Take one bit."""
        return bool(self.u(1))

    def ue(self) -> int:
        """Take an unsigned Exp-Golomb code."""
        rest = self._bits & (1 << self._left) - 1
        zeros = self._left - rest.bit_length()
        if not rest:
            raise OutOfBitsError("a NAL unit ends inside its header")
        if zeros > _LONGEST_CODE:
            raise MalformedMediaError(f"an Exp-Golomb code with {zeros} leading zeros in a NAL unit")
        self._left -= zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        """Take a signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def bytes_taken(self) -> int:
        """How many bytes of the NAL unit, emulation prevention bytes among them, hold the bits taken so far."""
        wanted = (self._size - self._left + 7) // 8
        at = self._nal.find(_EMULATION)
        dropped = 0
        # Each byte that was left out before the point shifts it by one.
        while at >= 0 and at + 2 - dropped < wanted:
            dropped += 1
            at = self._nal.find(_EMULATION, at + 3)
        return wanted + dropped
