"""What has to be renewed, and why: the data of the content enablers for components and revocation lists.

MFRR_COMPONENTS and MFRR_COMPONENT_HASH_INFO, as JSON. Made in the worker, read by the application.
"""

from __future__ import annotations

import enum

import msgspec

from drm.errors import InvalidArgumentError

__all__ = ["Renewals", "RevocationReason", "RevokedComponent", "encode_renewals", "parse_renewals"]


class RevocationReason(enum.IntFlag):
    """MFRR_COMPONENT_HASH_INFO.ulReason, by the numbers of the headers."""

    USER_MODE_COMPONENT_LOAD = 0x1
    GRL_LOAD_FAILED = 0x10
    INVALID_GRL_SIGNATURE = 0x20
    GRL_ABSENT = 0x1000
    COMPONENT_REVOKED = 0x2000
    COMPONENT_CERT_REVOKED = 0x8000


class RevokedComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One component that must not run as it is."""

    reason: int  # RevocationReason bits
    header_hash: str  # sha256 of the archive, 64 hex digits
    public_key_hash: str  # id of the key that signed for it: the sha256 of the public key's description
    name: str
    version: str
    class_id: str
    text: str = ""  # why, for people
    replacement: str = ""  # the version that takes its place; empty: nothing that is published does


class Renewals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of it."""

    version: int = 0  # of this form, as MFRR_COMPONENTS has it
    components: tuple[RevokedComponent, ...] = ()
    reason: int = 0  # RevocationReason bits, where it is the list itself
    list_demanded: int = 0  # number of the revocation list that a license wants
    list_held: int = 0


def encode_renewals(renewals: Renewals) -> bytes:
    """Return what `get_enable_data` gives."""
    return msgspec.json.encode(renewals)


def parse_renewals(data: bytes) -> Renewals:
    """Read an enabler's data. The worker is not trusted. Raises InvalidArgumentError."""
    try:
        return msgspec.json.decode(data, type=Renewals)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"this does not say what is to be renewed: {error}") from None
