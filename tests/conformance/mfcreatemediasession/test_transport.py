"""Start, seek, pause and stop: MF-021 to MF-025, MF-043 to MF-058."""

from __future__ import annotations

import time

import pytest

from drm.component import SourceCharacteristic
from drm.errors import MediaError
from drm.hresult import HResult
from drm.session.clock import ClockState
from drm.session.events import MediaEventType as E
from drm.session.events import SessionCapability
from drm.session.media_session import TimeFormat
from tests.conformance.mfcreatemediasession.world import (
    OK,
    REFUSED,
    SECOND,
    Stage,
    Unseekable,
    eventually,
    kinds,
    raises_code,
)

SEEK, PAUSE = SessionCapability.SEEK, SessionCapability.PAUSE


# ---------------------------------------------------------------------------------------- without a topology


def test_mf_021_start_without_a_topology_is_refused_in_its_event(at: Stage) -> None:
    at.session.start()
    told = at.event()
    assert (told.type, told.status, told.value, told.values) == (E.SESSION_STARTED, REFUSED, None, {})
    with raises_code(REFUSED):
        told.raise_for_status()


def test_mf_022_stop_without_a_topology_is_refused_in_its_event(at: Stage) -> None:
    at.session.stop()
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_STOPPED, REFUSED)


def test_mf_024_clearing_is_done_twice_when_it_is_asked_for_twice(at: Stage) -> None:
    at.session.clear_topologies()
    at.session.clear_topologies()
    assert [(event.type, event.status) for event in (at.event(), at.event())] == [
        (E.SESSION_TOPOLOGIES_CLEARED, OK)
    ] * 2


def test_mf_025_a_fresh_session_is_closed(at: Stage) -> None:
    at.session.close()
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_CLOSED, OK)
    at.no_more_events(0.1)


# ---------------------------------------------------------------------------------------- start and seek


def test_mf_043_the_first_start_tells_of_the_source_then_of_itself(at: Stage) -> None:
    topology = at.ready()
    at.session.start()
    events = at.until(E.SESSION_STARTED)
    assert kinds(events) == [(111, 200), 110, 103]
    assert events[0].values["topology"] == topology.topology_id
    assert (events[-1].status, events[-1].values) == (OK, {"presentation_time_offset": 0})


def test_mf_044_pause_can_be_done_while_it_plays(at: Stage) -> None:
    at.ready(at.in_time())
    before = at.session.get_session_capabilities()
    at.session.start()
    told = at.until(E.SESSION_CAPABILITIES_CHANGED)[-1]
    after = at.session.get_session_capabilities()
    assert not before & PAUSE
    assert after == before | PAUSE
    assert told.values == {"capabilities": int(after), "delta": int(PAUSE)}
    at.session.start(0)
    at.session.start()
    events = at.until(E.SESSION_STARTED) + at.until(E.SESSION_STARTED) + at.until(E.SESSION_STARTED)
    assert E.SESSION_CAPABILITIES_CHANGED not in kinds(events)  # nothing changed
    at.session.pause()
    told = at.until(E.SESSION_CAPABILITIES_CHANGED)[-1]
    assert told.values == {"capabilities": int(before), "delta": int(PAUSE)}


def test_mf_044_a_source_that_cannot_pause_gives_no_pause(at: Stage) -> None:
    able = SourceCharacteristic.CAN_SEEK
    at.ready(at.in_time(), source=Unseekable(at.source(), MediaError("planted"), able=able))
    at.session.start()
    assert kinds(at.until(E.SESSION_STARTED)) == [(111, 200), 103]
    assert at.session.get_session_capabilities() & SEEK
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == REFUSED
    assert at.session.get_clock().get_state() == ClockState.RUNNING


@pytest.mark.parametrize("state", ["started", "paused"])
def test_mf_045_a_seek_runs_the_clock_from_there(at: Stage, state: str) -> None:
    at.playing()
    if state == "paused":
        at.session.pause()
        at.until(E.SESSION_PAUSED)
    at.session.start(SECOND)
    told = at.until(E.SESSION_STARTED)
    assert kinds(told) == ([103] if state == "started" else [110, 103])
    assert told[-1].status == OK
    assert 1 <= at.time() < 1.5
    eventually(lambda: at.time() > 1.02)  # it runs


@pytest.mark.parametrize("position", [-SECOND, 2 * SECOND])
def test_mf_045_a_seek_before_the_beginning_and_one_to_the_very_end(at: Stage, position: int) -> None:
    at.playing()
    at.session.start(position)
    assert at.outcome(E.SESSION_STARTED) == OK
    if position < 0:
        assert -1 <= at.time() < -0.5
    else:
        assert at.until(E.SESSION_ENDED)[-1].values["sink0.frames"] < 60


