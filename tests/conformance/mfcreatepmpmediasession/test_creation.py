"""MFCreatePMPMediaSession: what it makes, with which flags and attributes, and what each attribute does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_configuration import NO_QUALITY_MANAGER
from drm.app.session_proxy import PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.app.worker_configuration import WorkerConfiguration
from drm.class_ids import AV_DECODER, DISCARD_SINK
from drm.errors import (
    InterfaceError,
    InvalidArgumentError,
    InvalidRequestError,
    IsolationError,
    TopologyError,
    UnknownComponentError,
)
from drm.hresult import HResult
from drm.session.event_queue import GetEventResult
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.session.topology import SinkActivate, Topology
from drm.wire.messages import NodeKind
from tests.unit.app.pmp import (
    DROP_PICTURES,
    FRAMES,
    LIMIT,
    NOWHERE,
    PICTURES_ONLY,
    UNMADE,
    Counting,
    Playback,
    clip,
    configured,
    is_alive,
    kept_server,
    keys_of,
    on_a_thread,
)

UNPROTECTED = PMPSessionFlags.UNPROTECTED_PROCESS


@pytest.fixture(scope="module")
def server() -> Iterator[PMPServer]:
    with kept_server() as made:
        yield made


def test_mf_001_trusted_components_give_a_proxy_of_a_session_in_another_process() -> None:
    with create_pmp_media_session(PMPSessionFlags.NONE, configured((1,))) as session:
        assert session.pid != os.getpid()
        assert is_alive(session.pid)
        assert session.protection_report.level >= 1
        assert {"clearkey-ita", "av-decoder"} <= session.protection_report.components.keys()
    assert not is_alive(session.pid)


def test_mf_002_no_configuration_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARKEY_HOME", str(tmp_path))  # where its device key is made
    with create_pmp_media_session() as session:
        session.start()
        event = session.get_event(timeout=LIMIT)
        assert (event.type, event.status) == (E.SESSION_STARTED, HResult.MF_E_INVALIDREQUEST)


@pytest.mark.parametrize("flags", [PMPSessionFlags.NONE, UNPROTECTED])
def test_mf_006_clear_content_plays_in_protected_and_unprotected_mode(flags: PMPSessionFlags) -> None:
    with Playback(clip(), configured(), flags) as at:
        at.play()
        assert at.frames() == FRAMES
        assert at.session.pid != os.getpid()  # isolated either way
        assert (at.session.protection_report.level == 0) is (flags == UNPROTECTED)


def test_an_unprotected_process_plays_no_protected_content_and_lets_no_license_request_leave() -> None:
    manager = Counting(keys_of(1))
    with Playback(clip(1), configured(content_protection_manager=manager), UNPROTECTED) as at:
        at.set_topology()
        refused = at.event()
        assert (refused.type, refused.status) == (E.SESSION_TOPOLOGY_SET, HResult.MF_E_NON_PE_PROCESS)
        with pytest.raises(IsolationError):
            refused.raise_for_status()
        assert manager.asked == 0


def test_a_session_in_the_applications_own_process_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        create_pmp_media_session(PMPSessionFlags.IN_PROCESS)


# ------------------------------------------------------------------------------------------------ attributes
def test_the_content_protection_manager_is_asked_and_what_it_brings_plays(server: PMPServer) -> None:
    manager = Counting(keys_of(1))
    with Playback(clip(1), configured(content_protection_manager=manager, server_context=server)) as at:
        at.play()
        assert (manager.asked, at.frames()) == (1, FRAMES)


def test_without_a_content_protection_manager_protected_content_fails(server: PMPServer) -> None:
    with Playback(clip(1), configured(server_context=server)) as at:
        at.set_topology()
        failed = at.until(E.SESSION_TOPOLOGY_SET)[-1]
        assert failed.status == HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER


def test_global_time_wants_project_times_and_plays_within_them(server: PMPServer) -> None:
    with Playback(clip(), configured(global_time=True, server_context=server)) as at:
        with pytest.raises(TopologyError) as raised:
            at.set_topology()
        assert raised.value.hresult == HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES
        at.set_topology(at.topology(project_start=0, project_stop=5_000_000))
        at.until(E.SESSION_TOPOLOGY_SET)
        at.session.start()
        at.until(E.SESSION_ENDED)
        assert 0 < at.frames() < FRAMES


def test_without_global_time_project_times_are_refused(server: PMPServer) -> None:
    with Playback(clip(), configured(server_context=server)) as at:
        with pytest.raises(TopologyError) as raised:
            at.set_topology(at.topology(project_start=0, project_stop=5_000_000))
        assert raised.value.hresult == HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES


@pytest.mark.parametrize(("manager", "shown"), [(DROP_PICTURES, False), (NO_QUALITY_MANAGER, True), (None, True)])
def test_the_quality_manager_decides_which_pictures_are_dropped(
    server: PMPServer, manager: UUID | None, shown: bool
) -> None:
    """One of the application's own drops all of them; none, and the default one, drop nothing that is in time."""
    with Playback(clip(frames=15), configured(quality_manager=manager, server_context=server)) as at:
        at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
        at.session.start()
        events = at.until(E.SESSION_ENDED)
        dropped = [event.values["dropped"] for event in events if event.type == E.QUALITY_NOTIFY]
        packets_of_sound = 24
        assert bool(dropped) is not shown
        assert (events[-1].values["sink0.frames"] > packets_of_sound) is shown


