"""Stands, in the worker, for the media source of the application (its other half is drm/app/source_service.py).

The session's threads wait in `read`; the control thread feeds what comes over the wire. Every value that comes is
checked: the application is not trusted to be sound.
"""

from __future__ import annotations

import collections
import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from drm.bounded_calls import ANSWER_LIMIT
from drm.component import InputTrustAuthority, SourceCharacteristic
from drm.errors import DRMError, ErrorRecord, MemoryLimitError, NotBackError, WireError, error_from_record
from drm.media import Sample
from drm.pmp.shared_ring import SharedRing
from drm.session.session_source import cancelled
from drm.wire.messages import (
    AttachRing,
    FromWorker,
    NeedSamples,
    ReleaseSource,
    Samples,
    SelectStreams,
    SourceFailed,
    SourceStarted,
    SourceState,
    SourceTold,
    TellSource,
    TopologySpec,
)

__all__ = ["SourceProxy"]

_CREDIT: Final = 32  # samples of a stream that may be under way
_KNOWN: Final = sum(SourceCharacteristic)  # flags that this version knows


class _Stream:
    def __init__(self) -> None:
        self.ring: SharedRing | None = None
        self.waiting: collections.deque[Sample] = collections.deque()
        self.ended = False
        self.owed = 0  # credits that were given and not yet used
        self.released = 0
        self.used = 0  # samples taken since the last credit
        self.in_hand = 0  # ring position after the sample that `read` gave out


