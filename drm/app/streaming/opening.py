"""A manifest opened: its presentation, and each of its periods with the segments that were chosen of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from drm.app.http.urls import shown_url
from drm.app.streaming.playlists import PlaylistPeriods, open_playlist
from drm.app.streaming.read_ahead import ReadAhead
from drm.app.streaming.resource import Permissions
from drm.app.streaming.segment_fetcher import SegmentFetcher
from drm.errors import NothingReachedError
from drm.streaming.mpd_presentation import read_mpd
from drm.streaming.presentation import Period, Rendition, SegmentPlan, StreamPresentation
from drm.streaming.segment_index import MAX_INDEX, IndexedMedia
from drm.streaming.segment_presentation import Feed, SegmentPresentation
from drm.streaming.selection import Chosen

__all__ = ["Choose", "ManifestOpener", "PlannedFeed", "PlannedPeriod"]

Choose = Callable[[Period], Sequence[Chosen]]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedFeed:
    """A rendition that was chosen, and its segments."""

    chosen: Chosen
    plan: SegmentPlan


@dataclass(frozen=True, slots=True, eq=False)
class PlannedPeriod:
    """A period, ready to be read."""

    name: str
    duration: Fraction | None  # seconds; None: until its media end
    feeds: tuple[PlannedFeed, ...]


class ManifestOpener:
    """Reads one manifest and what it takes to know its segments. Close it, or use it in a `with` block."""

    def __init__(self, manifest: str, permissions: Permissions | None = None, *, as_listed: bool = False) -> None:
        """`manifest`: a path or a URL; nothing is fetched yet."""
        self.name = shown_url(manifest) if "://" in manifest else manifest
        self.fetcher = SegmentFetcher(manifest, permissions)
        self._as_listed = as_listed
        self._presentation: StreamPresentation | None = None

    def presentation(self) -> StreamPresentation:
        """What the manifest shows; fetched and read the first time.

        Raises:
            MediaUnreachableError: it does not come.
            MediaError: it is none, is broken, or of a kind that is not read.
        """
        if self._presentation is None:
            data, url = self.fetcher.manifest()
            if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#EXTM3U"):
                self._presentation = open_playlist(data, url, as_listed=self._as_listed)
            else:
                self._presentation = read_mpd(data, url, as_listed=self._as_listed)
        return self._presentation

    def periods(self, choose: Choose) -> Iterator[PlannedPeriod]:
        """Each period in turn, with what `choose` takes of it; indices and playlists are fetched as they are needed.

        Raises as `presentation`, and what `choose` raises.
        """
        presentation = self.presentation()
        if presentation.form == "HLS":
            for found in PlaylistPeriods(presentation, self.fetcher, as_listed=self._as_listed).periods(choose):
                yield PlannedPeriod(found.name, None, tuple(PlannedFeed(each, plan) for each, plan in found.feeds))
            return
        for period in presentation.periods:
            feeds = tuple(PlannedFeed(each, self._plan(each.rendition)) for each in choose(period))
            yield PlannedPeriod(period.name, period.duration, feeds)

    def _plan(self, rendition: Rendition) -> SegmentPlan:
        if rendition.plan is not None:
            return rendition.plan
        assert isinstance(rendition.source, IndexedMedia)
        return rendition.source.plan(self.fetcher.fetch(rendition.source.index, MAX_INDEX))

    def read(
        self, period: PlannedPeriod, *, everything: bool = False
    ) -> tuple[SegmentPresentation, tuple[ReadAhead, ...]]:
        """The period's media, with its first segments read. The read-aheads are the caller's to close.

        Raises:
            MediaError: a first segment is broken.
            MediaUnreachableError: or does not come.
        """
        ahead = tuple(ReadAhead(feed.plan, self.fetcher) for feed in period.feeds)
        feeds = [
            Feed(feed.chosen.rendition, stream, feed.chosen.types)
            for feed, stream in zip(period.feeds, ahead, strict=True)
        ]
        try:
            found = SegmentPresentation(f"{self.name}, period {period.name}", feeds, everything=everything)
            if not found.tracks:
                raise NothingReachedError.of(found.name, what="this period has nothing that can be played")
        except BaseException:
            for stream in ahead:
                stream.close()
            raise
        return found, ahead

    def close(self) -> None:
        """Cut what is being fetched. From any thread; idempotent."""
        self.fetcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
