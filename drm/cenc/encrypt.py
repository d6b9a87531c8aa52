"""Encrypts samples: `drm.cenc.decrypt` the other way round, for the packager.

Only the default reading is written; `SampleCrypto` says where and how, and `decrypt_into` with the same value gives
the sample back.
"""

from __future__ import annotations

from drm.cenc.engines import BLOCK, SPARE, Engine
from drm.cenc.engines import engine as engine_called
from drm.cenc.layout import EVERY_BLOCK, Pattern, initial_block, pattern_of, protected_ranges
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey
from drm.media import SampleCrypto, Scheme

__all__ = ["SampleEncrypter"]


class SampleEncrypter:
    """Encrypts samples under one key. That no IV is used twice under it is the caller's concern."""

    def __init__(self, key: ContentKey, *, engine: Engine | None = None) -> None:
        self._cipher = (engine or engine_called()).cipher(key)

    def encrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the sample `source` encrypted to `target`. Both are flat views of bytes.

        `source` is never written. It may be `target` itself, for encryption in place; otherwise the two do not overlap.

        Raises:
            MalformedMediaError: `crypto` does not fit the sample.
            InvalidArgumentError: `target` has another length than `source`.
        """
        if len(source) != len(target):
            raise InvalidArgumentError(f"a sample of {len(source)} bytes, and {len(target)} to write it to")
        ranges = protected_ranges(crypto.subsamples, len(source))
        first = initial_block(crypto.iv)
        if source is not target:
            target[:] = source
        if crypto.scheme is Scheme.CENC:
            self._cipher.ctr(first, [(target[start:end], target[start:end]) for start, end in ranges])
        elif crypto.scheme is Scheme.CBCS:
            pattern = pattern_of(crypto, frozenset())
            for one in ranges:
                self._gathered(first, target, [one], pattern, chain=True)
        elif crypto.scheme is Scheme.CBC1:
            self._gathered(first, target, ranges, EVERY_BLOCK, chain=True)
        else:
            self._gathered(first, target, ranges, pattern_of(crypto, frozenset()), chain=False)

    def _gathered(
        self, first: bytes, sample: memoryview, ranges: list[tuple[int, int]], pattern: Pattern, *, chain: bool
    ) -> None:
        """Gather what the pattern selects behind one IV block, encrypt it as a chain or a key stream, scatter."""
        sizes = [pattern.selected(end - start) * BLOCK for start, end in ranges]
        size = BLOCK + sum(sizes)
        packed = memoryview(bytearray(size + SPARE))
        packed[:BLOCK] = first
        at = BLOCK
        for (start, end), taken in zip(ranges, sizes, strict=True):
            pattern.gather(sample[start:end], packed[at : at + taken])
            at += taken
        if chain and size > BLOCK:
            self._cipher.cbc_encrypt(packed, size)
        elif not chain:
            self._cipher.ctr(first, [(packed[BLOCK:size], packed[BLOCK:size])])
        at = BLOCK
        for (start, end), taken in zip(ranges, sizes, strict=True):
            pattern.scatter(packed[at : at + taken], sample[start:end])
            at += taken
