"""Topologies: what is refused at once, what is queued, and how each is told of. MF-026 to MF-039."""

from __future__ import annotations

import os
from collections.abc import Callable

from drm.class_ids import AV_DECODER
from drm.errors import InvalidArgumentError
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from drm.session.events import SessionCapability
from drm.session.topology import SetTopologyFlags, SinkActivate, SourceStreamNode, Topology, TransformNode
from drm.wire.specs import FullTopology, NodeKind
from tests.conformance.mfcreatemediasession.world import (
    OK,
    REFUSED,
    SECOND,
    Stage,
    descriptors,
    eventually,
    kinds,
    raises_code,
)

IMMEDIATE, NORESOLUTION = SetTopologyFlags.IMMEDIATE, SetTopologyFlags.NORESOLUTION
CLEAR_CURRENT = SetTopologyFlags.CLEAR_CURRENT


def refused_at_once(at: Stage, topology: Topology[object], code: int) -> None:
    """`set_topology` raises, no event comes, and the descriptor of its sink stays as it was."""
    before = descriptors()
    with raises_code(code):
        at.session.set_topology(topology)
    assert descriptors() == before
    at.no_more_events(0.1)
    at.session.shutdown()
    os.fstat(at.output)


def test_mf_026_a_source_node_without_a_source_is_refused_at_once(at: Stage) -> None:
    topology: Topology[object] = Topology(None)
    topology.connect(at.source().streams()[0], at.hashes())
    refused_at_once(at, topology, HResult.MF_E_TOPO_MISSING_SOURCE)


def test_mf_027_a_stream_that_is_not_selected_is_refused_at_once(at: Stage) -> None:
    source = at.source()
    topology: Topology[object] = Topology(source)
    topology.connect(SourceStreamNode(source.streams()[0], is_selected=False), at.hashes())
    refused_at_once(at, topology, HResult.MF_E_TOPO_STREAM_DESCRIPTOR_NOT_SELECTED)


def test_mf_028_an_empty_topology_is_refused_at_once(at: Stage) -> None:
    refused_at_once(at, Topology(at.source()), HResult.E_INVALIDARG)


def test_mf_029_with_noresolution_the_payload_is_the_topology_that_was_set(at: Stage) -> None:
    source = at.source()
    topology: Topology[object] = Topology(source)
    topology.connect(source.streams()[0], at.hashes(), transforms=[TransformNode(AV_DECODER)])
    at.session.set_topology(topology, NORESOLUTION)
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_TOPOLOGY_SET, OK)
    assert told.value is topology
    at.to_the_end()
    assert len(at.lines()) == 60


def test_mf_029_a_topology_that_names_no_decoder_is_no_full_one(at: Stage) -> None:
    at.session.set_topology(at.topology(), NORESOLUTION)
    assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.MF_E_TOPO_CANNOT_CONNECT


def test_mf_030_without_a_flag_the_payload_is_another_a_full_topology(at: Stage) -> None:
    topology = at.topology()
    at.session.set_topology(topology)
    told = at.event()
    assert (told.type, told.status) == (E.SESSION_TOPOLOGY_SET, OK)
    full = told.value
    assert isinstance(full, FullTopology)
    assert full.topology_id == topology.topology_id
    assert [len(full.of_kind(kind)) for kind in (NodeKind.SOURCE_STREAM, NodeKind.DECODER, NodeKind.OUTPUT)] == [
        2,
        2,
        1,
    ]
    sources = [node.stream_id for node in full.of_kind(NodeKind.SOURCE_STREAM)]
    assert sources == [stream.track.track_id for stream in topology.source.streams()]
    assert {node.class_id for node in full.of_kind(NodeKind.DECODER)} == {AV_DECODER}
    assert len(full.of_kind(NodeKind.OUTPUT)[0].inputs) == 2  # both decoders feed it


