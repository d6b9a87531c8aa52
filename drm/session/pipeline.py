"""The data path of a running topology: source, decrypter, decoder, sinks, one thread.

Encrypted bytes are decrypted straight into memory that the decoder owns; clear bytes exist nowhere else. The stream
that is furthest behind goes next, so that sinks see sound and picture in the order of presentation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from drm.component import Frame, InputTrustAuthority
from drm.errors import DRMError, InvalidRequestError, KeyMissingError, MediaError
from drm.hresult import HResult
from drm.media import Sample, SampleCrypto
from drm.session.clock import PresentationClock
from drm.session.presentation import Presentation
from drm.session.topology import Node, ResolvedTopology

__all__ = ["Pipeline", "SessionSource", "cancelled", "component_failed"]

_HUNDRED_NS: Final = 10_000_000  # units of presentation time in a second


class SessionSource(Protocol):
    """What the session reads from: the proxy of an application's source, or a source of its own process."""

    def authority(self, stream_id: int) -> InputTrustAuthority | None:
        """The ITA of a stream; None: the stream is clear (IMFTrustedInput)."""

    def select(self, stream_ids: Iterable[int]) -> None:
        """Deliver these streams from the start."""

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        """Wait for the next sample and its bytes as stored; None at the end. Raises what the source raised."""

    def done(self, stream_id: int) -> None:
        """The bytes of the last `read` of this stream are no longer needed; no view of them may be left."""

    def cancel(self) -> None:
        """Let a waiting `read` go with InvalidRequestError."""


class _Lane:
    """One node with its place in time."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.stream_id = node.stream.track.track_id
        self.timescale = max(1, node.stream.track.timescale)
        self.presentation = Presentation(node.stream.track)
        self.seconds = 0.0
        self.ended = False


class Pipeline:
    """Runs a resolved topology to its end, on a thread of its own, until paused or stopped."""

    def __init__(
        self,
        topology: ResolvedTopology,
        source: SessionSource,
        clock: PresentationClock,
        finished: Callable[[DRMError | None], None],
    ) -> None:
        """`finished` is called once on the pipeline's thread: None at the natural end, else what went wrong.

        It is not called when the pipeline was stopped.
        """
        self._topology = topology
        self._source = source
        self._clock = clock
        self._finished = finished
        self._lanes = [_Lane(node) for node in topology.nodes]
        self._running = threading.Event()
        self._stopping = False
        self.asks_for_rights = False  # waits for a license: only whoever waits for the application can end that
        self._begun = False
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self.notes = [lane.presentation.note for lane in self._lanes if lane.presentation.note]

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
        self._stopping = True
        self._source.cancel()
        self._running.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._flow()
        except DRMError as error:
            if not self._stopping:
                self._finished(error)
        except Exception as error:  # noqa: BLE001 - a component's own fault must end as an event, not as silence
            if not self._stopping:
                self._finished(component_failed(error))
        else:
            if not self._stopping:
                self._finished(None)

    def _flow(self) -> None:
        lanes = list(self._lanes)
        while lanes:
            self._running.wait()
            if self._stopping:
                return
            lane = min(lanes, key=lambda each: each.seconds)
            if not self._step(lane):
                lanes.remove(lane)

    def _step(self, lane: _Lane) -> bool:
        """Move one sample of `lane` through; False at the end of its stream."""
        found = self._source.read(lane.stream_id)
        if found is None:
            self._deliver(lane, lane.node.decoder.drain())
            return False
        sample, stored = found
        lane.seconds = (sample.dts + sample.duration) / lane.timescale
        buffer = lane.node.decoder.buffer(sample.size)
        with stored, buffer.view() as target:
            if sample.crypto is None:
                target[: sample.size] = stored
            else:
                self._decrypt(lane.node, stored, sample, sample.crypto, target[: sample.size])
                if sample.is_sync and lane.node.check is not None:
                    lane.node.check(sample, stored)
        self._source.done(lane.stream_id)
        try:
            frames = lane.node.decoder.decode(buffer, sample)
        except MediaError as error:
            error.where = f"{error.where}, {sample.dts / lane.timescale:.3f} s after its start"
            raise
        self._deliver(lane, frames)
        return True

    def _decrypt(
        self, node: Node, stored: memoryview, sample: Sample, crypto: SampleCrypto, target: memoryview
    ) -> None:
        if node.decrypter is None:
            raise InvalidRequestError("an encrypted sample reached a branch that has no decrypter")
        try:
            node.decrypter.decrypt_into(stored, crypto, target)
        except KeyMissingError as missing:
            # A key that rotates in may be named by its samples alone. It is asked for once, when its turn comes.
            self.asks_for_rights = True
            try:
                obtained = node.obtain is not None and node.obtain(crypto.key_ids)
            except DRMError as refused:
                refused.where = refused.where or _moment(node, sample)
                raise
            finally:
                self.asks_for_rights = False
            if not obtained:
                missing.where = missing.where or _moment(node, sample)
                raise
            node.decrypter.decrypt_into(stored, crypto, target)

    def _deliver(self, lane: _Lane, frames: list[Frame]) -> None:
        for decoded in frames:
            frame = lane.presentation.present(decoded)
            if frame is None:
                continue
            for sink in lane.node.sinks:
                sink.write(lane.stream_id, frame)
            self._clock.advance(frame.pts * _HUNDRED_NS // lane.timescale)


def _moment(node: Node, sample: Sample) -> str:
    track = node.stream.track
    return f"track {track.track_id}, {sample.dts / max(1, track.timescale):.3f} s after its start"


def cancelled() -> InvalidRequestError:
    """What a `read` raises when it is cancelled."""
    return InvalidRequestError("the pipeline was stopped", hresult=HResult.MF_E_OPERATION_CANCELLED)


def component_failed(error: Exception) -> DRMError:
    """What a component's own fault, which is no error of the tree, is to the session."""
    return DRMError(f"a component failed: {type(error).__name__}: {error}")