def test_the_topology_loader_changes_what_is_resolved(server: PMPServer) -> None:
    with Playback(clip(), configured(topology_loader=PICTURES_ONLY, server_context=server)) as at:
        events = at.play()
        full = next(event.value for event in events if event.type == E.SESSION_TOPOLOGY_SET)
        assert full == at.session.get_full_topology()
        assert len(full.of_kind(NodeKind.SOURCE_STREAM)) == 1
        assert (at.frames(0), at.frames(1)) == (FRAMES, 0)


def test_a_topology_loader_that_is_not_registered_leaves_the_default_one(server: PMPServer) -> None:
    with Playback(clip(), configured(topology_loader=NOWHERE, server_context=server)) as at:
        at.play()
        assert at.frames(0) == FRAMES
        assert at.frames(1) > 0


@pytest.mark.parametrize("attribute", ["quality_manager", "topology_loader"])
@pytest.mark.parametrize(
    ("class_id", "error"), [(AV_DECODER, InterfaceError), (UNMADE, Exception), (NOWHERE, UnknownComponentError)]
)
def test_a_component_that_is_something_else_makes_creation_fail_and_leaves_no_worker(
    attribute: str, class_id: UUID, error: type[Exception]
) -> None:
    if (attribute, class_id) == ("topology_loader", NOWHERE):
        return  # see above: the session has its own
    before = children()
    with pytest.raises(error):
        create_pmp_media_session(configuration=configured(**{attribute: class_id}))
    assert children() == before


def test_the_server_context_is_the_process_that_the_session_is_made_in() -> None:
    with create_pmp_media_session(configuration=configured()) as first:
        server = first.get_service(Service.PMP_SERVER_CONTEXT)
        with create_pmp_media_session(configuration=configured(server_context=server)) as second:
            assert second.pid == first.pid
        with create_pmp_media_session(configuration=configured()) as third:
            assert third.pid != first.pid


# ------------------------------------------------------------------------------------------------ threads
class Inside(Counting):
    """A content protection manager that calls into the worker from inside its own callback."""

    def __init__(self) -> None:
        super().__init__(keys_of(1))
        self.found: list[object] = []
        self.at: Playback

    def begin_enable_content(self, *arguments: Any) -> None:
        self.found = blocking(self.at)
        super().begin_enable_content(*arguments)