def test_a_seek_beyond_the_end_is_refused_and_playback_goes_on(at: Stage) -> None:
    at.playing()
    at.session.start(4 * SECOND)
    told = at.until(E.SESSION_STARTED)
    assert kinds(told) == [103]
    assert told[-1].status == HResult.MF_E_INVALID_POSITION
    before = at.time()
    eventually(lambda: at.time() > before)
    assert at.time() < 1
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == OK


def test_mf_050_a_source_that_cannot_seek_says_so_and_the_clock_stays_near_0(at: Stage) -> None:
    failure = MediaError("nothing but the beginning", hresult=HResult.E_NOTIMPL)
    at.ready(at.in_time(), source=Unseekable(at.source(), failure))
    assert not at.session.get_session_capabilities() & SEEK
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.start(SECOND)
    told = at.until(E.SESSION_STARTED)[-1]
    assert told.status == HResult.E_NOTIMPL
    with pytest.raises(MediaError, match="nothing but the beginning"):
        told.raise_for_status()
    assert abs(at.time()) < 0.5
    at.session.start()  # from the beginning it plays
    assert at.outcome(E.SESSION_STARTED) == OK
    eventually(lambda: 0 < at.time() < 0.5)


def test_mf_052_a_source_that_does_not_start_fails_the_start_with_its_own_error(at: Stage) -> None:
    failure = MediaError("planted", hresult=HResult.MF_E_INVALID_STREAM_DATA)
    at.ready(source=Unseekable(at.source(), failure, fails_at=0))
    at.session.start()
    told = at.until(E.SESSION_STARTED)
    assert told[-1].status == HResult.MF_E_INVALID_STREAM_DATA
    assert not at.session.get_session_capabilities() & PAUSE
    assert at.lines() == []
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == HResult.MF_E_SESSION_PAUSEWHILESTOPPED


# ---------------------------------------------------------------------------------------- pause, stop, the end


def test_mf_053_a_stopped_session_cannot_be_paused(at: Stage) -> None:
    at.ready()
    at.session.pause()
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_PAUSED, HResult.MF_E_SESSION_PAUSEWHILESTOPPED)


def test_mf_054_after_a_pause_it_goes_on_where_it_stood(at: Stage) -> None:
    at.playing()
    eventually(lambda: at.time() > 0.15)
    at.session.pause()
    assert kinds(at.until(E.SESSION_PAUSED)) == [110, 104]
    stands = at.time()
    assert at.session.get_clock().get_state() == ClockState.PAUSED
    time.sleep(0.3)
    assert at.time() == stands
    at.session.start()
    at.until(E.SESSION_STARTED)
    assert stands <= at.time() < stands + 0.25
    eventually(lambda: at.time() > stands + 0.1)


def test_mf_054_after_a_stop_it_begins_at_the_beginning(at: Stage) -> None:
    at.playing()
    eventually(lambda: at.time() > 0.3)
    at.session.stop()
    assert kinds(at.until(E.SESSION_STOPPED)) == [110, 105]
    assert at.time() == 0
    at.session.start()
    at.until(E.SESSION_STARTED)
    assert at.time() < 0.25


def test_mf_055_the_natural_end_is_ended_and_not_stopped(at: Stage) -> None:
    topology = at.ready()
    events = at.to_the_end()
    assert kinds(events) == [(111, 200), 110, 103, 211, (111, 400), 110, 107]
    assert events[4].values["topology"] == topology.topology_id
    assert not at.session.get_session_capabilities() & PAUSE
    once = at.lines()
    at.forget_lines()
    events = at.to_the_end()  # it plays again, from the beginning, without being set again
    assert kinds(events) == [(111, 200), 110, 103, 211, (111, 400), 110, 107]
    assert at.lines() == once


def test_mf_058_positions_are_whole_units_of_100_ns(at: Stage) -> None:
    at.ready(at.in_time())
    for wrong in (1.0, "1", True, (1, 2), b"\0"):
        with raises_code(HResult.E_INVALIDARG):
            at.session.start(wrong)
    for wrong in (None, 1, (1, 2.0), (1, 2, 3)):
        with raises_code(HResult.E_INVALIDARG):
            at.session.start(wrong, TimeFormat.SEGMENT_OFFSET)
    with raises_code(HResult.E_INVALIDARG):
        at.session.start(None, TimeFormat.ENTRY_RELATIVE)
    at.session.start(SECOND)
    at.until(E.SESSION_STARTED)
    at.session.start(None)  # keeps the position
    assert at.outcome(E.SESSION_STARTED) == OK
    assert at.time() >= 1


@pytest.mark.parametrize("media", [(-1, None), (SECOND, SECOND), (SECOND, 0)])
def test_mf_058_media_times_that_run_backwards_are_refused_at_once(at: Stage, media: tuple[int, int | None]) -> None:
    with raises_code(HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES):
        at.session.set_topology(at.topology(media=media))
