"""Which bytes of a sample are really enciphered: of the ranges marked as protected, what the scheme encrypts.

ISO/IEC 23001-7, clauses 9 and 10. By the default reading where packagers disagree on the last bytes of a range: what
only some of them encrypt counts as clear here, so that nobody is accused for it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from drm.cenc.layout import EVERY_BLOCK, Pattern, protected_ranges
from drm.media import SampleCrypto, Scheme

__all__ = ["BLOCK", "counter_blocks", "enciphered_spans", "encrypted_bytes", "is_enciphered"]

BLOCK: Final = 16  # bytes


def encrypted_bytes(crypto: SampleCrypto, size: int) -> tuple[int, int]:
    """How many of a sample's `size` bytes are marked as protected, and how many of those the scheme encrypts.

    Of one key: a sample of several is asked for by `SampleCrypto.parts`.
    """
    subsamples = crypto.subsamples
    if crypto.scheme is Scheme.CENC:
        protected = sum([part for _, part in subsamples]) if subsamples else size
        return protected, protected
    ranges = [part for _, part in subsamples] if subsamples else [size]
    return sum(ranges), BLOCK * sum(map(_pattern_of(crypto).selected, ranges))


def counter_blocks(crypto: SampleCrypto, encrypted: int) -> int:
    """How many counter blocks the `encrypted` bytes of a sample take; 0 under AES-CBC, which counts nothing.

    Under cenc one stream goes over all subsamples, whose last block may be partial; under cens only whole blocks of
    the pattern advance the counter (clauses 9.3, 9.6). A sample without an enciphered byte takes none.
    """
    return 0 if crypto.scheme.is_cbc else (encrypted + BLOCK - 1) // BLOCK


def enciphered_spans(crypto: SampleCrypto, size: int) -> Iterator[tuple[int, int]]:
    """The enciphered bytes as (start, end), in their order. Raises MalformedMediaError for what does not fit."""
    pattern = _pattern_of(crypto)
    for start, end in protected_ranges(crypto.subsamples, size):
        if crypto.scheme is Scheme.CENC:
            yield start, end
            continue
        blocks = (end - start) // BLOCK
        if not pattern.skip:
            yield from [(start, start + blocks * BLOCK)] if blocks else ()
            continue
        for block in range(0, blocks, pattern.crypt + pattern.skip):
            yield start + block * BLOCK, start + min(block + pattern.crypt, blocks) * BLOCK


def is_enciphered(crypto: SampleCrypto, ranges: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether any of the bytes from `start` to `end` is enciphered; `ranges` are the sample's protected ones."""
    pattern = _pattern_of(crypto)
    for low, high in ranges:
        if low >= end:
            return False
        if high <= start:
            continue
        if crypto.scheme is Scheme.CENC:
            return True
        blocks = (high - low) // BLOCK
        first, last = (max(start, low) - low) // BLOCK, (min(end, high) - 1 - low) // BLOCK
        period = pattern.crypt + pattern.skip
        for block in range(first, min(last + 1, blocks)):
            if not pattern.crypt or block % period < pattern.crypt:
                return True
    return False


def _pattern_of(crypto: SampleCrypto) -> Pattern:
    """Cenc and cbc1 have no pattern, whatever a box says."""
    if crypto.scheme in (Scheme.CENC, Scheme.CBC1):
        return EVERY_BLOCK
    return _pattern(crypto.crypt_blocks, crypto.skip_blocks)


@functools.cache
def _pattern(crypt: int, skip: int) -> Pattern:
    return Pattern(crypt, skip)  # 256 at most: each is four bits in the file
