"""Playing in time: the clock follows what is shown, at every rate; late pictures are dropped, and it is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from tests.conformance.mfcreatemediasession.test_sequences import STEP, stamps
from tests.conformance.mfcreatemediasession.world import OK, SECOND, Stage, eventually, raises_code


@pytest.fixture
def second(at: Stage, clips: Callable[..., Path]) -> Stage:
    """A session over one second of sound and picture."""
    at.path = clips(frames=30)
    return at


def test_frames_of_an_in_time_sink_take_their_time_and_none_is_dropped(second: Stage) -> None:
    """However many pictures the decoder holds back, sound does not run ahead of them."""
    second.ready(second.in_time(), media=(0, SECOND // 2))
    begun = time.monotonic()
    ended = second.to_the_end()[-1]
    assert 0.495 < time.monotonic() - begun < 1  # the last frame stands for as long as it lasts
    assert "dropped" not in ended.values
    assert ended.values["sink0.frames"] == 15 + 24


def test_the_clock_goes_with_the_wall_and_stands_at_the_end(second: Stage) -> None:
    second.ready(second.in_time(), media=(0, SECOND // 2))
    second.session.start()
    second.until(E.SESSION_STARTED)
    eventually(lambda: second.time() > 0)
    first, begun = second.time(), time.monotonic()
    time.sleep(0.25)
    assert second.time() - first == pytest.approx(time.monotonic() - begun, abs=0.1)
    second.until(E.SESSION_ENDED)
    assert second.time() == 0


@pytest.mark.parametrize("rate", [2.0, 0.5])
def test_at_another_rate_the_clock_runs_so_and_sound_is_dropped_which_is_said(second: Stage, rate: float) -> None:
    second.ready(second.in_time(), media=(0, SECOND // 2 if rate > 1 else SECOND // 5))
    control = second.session.get_service(Service.RATE_CONTROL_SERVICE)
    control.set_rate(rate)
    told = second.until(E.SESSION_RATE_CHANGED)[-1]
    assert (told.status, told.value, told.values) == (OK, rate, {"rate": rate, "audio": "dropped"})
    assert control.get_rate() == rate
    begun = time.monotonic()
    ended = second.to_the_end()[-1]
    assert time.monotonic() - begun == pytest.approx(0.25 if rate > 1 else 0.4, abs=0.12)
    assert ended.values["sink0.frames"] == (15 if rate > 1 else 6)  # pictures alone
    control.set_rate(1)
    assert second.until(E.SESSION_RATE_CHANGED)[-1].values["audio"] == "played"


def test_a_rate_that_changes_while_it_is_paused_counts_from_the_start_on(second: Stage) -> None:
    second.playing()
    second.session.pause()
    second.until(E.SESSION_PAUSED)
    stands = second.time()
    second.session.set_rate(4)
    second.until(E.SESSION_RATE_CHANGED)
    time.sleep(0.05)
    assert second.time() == stands
    second.session.start()
    second.until(E.SESSION_STARTED)
    begun = time.monotonic()
    second.until(E.SESSION_ENDED)
    assert time.monotonic() - begun < 0.6


@pytest.mark.parametrize("wanted", ["thinned", "backwards", "none"])
def test_rates_that_there_are_not_are_refused_at_once(at: Stage, wanted: str) -> None:
    rate, thin, code = {
        "thinned": (2.0, True, HResult.MF_E_THINNING_UNSUPPORTED),
        "backwards": (-1.0, False, HResult.MF_E_REVERSE_UNSUPPORTED),
        "none": (float("nan"), False, HResult.MF_E_REVERSE_UNSUPPORTED),
    }[wanted]
    with raises_code(code):
        at.session.set_rate(rate, thin=thin)
    assert at.session.get_rate() == 1


@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "rateless"])
def test_at_rate_0_each_start_shows_one_picture(second: Stage, in_time: bool) -> None:
    at, late, middle = second, 9 * SECOND // 10, 8 * SECOND // 10
    at.ready(*((at.in_time(),) if in_time else ()))
    at.session.set_rate(0)
    for position in (late, 0, middle):
        at.session.start(position)
        at.until(E.SESSION_STARTED)
        shown = at.until(E.SESSION_SCRUB_SAMPLE_COMPLETE)[-1]
        assert shown.values["time"] == position
        at.no_more_events(0.1)
        assert at.time() == position / SECOND
    at.session.start()  # and one more
    assert at.until(E.SESSION_SCRUB_SAMPLE_COMPLETE)[-1].values["time"] == middle + SECOND // 30
    at.session.set_rate(1)
    ended = at.until(E.SESSION_ENDED)[-1]
    assert ended.status == OK
    if not in_time:
        at_1 = [moment for moment, _hash in stamps(at)][:4]
        assert at_1 == [27 * STEP, 0, 24 * STEP, 25 * STEP]


@pytest.mark.parametrize("command", ["pause", "stop", "close", "shutdown"])
def test_while_scrubbing_every_command_still_works(at: Stage, command: str) -> None:
    at.ready(only=TrackType.VIDEO)
    at.session.set_rate(0)
    at.session.start()
    at.until(E.SESSION_SCRUB_SAMPLE_COMPLETE)
    begun = time.monotonic()
    getattr(at.session, command)()
    if command != "shutdown":
        kind = {"pause": E.SESSION_PAUSED, "stop": E.SESSION_STOPPED, "close": E.SESSION_CLOSED}[command]
        assert at.outcome(kind) == OK
    assert time.monotonic() - begun < 1
