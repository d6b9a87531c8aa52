"""The samples of several tracks by place, about a megabyte at a time, and the check that no two share bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import add
from typing import NamedTuple, TypeAlias

from drm.encrypting.copier import CHUNK
from drm.encrypting.protected_track import Entry, ProtectedTrack
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox

__all__ = ["Group", "Window", "windows"]


class Group(NamedTuple):
    """Samples of one track under one key, by place; none of them is empty."""

    track: ProtectedTrack
    key: int  # its number
    offsets: Sequence[int]
    sizes: Sequence[int]
    entries: Sequence[Entry]


Window: TypeAlias = tuple[int, int, list[Group]]
"""Where in the file it begins and ends, and the samples in it."""


def windows(tracks: Sequence[Iterator[Group]], tops: Sequence[TopBox], name: str) -> Iterator[Window]:
    """All samples of `tracks`, each of which tells its own by place; a window lies within one box of media data.

    Raises:
        MalformedMediaError: a sample lies outside the media data of the file `name`, whose boxes are `tops`.
        UnsupportedMediaError: two samples share bytes.
    """
    media = [(top.start + top.header, top.end) for top in tops if top.type == "mdat"]
    starts = [start for start, _ in media]
    waiting = [each for track in tracks if (each := _Waiting(track)).has_more]
    reached = 0
    while waiting:
        begin = min(each.begin for each in waiting)
        holder = bisect_right(starts, begin) - 1
        # No further than what is told of each track by now: samples can be small, and then a megabyte has very many.
        known = min(each.known for each in waiting)
        limit = min(begin + CHUNK, known, media[holder][1]) if holder >= 0 else begin
        groups: list[Group] = []
        for each in waiting:
            groups += each.take(limit)
        if not groups:  # a large sample
            first = min(waiting, key=lambda each: each.begin)
            groups = [first.take_one()]
        end = max(group.offsets[-1] + group.sizes[-1] for group in groups)
        if holder < 0 or end > media[holder][1]:
            raise MalformedMediaError(
                "a sample lies outside the media data", where=name, seen=f"one in the bytes {begin} to {end}"
            )
        _check(groups, reached)
        reached = end
        yield begin, end, groups
        waiting = [each for each in waiting if each.has_more]


def _check(groups: Sequence[Group], reached: int) -> None:
    places = sorted(place for group in groups for place in zip(group.offsets, group.sizes, strict=True))
    for (before, size), (offset, _) in pairwise([(reached, 0), *places]):
        if offset < before + size:
            raise UnsupportedMediaError(
                f"two samples share the bytes from {offset} on",
                remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
            )


class _Waiting:
    """One track, and what of it comes next."""

    def __init__(self, groups: Iterator[Group]) -> None:
        self._groups = groups
        self._at = 0
        self._next()

    def _next(self) -> None:
        self._group = next(self._groups, None)
        self._at = 0
        self._ends: list[int] = [] if self._group is None else list(map(add, self._group.offsets, self._group.sizes))

    @property
    def has_more(self) -> bool:
        """Whether there is anything."""
        return self._group is not None

    @property
    def begin(self) -> int:
        """Where the next sample begins."""
        return self._group.offsets[self._at] if self._group is not None else 0

    @property
    def known(self) -> int:
        """Where the last sample of those at hand ends."""
        return self._ends[-1]

    def take(self, limit: int) -> Iterator[Group]:
        """What ends at `limit` or before."""
        while self._group is not None:
            end = bisect_right(self._ends, limit, self._at)
            if end == self._at:
                return
            yield self._part(end)

    def take_one(self) -> Group:
        """The next sample."""
        return self._part(self._at + 1)

    def _part(self, end: int) -> Group:
        group, at = self._group, self._at
        assert group is not None
        part = group._replace(offsets=group.offsets[at:end], sizes=group.sizes[at:end], entries=group.entries[at:end])
        self._at = end
        if end == len(self._ends):
            self._next()
        return part
