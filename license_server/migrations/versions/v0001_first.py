"""Wrapped content keys, devices, and the nonces of sealed requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "content_keys",
        sa.Column("kid", sa.LargeBinary(16), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("kek_id", sa.String(16), nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("created_at", sa.Integer, nullable=False),
    )
    op.create_table(
        "devices",
        sa.Column("device_id", sa.String(64), primary_key=True),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("registered_at", sa.Integer, nullable=False),
        sa.Column("enrolled_at", sa.Integer),
        sa.Column("last_seen", sa.Integer),
        sa.Column("claimed_level", sa.Integer),
    )
    op.create_table(
        "nonces",
        sa.Column("device_id", sa.String(64), primary_key=True),
        sa.Column("nonce", sa.String(64), primary_key=True),
        sa.Column("until", sa.Integer, nullable=False, index=True),
    )


def downgrade() -> None:
    """Remove them, and every key with them."""
    for table in ("nonces", "devices", "content_keys"):
        op.drop_table(table)
