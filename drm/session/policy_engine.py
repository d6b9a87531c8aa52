"""The policy engine: what has to be agreed between input and output trust authorities before a sample is decrypted.

For each protected branch it looks at every node behind the decrypter for trusted outputs, requests access for what each
of them does, hands it the policy, waits where an output takes its time, binds access, and enables the decrypter. All of
this comes before the topology counts as set. When the license of a key that rotates in asks for more, it does so again
while playback stands still.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast
from uuid import UUID

import msgspec

from drm.bounded_calls import BoundedCalls
from drm.class_ids import VIDEO_CONSTRICTOR
from drm.component import InputTrustAuthority, OutputTrustAuthority, Sink, Transform
from drm.errors import (
    DRMError,
    EnableRequiredError,
    InvalidRequestError,
    LicenseRefusedError,
    OutputNotAllowedError,
)
from drm.hresult import HResult
from drm.keys import KeyId
from drm.media import TrackInfo, TrackType
from drm.rights.authorities import AccessParameters, Decrypter, OfOneStream, SetPolicyResult
from drm.rights.enablers import EnablerActivate
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.key_check import place
from drm.trust.errors import ListTooOldError
from drm.trust.state import NOTHING_VERIFIED, TrustState, check_demands

__all__ = ["ComponentHost", "PolicyEngine", "RightsBroker", "TrustedPath", "trusted_outputs"]

_MAX_ASKED: Final = 2  # times that one thing is asked for: an enabler that brought nothing may do better once
_WAIT: Final = 10.0  # seconds that an output may take to set a policy
_LOOK: Final = 0.01  # seconds between two looks whether it is set


class ComponentHost(Protocol):
    """Makes components in the session's own process, out of verified bytes."""

    def create(self, class_id: UUID) -> object:
        """Return a new instance. Raises UnknownComponentError or TrustError."""


class RightsBroker(Protocol):
    """The way from the session to the application's content protection manager."""

    def enable(self, authority: InputTrustAuthority, activate: EnablerActivate) -> None:
        """Have the manager do it, and give the authority what it brought. Raises what went wrong."""


@dataclass(slots=True)
class PolicyEngine:
    """Makes the trusted paths of one session."""

    host: ComponentHost
    rights: RightsBroker
    level: int  # isolation level of this process
    emit: Callable[[MediaEvent], None]
    trust: Callable[[], TrustState] = lambda: NOTHING_VERIFIED  # what this process's components are worth now
    interrupted: threading.Event = field(default_factory=threading.Event)  # for good: nobody waits for outputs any more

    def protect(
        self,
        authority: InputTrustAuthority,
        decrypter: Decrypter,
        track: TrackInfo,
        transforms: list[Transform],
        outputs: Sequence[OutputTrustAuthority],
    ) -> TrustedPath:
        """Agree on everything with the `trusted_outputs` of the branch, and enable `decrypter`.

        `transforms` is the branch's own list: what scales pictures down comes to its end, if the license wants that.

        Raises:
            OutputNotAllowedError: an output cannot keep the policy.
            EnableRequiredError, LicenseError, PolicyError: no access.
        """
        path = TrustedPath(self, authority, decrypter, track, outputs, transforms)
        path.open()
        return path

    def request_access(self, authority: InputTrustAuthority, action: Action) -> None:
        """Return when `authority` grants `action`, with the rights that the application brings where some are missing.

        What the license demands of components and revocation list is looked at then, and asked for once.

        Raises:
            LicenseRefusedError: what was asked for twice is still missing.
            TestSignedError, ListTooOldError: the license does not take this worker's components, or their list.
            Else what the authority or the enabler raised.
        """
        asked = Counter[tuple[object, ...]]()
        while max(asked.values(), default=0) <= _MAX_ASKED:
            try:
                authority.request_access(action)
            except EnableRequiredError as required:
                if not isinstance(required.enabler_activate, EnablerActivate):
                    raise
                activate = required.enabler_activate
                asked[activate.type, activate.key_ids] += 1
                if asked[activate.type, activate.key_ids] <= _MAX_ASKED:
                    self.rights.enable(authority, activate)
            else:
                self._check_trust(authority, action)
                return
        raise LicenseRefusedError(
            "what was obtained for this content gives no access to it, twice in a row",
            seen=f"{_MAX_ASKED} exchanges, and the same thing is still missing",
            maybe="the license server answers without the key that it was asked for",
        )

    def _check_trust(self, authority: InputTrustAuthority, action: Action) -> None:
        policy = authority.get_policy(action)
        try:
            self.check(policy)
        except ListTooOldError as old:
            try:
                self.rights.enable(authority, cast("EnablerActivate", old.enabler_activate))
            except DRMError as failed:
                if failed.hresult == HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER:
                    raise old from None  # nobody to ask: what was wanted is the thing to say
                raise
            self.check(policy)

    def check(self, policy: OutputPolicy) -> None:
        """Raise PolicyError or TrustError for a policy that this process cannot keep, whatever the output."""
        if policy.rules is not None:
            policy.rules.check(policy.action, level=self.level)
            check_demands(policy.rules, self.trust())


class TrustedPath:
    """One protected branch: the authority of its stream, its decrypter, and the trusted outputs behind that."""

    def __init__(
        self,
        engine: PolicyEngine,
        authority: InputTrustAuthority,
        decrypter: Decrypter,
        track: TrackInfo,
        outputs: Sequence[OutputTrustAuthority],
        transforms: list[Transform],
    ) -> None:
        self._engine = engine
        self._authority = authority
        self._decrypter = decrypter
        self._track = track
        self._outputs = [(output, output.get_action()) for output in outputs]
        self._transforms = transforms
        self._constrictor: Transform | None = None
        self.constriction = 0  # pixels that a picture may have; 0: any number

    def open(self) -> None:
        """Request access, set policies, bind access, enable the decrypter."""
        for output, action in self._outputs:
            self._engine.request_access(self._authority, action)
            policy = self._authority.get_policy(action)
            if self._set(output, policy) is SetPolicyResult.WAIT_FOR_POLICY_SET:
                self._wait_for([output], self._engine.interrupted)
                self._engine.emit(self._policy_set(policy))
        self._constrict()
        actions = tuple((action, b"") for _, action in self._outputs)
        self._authority.bind_access(AccessParameters(actions, decoder=self._track.decoder))
        self._decrypter.policy_set(0)

    def obtain(self, key_ids: Sequence[KeyId]) -> None:
        """Keys rotate, and these are named by samples alone: ask for them, each time that playback comes to them.

        Raises what kept them away.
        """
        self._authority.require(key_ids)
        self.request_access()

    def request_access(self) -> None:
        """Return when the authority grants what the outputs do; see `PolicyEngine.request_access`."""
        for action in dict.fromkeys(action for _, action in self._outputs):
            self._engine.request_access(self._authority, action)

    def enable(self, activate: EnablerActivate) -> None:
        """Have the application's manager bring what the authority asked for. Raises what went wrong."""
        self._engine.rights.enable(self._authority, activate)

    def change(
        self, policies: Sequence[OutputPolicy], emit: Callable[[MediaEvent], None], stopping: threading.Event
    ) -> None:
        """Have the outputs apply a policy that changed in mid-play, and let the decrypter go on.

        POLICY_CHANGED for each policy, then POLICY_SET for each when its outputs apply it. `stopping` ends the wait.

        Raises:
            OutputNotAllowedError: an output cannot (MF_E_POLICY_UNSUPPORTED), or takes too long.
        """
        for policy in policies:
            emit(MediaEvent(E.POLICY_CHANGED, values=_told(policy, self._track)))
        for policy in policies:
            concerned = [output for output, action in self._outputs if action is policy.action]
            waits = [each for each in concerned if self._set(each, policy) is SetPolicyResult.WAIT_FOR_POLICY_SET]
            self._wait_for(waits, stopping)
            self._constrict()
            emit(self._policy_set(policy))
            self._decrypter.policy_set(policy.policy_id)

    def _set(self, output: OutputTrustAuthority, policy: OutputPolicy) -> SetPolicyResult:
        self._engine.check(policy)
        asked = policy.times_asked
        result = output.set_policy([policy])
        if policy.rules is not None and policy.rules.asks_of_outputs and policy.times_asked == asked:
            raise OutputNotAllowedError(
                "an output took the policy without asking what it has to do", where=place(self._track)
            )
        return result

    def _wait_for(self, outputs: Sequence[OutputTrustAuthority], stopping: threading.Event) -> None:
        end = time.monotonic() + _WAIT
        while not all(output.is_policy_set() for output in outputs):
            if time.monotonic() >= end:
                raise OutputNotAllowedError(f"an output did not set its policy within {_WAIT:.0f} seconds")
            if stopping.wait(_LOOK):
                raise InvalidRequestError("nobody waits any more", hresult=HResult.MF_E_OPERATION_CANCELLED)

    def _policy_set(self, policy: OutputPolicy) -> MediaEvent:
        return MediaEvent(E.POLICY_SET, values={"policy_id": policy.policy_id, "track": self._track.track_id})

    def _constrict(self) -> None:
        """Put what scales pictures down behind all other transforms, or tell it the new number."""
        limits = [limit for output, _ in self._outputs if (limit := getattr(output, "constriction", 0))]
        self.constriction = min(limits, default=0)
        if not self.constriction or self._track.type is not TrackType.VIDEO:
            return
        if self._constrictor is None:
            self._constrictor = cast("Transform", self._engine.host.create(VIDEO_CONSTRICTOR))
            self._transforms.append(self._constrictor)
        self._constrictor.load(msgspec.json.encode({"pixels": self.constriction}))


