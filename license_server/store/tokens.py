"""Tokens in the database: which single-use ones were used, and which the operator revoked. Never a token itself."""

from __future__ import annotations

import time
from typing import Final

import sqlalchemy as sa

from license_server.store.key_rows import Epoch
from license_server.store.names import checked_token_id
from license_server.store.schema import next_epoch, revoked_tokens, token_uses, upsert

__all__ = ["TokenStore"]

_LAST: Final = 2**63 - 2  # a token may say any `exp`; databases hold 64 bits


class TokenStore:
    """Implements `TokenLedger`. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine, epoch: Epoch) -> None:
        self._engine = engine
        self._epoch = epoch
        self._revoked: tuple[int, frozenset[str]] = (0, frozenset())

    def is_revoked(self, token_id: str) -> bool:
        """Whether the operator revoked it, as of the key epoch."""
        epoch = self._epoch.current()
        if self._revoked[0] != epoch:
            self._revoked = (epoch, frozenset(self.revoked()))
        return token_id in self._revoked[1]

    def spend(self, token_id: str, until: float) -> bool:
        """Use up a token; False if it was used before. It is forgotten once it has expired anyway."""
        use = upsert(self._engine, token_uses).values(token_id=token_id, until=int(min(until, _LAST)) + 1)
        with self._engine.begin() as connection:
            connection.execute(token_uses.delete().where(token_uses.c.until < int(time.time())))
            statement = use.on_conflict_do_nothing().returning(token_uses.c.token_id)
            return connection.execute(statement).one_or_none() is not None

    def is_spent(self, token_id: str) -> bool:
        """Whether it was used, and is remembered."""
        with self._engine.connect() as connection:
            query = sa.select(token_uses.c.token_id).where(token_uses.c.token_id == token_id)
            return connection.execute(query).one_or_none() is not None

    def revoked(self) -> list[str]:
        """Return the ids of revoked tokens."""
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(revoked_tokens.c.token_id)).scalars())

    def revoke(self, token_id: str, *, restore: bool = False) -> None:
        """Take a token no more, or again, by its `jti`. Raises InvalidArgumentError."""
        token_id = checked_token_id(token_id)
        row = upsert(self._engine, revoked_tokens).values(token_id=token_id, revoked_at=int(time.time()))
        with self._engine.begin() as connection:
            if restore:
                connection.execute(revoked_tokens.delete().where(revoked_tokens.c.token_id == token_id))
            else:
                connection.execute(row.on_conflict_do_nothing())
            connection.execute(next_epoch())
