"""Content keys in the database: wrapped, each with the rules under which it is issued. Reading them is in key_rows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from drm.errors import InvalidArgumentError, KeyMissingError, KeyWrongError, StorageError
from drm.keyfile.check_value import check_value
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.decisions import HeldKey
from license_server.store.key_rows import KeyReader, policy_text, stored_policy
from license_server.store.keyring import Keyring
from license_server.store.names import canonical_name
from license_server.store.schema import content_keys, next_epoch

__all__ = ["LAST_PERIOD", "KeyRow", "KeyStore", "Place"]

LAST_PERIOD: Final = 2**31 - 1
"""The largest number of a crypto period that databases hold."""

_TRIES: Final = 5
_BATCH: Final = 500  # rows in one statement or transaction; SQLite bounds the number of parameters


@dataclass(frozen=True, slots=True)
class Place:
    """What a key is for: the content, the track of it, and the crypto period."""

    content: str | None = None
    track: str | None = None
    period: int | None = None

    def __post_init__(self) -> None:
        """Take names in the one spelling in which they are stored."""
        for name in ("content", "track"):
            if (text := getattr(self, name)) is not None and not text.isascii():
                object.__setattr__(self, name, canonical_name(text))


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is shown of a key: never the key."""

    kid: KeyId
    policy: Policy | None  # None: that of its content, or the default one
    kek_id: str
    created_at: int  # seconds since the epoch
    place: Place
    check_value: str | None
    revoked_at: int | None


