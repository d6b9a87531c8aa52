"""Creation, attributes and services: MF-003, 004, 005, 008, 010, 011, and low latency."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.local_session import create_media_session
from drm.app.session_configuration import NO_QUALITY_MANAGER, SessionConfiguration
from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEventType as E
from drm.session.services import RateControl, Service
from drm.session.topology import SinkActivate, SourceStreamNode, require_protected_environment
from tests.conformance.mfcreatemediasession.world import LIMIT, OK, Stage, descriptors, eventually, kinds, raises_code

NOBODYS = UUID("12345678-1234-1234-1234-123456789abc")


def component(folder: Path, name: str, number: int, class_name: str, code: str) -> tuple[Path, UUID]:
    """A component of one's own in `folder`, and its class id."""
    class_id = UUID(int=0xC0DE_0000 + number)
    here = folder / name
    here.mkdir()
    (here / "__init__.py").write_text('"""A test\'s own."""\n')
    (here / "made.py").write_text(code)
    (here / "component.toml").write_text(
        f'name = "{name.replace("_", "-")}"\nclass_id = "{class_id}"\nversion = "1.0.0"\napi = 1\n'
        f'entry_point = "drm.components.{name}.made:{class_name}"\nrequires = ["drm"]\n'
    )
    return here, class_id


def test_mf_003_a_topology_loader_that_nobody_registered_leaves_the_own_one(
    create: Callable[..., object], clear: Path
) -> None:
    at = Stage(create(topology_loader=NOBODYS), clear)
    try:
        at.ready()
        at.to_the_end()
        assert at.lines()
    finally:
        at.close()


LOADER = """
from drm.session.topology import Topology


class OnlyTheFirst:
    def load_topology(self, topology):
        topology.branches = topology.branches[:1]
        return topology
"""


def test_mf_003_a_registered_topology_loader_is_used(local: Callable[..., Stage], tmp_path: Path) -> None:
    folder, class_id = component(tmp_path, "only_the_first", 1, "OnlyTheFirst", LOADER)
    at = local(topology_loader=class_id, components=(folder,))
    at.ready()
    at.to_the_end()
    assert {line.partition(",")[0] for line in at.lines()} == {"0"}


NOTHING = """
class Nothing:
    def load_topology(self, topology):
        topology.branches = []
        return topology
"""


def test_mf_135_a_topology_loader_that_makes_nonsense(local: Callable[..., Stage], tmp_path: Path) -> None:
    folder, class_id = component(tmp_path, "nothing", 3, "Nothing", NOTHING)
    at = local(topology_loader=class_id, components=(folder,))
    at.session.set_topology(at.topology())
    assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.MF_E_TOPOLOGY_VERIFICATION_FAILED


EVERYTHING = """
class DropEverything:
    def is_dropped(self, kind, lateness):
        return True
"""


def test_mf_004_the_quality_manager_is_the_one_that_is_named(local: Callable[..., Stage], tmp_path: Path) -> None:
    folder, class_id = component(tmp_path, "drop_everything", 2, "DropEverything", EVERYTHING)
    at = local(quality_manager=class_id, components=(folder,))
    at.ready(at.in_time(), media=(0, 3_000_000))
    ended = at.to_the_end()[-1]
    assert ended.values["sink0.frames"] == 0
    assert ended.values["dropped"] > 10
    with raises_code(HResult.REGDB_E_CLASSNOTREG):
        create_media_session(SessionConfiguration(quality_manager=NOBODYS))


SLOW = '''
import time

from drm.components.slow_sink_NUMBER.trust import Play


class Slow:
    """Takes each frame in time, and the tenth of them takes half a second."""

    is_rateless = False

    def __init__(self):
        self._frames = 0

    def load(self, stream):
        pass

    def output_trust_authorities(self):
        return (Play(),)

    def open(self, tracks, descriptor):
        pass

    def write(self, track_id, frame):
        self._frames += 1
        if self._frames == 10:
            time.sleep(0.5)

    def finish(self):
        return {"frames": self._frames}

    def close(self):
        pass
'''


@pytest.mark.parametrize("words", [{}, {"quality_manager": NO_QUALITY_MANAGER}], ids=["default", "nil"])
def test_mf_004_nil_is_no_quality_manager_and_nothing_is_the_default_one(
    local: Callable[..., Stage], tmp_path: Path, words: dict[str, UUID]
) -> None:
    number = 3 + len(words)
    folder, class_id = component(tmp_path, f"slow_sink_{number}", number, "Slow", SLOW.replace("NUMBER", str(number)))
    (folder / "trust.py").write_text("class Play:\n    pass\n")
    at = local(components=(folder,), **words)
    at.ready(SinkActivate(class_id), only=TrackType.VIDEO, media=(0, 10_000_000))
    events = at.to_the_end()
    ended = events[-1].values
    if words:
        assert ended["sink0.frames"] == 30
        assert "dropped" not in ended
        assert E.QUALITY_NOTIFY not in kinds(events)
    else:
        # What came in the half second is late by more than a tenth of a second, but for the last few.
        assert 8 <= ended["dropped"] <= 16
        assert ended["dropped"] + ended["sink0.frames"] == 30
        told = next(event for event in events if event.type == E.QUALITY_NOTIFY).values
        assert told["dropped"] == 1
        assert told["lateness_ms"] > 100


