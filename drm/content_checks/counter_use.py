"""Where the counters of AES-CTR meet under one key, over all tracks of a file: first pass, in bounded memory.

With AES-CTR (cenc, cens) two samples whose counters meet are protected by the same key stream: whoever has both has the
exclusive or of their contents, without any key (ISO/IEC 23001-7, clause 9.3: counters are unique under a key). With
AES-CBC an IV used twice shows only that two samples begin alike, and a constant IV is what cbcs asks for, so that is
not looked at here.

This pass is coarse in one way: a sample with an IV of 8 bytes is taken to have all counters of its upper half, so that
a packager's counting from sample to sample is one range. What it says is therefore a suspicion, and
`drm.content_checks.counter_reuse` looks at the samples behind it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from drm.keys import KeyId

__all__ = ["CounterUse", "Meeting", "counter_ranges"]

MAX_RUNS: Final = 1 << 17  # separate ranges that are remembered for a file, 60 bytes each
MAX_MEETINGS: Final = 4096
_LOW: Final = 64  # bits of the counter within one upper half
_HALF: Final = 1 << _LOW
_LENGTH: Final = 40  # bits of a run's length, its unit in the highest of them


class Meeting(NamedTuple):
    """Counters from `start` to `end` that more than one run of samples may have taken under one key."""

    key_id: KeyId
    start: int
    end: int


def counter_ranges(iv: bytes, blocks: int) -> tuple[tuple[int, int], ...]:
    """The counters of a sample that takes `blocks` of them, as (start, end): two where the lower half wraps.

    The lower half wraps without a carry into the upper one (clause 9.3).
    """
    start = int.from_bytes(iv.ljust(16, b"\0"), "big")
    top = (start >> _LOW) + 1 << _LOW
    if start + blocks <= top:
        return ((start, start + blocks),)
    return ((start, top), (top - _HALF, start + blocks - _HALF))


class CounterUse:
    """Takes every use of a key in counter mode; neighbouring ranges become one, so a packager's counting costs nothing.

    Beyond `MAX_RUNS` separate ranges it takes no more, and `is_complete` is False.
    """

    def __init__(self) -> None:
        self.is_complete = True
        self.samples = 0  # that took a counter
        self._count = 0
        self._by_key: dict[KeyId, list[int]] = {}
        self._open: dict[KeyId, tuple[int, int]] = {}  # the run at hand: start, end

    def add(self, key_id: KeyId, iv: bytes, blocks: int) -> None:
        """A sample takes `blocks` counters under `key_id`, from `iv` on. Without a block it takes none."""
        if not blocks:
            return
        self.samples += 1
        if len(iv) == 8:
            start = int.from_bytes(iv, "big") << _LOW
            self._take(key_id, start, start + _HALF)
            return
        for start, end in counter_ranges(iv, blocks):
            self._take(key_id, start, end)

    def _take(self, key_id: KeyId, start: int, end: int) -> None:
        run = self._open.get(key_id)
        if run is not None and run[1] == start:
            self._open[key_id] = (run[0], end)
            return
        if run is not None:
            self._close(key_id, *run)
        self._open[key_id] = (start, end)

    def _close(self, key_id: KeyId, start: int, end: int) -> None:
        if self._count >= MAX_RUNS:
            self.is_complete = False
            return
        self._count += 1
        # One number each, so that a hundred thousand can be sorted and held: start, then length.
        self._by_key.setdefault(key_id, []).append(start << _LENGTH | _packed(end - start))

    def meetings(self) -> tuple[Meeting, ...]:
        """Every range of counters that was taken twice, as far as this pass can tell. Ends the taking."""
        while self._open:
            key_id, run = self._open.popitem()
            self._close(key_id, *run)
        found: list[Meeting] = []
        for key_id, runs in self._by_key.items():
            found += self._of_key(key_id, sorted(runs))
        if len(found) > MAX_MEETINGS:
            self.is_complete = False
        return tuple(found[:MAX_MEETINGS])

    @staticmethod
    def _of_key(key_id: KeyId, runs: list[int]) -> list[Meeting]:
        found: list[Meeting] = []
        reach = -1
        for packed in runs:
            start = packed >> _LENGTH
            end = start + _unpacked(packed & (1 << _LENGTH) - 1)
            if start < reach:
                met = Meeting(key_id, start, min(reach, end))
                if found and start <= found[-1].end:
                    met = Meeting(key_id, found[-1].start, max(found.pop().end, met.end))
                found.append(met)
            reach = max(reach, end)
        return found


def _packed(length: int) -> int:
    """A length in 40 bits: in upper halves, rounded up, with the highest bit set; or in blocks."""
    if length >= _HALF:
        return -(-length >> _LOW) | 1 << _LENGTH - 1
    return min(length, (1 << _LENGTH - 1) - 1)


def _unpacked(packed: int) -> int:
    is_halves = packed >> _LENGTH - 1
    return (packed ^ 1 << _LENGTH - 1) << _LOW if is_halves else packed
