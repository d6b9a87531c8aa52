"""The presentation clock (IMFPresentationClock): MF-064, MF-068 to MF-073.

What runs it is tried in this process: through a worker's proxy an application can read the clock, and no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from drm.hresult import HResult
from drm.session.clock import ClockState, PresentationClock, SystemTimeSource
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import SECOND, Stage, raises_code


class Witness:
    """A clock state sink that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_clock_start(self, start_offset: int) -> None:
        self.told.append(("start", start_offset))

    def on_clock_stop(self) -> None:
        self.told.append("stop")

    def on_clock_pause(self) -> None:
        self.told.append("pause")

    def on_clock_restart(self) -> None:
        self.told.append("restart")

    def on_clock_set_rate(self, rate: float) -> None:
        self.told.append(("rate", rate))


@pytest.fixture
def clock(local: Callable[..., Stage]) -> PresentationClock:
    """Of a fresh session."""
    found: PresentationClock = local().session.get_clock()
    return found


@pytest.fixture
def running(clock: PresentationClock) -> PresentationClock:
    """With a time source, started."""
    clock.set_time_source(SystemTimeSource())
    clock.start(0)
    return clock


def test_mf_064_the_clock_says_that_it_was_shut_down(local: Callable[..., Stage]) -> None:
    at = local()
    clock = at.session.get_clock()
    with raises_code(HResult.MF_E_INVALIDREQUEST):
        clock.get_shutdown_status()
    at.session.shutdown()
    assert clock.get_shutdown_status() is True


def test_mf_068_without_a_time_source_a_clock_neither_tells_nor_runs(clock: PresentationClock) -> None:
    calls = (clock.get_time, clock.get_properties, clock.get_correlated_time, clock.start, clock.pause, clock.stop)
    for call in calls:
        with raises_code(HResult.MF_E_CLOCK_NO_TIME_SOURCE):
            call()
    with raises_code(HResult.MF_E_CLOCK_NO_TIME_SOURCE):
        clock.set_rate(1.0)
    assert clock.get_state() is ClockState.INVALID
    assert clock.continuity_key == 0


def test_mf_069_states_of_the_clock(clock: PresentationClock) -> None:
    clock.set_time_source(SystemTimeSource())
    clock.stop()  # from INVALID
    with raises_code(HResult.MF_E_CLOCK_STATE_ALREADY_SET):
        clock.stop()
    with raises_code(HResult.MF_E_INVALIDREQUEST):
        clock.pause()
    clock.start(0)
    clock.start(SECOND)
    assert SECOND <= clock.get_time() < 2 * SECOND
    clock.pause()
    with raises_code(HResult.MF_E_CLOCK_STATE_ALREADY_SET):
        clock.pause()
    stands = clock.get_time()
    time.sleep(0.02)
    assert clock.get_time() == stands
    clock.stop()
    assert clock.get_time() == 0


def test_mf_070_a_state_sink_is_added_once_and_removed_as_often_as_one_likes(running: PresentationClock) -> None:
    witness = Witness()
    running.add_state_sink(witness)
    with raises_code(HResult.E_INVALIDARG):
        running.add_state_sink(witness)
    running.pause()
    running.start()
    running.set_rate(2)
    running.start(7)
    running.stop()
    assert witness.told == ["pause", "restart", ("rate", 2), ("start", 7), "stop"]
    running.remove_state_sink(witness)
    running.remove_state_sink(witness)
    running.start(0)
    assert witness.told[-1] == "stop"


def test_mf_070_a_sink_of_the_session_hears_what_the_session_does(local: Callable[..., Stage]) -> None:
    at, witness = local(), Witness()
    at.session.get_clock().add_state_sink(witness)
    at.playing()
    at.session.pause()
    at.session.start()
    at.session.start(SECOND)
    at.session.stop()
    at.until(E.SESSION_STOPPED)
    assert witness.told == [("start", 0), "pause", "restart", ("start", SECOND), "stop"]


def test_mf_071_a_thinned_rate_is_refused_and_half_and_none_are_not(running: PresentationClock) -> None:
    with raises_code(HResult.MF_E_THINNING_UNSUPPORTED):
        running.set_rate(2, thin=True)
    assert running.rate == 1
    running.set_rate(0.5)
    running.set_rate(0)
    stands = running.get_time()
    time.sleep(0.02)
    assert running.get_time() == stands


def test_mf_072_a_fresh_session_has_a_clock_that_tells_no_time_until_the_first_start(at: Stage) -> None:
    clock = at.session.get_clock()
    with raises_code(HResult.MF_E_CLOCK_NO_TIME_SOURCE):
        clock.get_time()
    assert clock.get_state() == ClockState.INVALID
    at.ready()
    with raises_code(HResult.MF_E_CLOCK_NO_TIME_SOURCE):
        clock.get_time()
    at.to_the_end()
    assert clock.get_time() == 0  # it was stopped
    assert clock.get_state() == ClockState.STOPPED


def test_mf_073_a_timer_of_the_past_fires_at_once(running: PresentationClock) -> None:
    running.start(200_000)
    fired, begun = threading.Event(), time.monotonic()
    running.set_timer(100_000, fired.set)
    assert fired.wait(2)
    assert time.monotonic() - begun < 0.2


def test_mf_073_a_timer_fires_at_its_time_unless_it_is_cancelled(running: PresentationClock) -> None:
    fired: list[str] = []
    begun = time.monotonic()
    done = threading.Event()

    def late() -> None:
        fired.append("late")
        raise ZeroDivisionError("planted")  # breaks no other timer

    running.set_timer(SECOND // 10, late)
    running.cancel_timer(running.set_timer(SECOND // 20, lambda: fired.append("cancelled")))
    running.set_timer(SECOND // 5, done.set)
    assert done.wait(2)
    assert 0.19 < time.monotonic() - begun < 0.6
    assert fired == ["late"]