def test_mf_005_a_protected_stream_is_refused_here_and_the_clear_one_plays(
    local: Callable[..., Stage], half_protected: Path
) -> None:
    at = local(half_protected)
    source = at.source()
    source.set_pmp_host = source.get_input_trust_authority = None  # nobody is asked: it would be a TypeError
    at.session.set_topology(at.topology(source=source))
    refused = at.event()
    assert (refused.type, refused.status) == (E.SESSION_TOPOLOGY_SET, HResult.MF_E_NON_PE_PROCESS)
    with raises_code(HResult.MF_E_NON_PE_PROCESS):
        refused.raise_for_status()
    assert at.lines() == []
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == HResult.MF_E_INVALIDREQUEST
    at.ready(source=source, only=TrackType.AUDIO)
    assert at.to_the_end()[-1].values["sink0.frames"] > 90


def test_mf_008_one_protected_stream_requires_the_environment_selected_or_not(
    at: Stage, clear: Path, half_protected: Path
) -> None:
    streams = at.source(clear).streams()
    assert not require_protected_environment(streams)
    half = at.source(half_protected).streams()
    assert require_protected_environment(half)
    deselected = [SourceStreamNode(stream, is_selected=not stream.is_protected) for stream in half]
    assert require_protected_environment(deselected)
    assert not require_protected_environment([])
    assert not require_protected_environment(stream for stream in half if not stream.is_protected)


def test_mf_010_a_session_gives_its_rate_control_and_is_no_attribute_store(at: Stage) -> None:
    control = at.session.get_service(Service.RATE_CONTROL_SERVICE)
    assert isinstance(control, RateControl)
    assert isinstance(at.session.get_service(Service.RATE_CONTROL_SERVICE.value), RateControl)
    assert control.get_rate() == 1
    assert control.is_rate_supported(2)
    assert not control.is_rate_supported(-1)
    assert not control.is_rate_supported(2, thin=True)
    assert not any(
        hasattr(at.session, name) for name in ("get_item", "set_item", "get_guid", "attributes", "__getitem__")
    )
    at.session.shutdown()
    with raises_code(HResult.MF_E_SHUTDOWN):
        at.session.get_service(Service.RATE_CONTROL_SERVICE)


def test_mf_011_an_unknown_service_is_refused(at: Stage) -> None:
    with raises_code(HResult.MF_E_UNSUPPORTED_SERVICE):
        at.session.get_service(NOBODYS)


@pytest.mark.parametrize("service", [Service.PMP_SERVICE, Service.PMP_SERVER_CONTEXT])
def test_mf_011_there_is_no_pmp_behind_a_session_of_the_application(
    local: Callable[..., Stage], service: Service
) -> None:
    with raises_code(HResult.MF_E_UNSUPPORTED_SERVICE):
        local().session.get_service(service)


def test_low_latency_gives_each_picture_with_its_packet(
    local: Callable[..., Stage], clips: Callable[..., Path]
) -> None:
    """MF_LOW_LATENCY. A decoder that works on several pictures at a time holds as many back."""
    path = clips(b_frames=0, sound=False)

    def shown(*, low_latency: bool) -> int:
        """The clock's time when ten packets were given and the decoder is left waiting for the next."""
        at = local(path, low_latency=low_latency)
        source, given, go_on = at.source(), [], threading.Event()
        real = source.next_sample

        def next_sample(stream_id: int) -> object:
            given.append(stream_id)
            if len(given) == 11:
                go_on.wait(LIMIT)
            return real(stream_id)

        source.next_sample = next_sample
        at.ready(source=source)
        at.session.start()
        eventually(lambda: len(given) == 11)
        time = at.session.get_clock().get_time()
        go_on.set()
        return int(time)

    last = shown(low_latency=True)
    assert last == 3_000_000  # the tenth picture, at 0.3 s
    if (os.cpu_count() or 1) > 1:
        assert shown(low_latency=False) < last


def test_the_caller_keeps_its_descriptors(at: Stage) -> None:
    before = descriptors()
    at.ready()
    assert at.to_the_end()[-1].status == OK
    at.session.close()
    at.until(E.SESSION_CLOSED)
    at.session.shutdown()
    os.fstat(at.output)
    assert at.lines()
    eventually(lambda: descriptors() <= before + 1)  # the file that the stage opened is still the stage's


def test_a_descriptor_that_is_closed_is_refused_at_once(local: Callable[..., Stage]) -> None:
    at = local()
    topology = at.topology(at.hashes(), SinkActivate(at.hashes().class_id, {}, 1 << 30))
    before = descriptors()
    with raises_code(HResult.E_INVALIDARG):
        at.session.set_topology(topology)
    assert descriptors() == before
