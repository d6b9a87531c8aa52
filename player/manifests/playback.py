"""One play-through of a manifest: a source and a topology for each period, queued one ahead.

Runs in the application. A period that cannot be set is an error when its turn comes: what is before it plays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Final

from drm.app.session_proxy import MediaSessionProxy
from drm.app.streaming.opening import ManifestOpener, PlannedPeriod
from drm.app.streaming.period_source import PeriodSource
from drm.component import MediaSource
from drm.errors import DRMError, NothingReachedError, UnsupportedMediaError
from drm.media import StreamDescriptor
from drm.session.events import MediaEvent, MediaEventType, TopologyStatus
from drm.session.topology import SourceStreamNode, Topology
from drm.streaming.selection import Selection
from player.manifests.given import ManifestOptions, open_manifest
from player.playback import Playback, PlaybackResult
from player.watched import Watched
from player.worker_output import SinkDescriptors

__all__ = ["ManifestPlayback"]

_HUNDRED_NS: Final = 10_000_000


@dataclass(slots=True)
class _Queued:
    """A period whose topology was given to the session."""

    period: PlannedPeriod
    source: PeriodSource
    watched: Watched
    topology_id: int
    counts: dict[str, int] = field(default_factory=dict)


class ManifestPlayback(Playback):
    """A manifest, where its rights come from, and where its frames go."""

    def __init__(self, name: str, options: ManifestOptions, selection: Selection, **told: Any) -> None:  # noqa: ANN401
        """`name`: a path or a URL; `told`: as of `Playback`."""
        if told.get("remote_source"):
            raise UnsupportedMediaError(
                "manifests are not read in the worker",
                remedy="leave --remote-source out: keys stay in the worker all the same",
            )
        if told.get("snapshot") is not None:
            raise UnsupportedMediaError(
                "pictures of a manifest are not taken",
                remedy="give one file, or an init segment and its media segments",
            )
        super().__init__([name], **told)
        self._options = options
        self._selection = selection

    def _opened(self, opened: ExitStack) -> MediaSource:
        self._opener: ManifestOpener = opened.enter_context(open_manifest(self._paths[0], self._options))
        self._periods: Iterator[PlannedPeriod] = self._opener.periods(self._selection.choose)
        self._closing = opened
        self._queue: list[_Queued] = []
        self._failed: DRMError | None = None  # of a period that is still to come
        self._following: PlannedPeriod | None = next(self._periods, None)
        first = self._next_source()
        if first is None:
            raise NothingReachedError("the manifest has no period that can be played")
        return first

    def _next_source(self) -> PeriodSource | None:
        """The source of the next period; None when there is none."""
        period, self._following = self._following, None
        if period is None:
            return None
        presentation, ahead = self._opener.read(period)
        self._following = next(self._periods, None)
        source = PeriodSource(presentation, ahead, stop=period.duration, holds_end=self._following is not None)
        self._closing.enter_context(closing(source))
        self._period = period
        return source

    def _play(self, source: MediaSource, session: MediaSessionProxy, outputs: SinkDescriptors) -> PlaybackResult:
        assert isinstance(source, PeriodSource)
        result = PlaybackResult((), session.protection_report, session.license_path)
        self._set(source, session, outputs, result)
        self._until(session, result, MediaEventType.SESSION_TOPOLOGY_SET)
        source.was_set()
        result.report = session.protection_report
        started = time.monotonic()
        result.commands.append((started, "start"))
        session.start()
        while True:
            event = self._next_event(session, result, self._progress)
            match event.type:
                case MediaEventType.SESSION_TOPOLOGY_STATUS:
                    self._look_at(event, session, outputs, result)
                case MediaEventType.SESSION_TOPOLOGY_SET:
                    self._was_set(event, result)
                case MediaEventType.SESSION_ENDED:
                    break
                case _:
                    event.raise_if_fatal()
        result.seconds = time.monotonic() - started
        result.license_path = session.license_path
        result.notes += getattr(self._configuration.content_protection_manager, "notes", ())
        if self._failed is not None:
            raise self._failed
        presentation = self._opener.presentation()
        result.notes += presentation.notes
        result.notes += (f"passed over: {each}" for each in presentation.passed_over)
        for queued in self._queue:
            result.notes += queued.source.warnings
            result.notes += (f"period {queued.period.name}: {each}" for each in queued.watched.notes())
        result.frames = sum(queued.counts.get("sink0.frames", 0) for queued in self._queue)
        if not result.frames:
            raise NothingReachedError.of("", what="it ended, and not one frame came out")
        result.commands.append((time.monotonic(), "close"))
        session.close()
        self._until(session, result, MediaEventType.SESSION_CLOSED)
        return result

    def _set(
        self, source: PeriodSource, session: MediaSessionProxy, outputs: SinkDescriptors, result: PlaybackResult
    ) -> None:
        played: Sequence[StreamDescriptor] = [each for each in source.streams() if each.track.decoder]
        if not played:
            raise UnsupportedMediaError("no track of this period can be played", where=source.name)
        watched = Watched(source, played)
        topology: Topology[MediaSource] = Topology(watched)
        stop = None
        if self._period.duration is not None:
            stop = max(1, -int(-self._period.duration * _HUNDRED_NS // 1))
        sink = self._main_sink(outputs)
        for stream in played:
            topology.connect(SourceStreamNode(stream, media_stop=stop), sink)
        self._queue.append(_Queued(self._period, source, watched, topology.topology_id))
        result.streams = (*result.streams, *source.streams()) if not result.streams else result.streams
        result.commands.append((time.monotonic(), "set_topology"))
        session.set_topology(topology)

    def _look_at(
        self, event: MediaEvent, session: MediaSessionProxy, outputs: SinkDescriptors, result: PlaybackResult
    ) -> None:
        event.raise_if_fatal()
        queued = next((each for each in self._queue if each.topology_id == event.values.get("topology")), None)
        status = event.values.get("status")
        if queued is None:
            return
        if status == TopologyStatus.ENDED:
            queued.counts = {name: value for name, value in event.values.items() if isinstance(value, int)}
            queued.source.close()
            if notes := event.values.get("notes"):
                result.notes.append(str(notes))
        elif status == TopologyStatus.STARTED_SOURCE and queued is self._queue[-1]:
            try:
                source = self._next_source()
                if source is not None:
                    self._set(source, session, outputs, result)
                    return
            except DRMError as error:
                self._failed = error
            queued.source.let_end()

    def _was_set(self, event: MediaEvent, result: PlaybackResult) -> None:
        """The topology that waits is set, or cannot be: then it is an error when its turn comes."""
        try:
            event.raise_if_fatal()
            self._queue[-1].source.was_set()
        except DRMError as error:
            error.where = ", ".join(filter(None, (f"period {self._queue[-1].period.name}", error.where)))
            self._failed = error
        if notes := event.values.get("notes"):
            result.notes.append(str(notes))
        for queued in self._queue[:-1]:
            queued.source.let_end()

    def _until(self, session: MediaSessionProxy, result: PlaybackResult, wanted: MediaEventType) -> None:
        while True:
            event = self._next_event(session, result, self._progress)
            event.raise_if_fatal()
            if event.type == wanted:
                if notes := event.values.get("notes"):
                    result.notes.append(str(notes))
                return

    def _progress(self) -> tuple[float, float]:
        return sum(each.watched.progress()[0] for each in self._queue), 0.0
