"""Trusted outputs on the way of a protected stream: which are asked, which are refused, what holds without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from drm.class_ids import DISCARD_SINK
from drm.component import Frame
from drm.errors import DRMError, OutputNotAllowedError
from drm.hresult import HResult
from drm.media import TrackInfo
from drm.rights.authorities import SetPolicyResult
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology, TransformNode
from tests.unit.session.home import Environment, Home
from tests.unit.session.test_play_through import FAULTY, FaultySink
from tests.unit.session.test_rights import DEVICE_KEY, sealed

STEP, SINK = UUID(int=0x57E9), UUID(int=0x51)


class Step:
    """A transform that is a trusted output as well."""

    is_final = False
    asked: list[Policy]

    def load(self, stream: bytes) -> None:
        pass

    def output_trust_authorities(self) -> Sequence[OutputTrust]:
        return (OutputTrust(Action.PLAY),)

    def process(self, track: TrackInfo, frame: Frame) -> Sequence[Frame]:
        return (frame,)

    def flush(self) -> None:
        pass


class Final(Step):
    """What it hands on is protected no more."""

    is_final = True


class Plain(Step):
    output_trust_authorities = None


class Deaf:
    """An output that takes every policy and applies nothing."""

    def get_action(self) -> Action:
        return Action.PLAY

    def set_policy(self, policies: Sequence[OutputPolicy]) -> SetPolicyResult:
        return SetPolicyResult.APPLIED


class DeafSink(FaultySink):
    place = "nowhere"

    def output_trust_authorities(self) -> Sequence[Deaf]:
        return (Deaf(),)


class NeverFinal(DeafSink):
    is_final = False


def outcome(at: Home, sink: UUID, *steps: UUID) -> DRMError | None:
    topology: Topology = Topology(at.source)
    activate = SinkActivate(sink)
    for stream in at.source.streams():
        topology.connect(stream, activate, transforms=[TransformNode(step) for step in steps])
    at.session.set_topology(topology)
    try:
        at.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
    except DRMError as error:
        return error
    return None


@pytest.fixture
def licensed(encrypted: Path, home: Callable[..., Home]) -> Callable[..., Home]:
    def make(rules: Policy, **components: Callable[[], object]) -> Home:
        named = {"step": STEP, "sink": SINK, "faulty": FAULTY}
        made = {named[name]: component for name, component in components.items()}
        environment = Environment(device_key=DEVICE_KEY)
        return home(encrypted, environment=environment, components=made, answer=sealed(rules))

    return make


@pytest.mark.parametrize(
    ("step", "sink", "goes"),
    [
        (Plain, DISCARD_SINK, True),
        (Step, DISCARD_SINK, True),
        (Plain, FAULTY, False),
        (Step, FAULTY, False),
        (Final, FAULTY, True),
        (Plain, SINK, False),
    ],
    ids=["none", "both", "untrusted", "not-final", "final", "enforced-further-on"],
)
def test_every_node_behind_the_decrypter_is_looked_at(
    licensed: Callable[..., Home],
    monkeypatch: pytest.MonkeyPatch,
    step: type,
    sink: UUID,
    goes: bool,
) -> None:
    monkeypatch.setattr(FaultySink, "place", "nowhere")
    at = licensed(Policy(), step=step, faulty=FaultySink, sink=NeverFinal)
    error = outcome(at, sink, STEP)
    assert (error is None) is goes
    assert goes or isinstance(error, OutputNotAllowedError)


def test_a_trusted_transform_keeps_the_policy_too(licensed: Callable[..., Home]) -> None:
    """Nothing on software has a protected connector: refused there, whatever the sink behind it can do."""
    hdmi = licensed(Policy(hdcp=1), step=Step, sink=DeafSink)
    error = outcome(hdmi, DISCARD_SINK, STEP)
    assert error is not None
    assert error.hresult == HResult.MF_E_POLICY_UNSUPPORTED


@pytest.mark.parametrize(("rules", "goes"), [(Policy(), True), (Policy(hdcp=1), False), (Policy(cgms_a=1), False)])
def test_an_output_that_never_asks_what_to_apply_gets_nothing_that_must_be(
    licensed: Callable[..., Home], rules: Policy, goes: bool
) -> None:
    error = outcome(licensed(rules, sink=DeafSink), SINK)
    assert (error is None) is goes
    assert goes or "without asking" in error.what


def test_a_transform_that_is_no_component_is_refused(licensed: Callable[..., Home]) -> None:
    error = outcome(licensed(Policy()), DISCARD_SINK, STEP)
    assert error is not None
    assert error.hresult == HResult.REGDB_E_CLASSNOTREG
