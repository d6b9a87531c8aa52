"""The Clear Key input trust authority (IMFInputTrustAuthority): one per protected stream, inside the worker alone."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable
from typing import Final

import msgspec

from drm.errors import (
    DRMError,
    IndividualizationRequiredError,
    InvalidArgumentError,
    LicenseRequiredError,
    NotProtectedError,
    SessionError,
    SessionShutdownError,
    UnsupportedActionError,
)
from drm.hresult import HResult
from drm.keys import KeyId
from drm.license.sealed import make_registration
from drm.rights.authorities import AccessParameters, Decrypter, ProtectedEnvironment
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action, strictest
from ita.counter_record import CounterRecord
from ita.decrypter import ClearKeyDecrypter, Gate, GateState
from ita.key_ring import KeyRing
from ita.license import PendingLicense

__all__ = ["ClearKeyInputTrustAuthority"]

_MAX_KEY_IDS: Final = 64  # that are asked for at once, before playback
_MAX_ROTATED: Final = 4096  # of one stream, to its end
_MAX_PENDING: Final = 8  # requests; an enabler that failed leaves one behind

_DECRYPTING: Final = frozenset({Action.PLAY, Action.SNAPSHOT, Action.HASH})
_IDLE: Final = frozenset({Action.EXTRACT, Action.NO})
"""Granted at once, as nothing comes of it: neither leads to decryption, nor gets a policy that an output can keep."""

_rings: weakref.WeakKeyDictionary[object, KeyRing] = weakref.WeakKeyDictionary()
"""One key ring per protected environment, which is to say per session."""

_counters: Final = CounterRecord()
"""One for the process: another session, with another license for the same keys, gets around nothing."""


class _InitData(msgspec.Struct, frozen=True):
    """What the media source knows about the stream; a clear one has neither scheme nor key ids."""

    track_id: int
    scheme: str
    key_ids: tuple[str, ...]
    pssh: tuple[str, ...] = ()


class ClearKeyInputTrustAuthority:
    """Knows which keys a stream needs, asks for them, and decides what may be done with the stream."""

    def __init__(self) -> None:
        self._environment: ProtectedEnvironment | None = None
        self._ring: KeyRing | None = None
        self._leave_ring: weakref.finalize[[int], ClearKeyInputTrustAuthority] | None = None
        self._holder = 0
        self._originator_id = uuid.uuid4()  # of every policy and schema, changed ones too
        self._gate = self._new_gate()
        self._wanted: tuple[KeyId, ...] = ()
        self._pending: dict[bytes, PendingLicense] = {}  # by the body of the request
        self._answered = False  # a license came, and nobody has looked yet whether it does
        self._individualize = False
        self._is_shut = self._is_encrypted = False
        self._path = LicensePath.NONE

    def set_environment(self, environment: ProtectedEnvironment) -> None:
        """Learn about the worker: its level, its device key. Called by the host, once."""
        self._environment = environment
        ring = _rings.get(environment)
        if ring is None:
            ring = _rings[environment] = KeyRing(environment.engine, environment.dialects)
        self._ring = ring
        self._holder = ring.hold()
        self._leave_ring = weakref.finalize(self, ring.let_go, self._holder)
        self._leave_ring.atexit = False
        self._gate = self._new_gate()

    def load(self, stream: bytes) -> None:
        """Read the source's initialization data. Raises InvalidArgumentError."""
        try:
            found = msgspec.json.decode(stream, type=_InitData)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidArgumentError("the initialization data of the stream cannot be read") from None
        if len(found.key_ids) > _MAX_KEY_IDS:
            raise InvalidArgumentError(f"the stream names {len(found.key_ids)} key ids, more than {_MAX_KEY_IDS}")
        # A protected stream may name none yet: the samples of a stream whose keys rotate do, when they come.
        self._is_encrypted = bool(found.scheme or found.key_ids)
        self._want(tuple(dict.fromkeys(KeyId.parse(text) for text in found.key_ids)))

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that the session holds keys for; none after `shutdown`."""
        return () if self._is_shut else self._keys().key_ids()

    def require(self, key_ids: Iterable[KeyId]) -> bool:
        """Take key ids that only the samples named, as keys rotate; False when none of them is new.

        Raises:
            InvalidArgumentError: more than a stream can sensibly have.
        """
        wanted = tuple(dict.fromkeys((*self._wanted, *key_ids)))
        if len(wanted) > _MAX_ROTATED:
            raise InvalidArgumentError(f"the samples of one stream name more than {_MAX_ROTATED} key ids")
        is_new = len(wanted) > len(self._wanted)
        self._want(wanted)
        return is_new

    @property
    def license_path(self) -> LicensePath:
        """How the keys of this stream came."""
        return self._path

    def request_access(self, action: Action) -> None:
        """Return if there is a key under a valid license for every KID of the stream, and it allows `action`.

        A license that is over is asked for anew, as one that never came; not so right after one came that is over.

        Raises:
            LicenseRequiredError, IndividualizationRequiredError: with the enabler that obtains it.
            PolicyError: the license refuses.
            UnsupportedActionError: this authority never allows it.
        """
        self._refuse_unsupported(action)
        if action in _IDLE:
            return
        ring = self._keys()
        answered, self._answered = self._answered, False
        lacking = ring.lacking(self._wanted)
        missing = ring.missing(lacking)
        for key_id in lacking if answered else ():
            if key_id not in missing:
                ring.entry(key_id).license.check((action,), level=self._gate.level)
        if not lacking:
            for key_id in self._wanted:
                license_ = ring.entry(key_id).license
                license_.check((action,), level=self._gate.level)
                self._path = license_.path
            return
        environment = self._environment
        assert environment is not None
        if self._individualize and environment.device_key is not None:
            body = make_registration(environment.device_key, environment.report(), environment.component_digests())
            activate = EnablerActivate(EnableType.INDIVIDUALIZATION, lacking, body)
            raise IndividualizationRequiredError(
                "the license server does not know this device", enabler_activate=activate
            )
        raise LicenseRequiredError("a license must be obtained", enabler_activate=self._request(lacking, environment))

    def renewal(self, key_ids: Iterable[KeyId]) -> EnablerActivate | None:
        """What asks for a new license ahead of the end of the one that these keys are under; None: it is not time.

        Raises IsolationError when the environment is protected no more.
        """
        environment = self._environment
        if self._is_shut or environment is None:
            return None
        due = self._keys().due(key_ids, self._wanted)
        return self._request(due, environment) if due else None

    def _request(self, key_ids: tuple[KeyId, ...], environment: ProtectedEnvironment) -> EnablerActivate:
        pending = PendingLicense(key_ids, environment)
        self._pending[pending.body] = pending
        while len(self._pending) > _MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        return EnablerActivate(EnableType.LICENSE_ACQUISITION, key_ids, pending.body)

    def accept(self, activate: EnablerActivate, answer: bytes, path: LicensePath) -> None:
        """Take what the license enabler brought. Raises LicenseError or KeyMissingError."""
        is_license = activate.type is EnableType.LICENSE_ACQUISITION
        pending = self._pending.pop(activate.data, None) if is_license else None
        if pending is None:
            raise InvalidArgumentError("no license was asked for")
        self._path = pending.accept(answer, path, self._keys())
        self._answered = True

    def needs_individualization(self) -> None:
        """The server does not know the device key yet."""
        self._individualize = True

    def individualized(self) -> None:
        """The device key is registered now."""
        self._individualize = False

    def get_policy(self, action: Action) -> OutputPolicy:
        """What outputs that perform `action` must do: all that the licenses of the stream's keys ask.

        Raises UnsupportedActionError, SessionShutdownError.
        """
        self._refuse_unsupported(action)
        ring = self._keys()
        held = [ring.entry(key_id).license.policy for key_id in self._wanted if not ring.missing((key_id,))]
        rules = strictest(held) if held else None
        self._gate.agreed[action] = rules
        return OutputPolicy(action, rules, self._originator_id)

    def bind_access(self, params: AccessParameters) -> None:
        """Let exactly these actions happen: a decrypter whose policy is set works from now on.

        Raises:
            InvalidArgumentError: a version other than 0.
            SessionError: an action that this authority does not support (MF_E_UNEXPECTED).
            SessionShutdownError: it was shut down.
        """
        self._refuse_shut()
        if params.version != 0:
            raise InvalidArgumentError(f"access parameters of version {params.version}, not 0")
        actions = tuple(dict.fromkeys(action for action, _ticket in params.actions))
        for action in actions:
            if action not in _DECRYPTING | _IDLE:
                raise SessionError(f"{action.value!r} cannot be bound", hresult=HResult.MF_E_UNEXPECTED)
        self._gate.actions = tuple(action for action in actions if action in _DECRYPTING)
        self._gate.decoder = params.decoder
        self._gate.state = GateState.BOUND if self._gate.actions else GateState.DISABLED

    def update_access(self, params: AccessParameters) -> None:
        """The outputs of an action changed in number: as `bind_access`."""
        self.bind_access(params)

    def decoder_refused(self, key_ids: Iterable[KeyId]) -> None:
        """A decoder refused samples of these keys; no more than so many times under one license, unless it may tell."""
        self._keys().refused(key_ids)

    def wants(self, key_id: KeyId) -> bool:
        """Whether the stream was said to be under this key, among others."""
        return key_id in self._wanted

    def get_decrypter(self) -> Decrypter:
        """A new, disabled decrypter behind this authority's gate.

        Raises:
            NotProtectedError: the stream is clear (MF_E_NOT_PROTECTED).
            SessionShutdownError: the authority was shut down.
        """
        self._refuse_shut()
        if not self._is_encrypted:
            raise NotProtectedError("the stream is not encrypted: it needs no decrypter")
        return ClearKeyDecrypter(self._gate, self._keys(), self, _counters)

    def reset(self) -> None:
        """Disable every decrypter that was handed out, for good; later ones can be enabled.

        Raises SessionShutdownError after `shutdown`; they are disabled then all the same.
        """
        self._gate.state = GateState.DEAD
        if not self._is_shut:
            self._gate = self._new_gate()
        self._refuse_shut()

    def shutdown(self) -> None:
        """Disable the decrypters for good and let go of the keys, which are wiped when no other stream needs them."""
        self._is_shut = True
        self._gate.state = GateState.DEAD
        if self._leave_ring is not None:
            self._leave_ring()

    def _new_gate(self) -> Gate:
        environment = self._environment
        if environment is None:
            return Gate(0, self._originator_id, lambda: None)
        return Gate(environment.level, self._originator_id, environment.report)

    def _want(self, key_ids: tuple[KeyId, ...]) -> None:
        self._wanted = key_ids
        if self._ring is not None:
            self._ring.want(self._holder, key_ids)

    def _keys(self) -> KeyRing:
        if self._ring is None:
            raise DRMError("the input trust authority was made outside of a protected environment")
        return self._ring

    def _refuse_unsupported(self, action: Action) -> None:
        self._refuse_shut()
        if action not in _DECRYPTING | _IDLE:
            raise UnsupportedActionError(f"this input trust authority does not support {action.value!r}")

    def _refuse_shut(self) -> None:
        if self._is_shut:
            raise SessionShutdownError("the input trust authority was shut down")
