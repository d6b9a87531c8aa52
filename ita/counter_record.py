"""Which sample each counter of AES-CTR belongs to, so that no key stream opens two. Worker only, one for the process.

Common Encryption does not vouch for its bytes: whoever changes a stored sample changes the clear one bit for bit, and
what a decoder makes of it, under this codec or another, is then an answer about the key stream. In sound media a
counter is used once under a key (ISO/IEC 23001-7, clause 9.3). So the first sample that takes a counter has it: the
same sample may come again, after a seek, for the same decoder; any other is refused.

Not so for CBC: what a block opens to there depends on no counter, and a constant IV is what cbcs asks for.

Memory is bounded, and so is what is remembered: the last `REMEMBERED` samples at least. Of each, a table keeps 64 bits.
"""

from __future__ import annotations

import bisect
import hashlib
import secrets
import threading
from array import array
from collections.abc import Sequence
from typing import Final

from drm.cenc.dialect import Dialect
from drm.cenc.layout import pattern_of
from drm.errors import OutputNotAllowedError
from drm.keys import KeyId
from drm.media import SampleCrypto, Scheme

__all__ = ["REMEMBERED", "CounterRecord"]

REMEMBERED: Final = 1 << 19  # samples: more than an hour of picture and sound. Up to twice as many are, in 16 MiB
_RUNS: Final = 1 << 15  # separate ranges of counters of 16-byte IVs
_SLOTS: Final = 1 << 20  # of 8 bytes each
_SMALLEST: Final = 1 << 10
_NAME_BITS: Final = 40  # of a slot: which sample it is; the rest: what it was
_HALF: Final = 1 << 64


class CounterRecord:
    """Takes each sample of AES-CTR that is decrypted for an output. Any thread."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)  # so that nobody outside can make two samples look alike
        self._new, self._old = _Generation(), _Generation()
        self._lock = threading.Lock()

    def take(
        self,
        key_id: KeyId,
        crypto: SampleCrypto,
        stored: memoryview,
        decoder: str,
        dialects: frozenset[Dialect] = frozenset(),
    ) -> None:
        """Note that `key_id` opens the sample `stored` for `decoder`; `crypto` is the part of this one key.

        Raises:
            OutputNotAllowedError: its counters opened another sample, or the same for another decoder.
        """
        blocks = _blocks(crypto, len(stored), dialects)
        if not blocks:
            return
        start = int.from_bytes(crypto.iv.ljust(16, b"\0"), "big")
        is_long = len(crypto.iv) > 8
        ranges = _ranges(start, blocks)
        named = self._digest(b"%s%d|%d" % (key_id.value, is_long, start)) >> 64 - _NAME_BITS
        content = hashlib.blake2b(
            repr((decoder, crypto.scheme, crypto.subsamples, crypto.crypt_blocks, crypto.skip_blocks)).encode(),
            key=self._secret,
            digest_size=8,
        )
        content.update(stored)
        slot = named << 64 - _NAME_BITS | int.from_bytes(content.digest(), "big") >> _NAME_BITS
        with self._lock:
            for known in (self._new, self._old):
                found = known.find(named)
                if found == slot:
                    return
                if found or self._meets(known, key_id, ranges, is_long=is_long):
                    raise _taken(key_id, decoder)
            if self._new.is_full:
                self._new, self._old = _Generation(), self._new
            self._new.add(slot)
            for begin, end in ranges if is_long else ():
                self._new.add_run(key_id, begin, end)

    def _meets(self, known: _Generation, key_id: KeyId, ranges: Sequence[tuple[int, int]], *, is_long: bool) -> bool:
        """Whether these counters are among what another IV took: one of 8 bytes is taken to have its whole half."""
        if any(known.overlaps(key_id, begin, end) for begin, end in ranges):
            return True
        halves = {begin >> 64 << 64 for begin, _end in ranges} if is_long else ()
        return any(known.find(self._digest(b"%s0|%d" % (key_id.value, half)) >> 64 - _NAME_BITS) for half in halves)

    def _digest(self, what: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(what, key=self._secret, digest_size=8).digest(), "big") or 1


class _Generation:
    """Half of what is remembered: a table of open addressing, and the ranges of 16-byte IVs as runs."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SMALLEST))
        self._count = 0
        self._runs: dict[KeyId, tuple[list[int], list[int]]] = {}  # starts, rising, and ends
        self._run_count = 0

    @property
    def is_full(self) -> bool:
        return self._count >= REMEMBERED or self._run_count >= _RUNS

    def find(self, named: int) -> int:
        """The slot of this name; 0: there is none."""
        slots, mask = self._slots, len(self._slots) - 1
        at = named & mask
        while (found := slots[at]) and found >> 64 - _NAME_BITS != named:
            at = at + 1 & mask
        return found

    def add(self, slot: int) -> None:
        if 2 * self._count >= len(self._slots) < _SLOTS:
            held = self._slots
            self._slots = array("Q", bytes(16 * len(held)))
            for each in held:
                if each:
                    self._put(each)
        self._put(slot)
        self._count += 1

    def _put(self, slot: int) -> None:
        mask = len(self._slots) - 1
        at = (slot >> 64 - _NAME_BITS) & mask
        while self._slots[at]:
            at = at + 1 & mask
        self._slots[at] = slot

    def overlaps(self, key_id: KeyId, start: int, end: int) -> bool:
        """Whether a run of this key has a counter from `start` to before `end`."""
        starts, ends = self._runs.get(key_id, ([], []))
        at = bisect.bisect_left(starts, end)
        return at > 0 and ends[at - 1] > start

    def add_run(self, key_id: KeyId, start: int, end: int) -> None:
        """Take a range that overlaps none; one that continues another becomes one with it."""
        starts, ends = self._runs.setdefault(key_id, ([], []))
        at = bisect.bisect_left(starts, end)
        if at and ends[at - 1] == start:
            ends[at - 1] = end
            return
        starts.insert(at, start)
        ends.insert(at, end)
        self._run_count += 1


def _blocks(crypto: SampleCrypto, size: int, dialects: frozenset[Dialect]) -> int:
    """Counters that the sample takes."""
    ranges = crypto.subsamples or ((0, size),)
    if crypto.scheme is Scheme.CENC:
        return -(-sum(protected for _clear, protected in ranges) // 16)
    pattern = pattern_of(crypto, dialects)
    has_tail = Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED in dialects and not crypto.subsamples and size % 16
    return sum(pattern.selected(protected) for _clear, protected in ranges) + bool(has_tail)


def _ranges(start: int, blocks: int) -> Sequence[tuple[int, int]]:
    """The counters from `start` on: where the lower half ends, those of both readings of the carry (`Dialect`)."""
    top = (start >> 64 << 64) + _HALF
    if start + blocks <= top:
        return ((start, start + blocks),)
    rest = start + blocks - top
    return ((start, top), (top - _HALF, top - _HALF + rest), (top, top + rest))


def _taken(key_id: KeyId, decoder: str) -> OutputNotAllowedError:
    return OutputNotAllowedError(
        f"an IV of KID {key_id} was used for another sample, or for another decoder than {decoder}",
        seen="the license does not grant 'extract': an IV opens one sample, and always the same way",
        maybe="the media use counters twice, which tells of their contents without a key",
        remedy="clearkey inspect FILE names such counters; encrypt it anew, or have the license server grant 'extract'",
        kids=(str(key_id),),
    )
