"""How rights are acquired: who is asked, with what, in which order, and when nobody is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.local_session import create_media_session
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.hresult import HResult
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEventType as E
from license_server.process import LicenseServer
from tests.conformance.mfcreatemediasession.world import Stage, eventually, kinds
from tests.conformance.pmp_media_session.rights.world import KEYS, PICTURE, SOUND, ByHand, Recorded, shown
from tests.conformance.test_rotation import KEYS as ROTATING
from tests.conformance.test_rotation import late

assert late is not None  # a fixture: a film whose second key is named by its samples alone


def test_mf_093_the_manager_is_asked_once_for_each_license_with_the_pending_topology(
    session: Callable[..., Stage], license_server: LicenseServer, plain_film: Path
) -> None:
    manager = Recorded(license_server.license_url)
    at = session(manager)
    topology = at.topology()
    at.session.set_topology(topology)
    events = at.until(E.SESSION_TOPOLOGY_STATUS)
    acquired = [114, 118, 119, 115]
    assert shown(events) == [*acquired, *acquired, 101, 112, 110, 111]
    assert {event.status for event in events} == {HResult.S_OK}
    assert [asked.activate.activate_object().key_ids for asked in manager.asked] == [(PICTURE,), (SOUND,)]
    for asked in manager.asked:
        assert asked.topology is topology, "the application's own"
        assert asked.state is None
        ((result, thread),) = asked.ended
        assert result.enabler_activate is asked.activate
        assert thread.name == "license", "the callback's thread, which is the application's"
    # Access was requested again, and granted: what plays is the clear film.
    at.to_the_end()
    with create_media_session() as local:
        clear = Stage(local, plain_film)
        clear.ready()
        clear.to_the_end()
        assert at.lines() == clear.lines()
        clear.close()


def test_mf_093_a_device_that_is_not_known_is_individualized_by_the_same_machinery(
    film: Path, license_server: LicenseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARKEY_HOME", str(tmp_path))
    manager = Recorded(license_server.license_url)
    with create_pmp_media_session(configuration=SessionConfiguration(content_protection_manager=manager)) as made:
        at = Stage(made, film)
        at.ready()
        acquired = [114, 118, 119, 115]
        assert shown(at.seen)[:13] == [*acquired, 116, 118, 119, 117, *acquired, 114]
        assert [asked.enabler.get_enable_type().name for asked in manager.asked[:3]] == [
            "LICENSE_ACQUISITION", "INDIVIDUALIZATION", "LICENSE_ACQUISITION"]  # fmt: skip
        assert made.license_path is LicensePath.SEALED
        at.close()


def test_mf_093_a_failure_of_the_enabler_is_that_of_the_topology(session: Callable[..., Stage]) -> None:
    manager = Recorded("http://127.0.0.1:9/license")
    at = session(manager)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert [int(event.type) for event in events[-3:]] == [119, 115, 101]
    assert {event.status for event in events[-3:]} == {HResult.NS_E_DRM_LICENSE_NOTACQUIRED}


def test_mf_095_a_manager_that_never_calls_back_leaves_the_session_responsive(session: Callable[..., Stage]) -> None:
    manager = ByHand()
    at = session(manager)
    at.session.set_topology(at.topology())
    asked = manager.wait()
    # Questions are answered, commands are taken; they wait for their turn.
    assert at.session.get_session_capabilities() == 0
    assert at.session.get_clock() is not None
    at.session.start()
    at.session.stop()
    assert kinds([at.event()]) == [114]
    at.no_more_events()
    began = time.monotonic()
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert time.monotonic() - began < 2
    assert kinds(events) == [119, 115, 101, 103, 105, 106]
    assert [event.status for event in events] == [HResult.MF_E_OPERATION_CANCELLED] * 3 + [
        HResult.MF_E_INVALIDREQUEST, HResult.MF_E_INVALIDREQUEST, HResult.S_OK]  # fmt: skip
    asked.answer()  # late, and of no consequence: only the manager's own end is called
    assert len(asked.ended) == 1
    at.no_more_events()


def test_mf_102_with_a_valid_license_nobody_is_asked(session: Callable[..., Stage]) -> None:
    manager = ByHand(lambda asked: asked.give_keys())
    at = session(manager)
    at.ready()
    once = len(manager.asked)
    second = at.topology(at.in_time())
    at.session.set_topology(second)
    assert kinds(at.until(E.SESSION_TOPOLOGY_SET)) == [101]
    assert len(manager.asked) == once == 1, "one license that names both keys serves both streams"


def test_two_streams_that_both_need_rights_are_asked_for_one_after_another(session: Callable[..., Stage]) -> None:
    manager = ByHand()
    at = session(manager)
    at.session.set_topology(at.topology())
    first = manager.wait()
    time.sleep(0.2)
    assert len(manager.asked) == 1
    first.give_keys({PICTURE: KEYS[PICTURE]})
    second = manager.wait(2)
    assert second.enabler.key_ids == (SOUND,)
    second.give_keys({SOUND: KEYS[SOUND]})
    assert kinds(at.until(E.SESSION_TOPOLOGY_SET)) == [114, 119, 115, 114, 119, 115, 101]


@pytest.fixture
def rotating(session: Callable[..., Stage], late: Path) -> tuple[Stage, ByHand]:
    """A film that is set, and will need more keys when it plays."""
    manager = ByHand()
    at = session(manager, late)
    at.session.set_topology(at.topology())
    first = manager.wait()
    first.give_keys({kid: ROTATING[kid] for kid in first.enabler.key_ids})
    at.until(E.SESSION_TOPOLOGY_SET)
    return at, manager


def test_a_playing_and_a_pending_topology_are_served_one_after_another(
    rotating: tuple[Stage, ByHand], silent_film: Path
) -> None:
    at, manager = rotating
    playing = manager.asked[0].topology
    at.session.start()
    for_playing = manager.wait(2)
    pending = at.topology(at.in_time(), path=silent_film)
    at.session.set_topology(pending)
    time.sleep(0.3)
    assert len(manager.asked) == 2, "not nested"
    for_playing.give_keys(ROTATING)
    for_pending = manager.wait(3)
    assert [for_playing.topology, for_pending.topology] == [playing, pending]
    for_pending.give_keys()
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert events[-1].status == HResult.S_OK
    acquired = [int(each.type) for each in events if each.type in {E.LICENSE_ACQUISITION_START,
                                                                   E.LICENSE_ACQUISITION_COMPLETED}]  # fmt: skip
    assert acquired == [114, 115, 114, 115]


def test_stop_ends_the_wait_of_what_plays_and_not_that_of_what_is_pending(
    rotating: tuple[Stage, ByHand], silent_film: Path
) -> None:
    at, manager = rotating
    at.session.set_topology(at.topology(at.in_time(), path=silent_film))
    pending = manager.wait(2)
    at.session.stop()
    time.sleep(0.2)
    assert not pending.enabler.cancelled.is_set()
    pending.give_keys()
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK
    assert at.outcome(E.SESSION_STOPPED) == HResult.S_OK
    at.session.start()
    assert manager.wait(3).topology is manager.asked[0].topology, "that which plays, not the newest"
    at.session.stop()
    assert at.outcome(E.SESSION_STOPPED) == HResult.S_OK
    eventually(manager.asked[2].enabler.cancelled.is_set)


def test_sessions_of_one_worker_have_managers_of_their_own(session: Callable[..., Stage]) -> None:
    """And one that waits does not hold up the other."""
    managers = ByHand(), ByHand()
    stages = [session(manager) for manager in managers]
    for stage in stages:
        stage.session.set_topology(stage.topology())
    both = [manager.wait() for manager in managers]
    assert len({id(asked.topology) for asked in both}) == 2
    both[1].give_keys({PICTURE: KEYS[PICTURE]})
    managers[1].wait(2).give_keys({SOUND: KEYS[SOUND]})
    assert stages[1].until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK
    stages[1].to_the_end()
    assert len(managers[0].asked) == 1
    stages[0].session.close()
    stages[0].until(E.SESSION_CLOSED)


def test_without_a_manager_the_topology_is_refused(session: Callable[..., Stage]) -> None:
    at = session(None)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_SET)
    assert kinds(events) == [114, 115, 101]
    assert {event.status for event in events[1:]} == {HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER}
