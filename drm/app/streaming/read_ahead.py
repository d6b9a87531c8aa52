"""Segments of one rendition, fetched a few ahead of where they are read, several at a time."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Final

from drm.app.http.urls import shown_url
from drm.app.streaming.segment_fetcher import MAX_INITIALIZATION, MAX_SEGMENT, SegmentFetcher
from drm.session.session_source import cancelled
from drm.streaming.presentation import Piece, SegmentPlan
from drm.streaming.segment_presentation import LoadedSegment

__all__ = ["ReadAhead"]

_AHEAD: Final = 4  # segments
_MOST: Final = 64 << 20  # bytes of one rendition that wait; the one that is asked for always comes
_LOOK: Final = 0.05  # seconds between two looks whether somebody interrupts
_KEPT_HEADS: Final = 4  # initialization segments


class ReadAhead:
    """Keeps `drm.streaming.segment_presentation.SegmentStream`. One thread loads; any may interrupt and close."""

    def __init__(self, plan: SegmentPlan, fetcher: SegmentFetcher) -> None:
        """Nothing is fetched before the first `load`."""
        self._plan = plan
        self._fetcher = fetcher
        self._changing = threading.Lock()
        self._heads: dict[Piece, concurrent.futures.Future[bytes]] = {}
        self._waiting: dict[int, concurrent.futures.Future[LoadedSegment]] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(_AHEAD, thread_name_prefix="segments")
        self._interrupted = threading.Event()
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many segments there are."""
        return self._plan.count

    def load(self, index: int) -> LoadedSegment:
        """The segment of this index; those behind it are asked for meanwhile.

        Raises:
            DRMError: what kept it from coming; InvalidRequestError when `interrupt` or `close` did.
        """
        self._interrupted.clear()
        with self._changing:
            if self._is_closed:
                raise cancelled()
            for old in [each for each in self._waiting if not index <= each < index + _AHEAD]:
                self._waiting.pop(old).cancel()
            held = 0
            for each in range(index, min(index + _AHEAD, self._plan.count)):
                if each not in self._waiting:
                    if each > index and held > _MOST:
                        break
                    self._waiting[each] = self._pool.submit(self._loaded, each)
                future = self._waiting[each]
                held += future.result().size if future.done() and not future.exception() else 0
            future = self._waiting[index]
        while True:
            try:
                loaded = future.result(timeout=_LOOK)
            except concurrent.futures.TimeoutError:
                if self._interrupted.is_set():
                    raise cancelled() from None
            except concurrent.futures.CancelledError:
                raise cancelled() from None
            else:
                with self._changing:
                    self._waiting.pop(index, None)  # whoever reads holds it
                return loaded

    def interrupt(self) -> None:
        """Let a `load` that waits go."""
        self._interrupted.set()

    def close(self) -> None:
        """Fetch nothing more. The fetcher, which is others' too, stays open; what is under way is not waited for."""
        with self._changing:
            self._is_closed = True
            self._waiting.clear()
        self._interrupted.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _loaded(self, index: int) -> LoadedSegment:
        segment = self._plan.segment(index)
        head = b"" if segment.initialization is None else self._head(segment.initialization)
        media = self._fetcher.fetch(segment.media, MAX_SEGMENT)
        return LoadedSegment(shown_url(segment.media.uris[0]), memoryview(head + media))

    def _head(self, piece: Piece) -> bytes:
        """An initialization segment, fetched once for all who want it at the same time."""
        with self._changing:
            found = self._heads.get(piece)
            is_mine = found is None
            if found is None:
                while len(self._heads) >= _KEPT_HEADS:
                    self._heads.pop(next(iter(self._heads)))
                found = self._heads[piece] = concurrent.futures.Future()
        if is_mine:
            try:
                found.set_result(self._fetcher.fetch(piece, MAX_INITIALIZATION))
            except BaseException as error:
                with self._changing:
                    self._heads.pop(piece, None)
                found.set_exception(error)
                raise
        return found.result()
