"""What the commands about topologies do: set, clear, make the next one current. Runs on the session's own thread."""

from __future__ import annotations

from drm.descriptors import close_quietly
from drm.errors import InvalidRequestError
from drm.hresult import HResult
from drm.session.announcer import Announcer
from drm.session.events import MediaEvent, TopologyStatus
from drm.session.events import MediaEventType as E
from drm.session.pipeline import component_failed
from drm.session.playing import Playing, SessionState
from drm.session.segments import Segment, Segments
from drm.session.session_source import SessionSource
from drm.session.topology import SetTopologyFlags, Topology
from drm.session.topology_loader import TopologyLoader

__all__ = ["TopologyQueue", "give_back"]


class TopologyQueue:
    """Fills and empties the segments of one session."""

    def __init__(self, loader: TopologyLoader, told: Announcer, playing: Playing, segments: Segments) -> None:
        self._loader = loader
        self._told = told
        self._playing = playing
        self.segments = segments

    def set_topology(self, topology: Topology[SessionSource] | None, flags: SetTopologyFlags) -> None:
        """SESSION_TOPOLOGY_SET; for a topology that is current at once also time, capabilities and READY."""
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_TOPOLOGY_SET, InvalidRequestError("the session is closed"))
            give_back(topology)
            return
        if topology is None:
            self._told.say(E.SESSION_TOPOLOGY_SET)
            return
        was_running = self._playing.state is SessionState.STARTED
        if flags & SetTopologyFlags.IMMEDIATE and self._playing.asks_for_rights:
            self._playing.end()  # nobody is asked for the rights of two at a time
        try:
            resolved = self._loader.resolve(topology, as_it_is=bool(flags & SetTopologyFlags.NORESOLUTION))
        except BaseException as error:  # noqa: BLE001 - a component's own fault must end as an event, not as silence
            give_back(topology)  # whatever plays, or waits, goes on: also when this one was to come at once
            self._told.can(self.segments.current, running=self._playing.state is SessionState.STARTED)
            self._told.fail(E.SESSION_TOPOLOGY_SET, component_failed(error))
            return
        segment = Segment(topology, topology.check(), resolved)
        values: dict[str, int | float | str] = {"topology": topology.topology_id}
        if resolved.notes:
            values["notes"] = "; ".join(resolved.notes)
        self._told.emit(MediaEvent(E.SESSION_TOPOLOGY_SET, values=values, value=resolved.full))
        if flags & SetTopologyFlags.IMMEDIATE:
            self._instead(segment, was_running=was_running)
        elif self.segments.add(segment):
            self.make_ready(segment, topology.project_start or 0)

    def _instead(self, segment: Segment, *, was_running: bool) -> None:
        """Make it current in the place of all others: it plays if they did; in a pause it waits for the next start."""
        self._playing.drop()
        self.segments.drop_pending()
        self.segments.drop_current()
        self.segments.add(segment)
        self.make_ready(segment, segment.topology.project_start or 0)
        if was_running:
            self.go_on(segment)

    def go_on(self, segment: Segment) -> None:
        """What was made ready plays at once: no command is answered by it. ERROR when it cannot."""
        try:
            self._playing.prepare(segment, segment.offset)
        except BaseException as error:  # noqa: BLE001 - as above
            self._playing.end()
            self._told.can(segment, running=False)
            self._told.fail(E.ERROR, component_failed(error))
            return
        self.source_started(segment)
        self._told.can(segment, running=True)
        self._playing.go()

    def source_started(self, segment: Segment) -> None:
        """Its source delivers; SINK_SWITCHED when another one was played before."""
        self._told.status(segment, TopologyStatus.STARTED_SOURCE)
        if self.segments.switches_sinks(segment):
            self._told.status(segment, TopologyStatus.SINK_SWITCHED)

    def clear_current(self, topology_id: int | None) -> None:
        """SESSION_TOPOLOGY_SET without a topology; S_FALSE when another one is current."""
        current = self.segments.current
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_TOPOLOGY_SET, InvalidRequestError("the session is closed"))
            return
        if current is None or topology_id not in {None, current.topology_id}:
            status = HResult.S_OK if topology_id is None else HResult.S_FALSE
            self._told.emit(MediaEvent(E.SESSION_TOPOLOGY_SET, status))
            return
        self._playing.end()
        following = self.segments.next()
        self._told.say(E.SESSION_TOPOLOGY_SET)
        if following is not None:
            self.make_ready(following, following.topology.project_start or 0)
        else:
            self._told.can(None, running=False)

    def drop(self, segment: Segment) -> None:
        """It is over before its time; nothing of it runs. If it was the current one, the next is."""
        if segment is not self.segments.current:
            self.segments.drop(segment)
            return
        following = self.segments.next()
        if following is not None:
            self.make_ready(following, following.topology.project_start or 0)
        else:
            self._told.can(None, running=False)

    def clear_topologies(self) -> None:
        """SESSION_TOPOLOGIES_CLEARED."""
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_TOPOLOGIES_CLEARED, InvalidRequestError("the session is closed"))
            return
        self.segments.drop_pending()
        self._told.say(E.SESSION_TOPOLOGIES_CLEARED)

    def make_ready(self, segment: Segment, offset: int) -> None:
        """The segment is the current one: time, capabilities, READY."""
        segment.offset = offset
        self._told.say(
            E.SESSION_NOTIFY_PRESENTATION_TIME,
            start_time=offset,
            offset=segment.time_offset,
            start_time_at_output=offset,
        )
        self._told.can(self.segments.current, running=self._playing.state is SessionState.STARTED)
        self._told.status(segment, TopologyStatus.READY)


def give_back(topology: Topology[SessionSource] | None) -> None:
    """A topology that did not become a segment: its source and descriptors are nobody else's to give back."""
    if topology is None:
        return
    if topology.source is not None:
        topology.source.close()
    for sink in topology.sinks():
        # What a sink that did not come back may still write to is not closed under it.
        if sink.descriptor is not None and sink.descriptor not in topology.held:
            close_quietly(sink.descriptor)
