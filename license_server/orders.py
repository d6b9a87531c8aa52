"""What `LicenseServer` tells the process that it starts: JSON through a pipe, so keys are in no argument or file."""

from __future__ import annotations

import msgspec

from drm.rights.policy import Policy

__all__ = ["ProcessSettings", "is_url"]


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a server in JSON's own types.

    `keys` is the text of a keys file, or empty; `policies` go by KID in hex.
    """

    host: str
    port: int
    keys: str
    keys_file: str | None
    store: str | None
    kek_file: str | None
    policies: dict[str, Policy]
    enrolled_only: bool
    freshness: float
    components: str | None
    workers: int
    tokens: str  # the text of a JWK Set of verifying keys, or empty
    audience: str | None
    rate_limit: str | None
    audit: str
    faults: bool
    debug: bool
    tls: bool
    parent: int


def is_url(place: object) -> bool:
    """Whether a store is named by the URL of a database, and not by a file."""
    return "://" in str(place)