def blocking(at: Playback) -> list[object]:
    """What each blocking call comes to."""
    session = at.session
    server = session._server
    host = session.get_service(Service.PMP_SERVICE)
    other: Topology = Topology(open_source(at.stream))
    other.connect(other.source.streams()[0], SinkActivate(DISCARD_SINK))
    calls = {
        "capabilities": session.get_session_capabilities,
        "full topology": session.get_full_topology,
        "time": session.get_clock().get_time,
        "rate": session.get_rate,
        "shutdown": session.shutdown,
        "server's end": server.shutdown,
        "object": lambda: host.create_object(AV_DECODER),
        "lock": host.lock_process,
        "session": lambda: create_pmp_media_session(configuration=SessionConfiguration(server_context=server)),
        "protected topology": lambda: at.set_topology(other),
    }
    found: list[object] = []
    for name, call in calls.items():
        try:
            found.append((name, call()))
        except InvalidRequestError as error:
            if "callback" not in str(error):
                found.append((name, error))
    return found


def test_blocking_calls_from_inside_begin_enable_content_are_refused_and_nothing_waits(server: PMPServer) -> None:
    manager = Inside()
    with Playback(clip(1), configured(content_protection_manager=manager, server_context=server)) as at:
        manager.at = at
        start = time.monotonic()
        at.set_topology()
        at.until(E.SESSION_TOPOLOGY_SET)
        assert time.monotonic() - start < 5
        assert [name for name, _ in manager.found] == []
        assert at.session.get_session_capabilities() is not None


def test_blocking_calls_from_inside_an_event_callback_are_refused_and_nothing_waits(server: PMPServer) -> None:
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        found: list[object] = []

        def wait() -> object:
            done = threading.Event()

            def called(result: object) -> None:
                found.append(blocking(at))
                done.set()

            at.session.begin_get_event(called)
            at.session.clear_topologies()
            return done.wait(LIMIT)

        assert on_a_thread(wait) is True
        assert found == [[]]
        at.play()
        assert at.frames() == FRAMES


def test_calls_that_only_queue_are_welcome_inside_a_callback(server: PMPServer) -> None:
    with Playback(clip(), configured(server_context=server)) as at:
        topology, done = at.topology(), threading.Event()

        def called(result: GetEventResult) -> None:
            assert at.session.end_get_event(result).type == E.SESSION_TOPOLOGIES_CLEARED
            at.set_topology(topology)
            done.set()

        at.session.begin_get_event(called)
        at.session.clear_topologies()
        assert done.wait(LIMIT)
        assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_mf_137_a_server_context_that_does_not_reach_the_level_is_refused(server: PMPServer) -> None:
    level = server.protection_report.level
    with pytest.raises(IsolationError) as refused:
        create_pmp_media_session(configuration=SessionConfiguration(server_context=server, min_level=level + 1))
    assert str(level + 1) in refused.value.what
    with create_pmp_media_session(configuration=SessionConfiguration(server_context=server, min_level=level)):
        pass


def test_mf_137_flags_that_a_server_context_does_not_meet_are_refused(server: PMPServer) -> None:
    with pytest.raises(InvalidArgumentError, match="unprotected"):
        create_pmp_media_session(UNPROTECTED, SessionConfiguration(server_context=server))
    with create_pmp_server(WorkerConfiguration(unprotected=True)) as loose:
        with pytest.raises(IsolationError):
            create_pmp_media_session(configuration=SessionConfiguration(server_context=loose))
        with create_pmp_media_session(UNPROTECTED, SessionConfiguration(server_context=loose)):
            pass


@pytest.mark.parametrize("context", ["server", 7, object()])
def test_mf_136_a_server_context_that_is_none(context: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no PMP server"):
        create_pmp_media_session(configuration=SessionConfiguration(server_context=context))


@pytest.mark.parametrize("flags", [4, 8 | 1])
def test_mf_136_flags_of_creation_that_nobody_knows(flags: int) -> None:
    with pytest.raises(InvalidArgumentError, match="flag"):
        create_pmp_media_session(PMPSessionFlags(flags))
