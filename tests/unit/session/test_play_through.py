"""What a play-through looks like from outside: the order of events, and each frame once."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from drm.class_ids import AV_DECODER, HASH_SINK
from drm.errors import DRMError, MediaError, OutputNotAllowedError
from drm.hresult import HResult
from drm.media import Sample
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate
from tests.unit.session.home import Home, eventually, kinds

FAULTY = UUID("99999999-0000-0000-0000-000000000001")


@pytest.fixture(scope="module")
def whole(clear: Path) -> list[str]:
    """The lines of an undisturbed play-through."""
    with Home(clear) as at:
        at.ready()
        at.session.start()
        at.until(E.SESSION_ENDED)
        return at.lines()


def test_events_of_a_play_through_in_order(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_STATUS)
    assert kinds(events) == [101, 112, 110, (111, 100)]
    at.session.start()
    events = at.until(E.SESSION_ENDED)
    assert kinds(events) == [(111, 200), 110, 103, 211, (111, 400), 110, 107]
    assert events[-1].values["sink0.frames"] == len(at.lines()) > 45
    at.session.close()
    assert kinds(at.until(E.SESSION_CLOSED)) == [110, 106]
    at.no_more_events()


def test_every_video_frame_comes_out_and_streams_stay_together(whole: list[str]) -> None:
    streams = [int(line.partition(",")[0]) for line in whole]
    times = [
        (int(line.split(",")[1]) / (15360 if stream == 0 else 48000))
        for line, stream in zip(whole, streams, strict=True)
    ]
    assert streams.count(0) == 45
    # The stream that is furthest behind goes next; a frame-threaded decoder may hold pictures back, so only roughly.
    assert max(abs(time - max(times[: index + 1])) for index, time in enumerate(times)) < 1.5


def test_pause_and_start_deliver_every_frame_once(clear: Path, home: Callable[..., Home], whole: list[str]) -> None:
    at = home(clear)
    at.source.allow(0)
    at.ready()
    at.session.start()
    at.until(E.SESSION_STARTED)
    for samples in [*random.Random(7).sample(range(1, 110), 8), None]:
        at.session.pause()
        assert at.until(E.SESSION_PAUSED)[-1].status == HResult.S_OK
        at.source.allow(samples)
        at.session.start()
        assert at.until(E.SESSION_STARTED)[-1].status == HResult.S_OK
    at.until(E.SESSION_ENDED)
    assert sorted(at.lines()) == sorted(whole)


def test_a_paused_session_stands_still(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.playing(4)
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    at.source.allow(None)
    time.sleep(0.3)
    assert at.source._read <= 5  # a read that was in hand may go on
    at.session.start()
    at.until(E.SESSION_ENDED)


def test_stop_in_mid_play_ends_the_topology(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.playing()
    at.session.stop()
    events = at.until(E.SESSION_STOPPED)
    assert kinds(events) == [110, 105]
    at.no_more_events()
    assert not [t for t in threading.enumerate() if t.name == "pipeline"]


@pytest.mark.parametrize(
    "failure", [MediaError("planted"), ValueError("planted"), MemoryError()], ids=lambda e: type(e).__name__
)
def test_a_source_that_fails_in_mid_play_is_one_event(
    clear: Path, home: Callable[..., Home], failure: Exception
) -> None:
    at = home(clear)
    at.source.fails_after = (10, failure)
    at.ready()
    at.session.start()
    at.until(E.SESSION_STARTED)
    events = at.until(E.ERROR)
    assert kinds(events) == [110, 1]
    if isinstance(failure, DRMError):
        with pytest.raises(MediaError, match="planted"):
            events[-1].raise_for_status()
    at.no_more_events()
    at.session.close()
    assert kinds(at.until(E.SESSION_CLOSED)) == [110, 106]


class FaultySink:
    """A sink whose `place` raises what a test planted."""

    place, failure = "", Exception()
    is_rateless = True

    def load(self, stream: bytes) -> None:
        self._do("load")

    def output_trust_authorities(self) -> tuple[object, ...]:
        return ()

    def open(self, tracks: object, descriptor: int | None) -> None:
        self._do("open")

    def write(self, track_id: int, frame: object) -> None:
        self._do("write")

    def finish(self) -> dict[str, int]:
        self._do("finish")
        return {}

    def close(self) -> None:
        self._do("close")

    def _do(self, place: str) -> None:
        if place == self.place:
            raise self.failure


@pytest.mark.parametrize(
    "failure",
    [OutputNotAllowedError("planted"), OSError(errno.ENOSPC, "planted"), KeyError("planted")],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("place", ["load", "open", "write", "finish"])
def test_a_sink_that_fails_is_one_event(
    clear: Path, home: Callable[..., Home], monkeypatch: pytest.MonkeyPatch, place: str, failure: Exception
) -> None:
    monkeypatch.setattr(FaultySink, "place", place)
    monkeypatch.setattr(FaultySink, "failure", failure)
    at = home(clear, components={FAULTY: FaultySink})
    at.session.set_topology(at.topology(SinkActivate(FAULTY)))
    at.session.start()
    kind = E.POLICY_ERROR if isinstance(failure, OutputNotAllowedError) else E.ERROR
    if place in {"load", "open"}:
        kind = E.SESSION_TOPOLOGY_SET
    failed = at.until(kind)[-1]
    with pytest.raises(DRMError, match="planted"):
        failed.raise_for_status()
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert kind not in kinds(events)


def test_a_reader_that_goes_away_ends_nothing(clear: Path, home: Callable[..., Home]) -> None:
    """As `clearkey play --framemd5 - | head -1` does."""
    at = home(clear)
    reading, writing = os.pipe()
    os.close(reading)
    at.ready(SinkActivate(HASH_SINK, {}, writing))
    at.session.start()
    assert at.until(E.SESSION_ENDED)[-1].values["sink0.frames"] > 45


def test_a_full_disk_under_the_last_lines_is_one_event(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.ready(SinkActivate(HASH_SINK, {}, os.open("/dev/full", os.O_WRONLY)))
    at.session.start()
    events = at.until(E.ERROR)
    assert kinds(events) == [(111, 200), 110, 103, 211, 110, 1]
    with pytest.raises(DRMError, match="No space left"):
        events[-1].raise_for_status()
    at.session.close()
    assert kinds(at.until(E.SESSION_CLOSED)) == [110, 106]


class FaultyDecoder:
    """A component that breaks in the middle of its work."""

    def open(self, track: object, *, strict: bool = False) -> None:
        self._left = 5

    def buffer(self, size: int) -> object:
        class Memory:
            def view(self) -> memoryview:
                return memoryview(bytearray(size + 64))

        return Memory()

    def decode(self, buffer: object, sample: Sample) -> list[object]:
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError("planted")
        return []

    def drain(self) -> list[object]:
        return []

    def flush(self) -> None:
        pass


def test_a_decoder_that_breaks_in_mid_play_is_one_event(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear, components={AV_DECODER: FaultyDecoder})
    at.ready()
    at.session.start()
    failed = at.until(E.ERROR)[-1]
    assert failed.error is not None
    assert "ZeroDivisionError" in failed.error.what
    at.no_more_events()


def test_start_after_the_last_sample_was_read_breaks_nothing(clear: Path, home: Callable[..., Home]) -> None:
    """The pipeline's thread is over, and the session has not yet heard of it: commands come in between."""
    at = home(clear)
    at.ready()
    held = threading.Event()
    real = at.emit

    def slow(event: object) -> None:
        real(event)
        if event.type == E.SESSION_STARTED and event.values:
            held.wait(5)

    at.emit = slow
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.start()  # waits behind the first, whose event is being given out
    held.set()
    at.emit = real
    at.session.pause()
    at.session.start()
    at.until(E.SESSION_ENDED)
    at.session.close()
    at.until(E.SESSION_CLOSED)


