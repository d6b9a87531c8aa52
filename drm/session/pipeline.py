"""The data path of a running topology: source, decrypter, decoder, transforms, sinks, one thread.

Encrypted bytes are decrypted straight into memory that the decoder owns; clear bytes exist nowhere else. The stream
that is furthest behind goes next, so that sinks see sound and picture in the order of presentation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drm.component import Frame
from drm.errors import DRMError, MediaError
from drm.session.clock import MediaTimeSource, PresentationClock, SystemTimeSource
from drm.session.decryption import Decryption
from drm.session.events import MediaEvent, MediaEventType
from drm.session.full_topology import ResolvedTopology
from drm.session.lane import HUNDRED_NS, Lane
from drm.session.quality import QualityWatch
from drm.session.session_source import SessionSource

__all__ = ["Pipeline", "Run", "component_failed"]

_LOOK: Final = 0.02  # seconds between two looks at the clock while a frame waits for its time


@dataclass(frozen=True, slots=True)
class Run:
    """One way through a presentation: where it begins, and how fast it goes."""

    position: int  # presentation time
    offset: int  # presentation time at which the presentation begins
    stop: int | None = None  # presentation time at which it ends, whatever is left; None: with its streams
    rate: float = 1.0


class Pipeline:
    """Runs a resolved topology once, from a position to its end, until paused or stopped."""

    def __init__(
        self,
        topology: ResolvedTopology,
        source: SessionSource,
        clock: PresentationClock,
        run: Run,
        quality: QualityWatch,
        emit: Callable[[MediaEvent], None],
        finished: Callable[[Pipeline, DRMError | None], None],
    ) -> None:
        """The source delivers from the position already.

        `finished` is called once on the pipeline's thread: None at the natural end, else what went wrong. It is not
        called when the pipeline was stopped.
        """
        self._source = source
        self._clock = clock
        self._run_from = run
        self._quality = quality
        self._emit = emit
        self._finished = finished
        self._lanes = [Lane(node, run.position, run.offset) for node in topology.nodes]
        self._is_rateless = topology.is_rateless
        self._decryption = Decryption(emit)
        self._running = threading.Event()
        self._stopping = threading.Event()
        self._begun = False
        self.rate = run.rate
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self.notes = [lane.presentation.note for lane in self._lanes if lane.presentation.note]

    @property
    def asks_for_rights(self) -> bool:
        """Whether it waits for a license: only whoever waits for the application can end that."""
        return self._decryption.asks_for_rights

    @property
    def end(self) -> int:
        """Presentation time at which the latest frame so far ends."""
        return max((lane.end for lane in self._lanes), default=0)

    def start(self) -> None:
        """Run, or go on."""
        self._running.set()
        if not self._begun:  # nor once it has ended, while the session has not heard of it yet
            self._begun = True
            self._thread.start()

    def pause(self) -> None:
        """Stand still after the sample in hand."""
        self._running.clear()

    def stop(self) -> None:
        """End for good and wait for the thread."""
        self._stopping.set()
        self._source.interrupt()
        self._decryption.stop()
        self._running.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        error: DRMError | None = None
        try:
            self._flow()
        except Exception as found:  # noqa: BLE001 - a component's own fault must end as an event, not as silence
            error = component_failed(found)
        if not self._stopping.is_set():
            self._finished(self, error)

    def _flow(self) -> None:
        lanes = list(self._lanes)
        while lanes:
            self._running.wait()
            if self._stopping.is_set():
                return
            lane = min(lanes, key=lambda each: each.seconds)
            if not self._step(lane):
                lanes.remove(lane)

    def _step(self, lane: Lane) -> bool:
        """Move one sample of `lane` through; False at the end of its stream."""
        found = self._source.read(lane.stream_id)
        if found is None:
            if not self._leaves_out(lane):
                self._deliver(lane, lane.node.decoder.drain())
            return False
        sample, stored = found
        lane.seconds = (sample.dts + sample.duration) / lane.timescale
        if self._leaves_out(lane):
            stored.release()
            self._source.done(lane.stream_id)
            return True
        buffer = lane.node.decoder.buffer(sample.size)
        with stored, buffer.view() as target:
            if sample.crypto is None:
                target[: sample.size] = stored
            else:
                self._decryption.decrypt(lane.node, stored, sample, sample.crypto, target[: sample.size])
                if sample.is_sync and lane.node.check is not None:
                    lane.node.check(sample, stored)
        self._source.done(lane.stream_id)
        try:
            frames = lane.node.decoder.decode(buffer, sample)
        except MediaError as error:
            error.where = f"{error.where}, {sample.dts / lane.timescale:.3f} s after its start"
            raise
        self._deliver(lane, frames)
        return not lane.is_over

    def _leaves_out(self, lane: Lane) -> bool:
        """Sound at another speed would be another sound: it is dropped, and RATE_CHANGED says so."""
        return lane.is_sound and self.rate != 1.0

    def _deliver(self, lane: Lane, frames: list[Frame]) -> None:
        track = lane.node.stream.track
        for decoded in frames:
            made: list[Frame] = [decoded]
            for transform in lane.node.transforms:
                made = [out for each in made for out in transform.process(track, each)]
            for each in made:
                frame = lane.present(each)
                if frame is None:
                    continue
                moment = lane.moment(frame.pts)
                if self._run_from.stop is not None and moment >= self._run_from.stop:
                    lane.is_over = True
                elif self._is_due(lane, moment):
                    for sink in lane.node.sinks:
                        sink.write(lane.stream_id, frame)
                    self._shown(lane, moment)

    def _is_due(self, lane: Lane, moment: int) -> bool:
        """Wait for the frame's time; False when it is not to be shown. Rateless sinks take all, at once."""
        if self._is_rateless:
            return True
        source = self._clock.get_time_source()
        if isinstance(source, SystemTimeSource):
            source.begin()
        while not self._stopping.is_set():
            self._running.wait()
            ahead = moment - source.now()
            if ahead <= 0 or self.rate == 0:
                kind = lane.node.stream.track.type
                return self.rate == 0 or not self._quality.is_dropped(lane.stream_id, kind, -ahead)
            self._stopping.wait(min(_LOOK, ahead / HUNDRED_NS / self.rate))
        return False

    def _shown(self, lane: Lane, moment: int) -> None:
        source = self._clock.get_time_source()
        if isinstance(source, MediaTimeSource):
            source.advance(moment)
        if self.rate == 0 and not lane.is_sound:
            # Scrubbing: one picture for each start; the clock stands.
            self._running.clear()
            self._emit(MediaEvent(MediaEventType.SESSION_SCRUB_SAMPLE_COMPLETE, values={"time": moment}))
            self._running.wait()


def component_failed(error: Exception) -> DRMError:
    """What an exception is to the session: itself, or a component's own fault, which is no error of the tree."""
    if isinstance(error, DRMError):
        return error
    return DRMError(f"a component failed: {type(error).__name__}: {error}")
