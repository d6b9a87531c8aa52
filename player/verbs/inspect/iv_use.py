"""Whether an IV was used twice under one key, over all tracks of a file.

With AES-CTR (cenc, cens) two samples whose counters meet are protected by the same key stream: whoever has both has the
exclusive or of their contents, without any key (ISO/IEC 23001-7, clause 9.3: counters are unique under a key). An IV of
8 bytes takes all counters of its upper half; one of 16 bytes those that its blocks need. With AES-CBC an IV used twice
shows only that two samples begin alike, and a constant IV is what cbcs asks for, so that is not looked at here.
"""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

from drm.keys import KeyId

__all__ = ["IvReuse", "IvUse"]

MAX_RUNS: Final = 1 << 17  # runs of counters that are remembered for a file, 60 bytes each
_LOW: Final = 64  # bits of the counter within one upper half
_LENGTH, _RUN = 40, 24  # bits: blocks of a run (saturated), and its number


class IvReuse(NamedTuple):
    """The first two samples (track, number from 1) found under one key with counters in common, and how many more."""

    key_id: KeyId
    first: tuple[int, int]
    second: tuple[int, int]
    more: int


class IvUse:
    """Takes every use of a key in counter mode; neighbouring ranges become one, so a packager's counting costs nothing.

    Beyond `MAX_RUNS` separate ranges it takes no more, and `is_complete` is False.
    """

    def __init__(self) -> None:
        self.is_complete = True
        self._by_key: dict[KeyId, list[int]] = {}
        self._owners = array("Q")  # of each run: track, number of its first sample
        self._open: dict[KeyId, tuple[int, int, int, int]] = {}  # start, end, track, first sample

    def add(self, key_id: KeyId, iv: bytes, size: int, track: int, number: int) -> None:
        """Sample `number` of `track` has `size` bytes under `key_id`, its counters beginning at `iv`."""
        start = int.from_bytes(iv, "big")
        if len(iv) == 8:
            start <<= _LOW
            end = start + (1 << _LOW)
        else:
            end = start + (size + 15 >> 4 or 1)
            top = (start >> _LOW) + 1 << _LOW
            if end > top:  # the lower half wraps without a carry (clause 9.3)
                self._take(key_id, top - (1 << _LOW), end - (1 << _LOW), track, number)
                end = top
        self._take(key_id, start, end, track, number)

    def _take(self, key_id: KeyId, start: int, end: int, track: int, number: int) -> None:
        run = self._open.get(key_id)
        if run is not None and run[1] == start and run[2] == track:
            self._open[key_id] = (run[0], end, track, run[3])
            return
        if run is not None:
            self._close(key_id, run)
        self._open[key_id] = (start, end, track, number)

    def _close(self, key_id: KeyId, run: tuple[int, int, int, int]) -> None:
        index = len(self._owners) // 2
        if index >= MAX_RUNS:
            self.is_complete = False
            return
        start, end, track, number = run
        self._owners.extend((track, number))
        # One number each, so that a hundred thousand can be sorted and held: start, then length, then which run.
        if end - start >= 1 << _LOW:
            length = (end - start >> _LOW) | 1 << _LENGTH - 1  # in upper halves
        else:
            length = min(end - start, (1 << _LENGTH - 1) - 1)
        self._by_key.setdefault(key_id, []).append(start << _LENGTH + _RUN | length << _RUN | index)

    def reused(self) -> list[IvReuse]:
        """Every key under which counters were used twice. Ends the taking."""
        while self._open:
            self._close(*self._open.popitem())
        found = (self._of_key(key_id, sorted(runs)) for key_id, runs in self._by_key.items())
        return [reuse for reuse in found if reuse is not None]

    def _of_key(self, key_id: KeyId, runs: list[int]) -> IvReuse | None:
        met: tuple[tuple[int, int], tuple[int, int]] | None = None
        more = -1
        reach, owner = -1, 0
        for packed in runs:
            index = packed & (1 << _RUN) - 1
            length = packed >> _RUN & (1 << _LENGTH) - 1
            start = packed >> _LENGTH + _RUN
            if length >> _LENGTH - 1:
                length = (length ^ 1 << _LENGTH - 1) << _LOW
            if start < reach:
                more += 1
                met = met or self._pair(owner, index)
            if start + length > reach:
                reach, owner = start + length, index
        return IvReuse(key_id, *met, more) if met else None

    def _pair(self, one: int, other: int) -> tuple[tuple[int, int], tuple[int, int]]:
        owners = self._owners
        first = owners[2 * one], owners[2 * one + 1]
        second = owners[2 * other], owners[2 * other + 1]
        return (first, second) if first < second else (second, first)
