"""The application's half of the media sources that live in the worker: creations, and the bytes that these read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from drm.app.byte_stream import FileByteStream
from drm.app.byte_stream_service import ByteStreamService
from drm.app.remote_mode.source import RemoteMediaSource
from drm.app.worker_link import WorkerLink
from drm.component import ByteStream, MediaSource
from drm.errors import DRMError, SessionShutdownError, TopologyError, WireError, error_from_record
from drm.hresult import HResult
from drm.media import StreamDescriptor, TrackInfo
from drm.readable import readable
from drm.wire import messages as wire
from drm.wire.remote_sources import MAX_FILES, MAX_STREAM

__all__ = ["Creation", "RemoteSources", "named", "place_of"]

logger = logging.getLogger(__name__)

Outcome = Callable[[RemoteMediaSource | DRMError], None]


class Creation:
    """One creation that runs in the worker; `outcome` is called once, on the reader's thread, and must not block."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.cookie = 0  # as the worker knows it


class RemoteSources:
    """Of one session. Threads: any; `take` is the reader's."""

    def __init__(self, link: WorkerLink, session: int) -> None:
        self._link = link
        self._session = session
        self._changing = threading.Lock()
        self._sending = threading.Lock()  # the worker wants numbers that rise
        self._creations: dict[int, Creation] = {}
        self._services: dict[int, ByteStreamService] = {}
        self._numbers = 0
        self._error: DRMError | None = None  # why nothing is made any more
        self.round_trips = 0  # of byte streams that are closed

    def create(self, resolver: int, stream: ByteStream, outcome: Outcome, *, is_own: bool) -> Creation:
        """Have the worker make a media source of `stream`. `is_own`: close the stream when nobody reads it any more.

        Files of one's own are handed over as descriptors, everything else is served.

        Raises:
            InvalidArgumentError: more is to be said about the stream than a message holds.
            SessionShutdownError, PMPProcessDiedError: there is no session any more.
        """
        creation = Creation(outcome)
        files = stream.descriptors if is_own and isinstance(stream, FileByteStream) else ()
        with self._sending:
            self._refuse_ended()
            self._numbers = number = self._numbers + 1
            creation.cookie = number
            with self._changing:
                self._creations[number] = creation
            try:
                if 0 < len(files) <= MAX_FILES and isinstance(stream, FileByteStream):
                    self._send_source(resolver, number, stream, stream.sizes, files)
                    stream.close()  # the worker has its own copies of the descriptors
                else:
                    self._serve(resolver, number, stream, is_own=is_own)
            except BaseException:
                with self._changing:
                    self._creations.pop(number, None)
                raise
        return creation

    def _send_source(
        self, resolver: int, number: int, stream: ByteStream, files: tuple[int, ...], fds: tuple[int, ...]
    ) -> None:
        uses_network = bool(getattr(stream, "uses_network", False))
        spec = wire.ByteStreamSpec(
            number, readable(stream.name)[:1024], min(stream.size, MAX_STREAM), files, uses_network
        )
        self._link.send(wire.CreateSource(self._session, number, resolver, spec), fds)

    def _serve(self, resolver: int, number: int, stream: ByteStream, *, is_own: bool) -> None:
        closing = getattr(stream, "close", None) if is_own else None
        service = ByteStreamService(stream, self._link.send, self._session, number, closing)
        with self._changing:
            self._services[number] = service
        service.start()
        try:
            self._send_source(resolver, number, stream, (), (service.window,))
        except BaseException:
            with self._changing:
                self._services.pop(number, None)
            service.stop()
            raise

    def cancel(self, creation: Creation) -> None:
        """Ask the worker to end a creation; its outcome comes all the same."""
        with self._changing:
            runs = creation.cookie in self._creations
        if runs:
            self._link.send(wire.CancelCreation(self._session, creation.cookie))

    def _release(self, object_id: int) -> None:
        if self._error is None:
            self._link.send(wire.ReleaseRemoteSource(self._session, object_id))

    def _refuse_ended(self) -> None:
        if self._error is not None:
            raise self._error

    # ------------------------------------------------------------------ the reader's thread

    def take(
        self, message: wire.SourceCreated | wire.SourceNotCreated | wire.ReadBytes | wire.ByteStreamClosed
    ) -> None:
        """A message of the worker. Must not block. Raises WireError for what no sound worker sends."""
        match message:
            case wire.SourceCreated() | wire.SourceNotCreated():
                self._finish(message)
            case wire.ReadBytes():
                self._service(message.stream, lambda service: service.request(message))
            case wire.ByteStreamClosed():
                with self._changing:
                    service = self._services.pop(message.stream, None)
                if service is not None:
                    self.round_trips += service.round_trips
                    service.stop()
                else:
                    self._refuse_unknown(message.stream)

    def _finish(self, message: wire.SourceCreated | wire.SourceNotCreated) -> None:
        with self._changing:
            creation = self._creations.pop(message.cookie, None)
        if creation is None:
            raise WireError(f"the worker ends creation {message.cookie}, which does not run")
        if isinstance(message, wire.SourceCreated):
            creation.outcome(RemoteMediaSource(message, self, self._release))
        else:
            creation.outcome(error_from_record(message.error))

    def _service(self, number: int, use: Callable[[ByteStreamService], None]) -> None:
        with self._changing:
            service = self._services.get(number)
        if service is not None:
            use(service)
        else:
            self._refuse_unknown(number)

    def _refuse_unknown(self, number: int) -> None:
        """A byte stream that was closed on this side may still be spoken of; one that never was may not."""
        if not 0 < number <= self._numbers:
            raise WireError(f"the worker reads byte stream {number}, which there is not")

    # ------------------------------------------------------------------ the end

    def end(self, error: DRMError) -> None:
        """Nothing is made any more: creations that run end with `error`. Does not block. Idempotent."""
        with self._changing:
            self._error = self._error or error
            creations, self._creations = list(self._creations.values()), {}
            services = list(self._services.values())
        for service in services:
            service.stop()
        for creation in creations:
            creation.outcome(error)

    def close(self) -> None:
        """End, and wait until no byte stream is read any more. Idempotent."""
        self.end(SessionShutdownError("the session was shut down"))
        with self._changing:
            services, self._services = list(self._services.values()), {}
        for service in services:
            service.close()


def place_of(source: MediaSource, remote: RemoteSources | None) -> int:
    """Return the object id of a source of the worker; 0: it lives here.

    Raises:
        TopologyError: it lives where this session's sources do not, or is another session's, or was shut down.
    """
    if not isinstance(source, RemoteMediaSource):
        if remote is None:
            return 0
        raise TopologyError(
            "the session is in remote source mode, and this media source lives in the application",
            remedy="make it with the session's source resolver",
            hresult=HResult.MF_E_TOPO_UNSUPPORTED,
        )
    if remote is None or source.owner is not remote:
        raise TopologyError(
            "this media source lives in a worker, and is not this session's",
            remedy="make it with the source resolver of a session in remote source mode, and play it there",
            hresult=HResult.MF_E_TOPO_UNSUPPORTED,
        )
    if source.is_shut_down:
        raise TopologyError("this media source was shut down", hresult=HResult.MF_E_TOPO_MISSING_SOURCE)
    return source.object_id


def named(stream: StreamDescriptor) -> StreamDescriptor:
    """A stream of a source in the worker, by its id alone: the worker knows the rest better."""
    return StreamDescriptor(TrackInfo(stream.track.track_id, stream.track.type, "", 1))