def test_mf_032_order_of_events_of_the_first_topology(at: Stage) -> None:
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_STATUS)
    assert kinds(events) == [101, 112, 110, (111, 100)]
    assert [event.status for event in events] == [OK] * 4
    assert events[1].values == {"start_time": 0, "offset": 0, "start_time_at_output": 0}
    able = SessionCapability(int(events[2].values["capabilities"]))
    assert able & SessionCapability.START
    assert able & SessionCapability.SEEK
    assert not able & SessionCapability.PAUSE
    assert events[2].values["delta"] == able


def two_in_a_row(at: Stage) -> tuple[Topology[object], Topology[object], list[object]]:
    first, second = at.set(media=(0, SECOND)), at.set(media=(SECOND, None))
    at.to_the_end()
    return first, second, at.seen


def statuses(at: Stage, topology: Topology[object]) -> list[object]:
    return [
        event.values["status"]
        for event in at.seen
        if event.type == E.SESSION_TOPOLOGY_STATUS and event.values["topology"] == topology.topology_id
    ]


def test_mf_033_status_rises_and_sinks_are_switched_for_all_but_the_first(at: Stage) -> None:
    first, second, _seen = two_in_a_row(at)
    assert statuses(at, first) == [100, 200, 400]
    assert statuses(at, second) == [100, 200, 300, 400]


def test_mf_033_the_first_played_is_the_first_whatever_was_cleared_before_and_stays_it_when_played_again(
    at: Stage,
) -> None:
    at.ready()
    second = at.set()
    at.session.set_topology(None, CLEAR_CURRENT)
    at.until_status(second, 100)
    at.to_the_end()
    at.to_the_end()
    assert statuses(at, second) == [100, 200, 400, 200, 400]


def test_mf_034_two_queued_topologies_play_in_order_and_end_once(at: Stage) -> None:
    first, second, seen = two_in_a_row(at)
    ready, over = (
        next(
            index
            for index, event in enumerate(seen)
            if event.type == E.SESSION_TOPOLOGY_STATUS
            and (event.values["status"], event.values["topology"]) == (status, topology.topology_id)
        )
        for topology, status in ((second, 100), (first, 400))
    )
    assert ready != over  # either may come first: there is no order between two topologies
    numbers = [int(event.type) for event in seen]
    assert numbers.count(E.SESSION_ENDED) == 1
    assert numbers[-1] == E.SESSION_ENDED
    assert numbers.count(E.END_OF_PRESENTATION) == 2
    assert numbers.count(E.SESSION_STARTED) == 1


def test_mf_034_the_second_is_announced_before_it_starts(at: Stage) -> None:
    _first, second, seen = two_in_a_row(at)
    announced = [event.values["start_time"] for event in seen if event.type == E.SESSION_NOTIFY_PRESENTATION_TIME]
    assert announced == [0, SECOND]
    last = max(index for index, event in enumerate(seen) if event.type == E.SESSION_NOTIFY_PRESENTATION_TIME)
    after = [event.values.get("status") for event in seen[last:] if event.type == E.SESSION_TOPOLOGY_STATUS]
    assert after[-3:] == [200, 300, 400]
    assert statuses(at, second)


def test_mf_035_clear_current_with_none_clears_it_and_the_next_is_loaded(at: Stage) -> None:
    first, second = at.ready(), at.set()
    at.session.set_topology(None, CLEAR_CURRENT)
    told = at.event()
    assert (told.type, told.status, told.value) == (E.SESSION_TOPOLOGY_SET, OK, None)
    at.until_status(second, 100)
    assert at.session.get_full_topology().topology_id == second.topology_id
    with raises_code(HResult.E_INVALIDARG):
        at.session.get_full_topology(first.topology_id)


def test_mf_035_clear_current_ends_what_plays(at: Stage) -> None:
    first = at.playing()
    at.session.set_topology(first, CLEAR_CURRENT)
    assert kinds(at.until(E.SESSION_TOPOLOGY_SET)) == [101]
    assert kinds([at.event()]) == [110]
    assert at.session.get_session_capabilities() == SessionCapability(0)
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == REFUSED


