"""Arguments that nobody can act on: each is refused with a code of its own, before anything is done about it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from drm.component import MediaSource
from drm.hresult import HResult
from drm.media import StreamDescriptor
from drm.session.events import MediaEventType as E
from drm.session.media_session import TimeFormat
from drm.session.topology import SetTopologyFlags, Topology
from tests.conformance.mfcreatemediasession.world import OK, Stage, raises_code


class Describes:
    """A source that describes other streams than it has."""

    def __init__(self, inner: MediaSource, streams: tuple[StreamDescriptor, ...]) -> None:
        self._inner, self._streams = inner, streams

    def streams(self) -> tuple[StreamDescriptor, ...]:
        return self._streams

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def renumbered(stream: StreamDescriptor, track_id: int) -> StreamDescriptor:
    return msgspec.structs.replace(stream, track=msgspec.structs.replace(stream.track, track_id=track_id))


def test_mf_135_a_stream_that_the_source_does_not_have(at: Stage) -> None:
    source = at.source()
    topology: Topology[MediaSource] = Topology(source)
    topology.connect(renumbered(source.streams()[0], 99), at.hashes())
    with raises_code(HResult.MF_E_TOPO_MISSING_STREAM_DESCRIPTOR):
        at.session.set_topology(topology)
    at.no_more_events()


def test_mf_135_a_source_without_any_stream(at: Stage) -> None:
    source = at.source()
    topology: Topology[MediaSource] = Topology(Describes(source, ()))  # type: ignore[arg-type]  # what is used of one
    topology.connect(source.streams()[0], at.hashes())
    with raises_code(HResult.MF_E_TOPO_MISSING_PRESENTATION_DESCRIPTOR):
        at.session.set_topology(topology)


def test_mf_135_a_codec_that_no_decoder_is_for(at: Stage) -> None:
    source = at.source()
    first = source.streams()[0]
    unknown = msgspec.structs.replace(first, track=msgspec.structs.replace(first.track, codec="xxxx", decoder=""))
    topology: Topology[MediaSource] = Topology(Describes(source, (unknown,)))  # type: ignore[arg-type]  # as above
    topology.connect(unknown, at.hashes())
    at.session.set_topology(topology)
    assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.MF_E_TOPO_CODEC_NOT_FOUND
    at.ready()  # and the session plays another


@pytest.mark.parametrize("flags", [8, 1 | 64])
def test_mf_136_flags_of_set_topology_that_nobody_knows(at: Stage, flags: int) -> None:
    with raises_code(HResult.E_INVALIDARG):
        at.session.set_topology(at.topology(), SetTopologyFlags(flags))
    with raises_code(HResult.E_INVALIDARG):
        at.session.set_topology(None, SetTopologyFlags(flags))
    at.no_more_events()


@pytest.mark.parametrize("wrong", [None, UUID(int=1), "presentation"])
def test_mf_136_time_formats_that_nobody_knows(at: Stage, wrong: object) -> None:
    at.ready()
    with raises_code(HResult.E_INVALIDARG):
        at.session.start(0, wrong)
    with raises_code(HResult.E_INVALIDARG):
        at.session.start(None, wrong)
    at.session.start(0, TimeFormat.PRESENTATION)
    assert at.outcome(E.SESSION_STARTED) == OK


@pytest.mark.parametrize(
    "call",
    [
        lambda at: at.session.start(1.5),
        lambda at: at.session.start(0, None),
        lambda at: at.session.begin_get_event(None),
        lambda at: at.session.set_topology(None, SetTopologyFlags(8)),
    ],
    ids=["a position that is none", "no time format", "no callback", "unknown flags"],
)
def test_mf_136_arguments_are_looked_at_before_the_shutdown(at: Stage, call: Callable[[Stage], None]) -> None:
    at.session.shutdown()
    with raises_code(HResult.E_INVALIDARG):
        call(at)
    with raises_code(HResult.MF_E_SHUTDOWN):  # the control: sound arguments
        at.session.start()
