"""The decrypter: one per branch, made by the authority, disabled until the policy is set. Worker only."""

from __future__ import annotations

import enum
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.errors import InvalidRequestError, MalformedMediaError, OutputNotAllowedError, PolicyChangedError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.media import SampleCrypto, Scheme
from drm.rights.coded_forms import check_form
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action, Policy, strictest
from ita.counter_record import CounterRecord
from ita.key_ring import Entry, KeyRing

__all__ = ["ClearKeyDecrypter", "Gate", "GateState"]

_RECHECK: Final = 1.0  # seconds between two looks at the license's end
_SAMPLES_BETWEEN_CHECKS: Final = 5000  # of the environment
_NOTHING: Final = (0, 0)
_ASKS_NOTHING: Final = Policy()
_HANDS_OUT: Final = frozenset({Action.SNAPSHOT, Action.HASH})
_BLOCK: Final = 16  # bytes; a shorter protected range, among bytes that somebody chose, can be found out by trying
_PATTERNED: Final = frozenset({Scheme.CENS, Scheme.CBCS})

_policy_ids = itertools.count(1)  # unique in the process, and never 0


class GateState(enum.Enum):
    """What an authority lets its decrypters do; a reset ends those handed out for good."""

    DISABLED = "disabled"
    BOUND = "bound"  # access is bound: a policy that is set enables a decrypter
    DEAD = "dead"


@dataclass(slots=True)
class Gate:
    """Shared by an authority and the decrypters that it handed out since its last reset."""

    level: int
    originator_id: UUID
    watch: Callable[[], object]  # raises IsolationError when the environment is protected no more
    state: GateState = GateState.DISABLED
    actions: tuple[Action, ...] = ()  # what is going to happen
    decoder: str = ""  # what the clear samples go to; "": nobody has said
    agreed: dict[Action, Policy | None] = field(default_factory=dict)  # what outputs were given to apply


class _Authority(Protocol):
    def wants(self, key_id: KeyId) -> bool: ...