def test_mf_035_clear_current_of_another_topology_is_s_false_and_changes_nothing(at: Stage) -> None:
    at.playing()
    other = at.set()
    at.session.set_topology(other, CLEAR_CURRENT)
    told = at.event()
    assert (told.type, told.status, told.value) == (E.SESSION_TOPOLOGY_SET, HResult.S_FALSE, None)
    told.raise_for_status()  # a success
    assert at.session.get_full_topology(other.topology_id)
    at.no_more_events(0.1)


def test_immediate_drops_what_plays_and_what_waits(at: Stage) -> None:
    playing, waiting = at.playing(), at.set()
    at.session.set_topology(at.topology(source=waiting.source), IMMEDIATE)
    events = at.until(E.SESSION_TOPOLOGY_STATUS)
    assert kinds(events) == [101, 112, (111, 100)]
    for gone in (playing, waiting):
        with raises_code(HResult.E_INVALIDARG):
            at.session.get_full_topology(gone.topology_id)
    assert at.until(E.SESSION_ENDED)[-1].values["sink0.frames"] == len(at.lines()) > 60


def test_mf_037_immediate_with_none_changes_nothing(at: Stage) -> None:
    playing, waiting = at.playing(), at.set()
    at.session.set_topology(None, IMMEDIATE)
    told = at.event()
    assert (told.type, told.status, told.value) == (E.SESSION_TOPOLOGY_SET, OK, None)
    assert at.session.get_full_topology().topology_id == playing.topology_id
    assert at.session.get_full_topology(waiting.topology_id).topology_id == waiting.topology_id
    before = at.time()
    eventually(lambda: at.time() > before)


def test_mf_038_clearing_drops_what_waits_and_the_current_one_goes_on(at: Stage) -> None:
    playing = at.ready(at.in_time(), media=(0, SECOND // 2))
    at.session.start()
    at.until(E.SESSION_STARTED)
    waiting = [at.set(), at.set()]
    at.session.clear_topologies()
    assert at.outcome(E.SESSION_TOPOLOGIES_CLEARED) == OK
    for gone in waiting:
        with raises_code(HResult.E_INVALIDARG):
            at.session.get_full_topology(gone.topology_id)
    assert at.session.get_full_topology().topology_id == playing.topology_id
    events = at.until(E.SESSION_ENDED)
    assert kinds(events) == [211, (111, 400), 110, 107]
    assert at.lines() == []


def test_mf_039_the_full_topology_of_the_current_one_and_of_those_that_wait(at: Stage) -> None:
    with raises_code(HResult.MF_E_INVALIDREQUEST):
        at.session.get_full_topology()
    first, second = at.ready(media=(0, SECOND // 4)), at.set(at.in_time())
    assert at.session.get_full_topology().topology_id == first.topology_id
    assert at.session.get_full_topology(second.topology_id).topology_id == second.topology_id
    at.session.start()
    at.until_status(second, 200)
    assert at.session.get_full_topology().topology_id == second.topology_id
    with raises_code(HResult.E_INVALIDARG):
        at.session.get_full_topology(first.topology_id)  # it is finished


def test_a_live_sink_in_an_output_node_is_refused_at_once(at: Stage) -> None:
    source = at.source()
    topology: Topology[object] = Topology(source)
    topology.connect(source.streams()[0], object())  # type: ignore[arg-type]
    with raises_code(HResult.MF_E_TOPO_UNSUPPORTED):
        at.session.set_topology(topology)


def test_a_failed_topology_leaves_its_source_free(local: Callable[..., Stage]) -> None:
    at = local()
    source = at.source()
    before = descriptors()
    at.session.set_topology(at.topology(at.hashes(), SinkActivate(AV_DECODER), source=source))
    failed = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert failed.status != OK
    assert descriptors() == before
    at.ready(source=source)
    assert not isinstance(failed.value, FullTopology)
    assert not issubclass(type(failed.error), InvalidArgumentError)