class KeyStore:
    """Keys as an operator handles them. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring
        self._reader = KeyReader(engine, keyring)

    def get_many(self, kids: Sequence[KeyId]) -> dict[KeyId, HeldKey]:
        """Return those of `kids` that are held. Raises StorageError for a row that does not unwrap."""
        return self._reader.get_many(kids)

    def add(
        self, keys: Mapping[KeyId, ContentKey], *, replace: bool = False, places: Mapping[KeyId, Place] | None = None
    ) -> int:
        """Store `keys`, all or none, and return how many are new. A key that is held already stays, with its policy.

        Raises InvalidArgumentError when another key is held for a KID, unless `replace`.
        """
        # In one order, so that of two who add the same keys one waits for the other, and not each for the other.
        keys = {kid: keys[kid] for kid in sorted(keys, key=lambda kid: kid.value)}
        for _ in range(_TRIES):
            try:
                return self._add(keys, places or {}, replace=replace)
            except sa.exc.IntegrityError:
                continue  # somebody else added some of them since we looked: now they are held
        raise StorageError("others keep adding the same keys to the store", remedy="try again")

    def _add(self, keys: Mapping[KeyId, ContentKey], places: Mapping[KeyId, Place], *, replace: bool) -> int:
        held: dict[KeyId, HeldKey] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _BATCH):
            held |= self.get_many(wanted[start : start + _BATCH])
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
            {"kid": kid.value, "created_at": now, **self._wrapped(kid, key), **_columns(places.get(kid))}
            for kid, key in keys.items()
            if kid not in held
        ]
        with self._engine.begin() as connection:
            if new:
                connection.execute(content_keys.insert(), new)
            for kid, key in keys.items():
                values = self._wrapped(kid, key) if str(kid) in changed else {}
                if kid in held and kid in places:
                    values |= _columns(places[kid])
                if values:
                    connection.execute(content_keys.update().where(content_keys.c.kid == kid.value).values(values))
            connection.execute(next_epoch())
        return len(new)

    def make(self, places: Sequence[Place]) -> list[KeyId]:
        """Make a random key under a random KID for each place, store them, and return the KIDs in their order."""
        place_of = {KeyId(secrets.token_bytes(16)): place for place in places}
        self.add({kid: ContentKey(secrets.token_bytes(16)) for kid in place_of}, places=place_of)
        return list(place_of)

    def row(self, kid: KeyId) -> KeyRow:
        """Return one key's row. Raises KeyMissingError when it is not held."""
        rows = self._rows(sa.select(content_keys).where(content_keys.c.kid == kid.value))
        if not rows:
            raise _not_held(kid)
        return rows[0]

    def rows(self, content: str | None = None, *, after: KeyId | None = None, most: int | None = None) -> list[KeyRow]:
        """Return every key's row, by KID; of one content, if it is named, and `most` rows after a KID at most."""
        query = sa.select(content_keys).order_by(content_keys.c.kid).limit(most)
        if content is not None:
            query = query.where(content_keys.c.content_id == canonical_name(content))
        if after is not None:
            query = query.where(content_keys.c.kid > after.value)
        return self._rows(query)

    def _rows(self, query: sa.Select[Any]) -> list[KeyRow]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            KeyRow(
                KeyId(row.kid),
                stored_policy(f"KID {KeyId(row.kid)}", row.policy),
                row.kek_id,
                row.created_at,
                Place(row.content_id, row.track, row.period),
                row.check_value,
                row.revoked_at,
            )
            for row in rows
        ]

    def remove(self, kid: KeyId) -> None:
        """Forget a key. Raises KeyMissingError when it is not held."""
        self._change(content_keys.delete().where(content_keys.c.kid == kid.value), kid)

    def set_policy(self, kid: KeyId, policy: Policy | None) -> None:
        """Set the rules of a key; None: the default ones. Raises KeyMissingError, InvalidArgumentError."""
        self._change(
            content_keys.update().where(content_keys.c.kid == kid.value).values(policy=policy_text(policy)), kid
        )

    def revoke(self, kid: KeyId, *, restore: bool = False) -> None:
        """Issue a key no more, or again. Raises KeyMissingError when it is not held."""
        at = None if restore else int(time.time())
        self._change(content_keys.update().where(content_keys.c.kid == kid.value).values(revoked_at=at), kid)

    def check_kek(self) -> None:
        """Raise StorageError if some key is wrapped with a KEK that is not at hand."""
        for kek_id in self.kek_ids():
            if not self._keyring.opens(kek_id):
                raise StorageError(
                    "the keys of the store are wrapped with another key-encryption key",
                    seen=f"theirs is {kek_id}, the one {self._keyring.current.source} is {self._keyring.current.id}",
                    remedy="name the right one with --kek-file or CLEARKEY_KEK",
                )

    def kek_ids(self) -> list[str]:
        """Return the ids of the key-encryption keys that wrap keys."""
        with self._engine.connect() as connection:
            return sorted(connection.execute(sa.select(content_keys.c.kek_id).distinct()).scalars())

    def effective_policy(self, kid: KeyId) -> Policy:
        """Return the rules under which a key is issued. Raises KeyMissingError when it is not held."""
        found = self._reader.fetch([kid])
        if kid not in found:
            raise _not_held(kid)
        return found[kid].policy

    def open_one(self) -> bool:
        """Unwrap one key and hold it to its check value; False if there is none. Raises StorageError, KeyWrongError."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(content_keys).limit(1)).one_or_none()
        if row is None:
            return False
        self._opened(row)
        return True

    def verify(self) -> int:
        """Unwrap every key, hold it to its check value, and return how many there are.

        Keys of an older version, which have none, get theirs. Raises StorageError, KeyWrongError.
        """
        count = 0
        for row in self._all():
            key = self._opened(row)
            if row.check_value is None:
                with self._engine.begin() as connection:
                    which = content_keys.c.kid == row.kid
                    connection.execute(content_keys.update().where(which).values(check_value=check_value(key)))
            count += 1
        return count

    def rewrap(self) -> int:
        """Wrap every key with the current KEK, and return how many were wrapped with another. Licenses go on."""
        count = 0
        for row in self._all():
            if row.kek_id == self._keyring.current.id:
                continue
            kid = KeyId(row.kid)
            values = self._wrapped(kid, self._opened(row))
            with self._engine.begin() as connection:
                # Not over a key that was replaced in this moment.
                same = (content_keys.c.kid == row.kid) & (content_keys.c.wrapped == row.wrapped)
                count += connection.execute(content_keys.update().where(same).values(values)).rowcount
                connection.execute(next_epoch())
        return count

    def count(self) -> int:
        """Return how many keys are held."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(content_keys)).scalar_one())

    def _all(self) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(content_keys).order_by(content_keys.c.kid)).all()

    def _wrapped(self, kid: KeyId, key: ContentKey) -> dict[str, object]:
        kek = self._keyring.current
        return {"wrapped": kek.wrap(kid, key), "kek_id": kek.id, "check_value": check_value(key)}

    def _opened(self, row: sa.Row[Any]) -> ContentKey:
        kid = KeyId(row.kid)
        key = self._keyring.unwrap(kid, row.kek_id, row.wrapped)
        if row.check_value is not None and row.check_value != check_value(key):
            raise KeyWrongError(
                f"the stored key of KID {kid} is not the one that its check value names",
                seen=f"check value {row.check_value} is stored, and the key's is {check_value(key)}",
                remedy="import the right key with --replace",
                kids=(str(kid),),
            )
        return key

    def _change(self, statement: sa.Update | sa.Delete, kid: KeyId) -> None:
        with self._engine.begin() as connection:
            touched = connection.execute(statement).rowcount
            connection.execute(next_epoch())
        if not touched:
            raise _not_held(kid)


def _columns(place: Place | None) -> dict[str, object]:
    place = place or Place()
    return {"content_id": place.content, "track": place.track, "period": place.period}


def _not_held(kid: KeyId) -> KeyMissingError:
    return KeyMissingError(f"the store holds no key for KID {kid}", remedy="clearkey keys list", kids=(str(kid),))
