"""A policy that changes in mid-play: each output gets what is meant for its own action, and the decrypter goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from drm.errors import InvalidRequestError, OutputNotAllowedError
from drm.hresult import HResult
from drm.media import Sample, StreamDescriptor, TrackInfo, TrackType
from drm.rights.authorities import SetPolicyResult
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action, Policy
from drm.session import policy_engine
from drm.session.decryption import Decryption
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.full_topology import Node
from drm.session.policy_engine import PolicyEngine, TrustedPath
from drm.session.topology import SourceStreamNode
from tests.clocks import HeldClock
from tests.unit.ita.test_policies import halted, sealing, world
from tests.unit.ita.world import CLEAR, CRYPTO, A, decrypt

TRACK = TrackInfo(3, TrackType.VIDEO, "avc1", 1000, decoder="h264")
BOTH = (Action.PLAY, Action.SNAPSHOT)


class Output(OutputTrust):
    """Notes the policies that it is given, and may take its time."""

    def __init__(self, action: Action, *, waits: bool = False) -> None:
        super().__init__(action)
        self.given: list[tuple[Action, int]] = []
        self.waits, self.is_ready = waits, True

    def set_policy(self, policies: Sequence[OutputPolicy]) -> SetPolicyResult:
        self.given += [(policy.action, policy.rules.min_level) for policy in policies]
        super().set_policy(policies)
        self.is_ready = not self.waits
        return SetPolicyResult.WAIT_FOR_POLICY_SET if self.waits else SetPolicyResult.APPLIED

    def is_policy_set(self) -> bool:
        return self.is_ready


class Path:
    """A protected path of these outputs, open, and a stricter license on its way."""

    def __init__(self, *outputs: Output) -> None:
        environment = world()
        self.authority, bring = sealing(environment, A)
        _, self.again = sealing(environment, A)
        bring(Policy(actions=BOTH))
        self.events: list[MediaEvent] = []
        self.decrypter = self.authority.get_decrypter()
        engine = PolicyEngine(None, None, 1, self.events.append)
        self.path = TrustedPath(engine, self.authority, self.decrypter, TRACK, outputs, [])
        self.path.open()
        assert decrypt(self.decrypter) == CLEAR
        for output in outputs:
            output.given.clear()

    def change(self, policies: Sequence[OutputPolicy], stopping: threading.Event | None = None) -> list[MediaEvent]:
        told: list[MediaEvent] = []
        self.path.change(policies, told.append, stopping or threading.Event())
        return told


def numbered(path: Path, *actions: Action) -> list[OutputPolicy]:
    """Policies as a stricter license makes them, that ask nothing of outputs here: a level tells them apart."""
    origin = path.authority.get_policy(Action.PLAY).originator_id
    return [
        OutputPolicy(action, Policy(actions=BOTH, min_level=1), origin, 70 + index)
        for index, action in enumerate(actions)
    ]


def test_each_output_is_given_the_policy_of_its_own_action() -> None:
    play, again, still = Output(Action.PLAY), Output(Action.PLAY), Output(Action.SNAPSHOT)
    path = Path(play, still, again)
    told = path.change(numbered(path, Action.PLAY))
    assert (play.given, again.given, still.given) == ([(Action.PLAY, 1)], [(Action.PLAY, 1)], [])
    assert [(event.type, event.values["policy_id"]) for event in told] == [(E.POLICY_CHANGED, 70), (E.POLICY_SET, 70)]
    told = path.change(numbered(path, Action.SNAPSHOT, Action.PLAY))
    assert (play.given, still.given) == ([(Action.PLAY, 1)] * 2, [(Action.SNAPSHOT, 1)])
    assert [(event.type, event.values["policy_id"]) for event in told] == [
        (E.POLICY_CHANGED, 70), (E.POLICY_CHANGED, 71), (E.POLICY_SET, 70), (E.POLICY_SET, 71),
    ]  # fmt: skip


def test_decryption_goes_on_when_every_output_has_its_policy() -> None:
    play, still = Output(Action.PLAY), Output(Action.SNAPSHOT)
    path = Path(play, still)
    path.again(Policy(actions=BOTH, cgms_a=1))  # a best effort: any output may take it
    policies = halted(path.decrypter)
    assert [policy.action for policy in policies] == [Action.PLAY, Action.SNAPSHOT]
    path.change(policies[:1])
    assert halted(path.decrypter) == policies[1:], "the other action is still to come"
    path.change(policies[1:])
    assert decrypt(path.decrypter) == CLEAR
    assert (len(play.given), len(still.given)) == (1, 1)


def test_an_output_that_takes_its_time_is_waited_for_and_no_other() -> None:
    slow, quick = Output(Action.PLAY, waits=True), Output(Action.SNAPSHOT)
    slow.waits = False
    path = Path(slow, quick)
    slow.waits = True
    told: list[MediaEvent] = []
    done = threading.Event()

    def change() -> None:
        path.path.change(numbered(path, Action.SNAPSHOT, Action.PLAY), told.append, threading.Event())
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    assert not done.wait(0.1)
    assert [event.type for event in told] == [E.POLICY_CHANGED, E.POLICY_CHANGED, E.POLICY_SET]
    slow.is_ready = True
    assert done.wait(20)
    thread.join()
    assert [event.type for event in told][2:] == [E.POLICY_SET, E.POLICY_SET]


def test_an_output_is_waited_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Output(Action.PLAY)
    path = Path(slow)
    slow.waits = True
    clock = HeldClock().hold(monkeypatch, policy_engine)

    class Ticking(threading.Event):
        looks = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.looks += 1
            clock.advance(0.5)
            return self.is_set()

    ticking = Ticking()
    with pytest.raises(OutputNotAllowedError, match="within 10 seconds"):
        path.change(numbered(path, Action.PLAY), ticking)
    assert ticking.looks == 20
    stopping = Ticking()
    stopping.set()
    with pytest.raises(InvalidRequestError) as cancelled:
        path.change(numbered(path, Action.PLAY), stopping)
    assert cancelled.value.hresult == HResult.MF_E_OPERATION_CANCELLED
    assert stopping.looks == 1


def test_a_stopped_pipeline_waits_for_no_output() -> None:
    """It would stand for ten seconds, and `stop` with it."""
    slow = Output(Action.PLAY)
    path = Path(slow)
    slow.waits = True
    path.again(Policy(actions=BOTH, cgms_a=1))
    source = SourceStreamNode(StreamDescriptor(TRACK))
    node = Node(source, path.authority, path.decrypter, None, (), trust=path.path)  # type: ignore[arg-type]  # no decoder
    told: list[MediaEvent] = []
    decryption = Decryption(told.append)
    decryption.stop()
    sample = Sample(TRACK.track_id, 500, 0, 40, True, 0, 16, crypto=CRYPTO)
    with pytest.raises(InvalidRequestError) as cancelled:
        decryption.decrypt(node, memoryview(bytes(16)), sample, CRYPTO, memoryview(bytearray(16)))
    assert cancelled.value.hresult == HResult.MF_E_OPERATION_CANCELLED
    assert cancelled.value.where == "track 3, 0.500 s after its start"
    assert E.POLICY_SET not in [event.type for event in told]
    assert not decryption.asks_for_rights, "no license was waited for, so there is nobody to interrupt"


class Unscaled:
    """An output that knows nothing of pictures being scaled down."""

    def get_action(self) -> Action:
        return Action.PLAY

    def set_policy(self, policies: Sequence[OutputPolicy]) -> SetPolicyResult:
        return SetPolicyResult.APPLIED


def test_an_output_that_says_nothing_of_scaling_asks_for_none() -> None:
    authority, bring = sealing(world(), A)
    bring(Policy(actions=BOTH))
    path = TrustedPath(
        PolicyEngine(None, None, 1, [].append), authority, authority.get_decrypter(), TRACK, [Unscaled()], []
    )
    path.open()
    assert path.constriction == 0
