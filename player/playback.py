"""One play-through in the locked-down worker: what the `play` and `demo` verbs and programs of yours have in common.

Runs in the application. It sees commands, events and what sinks let out; it never imports a decrypter or a decoder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from drm.app.components.trust import ComponentTrust
from drm.app.host_proxy import RemoteSourceHost
from drm.app.remote_mode.source import RemoteMediaSource
from drm.app.rights.enabler import ContentProtectionManager
from drm.app.session_proxy import MediaSessionProxy, PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.source_resolver import SourceResolver
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK, SNAPSHOT_SINK, SOURCE_RESOLVER
from drm.component import MediaSource
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    NoEventsAvailableError,
    NothingReachedError,
    UnsupportedMediaError,
)
from drm.media import StreamDescriptor, TrackType
from drm.protection import ProtectionReport
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEvent, MediaEventType
from drm.session.services import Service
from drm.session.topology import SinkActivate, Topology
from drm.worker_memory import DEFAULT_MEMORY
from player.media_file import open_stream, shown_name
from player.watched import Followed, Watched, seconds_of
from player.worker_output import SinkDescriptors, write_only

__all__ = ["Playback", "PlaybackResult", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A PNG to be made: its descriptor, the moments in seconds (none: spread over the file), columns and width."""

    descriptor: int
    times: tuple[float, ...] = ()
    pictures: int = 12
    columns: int = 4
    width: int = 320  # pixels of one picture; 0: as it is


@dataclass(slots=True)
class PlaybackResult:
    """What a play-through came to."""

    streams: tuple[StreamDescriptor, ...]
    report: ProtectionReport
    license_path: LicensePath
    frames: int = 0
    seconds: float = 0.0  # wall time from the start command to the end
    notes: list[str] = field(default_factory=list)
    events: list[MediaEvent] = field(default_factory=list)
    commands: list[tuple[float, str]] = field(default_factory=list)  # monotonic seconds, the session's method


