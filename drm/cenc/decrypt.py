"""Decrypts samples: the four schemes of ISO/IEC 23001-7, clause 10.

    cenc   CTR; one key stream per sample that runs on from subsample to subsample, also in mid-block
    cens   CTR over the blocks that the pattern selects; the pattern starts anew in each subsample
    cbc1   CBC; one chain per sample over all protected whole blocks
    cbcs   CBC over the blocks that the pattern selects; pattern and chain start anew in each subsample

Bytes that no scheme touches, partial blocks of CBC and pattern schemes among them, are clear and are copied.
Runs in the PMP worker, or in a developer's verb that holds the key anyway; never in the application.
"""

from __future__ import annotations

from collections.abc import Callable

from drm.cenc.dialect import Dialect
from drm.cenc.engines import BLOCK, SPARE, Cipher, Engine
from drm.cenc.engines import engine as engine_called
from drm.cenc.layout import EVERY_BLOCK, Pattern, initial_block, pattern_of, protected_ranges
from drm.errors import InvalidArgumentError, InvalidRequestError
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme

__all__ = ["SampleDecrypter", "decrypt_sample"]


def decrypt_sample(
    source: memoryview, crypto: SampleCrypto, target: memoryview, decrypter: Callable[[KeyId], SampleDecrypter]
) -> None:
    """Write the clear bytes of `source` to `target`, whatever number of keys it takes; `decrypter` finds each.

    All keys are found before anything is written. Otherwise as `SampleDecrypter.decrypt_into`.
    """
    if not crypto.others:
        decrypter(crypto.key_id).decrypt_into(source, crypto, target)
        return
    for part, found in [(part, decrypter(part.key_id)) for part in crypto.parts()]:
        found.decrypt_into(source, part, target)
        source = target


