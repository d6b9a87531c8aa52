"""The key ring: the only owner of content keys in the path. Worker only.

One ring serves all authorities of one session, so that a license that names the keys of sound and picture is asked
for once. A key lives here and, as a key schedule, inside the ciphers made from it. A license's clocks live here too:
neither a seek nor another topology of the session sets them back. A right ends without its key: there may be several
licenses for a KID, and the newest that may be used is the one that counts.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.dialect import Dialect
from drm.cenc.engines import engine
from drm.errors import KeyMissingError, LicenseExpiredError, OutputNotAllowedError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.rights.enablers import LicensePath
from drm.rights.policy import Action, Policy

__all__ = ["Entry", "KeyRing", "License"]

_NO_KEY_ID = KeyId(bytes(16))
_MOST_LICENSES: Final = 4  # of one KID; what is over goes first
_MOST_REFUSALS: Final = 16  # under one license: a person's attempts at damaged media, and no search


def _now() -> float:
    return time.monotonic()


@dataclass(slots=True, eq=False)
class License:
    """What came in one answer, and how long it has been in use. Times are seconds of the monotonic clock."""

    policy: Policy
    path: LicensePath
    received: float = field(default_factory=_now)
    first_played: float | None = None
    refusals: int = 0  # of decoders, of what its keys decrypt

    def check(self, actions: Iterable[Action], *, level: int, playing: bool = False) -> None:
        """Return if it allows `actions` now. `playing`: a sample is about to be decrypted for an output.

        Raises LicenseExpiredError, OutputNotAllowedError.
        """
        policy, now = self.policy, _now()
        for action in actions:
            policy.check(action, level=level)
        if self.refusals >= _MOST_REFUSALS and self.is_held_close:
            raise OutputNotAllowedError(
                f"decoders refused what the license's keys decrypt {self.refusals} times",
                seen="the license does not grant 'extract', and each refusal tells something of the clear samples",
                maybe="the media are damaged, or the keys are wrong",
                remedy="clearkey keys check FILE; a new session gets a new license",
            )
        if policy.rental is not None and now - self.received >= policy.rental:
            raise _over(f"the license was rented for {policy.rental} s")
        if playing and self.first_played is None:
            self.first_played = now
        begun = self.first_played
        if policy.play_duration is not None and begun is not None and now - begun >= policy.play_duration:
            raise _over(f"the license allows {policy.play_duration} s from the first sample on")

    @property
    def is_valid(self) -> bool:
        """Whether this is a moment at which it may be used at all: begun, and not over."""
        start, ends = self.policy.not_before, self._ends()
        return (start is None or time.time() >= start) and (ends is None or _now() < ends)

    @property
    def is_due(self) -> bool:
        """Whether a new one is to be asked for ahead of its end; never of one that came that late already."""
        ahead, ends = self.policy.renew_before, self._ends()
        if ahead is None or ends is None:
            return False
        return self.received < ends - ahead <= _now()

    def outlasts(self, newer: License) -> bool:
        """Whether there are moments at which this one may be used and `newer` may not."""
        if not self.is_valid:
            return False
        ends, newer_ends = self._ends(), newer._ends()
        return not newer.is_valid or (newer_ends is not None and (ends is None or ends > newer_ends))

    def _ends(self) -> float | None:
        policy, ends = self.policy, []
        if policy.expires is not None:
            ends.append(_now() + policy.expires - time.time())
        if policy.rental is not None:
            ends.append(self.received + policy.rental)
        if policy.play_duration is not None and self.first_played is not None:
            ends.append(self.first_played + policy.play_duration)
        return min(ends, default=None)

    @property
    def is_held_close(self) -> bool:
        """Whether the application may not have the clear samples: it is not to find them out by asking, either."""
        return Action.EXTRACT not in self.policy.actions


def _over(what: str) -> LicenseExpiredError:
    return LicenseExpiredError(f"{what}, and they are over", remedy="ask the license server for a new license")


@dataclass(slots=True)
class Entry:
    """One key with the license that it came in."""

    key: ContentKey
    license: License


class KeyRing:
    """Keys by KID. Any thread."""

    def __init__(self, engine_name: str, dialects: Iterable[str] = ()) -> None:
        self._engine_name = engine_name
        self.dialects = frozenset(Dialect(name) for name in dialects)
        self._entries: dict[KeyId, list[Entry]] = {}  # of each KID the newest first
        self._wanted: dict[int, frozenset[KeyId]] = {}  # by holder
        self._holders = itertools.count(1)
        self._lock = threading.Lock()
        self.generation = 0  # rises with every change, so that a look at it tells whether to look again

    def hold(self) -> int:
        """Become one of those whose keys stay on the ring; return the number to `let_go` with."""
        with self._lock:
            holder = next(self._holders)
            self._wanted[holder] = frozenset()
            return holder

    def want(self, holder: int, key_ids: Iterable[KeyId]) -> None:
        """Say which keys the holder needs to stay."""
        with self._lock:
            if holder in self._wanted:
                self._wanted[holder] = frozenset(key_ids)

    def let_go(self, holder: int) -> None:
        """Wipe the keys that no other holder needs (best effort: Python and the ciphers made copies). Idempotent."""
        with self._lock:
            if self._wanted.pop(holder, None) is None:
                return
            needed = frozenset[KeyId]().union(*self._wanted.values())
            for key_id in [key_id for key_id in self._entries if key_id not in needed]:
                _wipe(self._entries.pop(key_id))
            self.generation += 1

    def add(self, keys: dict[KeyId, ContentKey], license_: License) -> None:
        """Take the keys of a license. An older one stays where the new one is not valid yet, or ends before it."""
        with self._lock:
            for key_id, key in keys.items():
                held = self._entries.get(key_id, [])
                # A new license is no new supply of guesses.
                license_.refusals = max([license_.refusals, *(entry.license.refusals for entry in held)])
                kept = [entry for entry in held if entry.license.outlasts(license_)][: _MOST_LICENSES - 1]
                self._entries[key_id] = [Entry(key, license_), *kept]
                _wipe(entry for entry in held if entry not in kept and entry.key is not key)
            self.generation += 1

    def key_ids(self) -> tuple[KeyId, ...]:
        """The KIDs that there are keys for."""
        with self._lock:
            return tuple(self._entries)

    def missing(self, key_ids: Iterable[KeyId]) -> tuple[KeyId, ...]:
        """Those of `key_ids` that there is no key for."""
        with self._lock:
            return tuple(key_id for key_id in key_ids if key_id not in self._entries)

    def lacking(self, key_ids: Iterable[KeyId]) -> tuple[KeyId, ...]:
        """Those of `key_ids` that no valid license has a key for."""
        with self._lock:
            return tuple(key_id for key_id in key_ids if not self._is_valid(key_id))

    def due(self, key_ids: Iterable[KeyId], among: Iterable[KeyId]) -> tuple[KeyId, ...]:
        """Those of `among` under whose license one of `key_ids` is, which ends soon enough to ask for a new one."""
        with self._lock:
            ending = {id(best.license) for key_id in key_ids if (best := self._best(key_id)) and best.license.is_due}
            return tuple(kid for kid in among if (best := self._best(kid)) and id(best.license) in ending)

    def _is_valid(self, key_id: KeyId) -> bool:
        best = self._best(key_id)
        return best is not None and best.license.is_valid

    def _best(self, key_id: KeyId) -> Entry | None:
        held = self._entries.get(key_id)
        if not held:
            return None
        return next((entry for entry in held if entry.license.is_valid), held[0])

    def entry(self, key_id: KeyId) -> Entry:
        """Return the newest valid entry, or the newest. Raises KeyMissingError, which names the KID."""
        with self._lock:
            found = self._best(key_id)
        if found is None:
            raise KeyMissingError(
                f"no key for KID {key_id}",
                seen="a sample names this KID, and no license has its key",
                maybe="it is no key id: the media name none for this sample" if key_id == _NO_KEY_ID else "",
                remedy=f"--key {key_id}:KEY, or a license server that knows this KID",
                kids=(str(key_id),),
                hresult=HResult.MF_E_INVALID_KEY if key_id == _NO_KEY_ID else None,
            )
        return found

    def refused(self, key_ids: Iterable[KeyId]) -> None:
        """A decoder refused what these keys decrypted: their licenses count it, each once."""
        with self._lock:
            found = [entry.license for key_id in key_ids if (entry := self._best(key_id)) is not None]
            for license_ in {id(each): each for each in found}.values():
                license_.refusals += 1
            self.generation += 1

    def cipher(self, entry: Entry) -> SampleDecrypter:
        """Return a cipher for one key."""
        return SampleDecrypter(entry.key, engine=engine(self._engine_name), dialects=self.dialects)


def _wipe(entries: Iterable[Entry]) -> None:
    for entry in entries:
        entry.key.wipe()
