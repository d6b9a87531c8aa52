"""Which bytes of a sample are encrypted: subsamples, patterns, and what makes them unsound.

The one place that judges encryption metadata against a sample's size; what comes out of here is sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from drm.cenc.dialect import Dialect
from drm.cenc.engines import BLOCK
from drm.errors import MalformedMediaError
from drm.media import SampleCrypto, Subsample

__all__ = ["EVERY_BLOCK", "Pattern", "initial_block", "pattern_of", "protected_ranges"]

_WORD: Final = "Q"  # eight bytes, the largest item that a memoryview copies by stride
_WORDS_PER_BLOCK: Final = 2
_MAX_PATTERN: Final = 15  # four bits each in `tenc` and `seig`


def protected_ranges(subsamples: Sequence[Subsample], size: int) -> list[tuple[int, int]]:
    """Return (start, end) of each protected range of a sample of `size` bytes, empty ranges left out.

    No subsamples: the whole sample is protected. Subsamples that end before the sample leave the rest clear.

    Raises:
        MalformedMediaError: the subsamples cover more than the sample has, or one has a negative length.
    """
    if not subsamples:
        return [(0, size)] if size else []
    ranges = []
    at = 0
    for clear, protected in subsamples:
        if clear < 0 or protected < 0:
            raise MalformedMediaError(f"a subsample of {clear} clear and {protected} protected bytes")
        start = at + clear
        at = start + protected
        if protected:
            ranges.append((start, at))
    if at > size:
        raise MalformedMediaError(
            f"the subsamples cover {at} bytes, and the sample has {size}",
            maybe="the encryption data belongs to another sample",
        )
    return ranges


def initial_block(iv: bytes) -> bytes:
    """Return the first counter block, or the IV of a chain: an IV of 8 bytes is the upper half (clause 9.2, 9.3)."""
    if len(iv) not in (8, BLOCK):
        raise MalformedMediaError(f"an IV of {len(iv)} bytes; it has 8 or 16")
    return iv.ljust(BLOCK, b"\0")


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """Pattern encryption (clause 9.6): of each `crypt + skip` blocks the first `crypt`; `skip` 0 means every block.

    A partial block at the end of a range is never part of the pattern.
    """

    crypt: int
    skip: int
    short_run_is_clear: bool = False

    def selected(self, size: int) -> int:
        """How many blocks of a protected range of `size` bytes are encrypted."""
        blocks = size // BLOCK
        if not self.crypt:
            return blocks
        periods, rest = divmod(blocks, self.crypt + self.skip)
        if rest < self.crypt and self.short_run_is_clear:
            rest = 0
        return periods * self.crypt + min(rest, self.crypt)

    def partial_block(self, size: int) -> int:
        """Where the partial block of a range of `size` bytes begins, if it lies in a crypt run; otherwise `size`."""
        blocks = size // BLOCK
        if self.crypt and (self.short_run_is_clear or blocks % (self.crypt + self.skip) >= self.crypt):
            return size
        return blocks * BLOCK

    def gather(self, source: memoryview, into: memoryview) -> None:
        """Copy the encrypted blocks of the range `source` one after another; `into` has room for exactly these."""
        if not self.skip or not into:
            into[:] = source[: len(into)]
            return
        if self.crypt == 1:  # the usual 1:9: whole blocks are the items, so memory is gone through once, not twice
            blocks = self._covered(len(source), len(into)) // BLOCK
            into[:] = source[: blocks * BLOCK].cast("B", (blocks, BLOCK))[:: 1 + self.skip].tobytes()
            return
        packed, spread = into.cast(_WORD), source[: self._covered(len(source), len(into))].cast(_WORD)
        run = _WORDS_PER_BLOCK * self.crypt
        period = run + _WORDS_PER_BLOCK * self.skip
        for word in range(run):
            packed[word::run] = spread[word::period]

    def scatter(self, packed: memoryview, into: memoryview) -> None:
        """Copy blocks back to where `gather` took them from, in the range `into`."""
        if not self.skip or not packed:
            into[: len(packed)] = packed
            return
        spread = into[: self._covered(len(into), len(packed))].cast(_WORD)
        packed = packed.cast(_WORD)
        if self.crypt == 1:  # the usual 1:9, without a loop's cost for its two words
            period = _WORDS_PER_BLOCK * (1 + self.skip)
            spread[::period] = packed[::2]
            spread[1::period] = packed[1::2]
            return
        run = _WORDS_PER_BLOCK * self.crypt
        period = run + _WORDS_PER_BLOCK * self.skip
        for word in range(run):
            spread[word::period] = packed[word::run]

    def _covered(self, size: int, packed_size: int) -> int:
        """Bytes of the whole blocks of a range, without a last run that is left clear: what the strides go over."""
        if self.short_run_is_clear:
            runs = packed_size // (self.crypt * BLOCK)
            size = min(size, runs * (self.crypt + self.skip) * BLOCK)
        return size - size % BLOCK


EVERY_BLOCK: Final = Pattern(0, 0)
"""The pattern of schemes that have none."""


def pattern_of(crypto: SampleCrypto, dialects: frozenset[Dialect]) -> Pattern:
    """Return the pattern of a sample of a pattern scheme. Raises MalformedMediaError."""
    crypt, skip = crypto.crypt_blocks, crypto.skip_blocks
    if not (0 <= crypt <= _MAX_PATTERN and 0 <= skip <= _MAX_PATTERN) or (skip and not crypt):
        raise MalformedMediaError(f"a pattern of {crypt} encrypted and {skip} clear blocks")
    return Pattern(crypt, skip, Dialect.SHORT_RUN_IS_CLEAR in dialects)