class SourceProxy:
    """Reads samples that the application puts into shared memory."""

    def __init__(
        self,
        send: Callable[[FromWorker], None],
        session: int,
        spec: TopologySpec,
        authorities: dict[int, InputTrustAuthority],
        closed: Callable[[int], None],
        answer_limit: float = ANSWER_LIMIT,
    ) -> None:
        """`authorities` by stream id. `closed` is told the topology's id when the session needs it no more.

        `answer_limit`: seconds without an answer, or a sample, after which the source counts as stuck.
        """
        self._limit = answer_limit
        self._send = send
        self._session = session
        self._topology_id = spec.topology_id
        self._authorities = authorities
        self._closed = closed
        self.characteristics = SourceCharacteristic(spec.characteristics & _KNOWN)
        self.duration = max(0, spec.duration)
        self._streams = {branch.stream.track.track_id: _Stream() for branch in spec.branches}
        self._changed = threading.Condition()
        self._epoch = 0
        self._started = 0  # the epoch that the source delivers
        self._error: DRMError | None = None
        self._unmapped: DRMError | None = None  # why a ring could not be mapped: no epoch of this source begins
        self._interrupted = False
        self._cancelled = False
        self._is_closed = False
        self._is_told = spec.is_told
        self._tellings = 0
        self._answers: dict[int, ErrorRecord | None] = {}

    # ------------------------------------------------------------------ the session's side

    def authority(self, stream_id: int) -> InputTrustAuthority | None:
        """The ITA that the source made here for this stream."""
        return self._authorities.get(stream_id)

    def holds(self, authority: InputTrustAuthority) -> bool:
        """Whether it is one of this source's."""
        return any(each is authority for each in self._authorities.values())

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Begin a new epoch with these streams, from `position`. Raises what the source raises when it cannot start."""
        wanted = tuple(stream_ids)
        with self._changed:
            self._epoch += 1
            self._error = self._unmapped
            self._interrupted = False
            for stream in self._streams.values():
                stream.waiting.clear()
                stream.ended = False
                stream.released = stream.used = stream.in_hand = 0
                stream.owed = _CREDIT
                if stream.ring is not None:
                    stream.ring.reset()
            epoch = self._epoch
        self._send(SelectStreams(self._session, self._topology_id, epoch, wanted, position))
        for stream_id in wanted:
            self._send(NeedSamples(self._session, self._topology_id, epoch, stream_id, _CREDIT, 0))
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._started == epoch or self._error or self._is_ending, self._limit
            )
            if self._is_ending:
                raise cancelled()
            if self._error is not None and (self._started != epoch or self._error is self._unmapped):
                raise self._error  # one that came after the start is the first read's
            if not arrived:
                raise _late("start", self._limit)

    @property
    def _is_ending(self) -> bool:
        return self._interrupted or self._cancelled

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        """Wait for the next sample of the stream.

        Raises:
            DRMError: what the source raised, or that it is stuck, or that the session is stopping.
        """
        stream = self._streams[stream_id]
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: stream.waiting or stream.ended or self._error or self._is_ending, self._limit
            )
            if self._is_ending:
                raise cancelled()
            if stream.waiting:
                sample = stream.waiting.popleft()
                assert stream.ring is not None
                stream.in_hand = stream.ring.passed(sample.offset, sample.size)
                return sample, stream.ring.view(sample.offset, sample.size)
            if self._error is not None:
                raise self._error
            if not arrived:
                raise _late("give a sample", self._limit)
            return None

    def is_finished(self, stream_id: int) -> bool:
        """Whether the application's source gave the last sample of this stream; some may be under way to a reader."""
        return self._streams[stream_id].ended

    def done(self, stream_id: int) -> None:
        """Give the place of the last sample back, and new credit when half of it is used."""
        stream = self._streams[stream_id]
        with self._changed:
            stream.released = stream.in_hand
            stream.used += 1
            assert stream.ring is not None
            enough = stream.used * 2 >= _CREDIT or not stream.waiting
            if stream.ended or not enough:
                return
            credit = NeedSamples(self._session, self._topology_id, self._epoch, stream_id, stream.used, stream.released)
            stream.owed += stream.used
            stream.used = 0
        self._send(credit)

    def tell(self, state: SourceState) -> None:
        """Tell the application's source, if it wants to know, and wait for what it says.

        Raises:
            DRMError: what the source raised, or that it said nothing in time, or that the session is closing.
        """
        if not self._is_told:
            return
        with self._changed:
            self._tellings = number = self._tellings + 1
        self._send(TellSource(self._session, self._topology_id, number, state))
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._cancelled, self._limit)
            if number not in self._answers:
                raise cancelled() if self._cancelled else _late(f"answer that it is {state.value}", self._limit)
            error = self._answers.pop(number)
        if error is not None:
            raise error_from_record(error)

    def interrupt(self) -> None:
        """Let waiting readers go, until the next `select`."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Let waiting readers go, for good."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def close(self) -> None:
        """Unmap the rings and let the application's source go. Nothing reads any more. Idempotent."""
        self.cancel()
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            for stream in self._streams.values():
                if stream.ring is not None:
                    with contextlib.suppress(BufferError):
                        stream.ring.close()
        self._closed(self._topology_id)
        with contextlib.suppress(WireError):  # the application is gone, and its source with it
            self._send(ReleaseSource(self._session, self._topology_id))

    # ------------------------------------------------------------------ the control thread's side

    def take(
        self, message: AttachRing | Samples | SourceStarted | SourceTold | SourceFailed, fds: Sequence[int]
    ) -> None:
        """Take what the application's half sends. Raises WireError when no sound one would send it."""
        match message:
            case AttachRing():
                self.attach(message, fds)
            case Samples():
                self.feed(message)
            case SourceStarted():
                self.started(message)
            case SourceTold():
                self.told(message)
            case SourceFailed():
                self.failed(message)

    def started(self, message: SourceStarted) -> None:
        """The source delivers what was selected."""
        with self._changed:
            if message.epoch == self._epoch:
                self._started = message.epoch
                self._changed.notify_all()

    def told(self, message: SourceTold) -> None:
        """The source knows of a pause or a stop. Raises WireError for what it was never told."""
        with self._changed:
            if not 0 < message.number <= self._tellings or message.number in self._answers:
                raise WireError(f"the source answers telling {message.number}, which is not open")
            if message.number == self._tellings:  # nobody waits for an older one
                self._answers = {message.number: message.error}
            self._changed.notify_all()

    def attach(self, message: AttachRing, fds: Sequence[int]) -> None:
        """Map a stream's ring; the descriptor is closed either way."""
        with contextlib.ExitStack() as closing:
            for fd in fds:
                closing.callback(os.close, fd)
            stream = self._stream(message.stream_id)
            if len(fds) != 1 or stream.ring is not None:
                raise WireError("a ring comes once, in one descriptor")
            with self._changed:
                if self._is_closed:
                    return
                try:
                    stream.ring = SharedRing(fds[0], message.size)
                except MemoryLimitError as error:  # this topology fails, and what else plays here goes on
                    self._error = self._unmapped = error
                    self._changed.notify_all()

    def feed(self, message: Samples) -> None:
        """Take samples that were written to the ring; those of an older epoch are void."""
        stream = self._stream(message.stream_id)
        with self._changed:
            if message.epoch != self._epoch or self._unmapped is not None:
                return
            if stream.ring is None or stream.ended or len(message.samples) > stream.owed:
                raise WireError("samples came without a ring, without credit or after the end")
            for sample in message.samples:
                if sample.track_id != message.stream_id:
                    raise WireError("a sample names another stream than its message")
            stream.owed -= len(message.samples)
            stream.waiting.extend(message.samples)
            stream.ended = message.end
            self._changed.notify_all()

    def failed(self, message: SourceFailed) -> None:
        """The source could not go on; samples that came before are still read. What it says first is the cause."""
        with self._changed:
            if message.epoch == self._epoch and self._error is None:
                self._error = error_from_record(message.error)
                self._changed.notify_all()

    def _stream(self, stream_id: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise WireError(f"there is no stream {stream_id} in this topology")
        return stream


def _late(what: str, limit: float) -> NotBackError:
    return NotBackError(
        f"the media source did not {what}",
        seen=f"nothing within {limit:g} s",
        maybe="it waits for something that does not come",
    )