class Playback:
    """A file, where its rights come from, and where its frames go."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        manager: ContentProtectionManager | None = None,
        framemd5: int | None = None,
        snapshot: Snapshot | None = None,
        remote_source: bool = False,
        unprotected: bool = False,
        min_level: int = 1,
        service: str | None = None,
        worker_memory: int = DEFAULT_MEMORY,
        engine: str = "cryptography",
        dialects: tuple[str, ...] = (),
        trust: ComponentTrust | None = None,
        on_event: Callable[[MediaEvent], None] | None = None,
        on_progress: Callable[[float, float], None] | None = None,
        on_ready: Callable[[MediaSessionProxy], None] | None = None,
    ) -> None:
        """`paths`: files, or one URL. `framemd5`: a descriptor, in whose place the worker gets one for writing alone.

        `remote_source`: the worker reads the container.

        `trust`: which authority vouches for the components; None: as the package has it. `on_progress` gets seconds
        done and seconds in all; `on_ready`, the session.
        """
        self._paths = list(paths)
        self._configuration = SessionConfiguration(
            content_protection_manager=manager,
            min_level=min_level,
            service=service,
            worker_memory=worker_memory,
            engine=engine,
            dialects=dialects,
            remote_source_mode=remote_source,
            trust=trust or ComponentTrust(),
        )
        self._flags = PMPSessionFlags.UNPROTECTED_PROCESS if unprotected else PMPSessionFlags(0)
        self._framemd5 = framemd5
        self._snapshot = snapshot
        self._on_event = on_event
        self._on_progress = on_progress
        self._on_ready = on_ready

    def run(self) -> PlaybackResult:
        """Play to the end, in a session of its own each time.

        Raises:
            DRMError: whatever ended it early; `where` begins with the file's name.
        """
        try:
            with ExitStack() as opened:
                local = self._opened(opened)  # what cannot be read is said before a worker is started
                outputs = self._handed(opened)
                session = opened.enter_context(create_pmp_media_session(self._flags, self._configuration))
                if self._on_ready is not None:
                    self._on_ready(session)
                return self._play(local or self._resolved(session, opened), session, outputs)
        except DRMError as error:
            name = shown_name(self._paths)
            if name not in error.where:
                error.where = f"{name}, {error.where}" if error.where else name
            raise

    def _opened(self, opened: ExitStack) -> MediaSource | None:
        """The media source; None: the worker is to make it."""
        if self._configuration.remote_source_mode:
            return None
        return open_source(opened.enter_context(closing(open_stream(self._paths))))

    def _resolved(self, session: MediaSessionProxy, opened: ExitStack) -> RemoteMediaSource:
        """Have the worker make the media source (remote source mode)."""
        host = session.get_service(Service.PMP_SERVICE)
        assert isinstance(host, RemoteSourceHost)
        resolver = host.create_object(SOURCE_RESOLVER)
        assert isinstance(resolver, SourceResolver)
        if len(self._paths) == 1:
            result = resolver.begin_create_object_from_url(self._paths[0])
            try:
                source = resolver.end_create_object_from_url(result)
            except KeyboardInterrupt:
                resolver.cancel_object_creation(result)
                raise
            assert isinstance(source, RemoteMediaSource)
            return source
        stream = opened.enter_context(closing(open_stream(self._paths)))
        return resolver.end_create_object_from_byte_stream(resolver.begin_create_object_from_byte_stream(stream))

    def _handed(self, opened: ExitStack) -> SinkDescriptors:
        """What the worker gets to write to, in place of what the caller gave. Left after the session."""
        hashes, picture = self._framemd5, self._snapshot.descriptor if self._snapshot is not None else None
        if hashes is not None and hashes == picture:
            raise InvalidArgumentError("hashes and pictures go to one output", remedy="give each a file of its own")
        return SinkDescriptors(
            *(None if each is None else opened.enter_context(write_only(each)) for each in (hashes, picture))
        )

    def _play(self, source: MediaSource, session: MediaSessionProxy, outputs: SinkDescriptors) -> PlaybackResult:
        streams = tuple(source.streams())
        played = [stream for stream in streams if stream.track.decoder]
        result = PlaybackResult(streams, session.protection_report, LicensePath.NONE)
        result.notes += [_left_out(stream) for stream in streams if stream not in played]
        if not played:
            raise UnsupportedMediaError("no track of this file can be played", remedy="clearkey inspect FILE")
        watched: Watched | Followed
        if isinstance(source, RemoteMediaSource):
            watched = Followed(source, session, played)
            topology = self._topology(source, played, outputs)
        else:
            watched = Watched(source, played)
            topology = self._topology(watched, played, outputs)
        result.commands.append((time.monotonic(), "set_topology"))
        session.set_topology(topology)
        resolved = self._wait(session, MediaEventType.SESSION_TOPOLOGY_SET, result, watched)
        result.license_path = session.license_path
        result.notes += getattr(self._configuration.content_protection_manager, "notes", ())
        result.report = session.protection_report
        started = time.monotonic()
        result.commands.append((started, "start"))
        session.start()
        ended = self._wait(session, MediaEventType.SESSION_ENDED, result, watched)
        result.seconds = time.monotonic() - started
        for event in (resolved, ended):
            if notes := event.values.get("notes"):
                result.notes.append(str(notes))
        result.notes += getattr(source, "warnings", ())  # by now all that reading the whole file has brought up
        result.frames = int(ended.values.get("sink0.frames", 0))
        if not result.frames:
            raise NothingReachedError.of("", what="it ended, and not one frame came out", seen=watched.seen())
        result.notes += watched.notes()
        result.commands.append((time.monotonic(), "close"))
        session.close()
        self._wait(session, MediaEventType.SESSION_CLOSED, result, watched)
        return result

    def _topology(
        self, source: MediaSource, streams: Sequence[StreamDescriptor], outputs: SinkDescriptors
    ) -> Topology[MediaSource]:
        topology: Topology[MediaSource] = Topology(source)
        main = self._main_sink(outputs)
        pictures = None
        if self._snapshot is not None:
            pictures = SinkActivate(SNAPSHOT_SINK, self._snapshot_options(source, streams), outputs.picture)
        for stream in streams:
            is_first_video = stream is _first_video(streams)
            topology.connect(stream, *((main, pictures) if pictures and is_first_video else (main,)))
        return topology

    @staticmethod
    def _main_sink(outputs: SinkDescriptors) -> SinkActivate:
        return SinkActivate(DISCARD_SINK) if outputs.hashes is None else SinkActivate(HASH_SINK, {}, outputs.hashes)

    def _snapshot_options(self, source: MediaSource, streams: Sequence[StreamDescriptor]) -> dict[str, object]:
        assert self._snapshot is not None
        video = _first_video(streams)
        if video is None:
            raise InvalidArgumentError("there is no video track to take pictures of")
        asked = self._snapshot
        seconds = seconds_of(video)
        if not asked.times and not seconds and not isinstance(source, RemoteMediaSource):
            seconds = _counted(source, video)
        times = asked.times or _spread(seconds, asked.pictures)
        return {"times": times, "columns": asked.columns, "width": asked.width}

    def _wait(
        self,
        session: MediaSessionProxy,
        wanted: MediaEventType,
        result: PlaybackResult,
        watched: Watched | Followed,
    ) -> MediaEvent:
        """Go through events until `wanted` comes.

        Any event that failed raises, not the awaited one alone: after a start that failed no end ever comes.
        """
        while True:
            event = self._next_event(session, result, watched.progress)
            event.raise_if_fatal()
            if event.type == wanted:
                return event

    def _next_event(
        self, session: MediaSessionProxy, result: PlaybackResult, progress: Callable[[], tuple[float, float]]
    ) -> MediaEvent:
        while True:
            try:
                event = session.get_event(timeout=0.1)
            except NoEventsAvailableError:
                if self._on_progress is not None:
                    self._on_progress(*progress())
                continue
            result.events.append(event)
            if self._on_event is not None:
                self._on_event(event)
            return event


def _first_video(streams: Sequence[StreamDescriptor]) -> StreamDescriptor | None:
    return next((stream for stream in streams if stream.track.type is TrackType.VIDEO), None)


def _counted(source: MediaSource, stream: StreamDescriptor) -> float:
    """The duration of a stream that does not tell it, as fragmented files do not: its samples are counted, not read."""
    track = stream.track
    source.select([track.track_id])
    units = 0
    while sample := source.next_sample(track.track_id):
        units += sample.duration
    return units / max(1, track.timescale)


def _spread(seconds: float, pictures: int) -> tuple[float, ...]:
    # Without a known duration, one picture a second from the start.
    step = seconds / pictures if seconds else 1.0
    return tuple(round((index + 0.5) * step if seconds else index * step, 3) for index in range(pictures))


def _left_out(stream: StreamDescriptor) -> str:
    return f"track {stream.track.track_id} ({stream.track.type.value} {stream.track.codec}) is not played"
