"""The data path of a running topology: source, decrypter, decoder, transforms, sinks, one thread.

Encrypted bytes are decrypted straight into memory that the decoder owns; clear bytes exist nowhere else. Decoded
frames wait in their branches until no other stream can have an earlier one: sinks see sound and picture in the order of
presentation, however many pictures a decoder holds back.
"""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from drm.errors import DRMError, MediaError
from drm.media import Sample, SampleCrypto
from drm.session import progress
from drm.session.clock import MediaTimeSource, PresentationClock, SystemTimeSource
from drm.session.decryption import Decryption
from drm.session.events import MediaEvent, MediaEventType
from drm.session.full_topology import ResolvedTopology
from drm.session.key_check import place
from drm.session.quality import QualityWatch
from drm.session.running_branch import HUNDRED_NS, RunningBranch
from drm.session.session_source import SessionSource
from drm.worker_memory import is_out_of_memory, memory_error

__all__ = ["Pipeline", "Run", "component_failed"]

_LOOK: Final = 0.02  # seconds between two looks at the clock while a frame waits for its time
_STANDS: Final = 1.0  # seconds that a pause waits for the frame in hand; a sink may be stuck on a full pipe
_STUCK: Final = 5.0  # seconds that a stop waits for it


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
        interrupt: Callable[[], None],
    ) -> None:
        """The source delivers from the position already.

        `finished` is called once on the pipeline's thread: None at the natural end, else what went wrong. It is not
        called when the pipeline was stopped, and once more for each halt at a key that is missing. `interrupt` ends
        a wait for rights.
        """
        self._topology = topology
        self._source = source
        self._clock = clock
        self._run_from = run
        self._quality = quality
        self._emit = emit
        self._finished = finished
        self._interrupt = interrupt
        self._branches = [RunningBranch(node, run.position, run.offset, run.stop) for node in topology.nodes]
        self._is_rateless = topology.is_rateless
        self._decryption = Decryption(emit)
        self._running = threading.Event()
        self._stopping = threading.Event()
        self._next_picture = threading.Event()  # while scrubbing
        self._writing = threading.Lock()  # held while a frame goes to its sinks
        self._begun = False
        self._end_told = False
        self.counts: dict[str, int] = {}  # of the sinks, at the natural end
        self.halted_by: DRMError | None = None  # the last key that was missing: `start` goes on from that sample
        self._rate = run.rate
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)

    @property
    def notes(self) -> list[str]:
        """What is odd in what was played, or could not be told of it."""
        odd = [branch.presentation.note for branch in self._branches if branch.presentation.note]
        for branch in self._branches:
            odd += (
                f"{place(branch.node.stream.track)}: whether the key of KID {key_id} is right was not seen: it begins "
                f"{seconds:.3f} s after the start, inside a group of pictures; `clearkey keys check` looks closer"
                for key_id, seconds in branch.node.unjudged.items()
            )
        return odd

    @property
    def asks_for_rights(self) -> bool:
        """Whether it waits for a license: only whoever waits for the application can end that."""
        return self._decryption.asks_for_rights

    @property
    def end(self) -> int:
        """Presentation time at which the latest frame so far ends; where it began, when there was none."""
        return max((branch.end for branch in self._branches), default=self._run_from.position)

    # ------------------------------------------------------------------ on the session's thread

    def start(self) -> None:
        """Run, or go on; while scrubbing, to the next picture."""
        self._running.set()
        self._next_picture.set()
        if not self._begun:  # nor once it has ended, while the session has not heard of it yet
            self._begun = True
            self._thread.start()

    def pause(self) -> None:
        """Stand still: no frame reaches a sink from now on, until `start`."""
        self._running.clear()
        if self._writing.acquire(timeout=_STANDS):  # the frame that is being written comes before the pause
            self._writing.release()

    def set_rate(self, rate: float) -> None:
        """Go at this rate from the next frame on."""
        self._rate = rate
        if rate:
            self._next_picture.set()

    def stop(self) -> None:
        """End for good and wait for the thread; one that a sink does not let go of is left behind after a while."""
        self._stopping.set()
        self._source.interrupt()
        self._decryption.stop()
        self._running.set()
        self._next_picture.set()
        until = time.monotonic() + _STUCK
        while self._thread.is_alive() and self._thread is not threading.current_thread():
            if time.monotonic() > until:
                self._topology.straggler = self._thread
                return
            if self.asks_for_rights:  # or comes to ask while it is being stopped
                self._interrupt()
            self._thread.join(_LOOK)

    # ------------------------------------------------------------------ on its own

    def _run(self) -> None:
        error: DRMError | None = None
        try:
            self._flow()
        except BaseException as found:  # noqa: BLE001 - a component's own fault must end as an event, not as silence
            error = component_failed(found)
        finally:
            for branch in self._branches:
                branch.pending.clear()
        if not self._stopping.is_set():
            self._finished(self, error)
        error = None  # its traceback holds this frame: a circle, and in it the decoder with what it decoded

    def _flow(self) -> None:
        branches = list(self._branches)
        while branches:
            self._running.wait()
            if self._stopping.is_set():
                return
            self._tell_of_the_end()
            branch = min(branches, key=lambda each: each.reached)
            if branch.pending:
                self._show(branch)
            elif branch.is_over:
                branches.remove(branch)
            else:
                self._step(branch)
        if not self._is_rateless:
            self._wait_until(self.end)  # the last picture stands for as long as it lasts
        with self._unpaused() as goes_on:
            if goes_on:
                self._tell_of_the_end()
                for index, sink in enumerate(self._topology.sinks):
                    counts = self._topology.calls("finish", sink.finish)
                    self.counts |= {f"sink{index}.{name}": operator.index(count) for name, count in counts.items()}

    def _tell_of_the_end(self) -> None:
        """END_OF_PRESENTATION, once: the source is done. What it gave is still to be decoded and shown."""
        if self._end_told:
            return
        if all(branch.is_over or self._source.is_finished(branch.stream_id) for branch in self._branches):
            self._end_told = True
            self._emit(MediaEvent(MediaEventType.END_OF_PRESENTATION))

    def _step(self, branch: RunningBranch) -> None:
        """Read and decode one sample of `branch`."""
        progress.note()
        found = self._source.read(branch.stream_id)
        if found is None:
            branch.is_over = True
            if not self._leaves_out(branch):
                branch.take(branch.node.decoder.drain())
            return
        sample, stored = found
        if self._leaves_out(branch):
            stored.release()
            self._source.done(branch.stream_id)
            branch.leave_out(sample)
            return
        buffer = branch.node.decoder.buffer(sample.size)
        with stored, buffer.view() as target:
            if sample.crypto is None:
                target[: sample.size] = stored
            else:
                self._decrypt(branch, stored, sample, sample.crypto, target[: sample.size])
                if branch.node.check is not None:
                    branch.node.check(sample, stored)
        self._source.done(branch.stream_id)
        try:
            ahead = branch.ahead.pop(sample.dts, None)
            frames = branch.node.decoder.decode(buffer, sample) if ahead is None else ahead
        except MediaError as error:
            error.where = f"{error.where}, {sample.dts / branch.timescale:.3f} s after its start"
            if sample.crypto is not None and branch.node.authority is not None:
                branch.node.authority.decoder_refused(sample.crypto.key_ids)
            raise
        branch.take(frames)

    def _decrypt(
        self, branch: RunningBranch, stored: memoryview, sample: Sample, crypto: SampleCrypto, target: memoryview
    ) -> None:
        """Decrypt one sample. Without its key, stand still at it, say so, and try again when started again."""
        while True:
            try:
                self._decryption.decrypt(branch.node, stored, sample, crypto, target)
            except DRMError as missing:
                if self._stopping.is_set() or missing is not self._decryption.lacking:
                    raise
                self._running.clear()
                self.halted_by = missing
                self._finished(self, missing)
                self._running.wait()
                if self._stopping.is_set():
                    raise
            else:
                return

    def _leaves_out(self, branch: RunningBranch) -> bool:
        """Sound at another speed would be another sound: it is dropped, and RATE_CHANGED says so."""
        return branch.is_sound and self._rate != 1.0

    def _show(self, branch: RunningBranch) -> None:
        """Give the next frame of `branch` to its sinks, in time."""
        moment, frame = branch.pop()
        if self._leaves_out(branch) or not self._is_due(branch, moment):
            return
        with self._unpaused() as goes_on:
            if not goes_on:
                return
            for sink in branch.node.sinks:
                sink.write(branch.stream_id, frame)
            source = self._clock.get_time_source()
            if isinstance(source, MediaTimeSource):
                source.advance(moment)
        if not branch.is_sound:
            self._scrub(moment)

    @contextmanager
    def _unpaused(self) -> Iterator[bool]:
        """Wait for the end of a pause, and hold the next one back meanwhile; False when the pipeline stops."""
        while True:
            self._running.wait()
            with self._writing:
                if self._running.is_set():
                    yield not self._stopping.is_set()
                    return

    def _is_due(self, branch: RunningBranch, moment: int) -> bool:
        """Wait for the frame's time; False when it is not to be shown. Rateless sinks take all, at once."""
        if self._is_rateless:
            return True
        late = self._wait_until(moment)
        if late is None:
            return False
        return self._rate == 0 or not self._quality.is_dropped(branch.stream_id, branch.node.stream.track.type, late)

    def _wait_until(self, moment: int) -> int | None:
        """Wait for this presentation time; return how late it is by now (100 ns), or None when the pipeline stops."""
        source = self._clock.get_time_source()
        while not self._stopping.is_set():
            self._running.wait()
            if isinstance(source, SystemTimeSource):
                source.begin()  # after each start and restart of the clock: what it waits for is here
            rate = self._rate
            ahead = moment - source.now()
            if ahead <= 0 or rate == 0:
                return -ahead
            self._stopping.wait(min(_LOOK, ahead / HUNDRED_NS / rate))
        return None

    def _scrub(self, moment: int) -> None:
        """At rate 0 one picture is shown for each start; the clock stands."""
        self._next_picture.clear()
        if self._rate == 0 and not self._stopping.is_set():
            self._emit(MediaEvent(MediaEventType.SESSION_SCRUB_SAMPLE_COMPLETE, values={"time": moment}))
            self._next_picture.wait()


def component_failed(error: BaseException) -> DRMError:
    """What an exception is to the session: itself, a lack of memory, or a component's own fault, outside the tree."""
    if isinstance(error, DRMError):
        return error
    if is_out_of_memory(error):
        return memory_error()
    return DRMError(f"a component failed: {type(error).__name__}: {error}")
