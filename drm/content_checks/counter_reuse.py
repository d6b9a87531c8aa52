"""Whether counters that may have been used twice really were: second pass, over the samples behind each suspicion.

Exact counters of each sample are compared, and of two samples that share one, the cipher text: where it is equal the
same content was protected twice, which tells nobody anything (a film that was joined with itself, a sample that two
tracks list). Where it differs, two contents are under one key stream.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from drm.content_checks.counter_use import Meeting, counter_ranges
from drm.content_checks.enciphered import BLOCK, counter_blocks, enciphered_spans, encrypted_bytes
from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto

__all__ = ["CounterReuse", "ReuseSearch"]

MAX_KEPT: Final = 1 << 15  # samples within suspicious ranges that are remembered
MAX_COMPARED: Final = 1 << 12  # pairs whose cipher text is read
_SHARED: Final = 64  # blocks of a pair that are compared

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class CounterReuse:
    """The first two samples (track, number from 1) of one key whose contents share a key stream, and how many more."""

    key_id: KeyId
    first: tuple[int, int]
    second: tuple[int, int]
    counter: bytes  # the first shared counter block
    more: int = 0


@dataclass(slots=True)
class _Taken:
    """Counters from `start` to `end`, taken by one sample from its block `skipped` on."""

    start: int
    end: int
    skipped: int
    sample: Sample
    crypto: SampleCrypto
    number: int


@dataclass(slots=True)
class ReuseSearch:
    """Takes all samples of all tracks, in any order of tracks; `read(offset, size)` gives stored bytes.

    `is_complete` False: more samples met than are remembered or compared, so that there may be more than is told.
    """

    meetings: Iterable[Meeting]
    read: Read
    is_complete: bool = True
    copies: int = 0  # samples whose counters and cipher text are those of an earlier one
    found: dict[KeyId, CounterReuse] = field(default_factory=dict)
    _regions: dict[KeyId, tuple[list[int], list[int]]] = field(default_factory=dict)  # starts, ends; sorted, apart
    _taken: dict[KeyId, tuple[list[int], list[_Taken]]] = field(default_factory=dict)  # sorted by start, apart
    _kept: int = 0
    _compared: int = 0

    def __post_init__(self) -> None:
        """Sort the suspicions by key."""
        for meeting in sorted(self.meetings):
            starts, ends = self._regions.setdefault(meeting.key_id, ([], []))
            starts.append(meeting.start)
            ends.append(meeting.end)

    def add(self, sample: Sample, number: int) -> None:
        """Take a sample, the `number`th of its track from 1."""
        if sample.crypto is None:
            return
        for crypto in sample.crypto.parts():
            if crypto.key_id in self._regions and not crypto.scheme.is_cbc:
                self._add(sample, crypto, number)

    def _add(self, sample: Sample, crypto: SampleCrypto, number: int) -> None:
        blocks = counter_blocks(crypto, encrypted_bytes(crypto, sample.size)[1])
        if not blocks:
            return
        skipped, counted = 0, False
        for start, end in counter_ranges(crypto.iv, blocks):
            if self._is_suspicious(crypto.key_id, start, end):
                taken = _Taken(start, end, skipped, sample, crypto, number)
                earlier = self._meets(taken)
                if earlier is None:
                    self._keep(taken)
                elif not counted:
                    self._judge(earlier, taken)
                    counted = True
            skipped += end - start

    def _is_suspicious(self, key_id: KeyId, start: int, end: int) -> bool:
        starts, ends = self._regions[key_id]
        at = bisect.bisect_right(ends, start)
        return at < len(starts) and starts[at] < end

    def _meets(self, taken: _Taken) -> _Taken | None:
        starts, kept = self._taken.setdefault(taken.crypto.key_id, ([], []))
        at = bisect.bisect_left(starts, taken.end) - 1  # the last that begins before this one ends
        return kept[at] if at >= 0 and kept[at].end > taken.start else None

    def _keep(self, taken: _Taken) -> None:
        if self._kept >= MAX_KEPT:
            self.is_complete = False
            return
        self._kept += 1
        starts, kept = self._taken[taken.crypto.key_id]
        at = bisect.bisect_left(starts, taken.start)
        starts.insert(at, taken.start)
        kept.insert(at, taken)

    def _judge(self, one: _Taken, other: _Taken) -> None:
        key_id = other.crypto.key_id
        known = self.found.get(key_id)
        if known is not None:
            self.found[key_id] = replace(known, more=known.more + 1)
            return
        if self._compared >= MAX_COMPARED:
            self.is_complete = False
            return
        self._compared += 1
        shared = max(one.start, other.start)
        blocks = min(_SHARED, min(one.end, other.end) - shared)
        cipher = [self._cipher_text(each, each.skipped + shared - each.start, blocks) for each in (one, other)]
        size = min(map(len, cipher))
        if not size:
            self.is_complete = False
        elif cipher[0][:size] == cipher[1][:size]:
            self.copies += 1
        else:
            first, second = sorted((each.sample.track_id, each.number) for each in (one, other))
            self.found[key_id] = CounterReuse(key_id, first, second, shared.to_bytes(16, "big"))

    def _cipher_text(self, taken: _Taken, first: int, blocks: int) -> bytes:
        """The enciphered bytes of a sample from its counter block `first` on; shorter where they cannot be read."""
        skip, wanted = first * BLOCK, blocks * BLOCK
        found = bytearray()
        try:
            for start, end in enciphered_spans(taken.crypto, taken.sample.size):
                size = end - start
                if skip >= size:
                    skip -= size
                    continue
                begin = start + skip
                skip = 0
                found += self.read(taken.sample.offset + begin, min(end - begin, wanted - len(found)))
                if len(found) >= wanted:
                    break
        except MediaError:
            return b""
        return bytes(found)
