"""IMFPMPServer: the process behind sessions, its locks and its end, and what sessions in one process share."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.app.server import PMPServer
from drm.app.session_proxy import create_pmp_media_session
from drm.class_ids import AV_DECODER, CLEARKEY_ITA, DISCARD_SINK
from drm.errors import (
    DRMError,
    InterfaceError,
    InvalidRequestError,
    KeyMissingError,
    KeyWrongError,
    PMPProcessDiedError,
    SessionShutdownError,
    UnknownComponentError,
)
from drm.hresult import HResult
from drm.keys import ContentKey
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.session.topology import Topology, TransformNode
from drm.wire.specs import RemoteObject
from tests.unit.app.pmp import (
    FAILING,
    FRAMES,
    LIMIT,
    NOWHERE,
    Counting,
    Playback,
    clip,
    configured,
    is_alive,
    kept_server,
    keys_of,
)

PROMPT = 1.5  # seconds in which a worker that nothing holds is gone


@pytest.fixture(scope="module")
def kept() -> Iterator[PMPServer]:
    with kept_server() as made:
        yield made


# ------------------------------------------------------------------------------------------------ locks
def seconds_until_gone(pid: int) -> float:
    start = time.monotonic()
    while is_alive(pid):
        assert time.monotonic() - start < LIMIT
        time.sleep(0.01)
    return time.monotonic() - start


def test_mf_080_a_lock_that_is_not_taken_back_holds_the_process_for_about_three_seconds() -> None:
    session = create_pmp_media_session(configuration=configured())
    server, host = session.get_service(Service.PMP_SERVER_CONTEXT), session.get_service(Service.PMP_SERVICE)
    server.lock_process()
    host.lock_process()  # the same count
    server.unlock_process()
    start = time.monotonic()
    session.shutdown()
    assert time.monotonic() - start < PROMPT  # it is the process that is held, not whoever ends the session
    assert 2.0 < seconds_until_gone(session.pid) < 4.0


def test_mf_080_locks_that_are_taken_back_hold_nothing() -> None:
    session = create_pmp_media_session(configuration=configured())
    server = session.get_service(Service.PMP_SERVER_CONTEXT)
    server.lock_process()
    with server.locked():
        pass
    server.unlock_process()
    session.shutdown()
    assert seconds_until_gone(session.pid) < PROMPT


def test_mf_080_the_last_unlock_lets_a_waiting_process_go_at_once() -> None:
    session = create_pmp_media_session(configuration=configured())
    server = session.get_service(Service.PMP_SERVER_CONTEXT)
    server.lock_process()
    session.shutdown()
    time.sleep(0.5)
    assert is_alive(session.pid)
    server.unlock_process()
    assert seconds_until_gone(session.pid) < PROMPT


@pytest.mark.filterwarnings("ignore:media session:ResourceWarning")
def test_mf_168_a_lock_holds_a_process_whose_only_session_was_dropped() -> None:
    session = create_pmp_media_session(configuration=configured())
    session.get_service(Service.PMP_SERVER_CONTEXT).lock_process()
    pid = session.pid
    del session
    gc.collect()
    assert 2.0 < seconds_until_gone(pid) < 4.0


@pytest.mark.filterwarnings("ignore:media session:ResourceWarning")
def test_mf_168_without_a_lock_nothing_holds_it() -> None:
    session = create_pmp_media_session(configuration=configured())
    pid = session.pid
    del session
    gc.collect()
    assert seconds_until_gone(pid) < PROMPT


def test_locks_are_never_fewer_than_none(kept: PMPServer) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            kept.unlock_process()
    kept.lock_process()
    kept.unlock_process()
    with pytest.raises(InvalidRequestError):
        kept.unlock_process()


# ------------------------------------------------------------------------------------------------ the process
def test_a_kept_worker_outlives_its_sessions_and_ends_with_its_server() -> None:
    with kept_server() as server:
        for _ in range(3):
            with create_pmp_media_session(configuration=configured(server_context=server)) as session:
                assert session.pid == server.pid
        assert is_alive(server.pid)
    assert not is_alive(server.pid)
    with pytest.raises(SessionShutdownError):
        create_pmp_media_session(configuration=configured(server_context=server))


def test_a_worker_of_a_session_ends_with_the_last_session_in_it() -> None:
    first = create_pmp_media_session(configuration=configured())
    context = configured(server_context=first.get_service(Service.PMP_SERVER_CONTEXT))
    second = create_pmp_media_session(configuration=context)
    first.shutdown()
    assert is_alive(second.pid)
    second.start()
    assert second.get_event(timeout=LIMIT).type == E.SESSION_STARTED
    second.shutdown()
    assert not is_alive(second.pid)


def test_a_server_that_is_shut_down_says_so_to_its_sessions() -> None:
    server = kept_server()
    session = create_pmp_media_session(configuration=configured(server_context=server))
    server.shutdown()
    server.shutdown()
    event = session.get_event(timeout=LIMIT)
    assert (event.type, event.status) == (E.ERROR, HResult.MF_E_SHUTDOWN)
    with pytest.raises(SessionShutdownError):
        session.start()
    with pytest.raises(SessionShutdownError):
        session.get_event(timeout=LIMIT)
    session.shutdown()


def test_sessions_may_be_made_and_ended_on_many_threads_at_once(kept: PMPServer) -> None:
    film = clip(1)

    def make(number: int) -> int:
        with Playback(film, configured((1,), server_context=kept)) as at:
            if number % 2:
                at.play()
            return at.session.pid

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, range(32))) == {kept.pid}


def test_a_server_that_is_shut_down_under_a_lock_ends_what_plays_at_once() -> None:
    with Playback(clip(2), configured((2,))) as at:
        server = at.session.get_service(Service.PMP_SERVER_CONTEXT)
        at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
        at.session.start()
        at.until(E.SESSION_STARTED)
        playing = threads_of(server.pid)
        with server.locked():
            server.shutdown()
            assert at.event().type == E.ERROR
            end = time.monotonic() + 1
            while threads_of(server.pid) > 2 and time.monotonic() < end:  # who reads, and the timer
                time.sleep(0.01)
            assert threads_of(server.pid) == 2 < playing
        assert seconds_until_gone(server.pid) < PROMPT


def threads_of(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def test_creation_in_a_shared_worker_costs_a_tenth_of_a_new_one_at_most(kept: PMPServer) -> None:
    def seconds(**attributes: object) -> float:
        start = time.perf_counter()
        session = create_pmp_media_session(configuration=configured(**attributes))
        found = time.perf_counter() - start
        session.shutdown()
        return found

    new = min(seconds() for _ in range(3))
    shared = min(seconds(server_context=kept) for _ in range(20))
    print(f"a session in a new worker {new * 1000:.1f} ms, in a shared one {shared * 1000:.2f} ms: {shared / new:.4f}")
    assert shared <= new / 10


def test_objects_of_the_server_belong_to_no_session(kept: PMPServer) -> None:
    made = kept.create_object(AV_DECODER, "Decoder")
    kept.release_object(made)
    with pytest.raises(UnknownComponentError):
        kept.create_object(NOWHERE)
    with pytest.raises(InterfaceError):
        kept.create_object(AV_DECODER, "Sink")


# ------------------------------------------------------------------------------------------------ two sessions
def test_two_sessions_play_two_files_with_two_keys_at_once_and_one_closes_first(kept: PMPServer) -> None:
    with ExitStack() as open_:
        one, two = (open_.enter_context(Playback(clip(n), configured((n,), server_context=kept))) for n in (1, 2))
        for at in (one, two):
            at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
            at.until(E.SESSION_TOPOLOGY_STATUS)
        for at in (one, two):
            at.session.start()
        for at in (one, two):
            at.until(E.SESSION_STARTED)
        one.session.close()
        one.until(E.SESSION_CLOSED)
        one.session.shutdown()
        assert two.until(E.SESSION_ENDED)[-1].values["sink0.frames"] >= FRAMES


def test_sessions_do_not_see_one_anothers_keys(kept: PMPServer) -> None:
    """The second one has to ask for the very key that the first one holds, and fails without an answer."""
    with Playback(clip(1), configured((1,), server_context=kept)) as first:
        first.play()
        for manager, error in ((None, KeyMissingError), (Counting(keys_of(2)), KeyMissingError)):
            attributes = configured(content_protection_manager=manager, server_context=kept)
            with Playback(clip(1), attributes) as second:
                second.set_topology()
                failed = second.until(E.SESSION_TOPOLOGY_SET)[-1]
                with pytest.raises(error):
                    failed.raise_for_status()
        again = Counting(keys_of(1))
        with Playback(clip(1), configured(content_protection_manager=again, server_context=kept)) as third:
            third.play()
            assert again.asked == 1


def test_an_object_of_one_session_is_of_no_use_in_another(kept: PMPServer) -> None:
    with ExitStack() as open_:
        one, two = (open_.enter_context(Playback(clip(1), configured((1,), server_context=kept))) for _ in range(2))
        theirs = one.session.get_service(Service.PMP_SERVICE).create_object(CLEARKEY_ITA)

        class Borrowing:
            def __init__(self, source: object) -> None:
                self._source = source

            def __getattr__(self, name: str) -> object:
                return getattr(self._source, name)

            def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
                return theirs

        two.source = Borrowing(two.source)  # type: ignore[assignment]  # keeps the protocol
        two.set_topology()
        assert two.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.E_NOINTERFACE
        two.session.get_service(Service.PMP_SERVICE).release_object(theirs)  # does nothing there
        one.play()
        assert one.frames() == FRAMES


def faulty(at: Playback, fault: str) -> None:
    if fault == "a wrong key":
        at.set_topology()
        with pytest.raises(KeyWrongError):
            at.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
        return
    topology: Topology = Topology(at.source)
    sink = at.topology().sinks()[0]
    for each in at.source.streams():
        topology.connect(each, sink, transforms=[TransformNode(FAILING)])
    at.set_topology(topology)
    at.session.start()
    while (event := at.event()).type != E.ERROR:
        pass
    with pytest.raises(DRMError, match="RuntimeError: planted"):
        event.raise_for_status()


@pytest.mark.parametrize("fault", ["a wrong key", "a component that fails"])
def test_a_fault_in_one_session_leaves_the_other_alone(kept: PMPServer, fault: str) -> None:
    key_id, _ = next(iter(keys_of(1).items()))
    keys = {key_id: ContentKey(b"another key, 16b")} if fault == "a wrong key" else keys_of(1)
    with ExitStack() as open_:
        sound = open_.enter_context(Playback(clip(2), configured((2,), server_context=kept)))
        sound.set_topology(sound.topology(DISCARD_SINK, options={"in_time": True}))
        sound.session.start()
        sound.until(E.SESSION_STARTED)
        attributes = configured(content_protection_manager=Counting(keys), server_context=kept)
        at = open_.enter_context(Playback(clip(1), attributes))
        faulty(at, fault)
        at.session.shutdown()
        assert sound.until(E.SESSION_ENDED)[-1].values["sink0.frames"] >= FRAMES


def test_a_session_that_ends_in_mid_play_leaves_the_other_alone(kept: PMPServer) -> None:
    """What is under way to a session that is gone, samples and licenses, is void."""
    with Playback(clip(2, 150), configured((2,), server_context=kept)) as sound:
        sound.set_topology()
        sound.until(E.SESSION_TOPOLOGY_STATUS)
        sound.session.start()
        for number in range(12):
            with Playback(clip(1, 150), configured((1,), server_context=kept)) as at:
                at.set_topology()
                if number % 3:
                    at.session.start()
                if number % 2:
                    at.until(E.SESSION_TOPOLOGY_SET)
        sound.until(E.SESSION_ENDED)
        assert sound.frames() == 150


def test_a_workers_death_ends_each_session_with_one_event() -> None:
    with kept_server() as server, ExitStack() as open_:
        both = [open_.enter_context(Playback(clip(n), configured((n,), server_context=server))) for n in (1, 2)]
        for at in both:
            at.set_topology()
            at.until(E.SESSION_TOPOLOGY_STATUS)
        os.kill(server.pid, signal.SIGKILL)
        for at in both:
            event = at.event()
            assert (event.type, event.status) == (E.ERROR, HResult.RPC_E_SERVER_DIED)
            with pytest.raises(PMPProcessDiedError):
                at.event()
        with pytest.raises(PMPProcessDiedError):
            create_pmp_media_session(configuration=configured(server_context=server))
        assert [at.frames() for at in both] == [0, 0]
