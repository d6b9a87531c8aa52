"""How keys are read while licenses are issued: wrapped rows, kept by each worker, opened for each license.

A worker looks at the key epoch at most every `CACHE_SECONDS`. Every change of keys, contents and tokens moves the epoch
in its own transaction, and a moved epoch empties the cache: that long after it at the latest, a revocation is in force.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from drm.errors import InvalidArgumentError, StorageError
from drm.keys import KeyId
from drm.rights.policy import Policy, strictest
from license_server.decisions import HeldKey
from license_server.policies import DEFAULT_POLICY
from license_server.store.keyring import Keyring
from license_server.store.schema import EPOCH, content_keys, contents, state

__all__ = ["CACHE_SECONDS", "CachedKeys", "Epoch", "KeyReader", "policy_text", "stored_policy"]

CACHE_SECONDS: Final = 1.0
"""The longest time for which a worker goes on by what it keeps after a change."""

_MOST_ROWS: Final = 20_000  # in each worker

_QUERY: Final = sa.select(
    content_keys.c.kid,
    content_keys.c.wrapped,
    content_keys.c.kek_id,
    content_keys.c.policy,
    content_keys.c.content_id,
    content_keys.c.revoked_at,
    contents.c.policy.label("content_policy"),
    contents.c.revoked_at.label("content_revoked_at"),
).select_from(content_keys.outerjoin(contents, content_keys.c.content_id == contents.c.content_id))


class Epoch:
    """The key epoch, read again at most every `seconds`. Safe for several threads."""

    def __init__(self, engine: sa.Engine, seconds: float = CACHE_SECONDS) -> None:
        self._engine = engine
        self._seconds = seconds
        self._lock = threading.Lock()
        self._read_at = -seconds
        self._value = 0

    def current(self) -> int:
        """Return the epoch as it was at most `seconds` ago."""
        now = time.monotonic()
        if now - self._read_at >= self._seconds:
            with self._lock:
                if now - self._read_at >= self._seconds:
                    self._value = self.read()
                    self._read_at = now  # from before the reading: the bound holds for slow databases too
        return self._value

    def read(self) -> int:
        """Return the epoch as it is."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(state.c.value).where(state.c.name == EPOCH)).scalar_one())


@dataclass(frozen=True, slots=True)
class _Row:
    wrapped: bytes = field(repr=False)
    kek_id: str
    policy: Policy
    content: str
    revoked: str


class KeyReader:
    """Implements `KeySource` straight from the database. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring

    def get_many(self, kids: Sequence[KeyId]) -> dict[KeyId, HeldKey]:
        """Return those of `kids` that are held. Raises StorageError for a row that does not unwrap."""
        return {kid: self.opened(kid, row) for kid, row in self.fetch(kids).items()}

    def fetch(self, kids: Sequence[KeyId]) -> dict[KeyId, _Row]:
        """Return the rows of `kids`, still wrapped. Raises StorageError for rules that cannot be read."""
        with self._engine.connect() as connection:
            rows = connection.execute(_QUERY.where(content_keys.c.kid.in_([kid.value for kid in kids]))).all()
        return {kid: _row(kid, row) for row in rows for kid in (KeyId(row.kid),)}

    def opened(self, kid: KeyId, row: _Row) -> HeldKey:
        """Unwrap a row. Raises StorageError."""
        return HeldKey(self._keyring.unwrap(kid, row.kek_id, row.wrapped), row.policy, row.content, row.revoked)


class CachedKeys:
    """Implements `KeySource` with rows that are kept until the epoch moves. Safe for several threads."""

    def __init__(self, reader: KeyReader, epoch: Epoch) -> None:
        self._reader = reader
        self._epoch = epoch
        self._kept: tuple[int, dict[KeyId, _Row]] = (0, {})

    def get_many(self, kids: Sequence[KeyId]) -> Mapping[KeyId, HeldKey]:
        """Return those of `kids` that are held. Raises StorageError for a row that does not unwrap."""
        epoch = self._epoch.current()
        of_epoch, rows = self._kept
        if of_epoch != epoch or len(rows) > _MOST_ROWS:
            # Rows go into the very dictionary of the epoch that was read before them, and never into a later one.
            rows = {}
            self._kept = (epoch, rows)
        if missing := [kid for kid in kids if kid not in rows]:
            rows.update(self._reader.fetch(missing))
        opened = self._reader.opened
        return {kid: opened(kid, row) for kid in kids if (row := rows.get(kid)) is not None}


def policy_text(policy: Policy | None) -> str | None:
    """Write rules as they are stored. Raises InvalidArgumentError for values that could not be read again."""
    if policy is None:
        return None
    text = msgspec.json.encode(policy)
    try:
        msgspec.json.decode(text, type=Policy)
    except msgspec.DecodeError as error:
        raise InvalidArgumentError(f"these rules cannot be kept: {error}") from None
    return text.decode()


def stored_policy(name: str, text: str | None) -> Policy | None:
    """Read rules as they are stored. Raises StorageError: what cannot be enforced must not be issued."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Policy)
    except msgspec.DecodeError as error:
        raise StorageError(f"the stored policy of {name} cannot be read: {error}") from None


def _row(kid: KeyId, row: Any) -> _Row:  # noqa: ANN401 - a row of _QUERY, whose type the library does not tell
    policies = (
        stored_policy(f"KID {kid}", row.policy),
        stored_policy(f"content {row.content_id}", row.content_policy),
    )
    held = [policy for policy in policies if policy is not None]
    revoked = "key" if row.revoked_at is not None else "content" if row.content_revoked_at is not None else ""
    policy = strictest(held) if held else DEFAULT_POLICY
    return _Row(row.wrapped, row.kek_id, policy, row.content_id or "", revoked)
