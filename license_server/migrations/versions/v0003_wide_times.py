"""Moments in 64 bits, and names in the one form (NFC) in which they are compared."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENTS = {
    "content_keys": ("created_at", "revoked_at"),
    "contents": ("created_at", "revoked_at"),
    "devices": ("registered_at", "enrolled_at", "last_seen", "revoked_at"),
    "nonces": ("until",),
    "token_uses": ("until",),
    "revoked_tokens": ("revoked_at",),
}
_LONGEST = 128  # characters


def upgrade() -> None:
    """Widen what PostgreSQL keeps in 32 bits, which end in 2038; SQLite keeps every integer in 64."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for table, columns in _MOMENTS.items():
            for column in columns:
                op.alter_column(table, column, type_=sa.BigInteger)
    _compose_contents(connection)
    for table in ("revoked_tokens", "token_uses"):
        _compose_ids(connection, table)


def downgrade() -> None:
    """Go back to 32 bits; names stay. Moments after 2038 do not fit."""
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _MOMENTS.items():
            for column in columns:
                op.alter_column(table, column, type_=sa.Integer)


def _compose_contents(connection: sa.Connection) -> None:
    keys = sa.table("content_keys", sa.column("content_id"))
    rows = sa.table("contents", sa.column("content_id"), sa.column("policy"), sa.column("revoked_at"))
    used = connection.execute(sa.select(keys.c.content_id).distinct()).scalars()
    for name in [name for name in used if name is not None and _composed(name) != name]:
        connection.execute(keys.update().where(keys.c.content_id == name).values(content_id=_composed(name)))
    known = {row.content_id: row for row in connection.execute(sa.select(rows))}
    for name, row in known.items():
        composed = _composed(name)
        if composed == name:
            continue
        other = known.get(composed)
        if other is None:
            connection.execute(rows.update().where(rows.c.content_id == name).values(content_id=composed))
            continue
        # Two spellings had rules of their own. What was revoked stays so, and the rules of the usual spelling win.
        values = {"revoked_at": other.revoked_at or row.revoked_at, "policy": other.policy or row.policy}
        connection.execute(rows.update().where(rows.c.content_id == composed).values(values))
        connection.execute(rows.delete().where(rows.c.content_id == name))


def _compose_ids(connection: sa.Connection, name: str) -> None:
    table = sa.table(name, sa.column("token_id"))
    known = set(connection.execute(sa.select(table.c.token_id)).scalars())
    for token_id in sorted(known):
        composed = _composed(token_id)
        if composed == token_id:
            continue
        which = table.c.token_id == token_id
        if composed in known:
            connection.execute(table.delete().where(which))
        else:
            connection.execute(table.update().where(which).values(token_id=composed))
            known.add(composed)


def _composed(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    return composed if len(composed) <= _LONGEST else name
