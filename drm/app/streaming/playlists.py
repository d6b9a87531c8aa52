"""HLS: media playlists fetched, and their segments joined to periods.

A period ends where what a decoder is opened with changes, or where the times of the samples do not go on: neither the
URL of an initialization segment nor EXT-X-DISCONTINUITY says so by itself. Renditions are joined by their discontinuity
sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import Final

from drm.app.http.urls import shown_url
from drm.app.streaming.segment_fetcher import MAX_INITIALIZATION, SegmentFetcher
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.manifests.playlist import parse_playlist
from drm.streaming.playlist_master import PlaylistReference, read_multivariant, single_playlist
from drm.streaming.playlist_media import (
    MediaPlaylist,
    PlaylistSegment,
    is_multivariant,
    joined_plan,
    read_media_playlist,
)
from drm.streaming.presentation import Period, Piece, SegmentPlan, StreamPresentation
from drm.streaming.segment_plans import ListedPlan
from drm.streaming.segment_presentation import LoadedSegment, configuration, read_segment
from drm.streaming.selection import Chosen

__all__ = ["PlaylistPeriods", "open_playlist"]

_STRAYS: Final = Fraction(1, 2)  # seconds that samples may lie beside what durations of segments add up to
_MOST_RUNS: Final = 10_000  # changes of initialization segment or discontinuities of one playlist


def open_playlist(data: bytes, url: str, *, as_listed: bool) -> StreamPresentation:
    """The presentation of a playlist of either kind, whose bytes came from `url`. Raises MediaError."""
    if is_multivariant(parse_playlist(data)):
        return read_multivariant(data, url)
    read_media_playlist(data, url, single_playlist(data, url).periods[0].sets[0].renditions[0].source.context,  # type: ignore[attr-defined]
                        as_listed=as_listed)  # fmt: skip
    return single_playlist(data, url)


@dataclass(frozen=True, slots=True, eq=False)
class JoinedPeriod:
    """A stretch of all chosen playlists in which decoders stay as they are."""

    name: str
    feeds: tuple[tuple[Chosen, SegmentPlan], ...]


@dataclass(slots=True)
class _Run:
    """Segments of one playlist under one configuration and discontinuity sequence."""

    segments: list[PlaylistSegment]
    configuration: tuple[object, ...]


class PlaylistPeriods:
    """The periods of one HLS presentation."""

    def __init__(self, presentation: StreamPresentation, fetcher: SegmentFetcher, *, as_listed: bool) -> None:
        self._presentation = presentation
        self._fetcher = fetcher
        self._as_listed = as_listed
        self._heads: dict[Piece, tuple[object, ...]] = {}
        self.notes: dict[str, None] = {}

    def playlist(self, reference: PlaylistReference) -> MediaPlaylist:
        """Fetch and read a media playlist. Raises MediaUnreachableError, MediaError."""
        data, url = (
            (reference.data, reference.url) if reference.data is not None else self._fetcher.manifest(reference.url)
        )
        found = read_media_playlist(data, url, reference.context, as_listed=self._as_listed)
        self.notes |= dict.fromkeys(found.notes)
        return found

    def periods(self, choose: Callable[[Period], Sequence[Chosen]]) -> Iterator[JoinedPeriod]:
        """Each in turn. Raises as `playlist`, and UnsupportedMediaError where playlists do not fit together."""
        chosen = list(choose(self._presentation.periods[0]))
        runs: list[dict[tuple[int, int], _Run]] = []
        for each in chosen:
            assert isinstance(each.rendition.source, PlaylistReference)
            runs.append(self._runs(self.playlist(each.rendition.source)))
        stretches = self._stretches(runs)
        for number, keys in enumerate(stretches, 1):
            feeds = []
            for each, by_key in zip(chosen, runs, strict=True):
                segments = [segment for key in keys for segment in (by_key[key].segments if key in by_key else ())]
                if segments:
                    part = MediaPlaylist(tuple(segments), ())
                    rendition = replace(each.rendition, statements=part.statements(), key_lines=part.key_lines())
                    feeds.append((replace(each, rendition=rendition), ListedPlan(joined_plan(segments))))
            yield JoinedPeriod(str(number), tuple(feeds))

    def _runs(self, playlist: MediaPlaylist) -> dict[tuple[int, int], _Run]:
        """By discontinuity sequence, and the number of the configuration within that."""
        runs: dict[tuple[int, int], _Run] = {}
        for discontinuity, of_one in groupby(playlist.segments, key=lambda each: each.discontinuity):
            number = -1
            before: tuple[object, ...] | None = None
            for head, segments in groupby(of_one, key=lambda each: each.segment.initialization):
                found = self._configuration(head)
                if found == before:
                    runs[discontinuity, number].segments.extend(segments)
                    continue
                number, before = number + 1, found
                runs[discontinuity, number] = _Run(list(segments), found)
                if len(runs) > _MOST_RUNS:
                    raise UnsupportedMediaError(f"the playlist changes more than {_MOST_RUNS} times")
        return runs

    def _configuration(self, head: Piece | None) -> tuple[object, ...]:
        """What decoders are opened with; of segments without an initialization segment, each says it itself."""
        if head is None:
            return ()
        if head not in self._heads:
            data = self._fetcher.fetch(head, MAX_INITIALIZATION)
            segment = LoadedSegment(shown_url(head.uris[0]), memoryview(data))
            self._heads[head] = tuple(configuration(track) for track in read_segment(segment).tracks)
        return self._heads[head]

    def _stretches(self, runs: Sequence[dict[tuple[int, int], _Run]]) -> list[list[tuple[int, int]]]:
        """Which runs of all playlists make one period."""
        keys = sorted({key for each in runs for key in each})
        for each in runs:
            for discontinuity, number in keys:
                if number and (discontinuity, 0) in each and (discontinuity, number) not in each:
                    raise UnsupportedMediaError(
                        "one playlist changes how it is coded where another one does not, and no EXT-X-DISCONTINUITY "
                        "says where that is",
                        seen=f"discontinuity sequence {discontinuity}",
                        remedy="have the packager write EXT-X-DISCONTINUITY into all playlists there",
                    )
        stretches: list[list[tuple[int, int]]] = []
        for key in keys:
            if stretches and self._goes_on(runs, stretches[-1][-1], key):
                stretches[-1].append(key)
            else:
                stretches.append([key])
        return stretches

    def _goes_on(
        self, runs: Sequence[dict[tuple[int, int], _Run]], before: tuple[int, int], key: tuple[int, int]
    ) -> bool:
        for by_key in runs:
            if (before in by_key) != (key in by_key):
                return False
            if key in by_key:
                first, second = by_key[before], by_key[key]
                if first.configuration != second.configuration:
                    return False
                told = second.segments[0].segment.start - first.segments[0].segment.start
                if abs(self._time(second.segments[0]) - self._time(first.segments[0]) - told) > _STRAYS:
                    return False
        return True

    def _time(self, found: PlaylistSegment) -> Fraction:
        """Seconds of media time at which a segment's first sample is decoded."""
        segment = found.segment
        head = (
            b"" if segment.initialization is None else self._fetcher.fetch(segment.initialization, MAX_INITIALIZATION)
        )
        loaded = LoadedSegment(shown_url(segment.media.uris[0]), memoryview(head + self._fetcher.fetch(segment.media)))
        presentation = read_segment(loaded)
        for track in presentation.tracks:
            first = (
                next(presentation.samples(track.track_id), None) if not presentation.left_out(track.track_id) else None
            )
            if first is not None:
                return Fraction(first.dts, max(1, track.timescale))
        raise MalformedMediaError("a segment without a sample", where=loaded.name)
