"""The Clear Key input trust authority (IMFInputTrustAuthority): one per protected stream, inside the worker alone."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Final

import msgspec

from drm.component import Decrypter, ProtectedEnvironment
from drm.errors import (
    DRMError,
    IndividualizationRequiredError,
    InvalidArgumentError,
    LicenseRequiredError,
    SessionShutdownError,
    UnsupportedActionError,
)
from drm.keys import KeyId
from drm.policy import Action, Policy
from drm.rights import EnablerActivate, EnableType, LicensePath
from drm.sealed import make_registration
from ita.decrypter import ClearKeyDecrypter, Gate, GateState
from ita.key_ring import KeyRing
from ita.license import PendingLicense

__all__ = ["ClearKeyInputTrustAuthority"]

_MAX_KEY_IDS: Final = 64  # that are asked for at once, before playback
_MAX_ROTATED: Final = 4096  # of one stream, to its end

_rings: weakref.WeakKeyDictionary[object, KeyRing] = weakref.WeakKeyDictionary()
"""One key ring per protected environment, which is to say per session."""


class _InitData(msgspec.Struct, frozen=True):
    """What the media source knows about the stream."""

    track_id: int
    scheme: str
    key_ids: tuple[str, ...]
    pssh: tuple[str, ...] = ()


class ClearKeyInputTrustAuthority:
    """Knows which keys a stream needs, asks for them, and decides what may be done with the stream."""

    def __init__(self) -> None:
        self._environment: ProtectedEnvironment | None = None
        self._ring: KeyRing | None = None
        self._gate = Gate(level=0)
        self._wanted: tuple[KeyId, ...] = ()
        self._pending: PendingLicense | None = None
        self._individualize = False
        self._path = LicensePath.NONE

    def set_environment(self, environment: ProtectedEnvironment) -> None:
        """Learn about the worker: its level, its device key. Called by the host, once."""
        self._environment = environment
        self._gate.level = environment.level
        self._ring = _rings.get(environment)
        if self._ring is None:
            self._ring = _rings[environment] = KeyRing(environment.engine, environment.dialects)

    def load(self, stream: bytes) -> None:
        """Read the source's initialization data. Raises InvalidArgumentError."""
        try:
            found = msgspec.json.decode(stream, type=_InitData)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidArgumentError("the initialization data of the stream cannot be read") from None
        if not 0 < len(found.key_ids) <= _MAX_KEY_IDS:
            raise InvalidArgumentError(f"the stream names {len(found.key_ids)} key ids, not 1 to {_MAX_KEY_IDS}")
        self._wanted = tuple(dict.fromkeys(KeyId.parse(text) for text in found.key_ids))

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that the session holds keys for."""
        return self._keys().key_ids()

    def require(self, key_ids: Iterable[KeyId]) -> bool:
        """Take key ids that only the samples named, as keys rotate; False when none of them is new.

        Raises:
            InvalidArgumentError: more than a stream can sensibly have.
        """
        wanted = tuple(dict.fromkeys((*self._wanted, *key_ids)))
        if len(wanted) > _MAX_ROTATED:
            raise InvalidArgumentError(f"the samples of one stream name more than {_MAX_ROTATED} key ids")
        is_new, self._wanted = len(wanted) > len(self._wanted), wanted
        return is_new

    @property
    def license_path(self) -> LicensePath:
        """How the keys of this stream came."""
        return self._path

    def request_access(self, action: Action) -> None:
        """Return if there is a key for every KID of the stream and its license allows `action`.

        Raises:
            LicenseRequiredError, IndividualizationRequiredError: with the enabler that obtains it.
            PolicyError: the license refuses.
            UnsupportedActionError: this authority never allows it.
        """
        self._refuse_unsupported(action)
        ring = self._keys()
        missing = ring.missing(self._wanted)
        if not missing:
            self._path = ring.entry(self._wanted[0]).path
            for key_id in self._wanted:
                ring.entry(key_id).policy.check(action, level=self._gate.level)
            return
        environment = self._environment
        assert environment is not None
        if self._individualize and environment.device_key is not None:
            body = make_registration(environment.device_key, environment.report(), environment.component_digests())
            activate = EnablerActivate(EnableType.INDIVIDUALIZATION, missing, body)
            raise IndividualizationRequiredError(
                "the license server does not know this device", enabler_activate=activate
            )
        self._pending = PendingLicense(missing, environment)
        activate = EnablerActivate(EnableType.LICENSE_ACQUISITION, missing, self._pending.body)
        raise LicenseRequiredError("a license must be obtained", enabler_activate=activate)

    def accept(self, activate: EnablerActivate, answer: bytes, path: LicensePath) -> None:
        """Take what the license enabler brought. Raises LicenseError or KeyMissingError."""
        if self._pending is None or activate.type is not EnableType.LICENSE_ACQUISITION:
            raise InvalidArgumentError("no license was asked for")
        pending, self._pending = self._pending, None
        self._path = pending.accept(answer, path, self._keys())

    def needs_individualization(self) -> None:
        """The server does not know the device key yet."""
        self._individualize = True

    def individualized(self) -> None:
        """The device key is registered now."""
        self._individualize = False

    def get_policy(self, action: Action) -> Policy:
        """The policy in force for this stream. Raises UnsupportedActionError or KeyMissingError."""
        self._refuse_unsupported(action)
        return self._keys().entry(self._wanted[0]).policy

    def bind_access(self, actions: Iterable[Action]) -> None:
        """Open the gate for exactly these actions: every decrypter of this authority works from now on."""
        if self._gate.state is GateState.DEAD:
            raise SessionShutdownError("the input trust authority was reset")
        self._gate.actions = tuple(dict.fromkeys(actions))
        self._gate.state = GateState.ENABLED

    def get_decrypter(self) -> Decrypter:
        """A new decrypter behind this authority's gate."""
        return ClearKeyDecrypter(self._gate, self._keys())

    def reset(self) -> None:
        """Close the gate for good and forget the keys."""
        self._gate.state = GateState.DEAD
        self._keys().wipe()

    def _keys(self) -> KeyRing:
        if self._ring is None:
            raise DRMError("the input trust authority was made outside of a protected environment")
        return self._ring

    def _refuse_unsupported(self, action: Action) -> None:
        if self._gate.state is GateState.DEAD:
            raise SessionShutdownError("the input trust authority was reset")
        if action not in {Action.PLAY, Action.SNAPSHOT}:
            raise UnsupportedActionError(f"this input trust authority does not support {action.value!r}")
