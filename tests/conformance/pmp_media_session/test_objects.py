"""PMP Media Session: what an application makes inside the worker, and what its sources are told."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from drm.app.host_proxy import HostProxy
from drm.app.server import PMPServer
from drm.app.session_proxy import create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import AV_DECODER, CLEARKEY_ITA, DISCARD_SINK, HASH_SINK
from drm.component import PMPHost
from drm.errors import (
    DRMError,
    InterfaceError,
    InvalidArgumentError,
    SessionShutdownError,
    TopologyError,
    UnknownComponentError,
    UnsupportedServiceError,
)
from drm.hresult import HResult
from drm.rights.initialization_stream import CLEAR_KEY_SYSTEM, REMAINING_TRACKS, InitializationStream
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.session.topology import SetTopologyFlags
from drm.wire.specs import RemoteObject
from tests.unit.app.pmp import FAILING, FRAMES, NOWHERE, UNMADE, Playback, clip, configured, kept_server


@pytest.fixture(scope="module")
def server() -> Iterator[PMPServer]:
    with kept_server() as made:
        yield made


@pytest.fixture(scope="module")
def host(server: PMPServer) -> Iterator[HostProxy]:
    with create_pmp_media_session(configuration=configured(server_context=server)) as session:
        yield session.get_service(Service.PMP_SERVICE)


# ------------------------------------------------------------------------------------------------ output nodes
class LiveSink:
    """A sink of the application's own process."""

    def write(self, *_frame: object) -> None:
        raise AssertionError("a clear frame in the application")


def test_mf_040_a_live_sink_in_an_output_node_is_refused(server: PMPServer) -> None:
    with Playback(clip(), configured(server_context=server)) as at:
        topology = at.topology()
        topology.connect(at.source.streams()[0], LiveSink())  # type: ignore[arg-type]  # that is the mistake
        with pytest.raises(TopologyError) as raised:
            at.set_topology(topology)
        assert raised.value.hresult == HResult.MF_E_TOPO_UNSUPPORTED
        at.play()  # the session is none the worse for it
        assert at.frames() == FRAMES


# ------------------------------------------------------------------------------------------------ PMP clients
class Told:
    """A source that writes down what it is told, and otherwise is the one it wraps."""

    def __init__(self, source: object, *, is_client: bool = True) -> None:
        self._source = source
        self.calls: list[str] = []
        if is_client:
            self.set_pmp_host = self._set_pmp_host

    def __getattr__(self, name: str) -> object:
        if name == "set_pmp_host":
            raise AttributeError(name)
        return getattr(self._source, name)

    def _set_pmp_host(self, host: PMPHost) -> None:
        self.calls.append("host")
        self._source.set_pmp_host(host)  # type: ignore[attr-defined]  # the wrapped one's

    def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
        self.calls.append("authority")
        found: RemoteObject | None = self._source.get_input_trust_authority(stream_id)  # type: ignore[attr-defined]  # as above
        return found


def test_mf_074_a_client_is_told_its_host_once_and_before_its_trusted_input_is_asked(
    server: PMPServer,
) -> None:
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        at.source = told = Told(at.source)  # type: ignore[assignment]  # keeps the protocol
        at.play()
        assert told.calls == ["host", "authority", "authority"]
        assert at.frames() == FRAMES


def test_mf_074_a_source_that_is_none_is_not_touched(server: PMPServer) -> None:
    with Playback(clip(), configured(server_context=server)) as at:
        at.source = told = Told(at.source, is_client=False)  # type: ignore[assignment]  # as above
        at.play()
        assert told.calls == []
        assert at.frames() == FRAMES


def test_an_authority_is_made_inside_the_worker_with_the_hosts_help_and_with_no_other(server: PMPServer) -> None:
    """A source that was told no host has no authority, and its protected stream does not play."""
    with Playback(clip(1), configured((1,), server_context=server)) as at:

        class Without(Told):
            def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
                return None

        at.source = Without(at.source)  # type: ignore[assignment]  # as above
        at.set_topology()
        assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.MF_E_TOPO_CANNOT_FIND_DECRYPTOR


# ------------------------------------------------------------------------------------------------ objects by class id
def test_mf_075_an_object_loads_its_stream_before_it_is_returned(host: HostProxy) -> None:
    assert host.create_object(FAILING, b"{}", "Transform").class_id == FAILING
    assert host.create_object(FAILING).object_id > 0  # without a stream nothing is loaded


