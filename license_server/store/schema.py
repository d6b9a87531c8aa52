"""The tables. A change here needs a migration in license_server/migrations, and moves HEAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

__all__ = [
    "EPOCH",
    "HEAD",
    "audit",
    "content_keys",
    "contents",
    "devices",
    "metadata",
    "next_epoch",
    "nonces",
    "revoked_tokens",
    "state",
    "token_uses",
    "upsert",
]

HEAD: Final = "0003"
"""The revision that this program reads and writes; a test holds it to the newest migration."""

EPOCH: Final = "key_epoch"
"""The row of `state` that grows with every change of what is issued: workers look at it to forget what they keep."""

metadata = MetaData()

_Moment = BigInteger().with_variant(Integer, "sqlite")  # seconds since the epoch; SQLite has 64 bits in any integer

content_keys = Table(
    "content_keys",
    metadata,
    Column("kid", LargeBinary(16), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # nonce, ciphertext and tag of AES-256-GCM
    Column("kek_id", String(16), nullable=False),
    Column("policy", Text),  # JSON of drm.rights.policy.Policy; NULL: that of its content, or the default one
    Column("created_at", _Moment, nullable=False),
    Column("content_id", String(128), index=True),
    Column("track", String(16)),  # SD, HD, AUDIO and the like
    Column("period", Integer),  # crypto period, counted from 0
    Column("check_value", String(8)),  # hex; NULL: stored by a version that made none
    Column("revoked_at", _Moment),
)

contents = Table(
    "contents",
    metadata,
    Column("content_id", String(128), primary_key=True),
    Column("policy", Text),
    Column("created_at", _Moment, nullable=False),
    Column("revoked_at", _Moment),
)

devices = Table(
    "devices",
    metadata,
    Column("device_id", String(64), primary_key=True),  # RFC 7638 thumbprint
    Column("jwk", Text, nullable=False),
    Column("registered_at", _Moment, nullable=False),
    Column("enrolled_at", _Moment),  # NULL: what it says of itself counts for nothing
    Column("last_seen", _Moment),
    Column("claimed_level", Integer),
    Column("revoked_at", _Moment),
)

nonces = Table(
    "nonces",
    metadata,
    Column("device_id", String(64), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("until", _Moment, nullable=False, index=True),
)

token_uses = Table(
    "token_uses",
    metadata,
    Column("token_id", String(128), primary_key=True),
    Column("until", _Moment, nullable=False, index=True),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", String(128), primary_key=True),
    Column("revoked_at", _Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("action", String(16), nullable=False),
    Column("client", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", String(32), nullable=False),
    Column("kids", Text, nullable=False),  # hex, with spaces between
    Column("subject", String(256), nullable=False),
    Column("token_id", String(128), nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("microseconds", Integer, nullable=False),
)

state = Table(
    "state",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)


def next_epoch() -> sa.Update:
    """The statement that tells every worker of a change: part of the transaction that makes it."""
    return state.update().where(state.c.name == EPOCH).values(value=state.c.value + 1)


def upsert(engine: sa.Engine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that may say what is done on conflict, in the words of this database."""
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 100 ms that a file does not need

        return postgresql.insert(table)
    return sqlite.insert(table)
