"""The clock of either kind of session, as an application holds it: MF-165."""

from __future__ import annotations

import threading
from collections.abc import Callable

from drm.hresult import HResult
from drm.session.clock import ClockState
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.test_clock import Witness
from tests.conformance.mfcreatemediasession.world import LIMIT, SECOND, Stage, eventually, raises_code


def test_mf_165_state_sinks_are_told_of_every_change_in_order(stage: Callable[..., Stage]) -> None:
    at = stage()
    clock, witness, second = at.session.get_clock(), Witness(), Witness()
    clock.add_state_sink(witness)
    clock.add_state_sink(second)
    with raises_code(HResult.E_INVALIDARG):
        at.session.get_clock().add_state_sink(witness)
    at.playing()
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.set_rate(2)
    at.until(E.SESSION_RATE_CHANGED)
    eventually(lambda: second.told == witness.told == [("start", 0), "pause", "restart", ("rate", 2.0)])
    clock.remove_state_sink(second)
    clock.remove_state_sink(second)
    assert clock.rate == 2
    at.session.stop()
    at.until(E.SESSION_STOPPED)
    eventually(lambda: witness.told[-1] == "stop")
    assert second.told[-1] == ("rate", 2.0)


def test_mf_165_timers_fire_at_their_time_and_may_be_cancelled(stage: Callable[..., Stage]) -> None:
    at = stage()
    clock, fired, never = at.session.get_clock(), threading.Event(), threading.Event()
    times: list[int] = []
    clock.set_timer(SECOND // 4, lambda: (times.append(clock.get_time()), fired.set()))
    key = clock.set_timer(SECOND // 5, never.set)
    clock.cancel_timer(key)
    clock.cancel_timer(key)
    assert not fired.wait(0.3), "the clock does not run yet"
    at.playing()
    assert fired.wait(LIMIT)
    assert times[0] >= SECOND // 4
    assert not never.is_set()


def test_mf_165_the_clock_knows_what_it_is_and_that_it_is_over(stage: Callable[..., Stage]) -> None:
    at = stage()
    clock = at.session.get_clock()
    with raises_code(HResult.MF_E_CLOCK_NO_TIME_SOURCE):
        clock.get_properties()
    with raises_code(HResult.MF_E_INVALIDREQUEST):
        clock.get_shutdown_status()
    at.playing()
    assert clock.get_properties().frequency == SECOND
    first, second = clock.get_correlated_time(), clock.get_correlated_time()
    assert 0 <= second[0] - first[0] <= second[1] - first[1] + SECOND // 100
    assert clock.continuity_key == 0
    clock.add_state_sink(Witness())
    at.session.shutdown()
    assert clock.get_shutdown_status() is True
    assert clock.get_state() is ClockState.STOPPED
    for call in (clock.get_time, lambda: clock.set_timer(0, print), lambda: clock.add_state_sink(Witness())):
        with raises_code(HResult.MF_E_SHUTDOWN):
            call()
