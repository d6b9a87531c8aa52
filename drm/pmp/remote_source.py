"""Media sources that live in the worker (remote source mode): what was opened, and what a topology reads of it.

The source is the same component as in the application; its trust authorities are made in this very process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final, Protocol
from uuid import UUID

from drm.component import ByteStream, InputTrustAuthority, MediaSource, PMPClient, SourceCharacteristic
from drm.errors import TruncatedMediaError, UnsupportedMediaError
from drm.media import Sample, StreamDescriptor
from drm.pmp.host_service import HostService
from drm.session.session_source import cancelled
from drm.shared_source import SharedSources
from drm.wire.messages import RemoteObject, SourceState

__all__ = ["OpenedSource", "RemoteSource", "StoppableStream"]

logger = logging.getLogger(__name__)

_MAX_SAMPLE: Final = 16 << 20  # bytes, as of a source in the application


class StoppableStream(ByteStream, Protocol):
    """A byte stream of the worker: who waits in it can be let go."""

    is_stopped: Callable[[], bool]

    def wake(self) -> None:
        """Let a read that waits ask again whether it is stopped."""

    def close(self) -> None:
        """Give it back. Idempotent."""


class OpenedSource:
    """A media source and the byte stream that it reads. It goes when the application and every topology let it go."""

    def __init__(self, media: MediaSource, stream: StoppableStream) -> None:
        self.media = media
        self.stream = stream
        self.shared = SharedSources()
        self.streams = {each.track.track_id: each for each in media.streams()}
        self._users = 1
        self._changing = threading.Lock()

    def use(self) -> None:
        """One more needs it."""
        with self._changing:
            self._users += 1

    def drop(self) -> None:
        """One needs it no more; called once for each, by any thread."""
        with self._changing:
            self._users -= 1
            is_over = self._users == 0
        if is_over:
            self.stream.close()


class _Host:
    """The worker's own host as a source in it sees it (drm.component.PMPHost)."""

    def __init__(self, host: HostService) -> None:
        self._host = host

    def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
        return self._host.create_object(class_id, stream, "")


class RemoteSource:
    """Keeps `drm.session.session_source.SessionSource` for one topology."""

    def __init__(self, opened: OpenedSource, host: HostService, closed: Callable[[], None]) -> None:
        """`closed` is called when the topology needs it no more."""
        opened.use()
        self._opened = opened
        self._host = host
        self._closed = closed
        self._authorities: dict[int, tuple[int, InputTrustAuthority]] = {}
        self._has_host = False
        self._buffers: dict[int, bytearray] = {}
        self._reading = opened.shared.cursor(opened.media, self._takes_turn)
        self._finished: set[int] = set()
        self._interrupted = False
        self._cancelled = False
        self._is_closed = False
        self.characteristics: SourceCharacteristic = opened.media.characteristics
        self.duration = opened.media.duration

    def stream(self, stream_id: int) -> StreamDescriptor | None:
        """What this very process found out about a stream."""
        return self._opened.streams.get(stream_id)

    def authority(self, stream_id: int) -> InputTrustAuthority | None:
        """Let the source make the stream's ITA, once for each topology: it is reset when the topology is over."""
        if stream_id not in self._authorities:
            media = self._opened.media
            if not self._has_host and isinstance(media, PMPClient):
                media.set_pmp_host(_Host(self._host))
                self._has_host = True
            made = media.get_input_trust_authority(stream_id)
            if made is None:
                return None
            self._authorities[stream_id] = made.object_id, self._host.authority(made.object_id)
        return self._authorities[stream_id][1]

    def holds(self, authority: InputTrustAuthority) -> bool:
        """Whether it is one of this source's."""
        return any(each is authority for _, each in list(self._authorities.values()))

    @property
    def _is_ending(self) -> bool:
        return self._interrupted or self._cancelled

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Begin anew with these streams. Raises what the source raises, and MF_E_OPERATION_CANCELLED."""
        self._interrupted = False
        if self._cancelled:
            raise cancelled()
        self._reading.select(stream_ids, position)
        self._finished.clear()

    def _takes_turn(self) -> None:
        self._opened.stream.is_stopped = lambda: self._is_ending

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        """Read the next sample; it is good until `done`. Raises as `select`."""
        if self._is_ending:
            raise cancelled()
        sample = self._reading.next_sample(stream_id)
        if sample is None:
            self._finished.add(stream_id)
            return None
        stream = self._opened.stream
        if sample.size > _MAX_SAMPLE:
            raise UnsupportedMediaError(
                f"a sample of {sample.size} bytes is larger than any that is played",
                where=f"{stream.name}, track {stream_id}",
                seen=f"the limit is {_MAX_SAMPLE} bytes",
                maybe="the file is damaged",
            )
        if sample.offset + sample.size > stream.size:
            raise TruncatedMediaError(
                "the file ends inside a sample",
                where=f"{stream.name}, track {stream_id}, at byte {sample.offset}",
                seen=f"{max(0, stream.size - sample.offset)} of {sample.size} bytes",
            )
        view = self._room(stream_id, sample.size)
        self._reading.read_into(sample, view)
        return sample, view

    def is_finished(self, stream_id: int) -> bool:
        """Whether the source gave the last sample of this stream."""
        return stream_id in self._finished

    def _room(self, stream_id: int, size: int) -> memoryview:
        buffer = self._buffers.get(stream_id)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[stream_id] = bytearray(size + size // 2)
        return memoryview(buffer)[:size]

    def done(self, stream_id: int) -> None:
        """The next sample may take the place of this one."""

    def tell(self, state: SourceState) -> None:
        """Tell the source, if it wants to know. Raises what it raises."""
        self._reading.tell(state)

    def interrupt(self) -> None:
        """Let a reader go, until the next `select`."""
        self._interrupted = True
        self._opened.stream.wake()

    def cancel(self) -> None:
        """Let a reader go, for good."""
        self._cancelled = True
        self._opened.stream.wake()

    def close(self) -> None:
        """Nothing reads any more. Idempotent."""
        self.cancel()
        if self._is_closed:
            return
        self._is_closed = True
        for object_id, _authority in self._authorities.values():
            self._host.release(object_id)
        try:
            self._reading.shutdown()
        except Exception:  # a component's own fault, and nobody waits for it
            logger.exception("the media source failed when it was needed no more")
        self._opened.drop()
        self._closed()
