"""Close and shutdown: MF-059 to MF-062."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from drm.errors import SessionShutdownError
from drm.hresult import HResult
from drm.session.clock import ClockState
from drm.session.events import MediaEventType as E
from drm.session.events import SessionCapability
from drm.session.topology import SetTopologyFlags
from tests.conformance.mfcreatemediasession.world import OK, REFUSED, SECOND, Stage, eventually, kinds, raises_code


@pytest.mark.parametrize("state", ["started", "paused"])
def test_mf_059_closing_gives_no_stopped_and_closed_is_the_last_event(at: Stage, state: str) -> None:
    at.playing()
    if state == "paused":
        at.session.pause()
        at.until(E.SESSION_PAUSED)
    waiting = at.set()
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert kinds(events) == ([110, 110, 106] if state == "started" else [110, 106])
    assert events[-1].status == OK
    at.no_more_events()
    with raises_code(HResult.E_INVALIDARG):
        at.session.get_full_topology(waiting.topology_id)  # what waited is gone


def test_mf_059_the_loop_over_events_ends_with_closed(at: Stage) -> None:
    at.session.close()
    assert [event.type for event in at.session.events()] == [E.SESSION_CLOSED]


def test_mf_060_a_closed_session_still_answers(at: Stage) -> None:
    topology = at.playing()
    at.session.close()
    at.until(E.SESSION_CLOSED)
    assert at.session.get_clock().get_state() == ClockState.STOPPED
    assert at.session.get_session_capabilities() == SessionCapability(0)
    assert at.session.get_full_topology().topology_id == topology.topology_id
    at.session.clear_topologies()
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_TOPOLOGIES_CLEARED, REFUSED)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("start", E.SESSION_STARTED),
        ("pause", E.SESSION_PAUSED),
        ("stop", E.SESSION_STOPPED),
        ("close", E.SESSION_CLOSED),
        ("set", E.SESSION_TOPOLOGY_SET),
        ("clear", E.SESSION_TOPOLOGY_SET),
        ("rate", E.SESSION_RATE_CHANGED),
    ],
)
def test_mf_060_a_closed_session_refuses_commands_in_their_events(at: Stage, command: str, kind: E) -> None:
    at.ready()
    at.session.close()
    at.until(E.SESSION_CLOSED)
    {
        "start": at.session.start,
        "pause": at.session.pause,
        "stop": at.session.stop,
        "close": at.session.close,
        "set": lambda: at.session.set_topology(at.topology()),
        "clear": lambda: at.session.set_topology(None, SetTopologyFlags.CLEAR_CURRENT),
        "rate": lambda: at.session.set_rate(2),
    }[command]()
    told = at.event()
    assert (told.type, told.status) == (kind, REFUSED)


@pytest.mark.parametrize("state", ["fresh", "playing", "closed"])
def test_mf_062_after_shutdown_everything_is_shut_down_and_no_event_comes(at: Stage, state: str) -> None:
    if state == "playing":
        at.playing()
    topology = at.topology()
    if state == "closed":
        at.session.close()
        at.until(E.SESSION_CLOSED)
    at.session.shutdown()
    session = at.session
    calls: tuple[Callable[[], object], ...] = (
        session.shutdown,
        session.start,
        session.pause,
        session.stop,
        session.close,
        session.clear_topologies,
        session.get_clock,
        session.get_session_capabilities,
        session.get_full_topology,
        session.get_rate,
        lambda: session.set_rate(2),
        lambda: session.set_topology(topology),
        lambda: session.set_topology(None),
        session.get_event,
    )
    for call in calls:
        with raises_code(HResult.MF_E_SHUTDOWN):
            call()
    assert list(session.events()) == []


def test_mf_062_shutdown_wakes_who_waits_for_an_event(at: Stage) -> None:
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(SessionShutdownError):
            at.session.get_event()
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    at.session.shutdown()
    assert ended.wait(5)
    waiting.join()


def test_mf_062_shutdown_leaves_no_thread_of_the_session(local: Callable[..., Stage]) -> None:
    before = set(threading.enumerate())
    at = local()
    at.playing()
    at.session.get_clock().set_timer(10 * SECOND, lambda: None)
    at.set()
    at.session.shutdown()
    eventually(lambda: set(threading.enumerate()) <= before, 3)
