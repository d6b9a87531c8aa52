"""What runs: at most one pipeline, and the clock with it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import suppress

from drm.errors import DRMError, InvalidRequestError, SessionError
from drm.session.clock import ClockState, MediaTimeSource, PresentationClock, SystemTimeSource
from drm.session.events import MediaEvent
from drm.session.pipeline import Pipeline, Run
from drm.session.quality import QualityManager, QualityWatch
from drm.session.segments import Segment

__all__ = ["Playing", "SessionState"]


class SessionState(enum.Enum):
    """Where a session stands between two commands."""

    STOPPED = "stopped"
    STARTED = "started"
    PAUSED = "paused"
    CLOSED = "closed"


class Playing:
    """Used by the session's own thread."""

    def __init__(
        self,
        clock: PresentationClock,
        quality: QualityManager | None,
        emit: Callable[[MediaEvent], None],
        finished: Callable[[Pipeline, DRMError | None], None],
        interrupt: Callable[[], None],
    ) -> None:
        """`finished` is called on a pipeline's own thread, at its very end. `interrupt` ends a wait for rights."""
        self._clock = clock
        self._emit = emit
        self._finished = finished
        self._interrupt = interrupt
        self.quality = QualityWatch(quality, emit)
        self.pipeline: Pipeline | None = None
        self.state = SessionState.STOPPED
        self.rate = 1.0

    def prepare(self, segment: Segment, position: int, *, from_its_start: bool = False) -> None:
        """Have the source and the clock start at presentation time `position`; `go` starts the data path.

        Whatever ran before was dropped. `from_its_start`: the source delivers from its start, and what comes before
        the position is decoded and not shown: for one that cannot seek.

        Raises what the source raises, and InvalidRequestError when a sink is stuck.
        """
        if segment.resolved.is_stuck:
            raise InvalidRequestError(
                "a sink has not taken its last frame yet", maybe="nobody reads from the pipe that it writes to"
            )
        if self.state is SessionState.STOPPED:
            self.quality.dropped = 0
        begin = 0 if from_its_start else segment.media_position(position)
        for node in segment.resolved.nodes:
            if begin or not node.ahead:
                node.decoder.flush()
                node.ahead.clear()
            for transform in node.transforms:
                transform.flush()
        streams = [node.stream.track.track_id for node in segment.resolved.nodes]
        segment.source.select(streams, begin)
        self._clock.set_time_source(MediaTimeSource() if segment.resolved.is_rateless else SystemTimeSource(waits=True))
        if self._clock.rate != self.rate:  # it was set before there was a time source
            self._clock.set_rate(self.rate)
        self._clock.start(position)
        run = Run(position, segment.offset, segment.stop, self.rate)
        self.pipeline = Pipeline(
            segment.resolved,
            segment.source,
            self._clock,
            run,
            self.quality,
            self._emit,
            self._finished,
            self._interrupt,
        )
        self.state = SessionState.STARTED

    @property
    def moment(self) -> int | None:
        """The presentation time that plays; None when nothing runs."""
        if self.state is not SessionState.STARTED or self.pipeline is None:
            return None
        return self._clock.get_time()

    @property
    def asks_for_rights(self) -> bool:
        """Whether what runs waits for a license."""
        return self.pipeline is not None and self.pipeline.asks_for_rights

    def go(self) -> None:
        """Let the pipeline run."""
        assert self.pipeline is not None
        self.pipeline.start()

    def resume(self) -> None:
        """Go on after a pause."""
        self._clock.start()
        self.state = SessionState.STARTED
        self.go()

    def pause(self) -> None:
        """Stand still. In a pause there may be no pipeline: another topology took the place of what was paused."""
        if self._clock.get_state() is ClockState.RUNNING:
            self._clock.pause()
        if self.pipeline is not None:
            self.pipeline.pause()
        self.state = SessionState.PAUSED

    def set_rate(self, rate: float) -> None:
        """Play at another speed, from now on."""
        self.rate = rate
        with suppress(SessionError):  # without a time source yet, the rate counts from the first start on
            self._clock.set_rate(rate)
        if self.pipeline is not None:
            self.pipeline.set_rate(rate)

    def drop(self) -> None:
        """End the pipeline; the clock is left as it is."""
        if self.pipeline is not None:
            self.pipeline.stop()
            self.pipeline = None

    def end(self) -> None:
        """End the pipeline and stop the clock."""
        self.drop()
        if self._clock.get_state() in {ClockState.RUNNING, ClockState.PAUSED}:
            self._clock.stop()
        if self.state in {SessionState.STARTED, SessionState.PAUSED}:
            self.state = SessionState.STOPPED
