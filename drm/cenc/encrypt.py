"""Encrypts samples in place: `drm.cenc.decrypt` the other way round, for the packager.

Only the default reading is written; `decrypt_into` with the same IV, subsamples and pattern gives the sample back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drm.cenc.engines import BLOCK, SPARE, Engine
from drm.cenc.engines import engine as engine_called
from drm.cenc.layout import EVERY_BLOCK, Pattern, initial_block, pattern_of, protected_ranges
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey
from drm.media import SampleCrypto, Scheme, Subsample

__all__ = ["SampleEncrypter"]

_ZEROS = bytes(8)


class SampleEncrypter:
    """Encrypts samples under one key. That no IV is used twice under it is the caller's concern. One thread."""

    def __init__(self, key: ContentKey, *, engine: Engine | None = None) -> None:
        self._cipher = (engine or engine_called()).cipher(key)
        self._scratch = memoryview(bytearray(64 << 10))

    def encrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the sample `source` encrypted to `target`. Both are flat views of bytes.

        `source` is never written. It may be `target` itself, for encryption in place; otherwise the two do not overlap.

        Raises:
            MalformedMediaError: `crypto` does not fit the sample.
            InvalidArgumentError: `target` has another length than `source`.
        """
        if len(source) != len(target):
            raise InvalidArgumentError(f"a sample of {len(source)} bytes, and {len(target)} to write it to")
        protected_ranges(crypto.subsamples, len(source))
        if source is not target:
            target[:] = source
        pattern = pattern_of(crypto, frozenset())
        self.encrypt(target, crypto.scheme, pattern, crypto.iv, crypto.subsamples)

    def encrypt(
        self, sample: memoryview, scheme: Scheme, pattern: Pattern, iv: bytes, subsamples: Sequence[Subsample]
    ) -> None:
        """Encrypt `sample` in place; its subsamples cover at most its bytes, and none means all of it."""
        self.encrypt_run(sample, (0,), (len(sample),), ((iv, subsamples),), scheme, pattern)

    def encrypt_run(
        self,
        data: memoryview,
        begins: Iterable[int],
        sizes: Iterable[int],
        entries: Iterable[tuple[bytes, Sequence[Subsample]]],
        scheme: Scheme,
        pattern: Pattern,
        constant_iv: bytes = b"",
    ) -> None:
        """The same for samples that begin at `begins` in `data`, each with its IV, if it has one, and parts."""
        rows: list[tuple[bytes, int, int]] = []  # nearly every sample of cenc has one range
        for at, size, (iv, subsamples) in zip(begins, sizes, entries, strict=True):
            first = iv + _ZEROS if len(iv) == len(_ZEROS) else initial_block(iv or constant_iv)
            if len(subsamples) == 1:
                ((clear, protected),) = subsamples
                begin, end = at + clear, at + clear + protected
            elif subsamples:
                self._encrypt_parts(first, _parts(data[at : at + size], subsamples), scheme, pattern)
                continue
            else:
                begin, end = at, at + size
            if begin == end:
                continue
            if scheme is Scheme.CENC:
                rows.append((first, begin, end))
            else:
                self._encrypt_parts(first, [data[begin:end]], scheme, pattern)
        if rows:
            self._cipher.ctr_ranges(data, rows)

    def _encrypt_parts(self, first: bytes, parts: list[memoryview], scheme: Scheme, pattern: Pattern) -> None:
        """The protected ranges of one sample."""
        if scheme is Scheme.CENC:
            self._cipher.ctr(first, [(part, part) for part in parts])
        elif scheme is Scheme.CBCS:
            for part in parts:
                self._chained(first, part, pattern)
        elif scheme is Scheme.CBC1:
            self._gathered(first, parts, EVERY_BLOCK, chain=True)
        else:
            self._gathered(first, parts, pattern, chain=False)

    def _chained(self, first: bytes, part: memoryview, pattern: Pattern) -> None:
        """One range, as a chain of its own."""
        if pattern.skip:
            self._gathered(first, [part], pattern, chain=True)
            return
        size = len(part) & ~(BLOCK - 1)
        end = BLOCK + size
        if end + SPARE > len(self._scratch):
            self._scratch = memoryview(bytearray(end + SPARE))
        packed = self._scratch
        packed[:BLOCK] = first
        packed[BLOCK:end] = part[:size]
        self._cipher.cbc_encrypt(packed, end)
        part[:size] = packed[BLOCK:end]

    def _gathered(self, first: bytes, ranges: list[memoryview], pattern: Pattern, *, chain: bool) -> None:
        """Gather what the pattern selects behind one IV block, encrypt it as a chain or a key stream, scatter."""
        sizes = [pattern.selected(len(part)) * BLOCK for part in ranges]
        size = BLOCK + sum(sizes)
        if size == BLOCK:
            return
        if size + SPARE > len(self._scratch):
            self._scratch = memoryview(bytearray(size + SPARE))
        packed = self._scratch
        packed[:BLOCK] = first
        at = BLOCK
        for part, taken in zip(ranges, sizes, strict=True):
            pattern.gather(part, packed[at : at + taken])
            at += taken
        if chain:
            self._cipher.cbc_encrypt(packed, size)
        else:
            self._cipher.ctr(first, [(packed[BLOCK:size], packed[BLOCK:size])])
        at = BLOCK
        for part, taken in zip(ranges, sizes, strict=True):
            pattern.scatter(packed[at : at + taken], part)
            at += taken


def _parts(sample: memoryview, subsamples: Sequence[Subsample]) -> list[memoryview]:
    """The protected ranges."""
    parts = []
    at = 0
    for clear, protected in subsamples:
        at += clear
        if protected:
            parts.append(sample[at : at + protected])
            at += protected
    return parts
