"""The scenarios of `clearkey trace`: what an application does with a session, step by step, each command noted."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Sequence
from typing import Final

from drm.app.components.trust import ComponentTrust
from drm.app.rights.enabler import ContentProtectionManager
from drm.app.session_proxy import MediaSessionProxy, PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK
from drm.component import MediaSource
from drm.errors import UnsupportedMediaError
from drm.protection import ProtectionReport
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, SourceStreamNode, Topology
from player.media_file import open_stream
from player.verbs.trace.log import TracedManager, TraceLog

__all__ = ["Scenario", "Tracer"]

_SECOND: Final = 10_000_000  # units of 100 ns
_SEEK_TO: Final = _SECOND // 2


class Scenario(enum.Enum):
    """What is done with the session."""

    PLAY = "play"  # from the beginning to the end
    SEEK = "seek"  # start, pause, start at another position
    QUEUE = "queue"  # two presentations, one after the other
    LICENSE = "license"  # until the rights are there, without playing


class Tracer:
    """One scenario over one file, in a worker of its own."""

    def __init__(
        self,
        paths: Sequence[str],
        log: TraceLog,
        manager: ContentProtectionManager | None,
        *,
        seconds: float | None = None,
        unprotected: bool = False,
        min_level: int = 1,
        trust: ComponentTrust | None = None,
    ) -> None:
        """`seconds`: so much of each presentation is played; None: all of it. `trust`: as `Playback` takes it."""
        self._paths = list(paths)
        self._log = log
        self._manager = TracedManager(manager, log) if manager is not None else None
        self._stop = None if seconds is None else round(seconds * _SECOND)
        self._flags = PMPSessionFlags.UNPROTECTED_PROCESS if unprotected else PMPSessionFlags.NONE
        self._min_level = min_level
        self._trust = trust or ComponentTrust()
        self._session: MediaSessionProxy
        self._sources: list[MediaSource] = []

    def run(self, scenario: Scenario) -> ProtectionReport:
        """Do it, and return what the worker probed. Raises the DRMError that ended it early."""
        configuration = SessionConfiguration(
            content_protection_manager=self._manager, min_level=self._min_level, trust=self._trust
        )
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(contextlib.closing(open_stream(self._paths))) for _ in range(2)]
            self._sources = [open_source(stream) for stream in streams]
            self._log.command("create_pmp_media_session", flags=int(self._flags))
            self._session = stack.enter_context(create_pmp_media_session(self._flags, configuration))
            self._log.command("(it is there)", level=self._session.protection_report.level)
            for step in _STEPS[scenario](self):
                self._wait(step)
            self._log.command("close")
            self._session.close()
            self._wait(E.SESSION_CLOSED)
            report = self._session.protection_report
            self._log.command("shutdown")
            self._session.shutdown()
        return report

    # ------------------------------------------------------------------ scenarios: commands, and what each waits for

    def _play(self) -> Iterator[E]:
        self._set_topology(0)
        yield E.SESSION_TOPOLOGY_STATUS
        self._start()
        yield E.SESSION_ENDED

    def _seek(self) -> Iterator[E]:
        # The sink takes frames in time, as a screen does: else a short file would be over before the pause.
        self._set_topology(0, in_time=True)
        yield E.SESSION_TOPOLOGY_STATUS
        self._start()
        yield E.SESSION_STARTED
        self._log.command("pause")
        self._session.pause()
        yield E.SESSION_PAUSED
        self._start(_SEEK_TO)
        yield E.SESSION_STARTED
        self._log.command("stop")
        self._session.stop()
        yield E.SESSION_STOPPED

    def _queue(self) -> Iterator[E]:
        self._set_topology(0)
        yield E.SESSION_TOPOLOGY_STATUS
        self._set_topology(1)
        yield E.SESSION_TOPOLOGY_SET
        self._start()
        yield E.SESSION_ENDED

    def _license(self) -> Iterator[E]:
        self._set_topology(0)
        yield E.SESSION_TOPOLOGY_STATUS

    # ------------------------------------------------------------------ steps

    def _set_topology(self, number: int, *, in_time: bool = False) -> None:
        source = self._sources[number]
        topology: Topology[MediaSource] = Topology(source)
        sink = SinkActivate(DISCARD_SINK, {"in_time": True} if in_time else {})
        streams = [stream for stream in source.streams() if stream.track.decoder]
        if not streams:
            raise UnsupportedMediaError("no track of this file can be played", remedy="clearkey inspect FILE")
        for stream in streams:
            topology.connect(SourceStreamNode(stream, media_stop=self._stop), sink)
        self._log.command("set_topology", topology=topology.topology_id)
        self._session.set_topology(topology)

    def _start(self, position: int | None = None) -> None:
        self._log.command("start", **({} if position is None else {"position": position}))
        self._session.start(position)

    def _wait(self, wanted: E) -> MediaEvent:
        """Note events until `wanted` comes; a failed one raises. A worker that is stuck is ended by the session."""
        while True:
            event = self._session.get_event()
            self._log.event(event)
            event.raise_if_fatal()
            if event.type == wanted:
                return event


_STEPS: Final = {
    Scenario.PLAY: Tracer._play,  # noqa: SLF001 - the class's own table
    Scenario.SEEK: Tracer._seek,  # noqa: SLF001
    Scenario.QUEUE: Tracer._queue,  # noqa: SLF001
    Scenario.LICENSE: Tracer._license,  # noqa: SLF001
}