class SampleDecrypter:
    """Decrypts samples under one key. Whose key a sample needs, its `crypto.key_id` says; the caller chooses.

    Cheap per sample and meant to live as long as the key is in use. One thread at a time.
    """

    def __init__(
        self, key: ContentKey, *, engine: Engine | None = None, dialects: frozenset[Dialect] = frozenset()
    ) -> None:
        self._cipher: Cipher | None = (engine or engine_called()).cipher(key)
        self._dialects = dialects
        self._scratch = memoryview(bytearray())
        self._last_pattern = EVERY_BLOCK

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of the sample `source` to `target`. Both are flat views of bytes.

        `source` is never written. It may be `target` itself, for decryption in place; otherwise the two do not
        overlap. When this raises, the contents of `target` are undefined.

        Raises:
            MalformedMediaError: the encryption data does not fit the sample.
            InvalidArgumentError: `target` has another length than `source`, or the sample needs further keys.
            InvalidRequestError: the decrypter was wiped.
        """
        cipher = self._cipher
        if cipher is None:
            raise InvalidRequestError("this decrypter was wiped")
        if len(source) != len(target):
            raise InvalidArgumentError(f"a sample of {len(source)} bytes, and {len(target)} to write it to")
        if crypto.others:  # one key would leave the rest as noise
            raise InvalidArgumentError(f"a sample of {len(crypto.key_ids)} keys, given to a decrypter of one")
        first = initial_block(crypto.iv)
        scheme = crypto.scheme
        subsamples = crypto.subsamples
        if len(subsamples) == 1 and scheme is Scheme.CENC and not self._dialects:
            # The usual video sample, without a list and a loop for its one range: a sixth of the time.
            start, protected = subsamples[0]
            end = start + protected
            if start >= 0 <= protected and end <= len(source):
                if source is not target:
                    target[:start] = source[:start]
                    target[end:] = source[end:]
                cipher.ctr(first, ((source[start:end], target[start:end]),))
                return
        ranges = protected_ranges(subsamples, len(source))
        if scheme is Scheme.CENC:
            self._ctr(cipher, first, source, target, ranges)
            return
        pattern = EVERY_BLOCK if scheme is Scheme.CBC1 else self._pattern_of(crypto)
        if source is not target:
            target[:] = source
        if scheme.is_cbc:
            self._cbc(cipher, first, source, target, ranges, pattern, restart=scheme is Scheme.CBCS)
        else:
            self._pattern_ctr(cipher, first, source, target, ranges, pattern, whole=not crypto.subsamples)

    def wipe(self) -> None:
        """Drop the cipher and whatever of the media is still in memory here; nothing decrypts afterwards."""
        self._cipher = None
        self._scratch[:] = bytes(len(self._scratch))

    def _ctr(
        self, cipher: Cipher, first: bytes, source: memoryview, target: memoryview, ranges: list[tuple[int, int]]
    ) -> None:
        if source is not target:
            at = 0
            for start, end in ranges:
                target[at:start] = source[at:start]
                at = end
            target[at:] = source[at:]
        self._run_ctr(cipher, first, [(source[start:end], target[start:end]) for start, end in ranges])

    def _run_ctr(self, cipher: Cipher, first: bytes, pieces: list[tuple[memoryview, memoryview]]) -> None:
        if Dialect.CTR_128_BIT_CARRY not in self._dialects:
            cipher.ctr(first, pieces)
            return
        # Where the other reading carries, this one begins a new stream with the carry added.
        until_wrap = ((1 << 64) - int.from_bytes(first[8:], "big")) * BLOCK
        before, after = [], []
        for source, target in pieces:
            cut = min(until_wrap, len(source))
            before.append((source[:cut], target[:cut]))
            after.append((source[cut:], target[cut:]))
            until_wrap -= cut
        cipher.ctr(first, before)
        upper = (int.from_bytes(first[:8], "big") + 1) % (1 << 64)
        cipher.ctr(upper.to_bytes(8, "big") + bytes(8), after)

    def _cbc(
        self,
        cipher: Cipher,
        first: bytes,
        source: memoryview,
        target: memoryview,
        ranges: list[tuple[int, int]],
        pattern: Pattern,
        *,
        restart: bool,
    ) -> None:
        """Gather every chain behind its IV block, decrypt all in one call, scatter."""
        if len(ranges) == 1:
            start, end = ranges[0]
            size = pattern.selected(end - start) * BLOCK
            scratch = self._buffer(size + BLOCK)
            scratch[:BLOCK] = first
            chain = scratch[BLOCK : BLOCK + size]
            pattern.gather(source[start:end], chain)
            cipher.cbc_decrypt(scratch, BLOCK + size)
            pattern.scatter(chain, target[start:end])
            return
        scratch = self._buffer(len(source) + BLOCK * (len(ranges) + 1))
        plan = []  # each chain's place in the scratch buffer, and the range that it came from
        at = 0
        for start, end in ranges:
            size = pattern.selected(end - start) * BLOCK
            if not size:
                continue
            if restart or not at:
                scratch[at : at + BLOCK] = first
                at += BLOCK
            chain = scratch[at : at + size]
            at += size
            pattern.gather(source[start:end], chain)
            plan.append((chain, start, end))
        if not plan:
            return
        cipher.cbc_decrypt(scratch, at)
        for chain, start, end in plan:
            pattern.scatter(chain, target[start:end])

    def _pattern_ctr(
        self,
        cipher: Cipher,
        first: bytes,
        source: memoryview,
        target: memoryview,
        ranges: list[tuple[int, int]],
        pattern: Pattern,
        *,
        whole: bool,
    ) -> None:
        """Gather the selected blocks, since the counter counts only these; one key stream; scatter."""
        plan: list[tuple[int, int, int, int]] = []
        at = 0
        for start, end in ranges:
            place, at = at, at + pattern.selected(end - start) * BLOCK
            plan.append((start, end, place, at))
        scratch = self._buffer(at)
        for start, end, place, stop in plan:
            pattern.gather(source[start:end], scratch[place:stop])
        pieces = [(scratch[:at], scratch[:at])]
        if whole and Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED in self._dialects:
            tail = pattern.partial_block(len(source))
            pieces.append((source[tail:], target[tail:]))
        self._run_ctr(cipher, first, pieces)
        for start, end, place, stop in plan:
            pattern.scatter(scratch[place:stop], target[start:end])

    def _pattern_of(self, crypto: SampleCrypto) -> Pattern:
        """The sample's pattern; that of the sample before is at hand, and seldom differs."""
        last = self._last_pattern
        if last.crypt != crypto.crypt_blocks or last.skip != crypto.skip_blocks:
            last = self._last_pattern = pattern_of(crypto, self._dialects)
        return last

    def _buffer(self, size: int) -> memoryview:
        """Memory for `size` bytes of gathered blocks; never more than a sample and an IV for each of its chains."""
        if len(self._scratch) < size + SPARE:
            self._scratch = memoryview(bytearray(size + (size >> 2) + SPARE))
        return self._scratch
