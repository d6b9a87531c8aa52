"""A proxy whose worker died, one that nobody shuts down, and many in a row: nothing hangs and nothing is left."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from drm.app.session_proxy import MediaSessionProxy, create_pmp_media_session
from drm.class_ids import AV_DECODER
from drm.errors import NoEventsAvailableError, PMPProcessDiedError, SessionShutdownError
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from tests.soak_sessions import each_with_its_own, in_a_kept_worker
from tests.unit.app.pmp import LIMIT, Playback, clip, configured, is_alive, kept_server, on_a_thread


@pytest.fixture(scope="module")
def dead() -> Iterator[MediaSessionProxy]:
    """A session whose worker was killed, and whose one event was read."""
    session = create_pmp_media_session(configuration=configured())
    host = session.get_service(Service.PMP_SERVICE)
    remote = session.get_service(Service.REMOTE_PROXY)
    clock = session.get_clock()
    os.kill(session.pid, signal.SIGKILL)
    event = session.get_event(timeout=LIMIT)
    assert (event.type, event.status) == (E.ERROR, HResult.RPC_E_SERVER_DIED)
    with pytest.raises(PMPProcessDiedError, match="ended while it was needed"):
        event.raise_for_status()
    session.kept = (host, remote, clock)  # type: ignore[attr-defined]  # what was obtained while it lived
    yield session
    session.shutdown()
    with pytest.raises(SessionShutdownError):
        session.start()


CALLS: dict[str, Callable[[MediaSessionProxy], object]] = {
    "set_topology": lambda s: s.set_topology(None),
    "clear_topologies": lambda s: s.clear_topologies(),
    "start": lambda s: s.start(),
    "seek": lambda s: s.start(5),
    "pause": lambda s: s.pause(),
    "stop": lambda s: s.stop(),
    "set_rate": lambda s: s.set_rate(2.0),
    "get_rate": lambda s: s.get_rate(),
    "close": lambda s: s.close(),
    "get_session_capabilities": lambda s: s.get_session_capabilities(),
    "get_full_topology": lambda s: s.get_full_topology(),
    "clock": lambda s: s.get_clock().get_time(),
    "clock's state": lambda s: s.get_clock().get_state(),
    "get_event": lambda s: s.get_event(),
    "get_event without waiting": lambda s: s.get_event(wait=False),
    "begin_get_event": lambda s: s.begin_get_event(print),
    "events": lambda s: list(s.events()),
    "server's objects": lambda s: s.get_service(Service.PMP_SERVER_CONTEXT).create_object(AV_DECODER),  # type: ignore[union-attr]  # the server
    "lock": lambda s: s.get_service(Service.PMP_SERVER_CONTEXT).lock_process(),  # type: ignore[union-attr]  # the server
    "rate control": lambda s: s.get_service(Service.RATE_CONTROL_SERVICE).get_rate(),  # type: ignore[union-attr]  # one
    "a host from before": lambda s: s.kept[0].create_object(AV_DECODER),  # type: ignore[attr-defined]  # see above
    "a remote proxy from before": lambda s: s.kept[1].get_remote_object(),  # type: ignore[attr-defined]  # see above
    "a clock from before": lambda s: s.kept[2].get_time(),  # type: ignore[attr-defined]  # see above
    "another session in it": lambda s: create_pmp_media_session(
        configuration=configured(server_context=s.get_service(Service.PMP_SERVER_CONTEXT))
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_after_the_workers_death_each_call_says_so_at_once(dead: MediaSessionProxy, name: str) -> None:
    raised = on_a_thread(lambda: CALLS[name](dead), limit=3)
    assert isinstance(raised, PMPProcessDiedError), raised
    assert raised.hresult == HResult.RPC_E_SERVER_DIED


def test_after_the_workers_death_a_topology_cannot_be_set_and_its_source_is_let_go() -> None:
    with Playback(clip(1), configured((1,))) as at:
        at.set_topology()
        at.until(E.SESSION_TOPOLOGY_STATUS)
        os.kill(at.session.pid, signal.SIGKILL)
        assert at.event().type == E.ERROR
        for _ in range(2):
            with pytest.raises(PMPProcessDiedError):
                at.set_topology(at.topology())


def test_a_waiting_callback_hears_of_the_workers_death() -> None:
    session, heard = create_pmp_media_session(configuration=configured()), threading.Event()
    found = []

    def called(result: object) -> None:
        found.append(session.end_get_event(result))  # type: ignore[arg-type]  # as given
        heard.set()

    session.begin_get_event(called)
    os.kill(session.pid, signal.SIGKILL)
    assert heard.wait(LIMIT)
    assert [event.type for event in found] == [E.ERROR]
    session.shutdown()


# ------------------------------------------------------------------------------------------------ forgotten
def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_alive(pid)


def test_a_session_that_is_forgotten_is_warned_about_and_its_worker_ends() -> None:
    session = create_pmp_media_session(configuration=configured())
    pid, seen = session.pid, weakref.ref(session)
    del session
    with pytest.warns(ResourceWarning, match="never shut down"):
        gc.collect()
    assert seen() is None
    assert gone(pid)


def test_a_session_that_is_forgotten_in_mid_play_ends_in_a_kept_worker() -> None:
    with kept_server() as server:
        at = Playback(clip(1), configured((1,), server_context=server))
        at.set_topology()
        at.until(E.SESSION_TOPOLOGY_STATUS)
        threads = {thread.name for thread in threading.enumerate()}
        assert "media-source" in threads
        stream, outputs = at.stream, (at.output, at.handed)
        del at
        with pytest.warns(ResourceWarning, match="media session 1 was never shut down"):
            gc.collect()
        end = time.monotonic() + 5
        while "media-source" in {thread.name for thread in threading.enumerate()} and time.monotonic() < end:
            time.sleep(0.01)
        assert "media-source" not in {thread.name for thread in threading.enumerate()}
        with Playback(clip(1), configured((1,), server_context=server)) as another:
            another.play()
        stream.close()
        for output in outputs:
            os.close(output)


def test_a_session_that_somebody_waits_for_is_not_forgotten() -> None:
    """Its callback is all that is left of it, and still comes."""
    heard, pids = threading.Event(), []

    def begin() -> weakref.ref[MediaSessionProxy]:
        session = create_pmp_media_session(configuration=configured())
        pids.append(session.pid)

        def called(result: object) -> None:
            heard.set()
            threading.Thread(target=session.shutdown).start()

        session.begin_get_event(called)
        session.clear_topologies()
        return weakref.ref(session)

    begin()
    gc.collect()
    assert heard.wait(LIMIT)
    assert gone(pids[0])


def test_a_server_that_is_forgotten_is_warned_about_and_its_worker_ends() -> None:
    held = [kept_server()]
    pid = held[0].pid

    def forget() -> None:
        held.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match=f"PMP worker {pid} was never shut down"):
        forget()
    assert gone(pid)


def test_who_is_shut_down_is_not_warned_about() -> None:
    with create_pmp_media_session(configuration=configured()) as session, pytest.raises(NoEventsAvailableError):
        session.get_event(wait=False)
    del session
    gc.collect()  # a warning is an error here


# ------------------------------------------------------------------------------------------------ many
def test_twenty_sessions_in_a_row_leave_nothing_in_the_application_or_in_their_worker() -> None:
    assert in_a_kept_worker(20, warm_up=32) == []


def test_sessions_with_a_worker_each_leave_nothing() -> None:
    assert each_with_its_own(4) == []
