"""Counts frames, and those that came before its output had set the policy; some time passes until it has."""

import time

import msgspec

from drm.rights.authorities import SetPolicyResult
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_schema import Connector, OutputAttribute, Schema
from drm.rights.policy import Action

__all__ = ["WaitingSink"]


class _SlowOutput:
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._set_at = 0.0
        self.times_set = 0

    def get_action(self) -> Action:
        return Action.PLAY

    def set_policy(self, policies: list[OutputPolicy]) -> SetPolicyResult:
        for policy in policies:
            policy.generate_required_schemas(
                OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, [Schema.HDCP_WITH_TYPE_ENFORCEMENT]
            )
        self.times_set += 1
        self._set_at = time.monotonic() + self._delay
        return SetPolicyResult.WAIT_FOR_POLICY_SET

    def is_policy_set(self) -> bool:
        return time.monotonic() >= self._set_at


class WaitingSink:
    is_rateless = True

    def load(self, stream: bytes) -> None:
        self._output = _SlowOutput(msgspec.json.decode(stream)["delay"])
        self._frames = self._early = 0

    def output_trust_authorities(self) -> list[_SlowOutput]:
        return [self._output]

    def open(self, tracks: object, descriptor: int | None) -> None:
        pass

    def write(self, track_id: int, frame: object) -> None:
        self._frames += 1
        self._early += not self._output.is_policy_set()

    def finish(self) -> dict[str, int]:
        return {"frames": self._frames, "early": self._early, "set": self._output.times_set}

    def close(self) -> None:
        pass
