"""Every command in every state: the event that comes and its status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.class_ids import HASH_SINK
from drm.errors import InvalidArgumentError, SessionShutdownError, TopologyError
from drm.hresult import HResult
from drm.session.clock import ClockState
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from tests.unit.session.home import Home, eventually, kinds

OK, REFUSED = HResult.S_OK, HResult.MF_E_INVALIDREQUEST
EVENT_OF = {
    "start": E.SESSION_STARTED,
    "pause": E.SESSION_PAUSED,
    "stop": E.SESSION_STOPPED,
    "close": E.SESSION_CLOSED,
}


def fresh(_home: Home) -> None:
    pass


def ready(home: Home) -> None:
    home.ready()


def started(home: Home) -> None:
    home.playing()


def paused(home: Home) -> None:
    home.playing()
    home.session.pause()
    home.until(E.SESSION_PAUSED)


def stopped(home: Home) -> None:
    home.playing()
    home.session.stop()
    home.until(E.SESSION_STOPPED)


def ended(home: Home) -> None:
    home.ready()
    home.session.start()
    home.until(E.SESSION_ENDED)


def closed(home: Home) -> None:
    home.session.close()
    home.until(E.SESSION_CLOSED)


# A stopped or ended session keeps its topology: a start plays it from the beginning.
TABLE = [
    (fresh, "start", REFUSED),
    (fresh, "pause", REFUSED),
    (fresh, "stop", REFUSED),
    (fresh, "close", OK),
    (ready, "start", OK),
    (ready, "pause", HResult.MF_E_SESSION_PAUSEWHILESTOPPED),
    (ready, "stop", OK),
    (ready, "close", OK),
    (started, "start", OK),
    (started, "pause", OK),
    (started, "stop", OK),
    (started, "close", OK),
    (paused, "start", OK),
    (paused, "pause", OK),
    (paused, "stop", OK),
    (paused, "close", OK),
    (stopped, "start", OK),
    (stopped, "pause", HResult.MF_E_SESSION_PAUSEWHILESTOPPED),
    (stopped, "stop", OK),
    (stopped, "close", OK),
    (ended, "start", OK),
    (ended, "close", OK),
    (closed, "start", REFUSED),
    (closed, "pause", REFUSED),
    (closed, "stop", REFUSED),
    (closed, "close", REFUSED),
]


@pytest.mark.parametrize(("state", "command", "status"), TABLE, ids=lambda v: getattr(v, "__name__", None))
def test_a_command_in_a_state(
    clear: Path, home: Callable[..., Home], state: Callable[[Home], None], command: str, status: int
) -> None:
    at = home(clear)
    state(at)
    getattr(at.session, command)()
    event = at.until(EVENT_OF[command])[-1]
    assert event.status == status
    if status != OK:
        with pytest.raises(Exception) as raised:
            event.raise_for_status()
        assert raised.value.hresult == status


@pytest.mark.parametrize("state", [fresh, ready, started, paused, stopped, ended, closed])
def test_after_shutdown_every_command_raises_and_no_event_comes(
    clear: Path, home: Callable[..., Home], state: Callable[[Home], None]
) -> None:
    at = home(clear)
    state(at)
    at.session.shutdown()
    with pytest.raises(SessionShutdownError):
        at.session.shutdown()
    at.queue._events.clear()
    for command in (*EVENT_OF, "set_topology"):
        words = (at.topology(),) if command == "set_topology" else ()
        with pytest.raises(SessionShutdownError) as raised:
            getattr(at.session, command)(*words)
        assert raised.value.hresult == HResult.MF_E_SHUTDOWN
    at.no_more_events()


@pytest.mark.parametrize("state", [started, paused])
def test_close_from_play_gives_no_stopped_and_closed_is_the_last_event(
    clear: Path, home: Callable[..., Home], state: Callable[[Home], None]
) -> None:
    at = home(clear)
    state(at)
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert kinds(events) == ([110, 110, 106] if state is started else [110, 106])
    at.no_more_events()


def test_a_topology_without_source_or_branch_is_refused() -> None:
    with pytest.raises(TopologyError) as missing:
        Topology(None).check()
    assert missing.value.hresult == HResult.MF_E_TOPO_MISSING_SOURCE
    with pytest.raises(InvalidArgumentError):
        Topology(object()).check()


def test_a_topology_that_fails_leaves_nothing_to_start(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.session.set_topology(at.topology(SinkActivate(HASH_SINK)))  # no descriptor to write to
    failed = at.event()
    assert (failed.type, failed.status) == (E.SESSION_TOPOLOGY_SET, HResult.E_INVALIDARG)
    with pytest.raises(InvalidArgumentError, match="descriptor"):
        failed.raise_for_status()
    at.session.start()
    assert at.event().status == REFUSED


def test_the_clock_has_no_time_before_the_first_start(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.ready()
    with pytest.raises(Exception) as raised:
        at.session.clock.get_time()
    assert raised.value.hresult == HResult.MF_E_CLOCK_NO_TIME_SOURCE
    at.session.start()
    at.until(E.SESSION_STARTED)
    assert at.session.clock.get_time() >= 0
    at.until(E.SESSION_ENDED)
    eventually(lambda: at.session.clock.get_state() is ClockState.STOPPED)
