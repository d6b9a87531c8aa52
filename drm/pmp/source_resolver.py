"""Makes media sources inside the worker (IMFSourceResolver; other half: drm/app/source_resolver.py).

Each creation runs on a thread of its own, because it reads; the control thread only begins and cancels.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from drm.class_ids import SOURCE_RESOLVER
from drm.component import MediaSource
from drm.container import source_class
from drm.errors import CreationCancelledError, DRMError, InvalidRequestError, MemoryLimitError, WireError
from drm.pmp.byte_stream_proxy import ByteStreamProxy
from drm.pmp.descriptor_stream import DescriptorStream
from drm.pmp.handed_descriptors import DescriptorError
from drm.pmp.host_service import HostService
from drm.pmp.remote_source import OpenedSource, RemoteSource, StoppableStream
from drm.session.pipeline import component_failed
from drm.wire import messages as wire
from drm.wire.channel import close_all
from drm.wire.remote_sources import MAX_FILES, MAX_SOURCES, MAX_STREAM

__all__ = ["RemoteSources", "SourceResolver"]

logger = logging.getLogger(__name__)

_MAX_CREATIONS: Final = 8  # at a time
_MAX_NAME: Final = 4096  # characters of what a byte stream is called
_MAX_WARNINGS: Final = 20
_END: Final = 5.0  # seconds that the end of the session waits for a creation that is reading


class SourceResolver:
    """What the application holds under CLSID_MFSourceResolver: it may ask for media sources."""


@dataclass(eq=False)
class _Creation:
    cookie: int
    stream: StoppableStream
    is_cancelled: bool = False
    thread: threading.Thread | None = None


class RemoteSources:
    """The media sources of one session that live here, and those that are being made."""

    def __init__(
        self, session: int, send: Callable[[wire.FromWorker], None], host: HostService, *, is_allowed: bool
    ) -> None:
        """`is_allowed`: the session is in remote source mode."""
        self._session = session
        self._send = send
        self._host = host
        self.is_allowed = is_allowed
        self._sources: dict[int, OpenedSource] = {}
        self._served: dict[int, ByteStreamProxy] = {}
        self._creations: dict[int, _Creation] = {}
        self._newest_cookie = self._newest_stream = 0
        self._changing = threading.Lock()
        self._is_closed = False

    def resolver(self) -> SourceResolver:
        """What `create_object` makes for the class id. Raises InvalidRequestError in a session without the mode."""
        if not self.is_allowed:
            raise InvalidRequestError(
                "this session is not in remote source mode, so no media source is made in the worker",
                remedy="SessionConfiguration(remote_source_mode=True)",
            )
        return SourceResolver()

    # ------------------------------------------------------------------ the control thread

    def create(self, message: wire.CreateSource, fds: Sequence[int]) -> None:
        """Begin a creation. Raises WireError for what no sound application sends."""
        try:
            creation = self._begin(message, fds)
        except BaseException:
            close_all(fds)
            raise
        if creation is not None:
            thread = threading.Thread(target=self._make, args=(creation,), name="source-resolver", daemon=True)
            creation.thread = thread
            thread.start()

    def _begin(self, message: wire.CreateSource, fds: Sequence[int]) -> _Creation | None:
        spec = message.stream
        if not isinstance(self._host.find(message.resolver), SourceResolver):
            raise WireError(f"object {message.resolver} is no source resolver")
        if message.cookie <= self._newest_cookie or spec.stream <= self._newest_stream:
            raise WireError(f"creation {message.cookie}, or its byte stream {spec.stream}, was there before")
        if not 0 <= spec.size <= MAX_STREAM or len(spec.files) > MAX_FILES or len(spec.name) > _MAX_NAME:
            raise WireError(f"a byte stream of {spec.size} bytes in {len(spec.files)} files is over the limit")
        self._newest_cookie, self._newest_stream = message.cookie, spec.stream
        with self._changing:
            is_full = len(self._creations) >= _MAX_CREATIONS or len(self._sources) >= MAX_SOURCES
        if is_full:
            full = DRMError(f"a session makes {_MAX_CREATIONS} media sources at once, and holds {MAX_SOURCES}")
            self._refuse(message, fds, full)
            return None
        stream: StoppableStream
        if spec.files:
            try:
                stream = DescriptorStream(spec, fds)
            except DescriptorError as error:  # the file that was asked for is one the application may open, and we not
                self._refuse(message, fds, error)
                return None
        elif len(fds) == 1:
            try:
                served = ByteStreamProxy(self._send, self._session, spec, fds[0], self._forget)
            except MemoryLimitError as error:
                close_all(fds)
                self._send(wire.SourceNotCreated(self._session, message.cookie, error.to_record()))
                return None
            close_all(fds)
            self._served[spec.stream] = stream = served
        else:
            raise WireError("a byte stream comes with the descriptors of its files, or with that of its window")
        creation = _Creation(message.cookie, stream)
        stream.is_stopped = lambda: creation.is_cancelled
        with self._changing:
            self._creations[message.cookie] = creation
        return creation

    def _refuse(self, message: wire.CreateSource, fds: Sequence[int], error: DRMError) -> None:
        close_all(fds)
        self._send(wire.SourceNotCreated(self._session, message.cookie, error.to_record()))

    def _forget(self, stream: int) -> None:
        self._served.pop(stream, None)

    def cancel_creation(self, message: wire.CancelCreation) -> None:
        """End a creation that runs; one that is over is left as it is."""
        with self._changing:
            creation = self._creations.get(message.cookie)
        if creation is not None:
            creation.is_cancelled = True
            creation.stream.wake()
        elif not 0 < message.cookie <= self._newest_cookie:
            raise WireError(f"creation {message.cookie} is cancelled, and never was")

    def bytes_read(self, message: wire.BytesRead) -> None:
        """Pass an answer to its byte stream; the stream may be closed by now. Raises WireError for a stray one."""
        served = self._served.get(message.stream)
        if served is not None:
            served.answered(message)
        elif not 0 < message.stream <= self._newest_stream:
            raise WireError(f"bytes came for byte stream {message.stream}, which there is not")

    def release(self, message: wire.ReleaseRemoteSource) -> None:
        """The application holds the source no more; a topology that reads from it keeps it."""
        with self._changing:
            opened = self._sources.pop(message.source, None)
        if opened is None:
            raise WireError(f"object {message.source} is no media source here")
        self._host.release(message.source)
        opened.drop()

    def completed(self, spec: wire.TopologySpec) -> wire.TopologySpec:
        """Put in what was found out here about the streams of a source of this process; others pass as they are.

        Raises:
            WireError: the source is not where this session's are, or has no such stream.
        """
        if bool(spec.source) != self.is_allowed:
            raise WireError("the source of a topology lives where this session's sources do not")
        if not spec.source:
            return spec
        streams = self._opened(spec.source).streams
        branches = []
        for branch in spec.branches:
            found = streams.get(branch.stream.track.track_id)
            if found is None or branch.authority:
                raise WireError("a branch names a stream that its source has not, or an authority that it makes itself")
            branches.append(msgspec.structs.replace(branch, stream=found))
        return msgspec.structs.replace(spec, branches=tuple(branches))

    def source(self, spec: wire.TopologySpec, closed: Callable[[int], None]) -> RemoteSource:
        """What a topology reads from; `closed` is told its id when it is over. Raises WireError: there is none."""
        return RemoteSource(self._opened(spec.source), self._host, lambda: self._over(spec.topology_id, closed))

    def _over(self, topology_id: int, closed: Callable[[int], None]) -> None:
        closed(topology_id)
        with suppress(WireError):  # the application is gone
            self._send(wire.ReleaseSource(self._session, topology_id))

    def _opened(self, object_id: int) -> OpenedSource:
        with self._changing:
            opened = self._sources.get(object_id)
        if opened is None:
            raise WireError(f"object {object_id} is no media source here")
        return opened

    def cancel(self) -> None:
        """End every creation."""
        with self._changing:
            creations = list(self._creations.values())
        for creation in creations:
            creation.is_cancelled = True
            creation.stream.wake()

    # ------------------------------------------------------------------ other threads

    def close(self) -> None:
        """The session is over: end what runs, let every source go. Idempotent."""
        with self._changing:
            self._is_closed = True
            creations = list(self._creations.values())
        self.cancel()
        for creation in creations:
            if creation.thread is not None:
                creation.thread.join(_END)
        with self._changing:
            opened, self._sources = list(self._sources.values()), {}
        for each in opened:
            each.drop()

    def _make(self, creation: _Creation) -> None:
        stream, cookie = creation.stream, creation.cookie
        try:
            opened = OpenedSource(self._media(stream), stream)
            object_id = self._keep(creation, opened)
            try:
                self._send(self._described(cookie, object_id, opened))
            except DRMError:
                with self._changing:
                    self._sources.pop(object_id, None)
                raise
        except Exception as error:  # noqa: BLE001 - a component's own fault must end as an answer, not as silence
            failed = component_failed(error)
            if creation.is_cancelled:
                failed = CreationCancelledError("the creation was cancelled", where=stream.name)
            stream.close()
            with suppress(WireError):  # the application is gone
                self._send(wire.SourceNotCreated(self._session, cookie, failed.to_record()))
        finally:
            with self._changing:
                self._creations.pop(cookie, None)

    def _media(self, stream: StoppableStream) -> MediaSource:
        make = self._host.component_class(source_class(stream))
        return cast("MediaSource", make(stream))

    def _keep(self, creation: _Creation, opened: OpenedSource) -> int:
        with self._changing:
            if creation.is_cancelled or self._is_closed:
                raise CreationCancelledError("the creation was cancelled", where=opened.stream.name)
            object_id = self._host.hold(opened, SOURCE_RESOLVER).object_id
            self._sources[object_id] = opened
        return object_id

    def _described(self, cookie: int, object_id: int, opened: OpenedSource) -> wire.SourceCreated:
        media = opened.media
        found = [str(each)[:500] for each in getattr(media, "warnings", ())]
        streams = tuple(opened.streams.values())
        return wire.SourceCreated(
            self._session,
            cookie,
            object_id,
            streams,
            int(media.characteristics),
            media.duration,
            tuple(found[:_MAX_WARNINGS]),
        )