def test_commands_between_the_end_of_the_thread_and_the_word_of_it(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.playing(3)
    at.source.wait_asked(4)
    held, real = threading.Event(), at.emit

    def hold(event: object) -> None:
        real(event)
        if event.type == E.SESSION_PAUSED:
            held.wait(10)

    at.emit = hold
    pipeline = at.session._transport._playing.pipeline
    at.source.fails_after = (3, MediaError("planted"))
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    at.session.start()
    at.source.allow(None)
    eventually(lambda: not pipeline._thread.is_alive())
    held.set()
    assert kinds(at.until(E.ERROR)) == [110, 103, 110, 1]
    at.session.close()
    at.until(E.SESSION_CLOSED)


def test_close_while_it_plays_never_looks_like_an_error(clear: Path, home: Callable[..., Home]) -> None:
    """`close` cancels the source first; what the pipeline says of that is nobody's business."""
    for turn in range(20):
        at = home(clear)
        at.playing(3 + turn)
        real = at.session._interrupt

        def slowly(for_good: bool, real: Callable[[bool], None] = real) -> None:
            real(for_good)
            time.sleep(0.02)  # the pipeline ends before `close` is queued

        at.session._interrupt = slowly
        at.session.close()
        assert kinds(at.until(E.SESSION_CLOSED)) == [110, 110, 106]


def test_a_sink_that_cannot_be_closed_ends_nothing(
    clear: Path, home: Callable[..., Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaultySink, "place", "close")
    at = home(clear, components={FAULTY: FaultySink})
    at.ready(SinkActivate(FAULTY))
    at.session.close()
    assert at.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK
