"""The topologies of a session: the current one and those that wait, each with its place on the time line.

Presentation times run on across a playlist: a segment begins where the one before it ended. In an editing session
(global time) each says itself where it begins.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from drm.errors import InvalidArgumentError, InvalidRequestError
from drm.session.events import TopologyStatus
from drm.session.full_topology import ResolvedTopology
from drm.session.session_source import SessionSource
from drm.session.topology import Topology

__all__ = ["Segment", "Segments"]

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Segment:
    """One topology that was set."""

    topology: Topology[SessionSource]
    source: SessionSource
    resolved: ResolvedTopology
    offset: int = 0  # presentation time at which it begins
    status: TopologyStatus = TopologyStatus.INVALID
    has_ended: bool = False  # it was played to its end: a start plays it again only if none waits

    @property
    def topology_id(self) -> int:
        """The id of the topology that was set."""
        return self.topology.topology_id

    @property
    def media_start(self) -> int:
        """Where its streams begin, the earliest of them."""
        return min(branch.source.media_start for branch in self.topology.branches)

    @property
    def stop(self) -> int | None:
        """Presentation time at which it ends whatever is left; None: with its streams."""
        return self.topology.project_stop

    @property
    def duration(self) -> int:
        """Of what is played, in units of 100 ns; 0: not known."""
        if self.topology.project_start is not None and self.topology.project_stop is not None:
            return self.topology.project_stop - self.topology.project_start
        nodes = [branch.source for branch in self.topology.branches]
        ends = [self.source.duration if node.media_stop is None else node.media_stop for node in nodes]
        if not all(ends):
            return 0
        return max(0, *(end - node.media_start for node, end in zip(nodes, ends, strict=True)))

    @property
    def time_offset(self) -> int:
        """Presentation time minus the time of the source (MF_EVENT_PRESENTATION_TIME_OFFSET)."""
        return self.offset - self.media_start

    def media_position(self, position: int) -> int:
        """Where the source is to begin for a presentation time."""
        return self.media_start + max(0, position - self.offset)

    def release(self) -> None:
        """Give everything back: keys, sinks, the source. Idempotent."""
        for node in self.resolved.nodes:
            if node.authority is not None:
                node.authority.shutdown()
        # What a straggler still writes to is not closed under it: its descriptor could be another's by then.
        for sink in () if self.resolved.is_stuck else self.resolved.sinks:
            try:
                self.resolved.calls("close", sink.close)
            except Exception:  # a component's own fault: the others are given back all the same
                logger.exception("a sink could not be closed")
        self.resolved.calls.close()
        self.source.close()


class Segments:
    """Used by the session's own thread; looking one up by id is any thread's."""

    def __init__(self) -> None:
        self.current: Segment | None = None
        self._pending: collections.deque[Segment] = collections.deque()
        self._played: int | None = None  # the topology that was started last

    def __iter__(self) -> Iterator[Segment]:
        """The current one, then those that wait."""
        current = self.current
        return iter([*([] if current is None else [current]), *self._pending])

    def add(self, segment: Segment) -> bool:
        """Take a new one; True when it is the current one at once."""
        if self.current is None:
            self.current = segment
            return True
        self._pending.append(segment)
        return False

    def next(self) -> Segment | None:
        """Release the current one and make the next one current; None when none waits."""
        self.drop_current()
        if self._pending:
            self.current = self._pending.popleft()
        return self.current

    def switches_sinks(self, segment: Segment) -> bool:
        """Whether another topology was played right before this one, which starts now."""
        before, self._played = self._played, segment.topology_id
        return before not in {None, segment.topology_id}

    @property
    def waits(self) -> bool:
        """Whether another one comes after the current one."""
        return bool(self._pending)

    def drop_current(self) -> None:
        """Release the current one."""
        if self.current is not None:
            self.current.release()
            self.current = None

    def drop_pending(self) -> None:
        """Release those that wait."""
        while self._pending:
            self._pending.popleft().release()

    def drop(self, segment: Segment) -> None:
        """Release one that waits."""
        self._pending.remove(segment)
        segment.release()

    def skip_to(self, segment: Segment) -> None:
        """Make it current; what came before it is released. It is one of these."""
        while self.current is not segment:
            if self.next() is None:
                raise InvalidRequestError("that topology is not in the queue")

    def find(self, topology_id: int) -> Segment:
        """Return the one with this id. Raises InvalidArgumentError: there is none, or it is finished."""
        for segment in self:
            if segment.topology_id == topology_id:
                return segment
        raise InvalidArgumentError(f"topology {topology_id} is neither current nor waiting")

    def at(self, position: int) -> Segment | None:
        """The segment of an editing session whose project time holds `position`."""
        for segment in self:
            start, stop = segment.topology.project_start, segment.topology.project_stop
            if start is not None and stop is not None and start <= position < stop:
                return segment
        return None
