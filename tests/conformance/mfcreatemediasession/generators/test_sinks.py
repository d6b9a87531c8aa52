"""What sinks say by themselves: MF-163 and MF-164."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate
from drm.wire.messages import NodeKind
from tests.conformance.mfcreatemediasession.world import OK, Stage, kinds

SPEAKING = UUID("7b0c1d7e-5a34-4e0e-9d5e-3f6f0b8a2c31")


def speaking(**options: object) -> SinkActivate:
    return SinkActivate(SPEAKING, options)


def output_node(at: Stage, number: int = 0) -> int:
    nodes = at.session.get_full_topology().of_kind(NodeKind.OUTPUT)
    return int(nodes[number].node_id)


@pytest.mark.parametrize("fails", [True, False])
def test_mf_163_a_sink_that_is_invalid_ends_its_topology(stage: Callable[..., Stage], fails: bool) -> None:
    at = stage()
    sinks = (at.in_time(), speaking(at=3, says="invalid", fails=fails))
    made = at.ready(*sinks, only=TrackType.VIDEO)
    node = output_node(at, 1)
    at.session.start()
    found = at.until(E.SINK_INVALIDATED)[-1]
    assert found.values == {"output_node": node, "topology": made.topology_id}
    assert found.status == (HResult.MF_E_INVALID_FILE_FORMAT if fails else OK)
    assert kinds(at.until(E.SESSION_CAPABILITIES_CHANGED)) == [(111, 400), 110]
    at.session.start()  # the topology is over: the sink is to be made anew, and the topology set again
    assert at.outcome(E.SESSION_STARTED) == HResult.MF_E_INVALIDREQUEST
    at.ready(at.in_time(), only=TrackType.VIDEO)
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == OK


def test_mf_163_the_next_topology_is_ready_when_the_sink_of_this_one_is_invalid(stage: Callable[..., Stage]) -> None:
    at = stage()
    at.ready(speaking(at=3, says="invalid"), only=TrackType.VIDEO)
    following = at.set(at.in_time(), only=TrackType.VIDEO)
    at.session.start()
    at.until(E.SINK_INVALIDATED)
    at.until_status(following, 100)
    at.session.start()
    assert at.outcome(E.SESSION_STARTED) == OK


def test_mf_163_a_sink_may_be_invalid_before_its_turn_comes(stage: Callable[..., Stage]) -> None:
    at = stage()
    playing = at.playing()
    waiting = at.set(speaking(at="made", says="invalid"), only=TrackType.VIDEO)
    found = at.until(E.SINK_INVALIDATED)[-1]
    assert found.values["topology"] == waiting.topology_id
    at.until_status(waiting, 400)
    assert at.session.get_full_topology().topology_id == playing.topology_id


def test_mf_164_what_a_renderer_says_reaches_the_application(stage: Callable[..., Stage]) -> None:
    at = stage()
    made = at.ready(speaking(at=2, says={"width": 160, "late": 0.5}), only=TrackType.VIDEO)
    at.session.start()
    found = at.until(E.RENDERER_EVENT)[-1]
    told = {"width": 160, "late": 0.5, "output_node": output_node(at), "topology": made.topology_id}
    assert (found.status, found.values) == (OK, told)


@pytest.mark.parametrize("says", [{"picture": "a text"}, {str(number): 1 for number in range(17)}, {"x" * 65: 1}])
def test_mf_164_a_renderer_says_numbers_alone_and_few(stage: Callable[..., Stage], says: object) -> None:
    """Else a sink could let more out than what it writes."""
    at = stage()
    at.ready(speaking(at=2, says=says), only=TrackType.VIDEO)
    at.session.start()
    assert at.outcome(E.ERROR) == HResult.E_INVALIDARG
