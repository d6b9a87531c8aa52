"""Several topologies over one media source, of which each reads as if it had the source for itself.

A media source has one place at which it stands. Whoever reads after another read has it go back to where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from weakref import WeakSet, WeakValueDictionary

from drm.component import MediaSource, ToldSource
from drm.media import Sample
from drm.wire.specs import SourceState

__all__ = ["SharedSources", "SourceCursor"]


class _Place:
    """Where one media source stands."""

    def __init__(self) -> None:
        self.moving = threading.RLock()
        self.cursor: SourceCursor | None = None  # whose place it is
        self.cursors: WeakSet[SourceCursor] = WeakSet()  # of topologies that are not over


class SharedSources:
    """The media sources of one process that several topologies may read. Any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._places: WeakValueDictionary[int, _Place] = WeakValueDictionary()

    def cursor(self, media: MediaSource, turn: Callable[[], None] | None = None) -> SourceCursor:
        """A way of its own through `media`; `turn` is called before each use of it."""
        with self._changing:
            place = self._places.get(id(media))
            if place is None:  # the cursors hold the source, so its id is good for as long as the place is there
                place = self._places[id(media)] = _Place()
            cursor = SourceCursor(media, place, turn)
            place.cursors.add(cursor)
            return cursor


class SourceCursor:
    """One topology's way through a media source; the methods are `drm.component.MediaSource`'s."""

    def __init__(self, media: MediaSource, place: _Place, turn: Callable[[], None] | None) -> None:
        self.media = media
        self._place = place
        self._turn = turn or (lambda: None)
        self._selected: tuple[int, ...] = ()
        self._position = 0
        self._given: dict[int, int] = {}  # samples of each stream since `select`

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """As `MediaSource.select`, for this cursor alone."""
        wanted = tuple(stream_ids)
        with self._place.moving:
            self._turn()
            self._place.cursor = None  # until it worked
            self.media.select(wanted, position)
            self._selected, self._position, self._given = wanted, position, {}
            self._place.cursor = self

    def next_sample(self, stream_id: int) -> Sample | None:
        """As `MediaSource.next_sample`, from where this cursor stands."""
        with self._place.moving:
            self._turn()
            self._return()
            sample = self.media.next_sample(stream_id)
            if sample is not None:
                self._given[stream_id] = self._given.get(stream_id, 0) + 1
            return sample

    def read_into(self, sample: Sample, into: memoryview) -> None:
        """As `MediaSource.read_into`: a sample's bytes are found from any place."""
        with self._place.moving:
            self._turn()
            self.media.read_into(sample, into)

    @property
    def is_told(self) -> bool:
        """Whether the source wants to know what becomes of playback."""
        return isinstance(self.media, ToldSource)

    def tell(self, state: SourceState) -> None:
        """Tell a source that wants to know. Raises what it raises."""
        if isinstance(self.media, ToldSource):
            with self._place.moving:
                self._turn()
                (self.media.on_pause if state is SourceState.PAUSED else self.media.on_stop)()

    def shutdown(self) -> None:
        """This topology is over; with the last one that reads it, a source that wants to know is told.

        Raises what the source raises.
        """
        with self._place.moving:
            self._place.cursors.discard(self)
            if not self._place.cursors and isinstance(self.media, ToldSource):
                self.media.on_shutdown()

    def interrupt(self) -> None:
        """A source that waits for a server lets go, if it can, and unless it is another cursor that waits."""
        interrupt = getattr(self.media, "interrupt", None)
        if interrupt is not None and self._place.cursor in {self, None}:
            interrupt()

    def _return(self) -> None:
        if self._place.cursor is self:
            return
        self._place.cursor = None
        self.media.select(self._selected, self._position)
        for stream_id, count in self._given.items():
            for _ in range(count):
                self.media.next_sample(stream_id)
        self._place.cursor = self