def test_mf_075_a_failure_to_load_is_the_calls_failure(host: HostProxy) -> None:
    with pytest.raises(InvalidArgumentError):
        host.create_object(CLEARKEY_ITA, b"not initialization data")
    with pytest.raises(DRMError, match="ValueError: planted: not an empty object"):
        host.create_object(FAILING, b"[]")
    with pytest.raises(DRMError, match="RuntimeError: planted"):
        host.create_object(UNMADE)
    assert host.create_object(FAILING, b"{}")


def test_mf_076_an_unknown_class_is_not_registered(host: HostProxy) -> None:
    with pytest.raises(UnknownComponentError) as raised:
        host.create_object(NOWHERE)
    assert raised.value.hresult == HResult.REGDB_E_CLASSNOTREG


@pytest.mark.parametrize(
    ("class_id", "interface"),
    [(AV_DECODER, "Sink"), (HASH_SINK, "InputTrustAuthority"), (CLEARKEY_ITA, "Sink"), (AV_DECODER, "__class__")],
)
def test_mf_076_a_known_class_without_the_interface_is_refused(host: HostProxy, class_id: UUID, interface: str) -> None:
    with pytest.raises(InterfaceError) as raised:
        host.create_object(class_id, None, interface)
    assert raised.value.hresult == HResult.E_NOINTERFACE


def test_mf_076_a_class_that_loads_nothing_takes_no_stream(host: HostProxy) -> None:
    with pytest.raises(InterfaceError) as raised:
        host.create_object(AV_DECODER, b"")
    assert raised.value.hresult == HResult.E_NOINTERFACE


@pytest.mark.parametrize(
    ("class_id", "interface"),
    [(AV_DECODER, "Decoder"), (HASH_SINK, "Sink"), (CLEARKEY_ITA, "InputTrustAuthority"), (FAILING, "Transform")],
)
def test_a_known_class_with_the_interface_is_made(host: HostProxy, class_id: UUID, interface: str) -> None:
    assert host.create_object(class_id, None, interface).class_id == class_id


def test_objects_that_are_released_make_room_and_their_ids_do_not_come_again(host: HostProxy) -> None:
    ids = set()
    for _ in range(600):  # more than a session may hold at once
        made = host.create_object(AV_DECODER)
        ids.add(made.object_id)
        host.release_object(made)
    assert len(ids) == 600


# ----------------------------------------------------------------------------------------------by name, from a stream
DOCUMENTED = bytes.fromhex("caf30f9b7813284f9665189e15302a71 02000000 ffffffff 04000000 00010203")


def test_the_initialization_stream_is_that_of_the_documentation() -> None:
    """Two tracks that share four bytes, for the Clear Key system."""
    found = InitializationStream.parse(DOCUMENTED)
    assert found == InitializationStream(CLEAR_KEY_SYSTEM, 2, ((REMAINING_TRACKS, b"\x00\x01\x02\x03"),))
    assert found.encode() == DOCUMENTED
    assert [found.data_of(track) for track in (1, 2)] == [b"\x00\x01\x02\x03"] * 2


def test_each_track_has_its_own_record_or_that_of_the_remaining_ones() -> None:
    stream = InitializationStream(CLEAR_KEY_SYSTEM, 3, ((7, b"seven"), (REMAINING_TRACKS, b"")))
    found = InitializationStream.parse(stream.encode())
    assert (found.data_of(7), found.data_of(8)) == (b"seven", b"")
    assert InitializationStream(CLEAR_KEY_SYSTEM, 1, ((7, b"seven"),)).data_of(8) is None


BROKEN = {
    "nothing": b"",
    "no tracks": DOCUMENTED[:16] + bytes(4) + DOCUMENTED[20:],
    "two records of one track": DOCUMENTED + DOCUMENTED[20:],
    "more records than tracks": DOCUMENTED[:16] + b"\x01\0\0\0" + DOCUMENTED[20:] + bytes(8),
    "a size of four billion": DOCUMENTED[:24] + b"\xff" * 4 + DOCUMENTED[28:],
} | {f"cut after {end} bytes": DOCUMENTED[:end] for end in range(1, len(DOCUMENTED)) if end != 20}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_is_not_sound_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        InitializationStream.parse(BROKEN[name])
    assert raised.value.hresult == HResult.E_INVALIDARG


def test_the_worker_reads_the_stream_and_the_object_its_record(host: HostProxy) -> None:
    with pytest.raises(InvalidArgumentError, match="initialization data of the stream cannot be read"):
        host.activate_class("clearkey-ita", DOCUMENTED)  # 00 01 02 03 came to the authority, which wants JSON
    ours = InitializationStream(CLEAR_KEY_SYSTEM, 1, ((REMAINING_TRACKS, b"{}"),)).encode()
    assert host.activate_class("failing", ours, "Transform").class_id == FAILING
    assert host.activate_class(f"{{{FAILING}}}", ours).class_id == FAILING
    with pytest.raises(DRMError, match="not an empty object"):
        host.activate_class("failing", DOCUMENTED)