class ClearKeyDecrypter:
    """Keeps one cipher per KID and looks at the license and at its environment again as it goes. One thread at a time.

    It halts when a license asks more of outputs than they were told, until they say that they do it.
    """

    def __init__(self, gate: Gate, ring: KeyRing, authority: _Authority, counters: CounterRecord) -> None:
        """`authority` handed it out, and lives as long: its end lets go of the keys."""
        self._authority = authority
        self._counters = counters
        self._gate = gate
        self._ring = ring
        self._ciphers: dict[KeyId, tuple[Entry, SampleDecrypter, float]] = {}
        self._held_close: set[KeyId] = set()  # keys whose license does not let the application have the clear samples
        self._generation = -1
        self._until_check = 0  # samples
        self._enabled = False
        self._agreed: Policy | None = None  # what outputs apply by now; None: nothing was asked of them yet
        self._halt: dict[int, OutputPolicy] = {}  # by policy id: what outputs have yet to apply
        self._offered: Policy | None = None  # what they will apply then
        self.is_rehearsal = False

    def policy_set(self, policy_id: int) -> None:
        """MEPolicySet: 0 enables it, if access is bound and it is not dead; another id ends that part of a halt."""
        if policy_id:
            if self._halt.pop(policy_id, None) is not None and not self._halt:
                self._agreed = self._offered
        elif self._gate.state is GateState.BOUND:
            self._enabled = True
            told = [policy for action in self._gate.actions if (policy := self._gate.agreed.get(action)) is not None]
            self._agreed = strictest(told) if told else None

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample to `target` (drm.component.Decrypter)."""
        if not self._enabled or self._gate.state is not GateState.BOUND:
            self._refuse()
        if self._until_check <= 0:
            self._gate.watch()
            self._until_check = _SAMPLES_BETWEEN_CHECKS
        self._until_check -= 1
        if _NOTHING in crypto.subsamples:
            raise MalformedMediaError("a subsample of no bytes at all", hresult=HResult.MF_E_INVALID_FILE_FORMAT)
        if crypto.crypt_blocks != crypto.skip_blocks:
            _check_pattern(crypto)
        decrypt_sample(source, crypto, target, self._cipher)
        if not crypto.scheme.is_cbc and self._held_close:
            self._note(source, crypto)

    def _note(self, stored: memoryview, crypto: SampleCrypto) -> None:
        """Have the counters of a sample belong to it. Raises OutputNotAllowedError: they are another's.

        A rehearsal also tries keys that are not the stream's own on it, to name a likely mistake: this notes nothing.
        """
        lends = not _HANDS_OUT.isdisjoint(self._gate.actions)
        for part in crypto.parts():
            if part.key_id not in self._held_close or (self.is_rehearsal and not self._authority.wants(part.key_id)):
                continue
            if lends and any(0 < protected < _BLOCK for _clear, protected in part.subsamples):
                raise OutputNotAllowedError(
                    f"less than {_BLOCK} protected bytes stand between clear ones, and the license does not grant "
                    "'extract'",
                    remedy="play it without hashes and snapshots, or have the license server grant 'extract'",
                    kids=(str(part.key_id),),
                )
            self._counters.take(part.key_id, part, stored, self._gate.decoder, self._ring.dialects)

    def _refuse(self) -> None:
        if self._gate.state is GateState.DEAD:
            raise InvalidRequestError(
                "the decrypter was disabled for good", hresult=HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED
            )
        raise InvalidRequestError("the decrypter is not enabled: its policy is not set yet")

    def _cipher(self, key_id: KeyId) -> SampleDecrypter:
        """The cipher of one key, whose license still allows what it is for.

        Raises KeyMissingError, PolicyError, PolicyChangedError.
        """
        if self._generation != self._ring.generation:  # a license came or went: look at all of them again
            self._generation = self._ring.generation
            kept = self._ciphers.items()
            self._ciphers = {kid: (entry, cipher, 0.0) for kid, (entry, cipher, _) in kept}
            self._held_close.clear()
        found = self._ciphers.get(key_id)
        now = time.monotonic()
        if found is not None and now < found[2] and not self._halt:
            return found[1]
        entry = self._ring.entry(key_id)
        cipher = found[1] if found is not None and found[0] is entry else self._ring.cipher(entry)
        entry.license.check(self._gate.actions, level=self._gate.level)
        check_form(entry.license.policy, key_id, self._gate.decoder, self._gate.actions)
        if entry.license.is_held_close:
            self._held_close.add(key_id)
        if not self.is_rehearsal:
            self._halt_for(entry.license.policy)
            entry.license.check((), level=self._gate.level, playing=True)
        self._ciphers[key_id] = entry, cipher, now + _RECHECK
        return cipher

    def _halt_for(self, policy: Policy) -> None:
        """Return if outputs do all that `policy` asks. Raises PolicyChangedError as long as they do not."""
        agreed = self._agreed
        if not self._halt:
            if not policy.is_stricter_than(agreed or _ASKS_NOTHING):
                return
            self._offered = policy if agreed is None else policy.with_output_rules_of(agreed)
            made = [
                OutputPolicy(action, self._offered, self._gate.originator_id, next(_policy_ids))
                for action in self._gate.actions
            ]
            self._halt = {each.policy_id: each for each in made}
        raise PolicyChangedError("the license asks more of outputs", tuple(self._halt.values()))


def _check_pattern(crypto: SampleCrypto) -> None:
    """Refuse a pattern of which one half alone is there, but for crypt:0 of a pattern scheme, which means every block.

    Raises MalformedMediaError (MF_E_INVALID_STREAM_DATA). ISO/IEC 23001-7, clauses 9.6 and 10.4.
    """
    if crypto.crypt_blocks and crypto.skip_blocks:
        return
    if crypto.skip_blocks or crypto.scheme not in _PATTERNED:
        raise MalformedMediaError(
            f"a pattern of {crypto.crypt_blocks} encrypted and {crypto.skip_blocks} clear blocks "
            f"under scheme {crypto.scheme.value}",
            hresult=HResult.MF_E_INVALID_STREAM_DATA,
        )
