"""Adapts a media source to a session in the same process: clear streams only, no ring and no wire between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from drm.app.source_service import characteristics_of, duration_of
from drm.bounded_calls import ANSWER_LIMIT, BoundedCalls
from drm.component import InputTrustAuthority
from drm.errors import UnsupportedMediaError
from drm.media import Sample
from drm.session.session_source import cancelled
from drm.shared_source import SourceCursor
from drm.wire.specs import SourceState

__all__ = ["LocalSource"]

_MAX_SAMPLE: Final = 16 << 20  # bytes; as a worker's


class LocalSource:
    """Keeps `drm.session.session_source.SessionSource`. Made for one topology; ends with it."""

    def __init__(self, reading: SourceCursor, closed: Callable[[], None], answer_limit: float = ANSWER_LIMIT) -> None:
        """`closed` is called once, when the session needs the source no more; the media source stays its owner's.

        `answer_limit`: seconds that the media source may take for a call. Raises what it raises when it is asked what
        it can do, and InvalidArgumentError for an answer that is none.
        """
        self._reading = reading
        self._finished: set[int] = set()
        self.characteristics = characteristics_of(reading.media)
        self.duration = duration_of(reading.media)
        self._closed = closed
        self._calls = BoundedCalls("the media source", answer_limit)
        self._changing = threading.Lock()
        self._is_interrupted = self._is_cancelled = self._is_closed = False

    def authority(self, stream_id: int) -> InputTrustAuthority | None:  # noqa: ARG002 - SessionSource's signature
        """None: there is no trust authority in an application."""
        return None

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Deliver these streams from `position`. Raises what the media source raises, and NotBackError."""
        with self._changing:
            if self._is_cancelled:
                raise cancelled()
            self._is_interrupted = False
        wanted = tuple(stream_ids)
        self._calls("select", lambda: self._reading.select(wanted, position), self._is_ending)
        self._finished.clear()

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        """The next sample and its bytes. Raises what the media source raises, NotBackError, UnsupportedMediaError."""
        if self._is_ending():
            raise cancelled()
        return self._calls("next_sample", lambda: self._read(stream_id), self._is_ending)

    def _is_ending(self) -> bool:
        return self._is_interrupted or self._is_cancelled

    def _read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        sample = self._reading.next_sample(stream_id)
        if sample is None:
            self._finished.add(stream_id)
            return None
        if not 0 <= sample.size <= _MAX_SAMPLE:
            raise UnsupportedMediaError(
                f"a sample of {sample.size} bytes is larger than any that is played",
                where=f"track {stream_id}",
                seen=f"the limit is {_MAX_SAMPLE} bytes",
                maybe="the file is damaged",
            )
        data = memoryview(bytearray(sample.size))
        self._reading.read_into(sample, data)
        return sample, data

    def is_finished(self, stream_id: int) -> bool:
        """Whether the media source gave the last sample of this stream."""
        return stream_id in self._finished

    def done(self, stream_id: int) -> None:
        """Nothing is held back: each sample has memory of its own."""

    def tell(self, state: SourceState) -> None:
        """Tell the media source, if it wants to know. Raises what it raises, and NotBackError."""
        if self._reading.is_told:
            self._calls(f"on_{state.value}", lambda: self._reading.tell(state), lambda: self._is_cancelled)

    def interrupt(self) -> None:
        """Read no more until the next `select`; a read of the media source that is under way comes to its end."""
        with self._changing:
            self._is_interrupted = True

    def cancel(self) -> None:
        """As `interrupt`, for good."""
        with self._changing:
            self._is_cancelled = True

    def close(self) -> None:
        """The topology is over. Idempotent."""
        self.cancel()
        with self._changing:
            if self._is_closed:
                return
            self._is_closed = True
        if self._reading.is_told:
            self._calls.at_last(self._reading.shutdown)
        self._calls.close()
        self._closed()
