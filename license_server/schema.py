"""The tables. A change here needs a migration in license_server/migrations, and moves HEAD."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table, Text

__all__ = ["HEAD", "content_keys", "devices", "metadata", "nonces"]

HEAD: Final = "0001"
"""The revision that this program reads and writes; a test holds it to the newest migration."""

metadata = MetaData()

content_keys = Table(
    "content_keys",
    metadata,
    Column("kid", LargeBinary(16), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # nonce, ciphertext and tag of AES-256-GCM
    Column("kek_id", String(16), nullable=False),
    Column("policy", Text),  # JSON of drm.policy.Policy; NULL: the default one
    Column("created_at", Integer, nullable=False),  # seconds since the epoch, here and below
)

devices = Table(
    "devices",
    metadata,
    Column("device_id", String(64), primary_key=True),  # RFC 7638 thumbprint
    Column("jwk", Text, nullable=False),
    Column("registered_at", Integer, nullable=False),
    Column("enrolled_at", Integer),  # NULL: what it says of itself counts for nothing
    Column("last_seen", Integer),
    Column("claimed_level", Integer),
)

nonces = Table(
    "nonces",
    metadata,
    Column("device_id", String(64), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("until", Integer, nullable=False, index=True),
)
