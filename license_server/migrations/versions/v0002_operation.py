"""Contents, check values and revocation of keys; single-use and revoked tokens; the audit log; the key epoch."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add what running a service takes."""
    with op.batch_alter_table("content_keys") as keys:
        keys.add_column(sa.Column("content_id", sa.String(128)))
        keys.add_column(sa.Column("track", sa.String(16)))
        keys.add_column(sa.Column("period", sa.Integer))
        keys.add_column(sa.Column("check_value", sa.String(8)))
        keys.add_column(sa.Column("revoked_at", sa.Integer))
        keys.create_index("ix_content_keys_content_id", ["content_id"])
    with op.batch_alter_table("devices") as devices:
        devices.add_column(sa.Column("revoked_at", sa.Integer))
    op.create_table(
        "contents",
        sa.Column("content_id", sa.String(128), primary_key=True),
        sa.Column("policy", sa.Text),
        sa.Column("created_at", sa.Integer, nullable=False),
        sa.Column("revoked_at", sa.Integer),
    )
    op.create_table(
        "token_uses",
        sa.Column("token_id", sa.String(128), primary_key=True),
        sa.Column("until", sa.Integer, nullable=False, index=True),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String(128), primary_key=True),
        sa.Column("revoked_at", sa.Integer, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False, index=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("kids", sa.Text, nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("token_id", sa.String(128), nullable=False),
        sa.Column("device_id", sa.String(64), nullable=False),
        sa.Column("microseconds", sa.Integer, nullable=False),
    )
    state = op.create_table(
        "state",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(state, [{"name": "key_epoch", "value": 1}])


def downgrade() -> None:
    """Remove it, and what was recorded."""
    for table in ("state", "audit", "revoked_tokens", "token_uses", "contents"):
        op.drop_table(table)
    with op.batch_alter_table("devices") as devices:
        devices.drop_column("revoked_at")
    with op.batch_alter_table("content_keys") as keys:
        keys.drop_index("ix_content_keys_content_id")
        for column in ("content_id", "track", "period", "check_value", "revoked_at"):
            keys.drop_column(column)