@pytest.mark.parametrize(
    ("name", "stream", "hresult"),
    [
        ("nobody", DOCUMENTED, HResult.REGDB_E_CLASSNOTREG),
        (str(NOWHERE), DOCUMENTED, HResult.REGDB_E_CLASSNOTREG),
        ("clearkey-ita", b"", HResult.E_INVALIDARG),
        ("clearkey-ita", bytes(16) + DOCUMENTED[16:], HResult.E_INVALIDARG),
        ("clearkey-ita", DOCUMENTED[:20], HResult.E_INVALIDARG),
        ("av-decoder", DOCUMENTED, HResult.E_NOINTERFACE),
    ],
)
def test_what_cannot_be_activated_is_the_calls_failure(
    host: HostProxy, name: str, stream: bytes, hresult: HResult
) -> None:
    with pytest.raises(DRMError) as raised:
        host.activate_class(name, stream)
    assert raised.value.hresult == hresult


def test_a_source_may_make_its_authorities_by_name(server: PMPServer) -> None:
    class ByName:
        """A host for applications of the later interface, as the source of the older one sees it."""

        def __init__(self, host: HostProxy) -> None:
            self._host = host

        def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
            assert class_id == CLEARKEY_ITA
            record = InitializationStream(CLEAR_KEY_SYSTEM, 1, ((REMAINING_TRACKS, stream or b""),))
            return self._host.activate_class("clearkey-ita", record.encode(), "InputTrustAuthority")

    class AppSource(Told):
        def _set_pmp_host(self, host: PMPHost) -> None:
            super()._set_pmp_host(ByName(host))  # type: ignore[arg-type]  # a HostProxy, as this test knows

    with Playback(clip(1), configured((1,), server_context=server)) as at:
        at.source = AppSource(at.source)  # type: ignore[assignment]  # keeps the protocol
        at.play()
        assert at.frames() == FRAMES


# ------------------------------------------------------------------------------------------------ services
def test_services_of_the_proxy(server: PMPServer) -> None:
    with create_pmp_media_session(configuration=configured(server_context=server)) as session:
        assert session.get_service(Service.PMP_SERVICE).create_object(DISCARD_SINK).class_id == DISCARD_SINK
        assert session.get_service(Service.PMP_SERVER_CONTEXT).pid == session.pid
        assert session.get_service(Service.RATE_CONTROL_SERVICE).get_rate() == 1.0
        by_guid = session.get_service(UUID("2f00c910-d2cf-4278-8b6a-d077fac3a25f"))
        assert by_guid is session.get_service(Service.PMP_SERVER_CONTEXT)
        with pytest.raises(UnsupportedServiceError) as raised:
            session.get_service(NOWHERE)
        assert raised.value.hresult == HResult.MF_E_UNSUPPORTED_SERVICE
    with pytest.raises(SessionShutdownError):
        session.get_service(Service.PMP_SERVICE)


def test_the_remote_proxy_names_the_session_in_the_worker_and_gives_its_host(server: PMPServer) -> None:
    with create_pmp_media_session(configuration=configured(server_context=server)) as session:
        remote = session.get_service(Service.REMOTE_PROXY)
        named = remote.get_remote_object("MediaSession")
        assert named == remote.get_remote_object("MediaEventGenerator")
        host = remote.get_remote_host()
        assert host.create_object(DISCARD_SINK).object_id not in {0, named.object_id}
        for ask in (remote.get_remote_object, remote.get_remote_host):
            with pytest.raises(InterfaceError) as raised:
                ask("Sink")
            assert raised.value.hresult == HResult.E_NOINTERFACE


def test_what_the_remote_proxy_names_is_no_authority(server: PMPServer) -> None:
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        named = at.session.get_service(Service.REMOTE_PROXY).get_remote_object()

        class Forged(Told):
            def get_input_trust_authority(self, stream_id: int) -> RemoteObject | None:
                return named

        at.source = Forged(at.source)  # type: ignore[assignment]  # as above
        at.set_topology()
        assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.E_NOINTERFACE


def test_a_session_sets_more_topologies_than_objects_that_it_may_hold(server: PMPServer) -> None:
    """The authorities of a topology that is over are given up with it."""
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        for _ in range(140):  # of two authorities each, and 256 objects may be held
            at.source = open_source(at.stream)
            at.set_topology(flags=SetTopologyFlags.IMMEDIATE)
            assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK
