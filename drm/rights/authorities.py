"""The trust authorities of the protected path and what they deal in: IMFInputTrustAuthority, IMFOutputTrustAuthority.

All of it lives in the worker. The order in which the session uses them is that of `drm.session.policy_engine`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from drm.keys import KeyId
from drm.media import SampleCrypto, TrackInfo
from drm.rights.enablers import EnablerActivate, LicensePath
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action

__all__ = [
    "AccessParameters",
    "Decrypter",
    "DecryptsSamples",
    "InputTrustAuthority",
    "OfOneStream",
    "OutputTrustAuthority",
    "ProtectedEnvironment",
    "SetPolicyResult",
]


class AccessParameters(msgspec.Struct, frozen=True):
    """What is about to happen (MFINPUTTRUSTAUTHORITY_ACCESS_PARAMS): each action, with the ticket of its output."""

    actions: tuple[tuple[Action, bytes], ...] = ()
    version: int = 0  # there is no other
    decoder: str = ""  # what the clear samples go to, by FFmpeg's name (drm.rights.coded_forms); "": nobody has said


class SetPolicyResult(enum.Enum):
    """How far an output got with a policy."""

    APPLIED = "applied"
    WAIT_FOR_POLICY_SET = "wait for policy set"  # MF_S_WAIT_FOR_POLICY_SET: `is_policy_set` will say when it is


class ProtectedEnvironment(Protocol):
    """What the worker tells a trust authority about itself (IMFProtectedEnvironmentAccess). Worker only."""

    @property
    def level(self) -> int:
        """The isolation level that the worker probed."""

    @property
    def engine(self) -> str:
        """The cipher engine's name."""

    @property
    def dialects(self) -> tuple[str, ...]:
        """The readings of Common Encryption that the application asked for, by name (drm.cenc.dialect)."""

    @property
    def device_key(self) -> bytes | None:
        """The device key's 32-byte seed, or None: then no license comes sealed."""

    def report(self) -> dict[str, object]:
        """The protection report, as JSON values. Raises IsolationError when it no longer holds."""

    def component_digests(self) -> dict[str, str]:
        """Component name to sha256 of its manifest."""


class DecryptsSamples(Protocol):
    """What has keys, or can ask for them: a decrypter, or a developer's verb with keys of its own."""

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample to `target`, of the same length.

        Raises:
            KeyMissingError: no key for the sample's KID.
            PolicyError: the license does not, or no longer, allow it.
            PolicyChangedError: outputs must apply a stricter policy first.
            InvalidRequestError: it is not enabled yet, or was disabled for good.
            IsolationError: the process is no protected environment any more.
        """


class Decrypter(DecryptsSamples, Protocol):
    """Made by an ITA, one per branch of the topology; disabled until the policy is set. Worker only."""

    is_rehearsal: bool
    """True: what it decrypts is looked at, and reaches no output. Play durations do not begin, policies do not halt."""

    def policy_set(self, policy_id: int) -> None:
        """Outputs apply the policy with this id (MEPolicySet); 0 is the first one, and enables the decrypter."""


class InputTrustAuthority(Protocol):
    """IMFInputTrustAuthority: the only owner of keys. One per protected stream. Worker only.

    After `shutdown`, everything but `key_ids`, `license_path` and `reset` raises SessionShutdownError.
    """

    def set_environment(self, environment: ProtectedEnvironment) -> None:
        """Called by the host once, before `load`."""

    def load(self, stream: bytes) -> None:
        """Read the initialization data that the source sent when it made this object."""

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that it holds a license for."""

    def require(self, key_ids: Iterable[KeyId]) -> bool:
        """Learn that the stream needs these as well; False when it knew. The next `request_access` asks for them."""

    def request_access(self, action: Action) -> None:
        """Return if the action is allowed. Raises EnableRequiredError (with an enabler) or PolicyError."""

    def renewal(self, key_ids: Iterable[KeyId]) -> EnablerActivate | None:
        """What asks for a new license ahead of the end of the one that these keys are under; None: it is not time."""

    def accept(self, activate: EnablerActivate, answer: bytes, path: LicensePath) -> None:
        """Take what the enabler brought: a license, plain or sealed. Raises LicenseError and changes nothing."""

    def needs_individualization(self) -> None:
        """The server does not know the device key: the next `request_access` asks for individualization."""

    def individualized(self) -> None:
        """The enabler registered the device key: the next `request_access` asks for a license again."""

    def get_policy(self, action: Action) -> OutputPolicy:
        """What outputs must do. Raises UnsupportedActionError."""

    def bind_access(self, params: AccessParameters) -> None:
        """These actions are about to happen: decrypters can be enabled. A failure cancels the action.

        Raises:
            InvalidArgumentError: a version other than 0.
            SessionError: an action that it does not support (MF_E_UNEXPECTED).
        """

    def update_access(self, params: AccessParameters) -> None:
        """The outputs of an action changed in number: as `bind_access`."""

    def decoder_refused(self, key_ids: Iterable[KeyId]) -> None:
        """A decoder refused samples that these keys decrypted: a license may allow that only so many times."""

    def get_decrypter(self) -> Decrypter:
        """A new, disabled decrypter. Raises NotProtectedError: the stream is clear."""

    @property
    def license_path(self) -> LicensePath:
        """How this authority's keys came."""

    def reset(self) -> None:
        """Disable every decrypter handed out, for good; later ones can be enabled."""

    def shutdown(self) -> None:
        """As `reset`, and let go of the keys: its stream is over. Idempotent."""


class OutputTrustAuthority(Protocol):
    """IMFOutputTrustAuthority: says what an output does with the media, and applies policies there.

    One that scales pictures down only if the session does it for it has `constriction`: so many pixels, 0 for none.
    """

    def get_action(self) -> Action:
        """What the policy must grant."""

    def set_policy(self, policies: Sequence[OutputPolicy]) -> SetPolicyResult:
        """Ask each policy for the schemas of this output, and apply them.

        Raises:
            OutputNotAllowedError: this output cannot (MF_E_POLICY_UNSUPPORTED).
        """

    def is_policy_set(self) -> bool:
        """After WAIT_FOR_POLICY_SET: whether the policy is applied by now. Raises as `set_policy`."""


@runtime_checkable
class OfOneStream(Protocol):
    """An output trust authority that wants to know which stream it is for, as the rules of sound are others."""

    def for_stream(self, track: TrackInfo) -> OutputTrustAuthority:
        """The authority to ask in its stead."""
