"""Content keys in the database: wrapped, each with the rules under which it is issued."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from drm.errors import InvalidArgumentError, KeyMissingError, StorageError
from drm.keys import ContentKey, KeyId
from drm.policy import Policy
from license_server.licenses import HeldKey
from license_server.policies import DEFAULT_POLICY
from license_server.schema import content_keys
from license_server.wrapping import Kek

__all__ = ["KeyRow", "KeyStore"]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is shown of a key: never the key."""

    kid: KeyId
    policy: Policy | None  # None: the default one
    kek_id: str
    created_at: int  # seconds since the epoch


class KeyStore:
    """Implements `KeySource`. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine, kek: Kek) -> None:
        self._engine = engine
        self._kek = kek

    def get_many(self, kids: Sequence[KeyId]) -> dict[KeyId, HeldKey]:
        """Return those of `kids` that are held. Raises StorageError for a row that does not unwrap."""
        query = sa.select(content_keys.c.kid, content_keys.c.wrapped, content_keys.c.policy).where(
            content_keys.c.kid.in_([kid.value for kid in kids])
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        held: dict[KeyId, HeldKey] = {}
        for row in rows:
            kid = KeyId(row.kid)
            held[kid] = HeldKey(self._kek.unwrap(kid, row.wrapped), _policy(kid, row.policy) or DEFAULT_POLICY)
        return held

    def add(self, keys: Mapping[KeyId, ContentKey], *, replace: bool = False) -> int:
        """Store `keys`, all or none, and return how many are new. A key that is held already stays, with its policy.

        Raises InvalidArgumentError when another key is held for a KID, unless `replace`.
        """
        held: dict[KeyId, HeldKey] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), 500):  # SQLite bounds the number of parameters
            held |= self.get_many(wanted[start : start + 500])
        changed = tuple(str(kid) for kid, found in held.items() if found.key != keys[kid])
        if changed and not replace:
            raise InvalidArgumentError(
                f"the store holds another key for {len(changed)} of these KIDs",
                seen=", ".join(changed[:3]),
                remedy="give --replace if the new keys are the right ones",
                kids=changed,
            )
        now = int(time.time())
        new = [
            {"kid": kid.value, "wrapped": self._kek.wrap(kid, key), "kek_id": self._kek.id, "created_at": now}
            for kid, key in keys.items()
            if kid not in held
        ]
        with self._engine.begin() as connection:
            if new:
                connection.execute(content_keys.insert(), new)
            for kid, key in keys.items():
                if str(kid) in changed:
                    connection.execute(
                        content_keys.update()
                        .where(content_keys.c.kid == kid.value)
                        .values(wrapped=self._kek.wrap(kid, key), kek_id=self._kek.id)
                    )
        return len(new)

    def rows(self) -> list[KeyRow]:
        """Return every key's row, by KID."""
        query = sa.select(content_keys).order_by(content_keys.c.kid)
        with self._engine.connect() as connection:
            found = connection.execute(query).all()
        return [
            KeyRow(KeyId(row.kid), _policy(KeyId(row.kid), row.policy), row.kek_id, row.created_at) for row in found
        ]

    def remove(self, kid: KeyId) -> None:
        """Forget a key. Raises KeyMissingError when it is not held."""
        self._change(content_keys.delete().where(content_keys.c.kid == kid.value), kid)

    def set_policy(self, kid: KeyId, policy: Policy | None) -> None:
        """Set the rules of a key; None: the default ones. Raises KeyMissingError when it is not held."""
        text = None if policy is None else msgspec.json.encode(policy).decode()
        self._change(content_keys.update().where(content_keys.c.kid == kid.value).values(policy=text), kid)

    def check_kek(self) -> None:
        """Raise StorageError if some key is wrapped with another KEK than ours."""
        query = sa.select(content_keys.c.kek_id).where(content_keys.c.kek_id != self._kek.id).limit(1)
        with self._engine.connect() as connection:
            other = connection.execute(query).scalar()
        if other is not None:
            raise StorageError(
                "the keys of the store are wrapped with another key-encryption key",
                seen=f"theirs is {other}, the one {self._kek.source} is {self._kek.id}",
                remedy="name the right one with --kek-file or CLEARKEY_KEK",
            )

    def count(self) -> int:
        """Return how many keys are held."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(content_keys)).scalar_one())

    def _change(self, statement: sa.Update | sa.Delete, kid: KeyId) -> None:
        with self._engine.begin() as connection:
            touched = connection.execute(statement).rowcount
        if not touched:
            raise KeyMissingError(
                f"the store holds no key for KID {kid}", remedy="clearkey keys list", kids=(str(kid),)
            )


def _policy(kid: KeyId, text: str | None) -> Policy | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Policy)
    except msgspec.DecodeError as error:
        # What cannot be enforced must not be issued.
        raise StorageError(f"the stored policy of KID {kid} cannot be read: {error}", kids=(str(kid),)) from None
