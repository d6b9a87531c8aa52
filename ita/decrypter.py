"""The decrypter: one per branch of the topology, made by the authority, disabled until access is bound. Worker only."""

from __future__ import annotations

import enum
import time
from typing import Final

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.errors import InvalidRequestError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.media import SampleCrypto
from drm.policy import Action
from ita.key_ring import KeyRing

__all__ = ["ClearKeyDecrypter", "Gate", "GateState"]

_RECHECK: Final = 1.0  # seconds between two looks at the license's end


class GateState(enum.Enum):
    """A decrypter's life; an authority's reset ends it for good."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    DEAD = "dead"


class Gate:
    """Shared by an authority and the decrypters that it handed out: open only while access is bound."""

    def __init__(self, level: int) -> None:
        self.state = GateState.DISABLED
        self.level = level
        self.actions: tuple[Action, ...] = ()

    def check(self) -> None:
        """Return while decryption is allowed.

        Raises:
            InvalidRequestError: not enabled yet (MF_E_INVALIDREQUEST), or reset (MF_E_UNRECOVERABLE_ERROR_OCCURRED).
        """
        if self.state is GateState.DISABLED:
            raise InvalidRequestError("the decrypter is not enabled: its policy is not set yet")
        if self.state is GateState.DEAD:
            raise InvalidRequestError(
                "the decrypter was disabled for good", hresult=HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED
            )


class ClearKeyDecrypter:
    """Keeps one cipher per KID and looks at the license again as it goes."""

    def __init__(self, gate: Gate, ring: KeyRing) -> None:
        self._gate = gate
        self._ring = ring
        self._ciphers: dict[KeyId, SampleDecrypter] = {}
        self._checked: dict[KeyId, float] = {}

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample to `target` (drm.component.Decrypter)."""
        self._gate.check()
        decrypt_sample(source, crypto, target, self._cipher)

    def _cipher(self, key_id: KeyId) -> SampleDecrypter:
        """The cipher of one key, whose license still allows what it is for. Raises KeyMissingError, PolicyError."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            cipher = self._ciphers[key_id] = self._ring.cipher(key_id)
        now = time.monotonic()
        if now >= self._checked.get(key_id, 0.0):
            policy = self._ring.entry(key_id).policy
            for action in self._gate.actions:
                policy.check(action, level=self._gate.level)
            self._checked[key_id] = now + _RECHECK
        return cipher