def trusted_outputs(
    track: TrackInfo, transforms: Sequence[Transform], sinks: Sequence[Sink], calls: BoundedCalls
) -> list[OutputTrustAuthority]:
    """Every trusted output behind the decrypter of one stream; `calls` asks for them.

    A transform comes out of verified bytes as a sink does. One that is a trusted output too, and final, keeps the
    policy for all that is behind it (IMFTrustedOutput::IsFinal).

    Raises OutputNotAllowedError for an untrusted sink, and what a sink or `calls` raises.
    """
    all_found: list[OutputTrustAuthority] = []
    for transform in transforms:
        found = _of_node(transform, track, calls)
        all_found += found
        if found and getattr(transform, "is_final", False):
            return all_found
    for sink in sinks:
        found = _of_node(sink, track, calls)
        if not found or not getattr(sink, "is_final", True):
            raise OutputNotAllowedError("a protected stream may not reach an untrusted sink", where=place(track))
        all_found += found
    return all_found


def _of_node(node: object, track: TrackInfo, calls: BoundedCalls) -> list[OutputTrustAuthority]:
    asked = getattr(node, "output_trust_authorities", None)
    found: Sequence[OutputTrustAuthority] = () if asked is None else calls("output_trust_authorities", asked)
    return [each.for_stream(track) if isinstance(each, OfOneStream) else each for each in found]


def _told(policy: OutputPolicy, track: TrackInfo) -> dict[str, int | float | str]:
    """What an event says of a policy: its id, whose it is, and the rules of outputs."""
    values: dict[str, int | float | str] = {"policy_id": policy.policy_id, "track": track.track_id}
    values["action"] = policy.action.value
    rules = policy.rules
    if rules is not None:
        said = {"hdcp": rules.hdcp, "cgms_a": rules.cgms_a, "digital_only": rules.digital_only, "pixels": rules.pixels}
        values |= said
    return values
