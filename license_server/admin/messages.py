"""What the API takes and answers. The OpenAPI document is made of these very types.

Key ids are taken in every notation and answered as UUIDs. Times are seconds since the epoch. No answer but
`KeySet` holds a key.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from drm.rights.policy import Policy
from license_server.store.audit import LAST_ROW
from license_server.store.keys import LAST_PERIOD

__all__ = [
    "AuditEvent", "AuditPage", "AuditQuery", "ContentInfo", "ContentList", "ContentOrder", "ContentPolicy",
    "DeviceInfo", "DeviceList", "DeviceOrder", "ExportOrder", "GenerateOrder", "ImportOrder", "Imported", "Jwk",
    "KeyInfo", "KeyList", "KeyPage", "KeyPolicy", "KeyQuery", "KeySet", "MintOrder", "Minted", "PolicyOrder",
    "RotateOrder", "Status", "TokenList", "TokenOrder",
]  # fmt: skip

_Kid: TypeAlias = Annotated[str, Meta(min_length=16, max_length=64, description="A key id in any notation.")]
_Content: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Track: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16, description="Letters and digits.")]
_TEXT: Final = r"^[^\x00]*$"  # PostgreSQL holds no NUL
_TokenId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128, pattern=_TEXT, description="Its `jti`.")]
_Name: TypeAlias = Annotated[str, Meta(max_length=256, pattern=_TEXT)]
_JwkText: TypeAlias = Annotated[str, Meta(max_length=128)]
_Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]


# ------------------------------------------------------------------------------------------------ keys
class KeyQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys."""

    content: _Content | None = None
    after: _Kid | None = None
    limit: _Limit = 100


class KeyInfo(Struct, frozen=True):
    """A key, without the key."""

    kid: str
    content: str | None
    track: str | None
    period: int | None
    policy: Policy | None
    kek_id: str
    check_value: str | None
    created_at: int
    revoked_at: int | None


class KeyPage(Struct, frozen=True):
    """Keys by their ids; `next` is `after` of the next page, and null on the last one."""

    keys: list[KeyInfo]
    next: str | None


class KeyList(Struct, frozen=True):
    """Keys that were made."""

    keys: list[KeyInfo]


class GenerateOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Make random keys: one for each track, or `count` that belong to no track."""

    content: _Content | None = None
    tracks: Annotated[list[_Track], Meta(max_length=32)] = []
    count: Annotated[int, Meta(ge=1, le=100)] = 1


class Jwk(Struct, frozen=True):
    """A key as RFC 7517 and EME write it."""

    kid: _JwkText
    k: _JwkText
    kty: Literal["oct"] = "oct"


class ImportOrder(Struct, frozen=True):
    """A JWK Set, and what its keys are for: all of them are stored or none. Further members are passed over."""

    keys: Annotated[list[Jwk], Meta(min_length=1, max_length=10_000)]
    content: _Content | None = None
    track: _Track | None = None
    period: Annotated[int, Meta(ge=0, le=LAST_PERIOD)] | None = None
    replace: bool = False


class Imported(Struct, frozen=True):
    """How many keys were new, and how many the store held already."""

    new: int
    held: int


class ExportOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys leave the store: those of `kids`, or those of a content."""

    kids: Annotated[list[_Kid], Meta(max_length=1000)] = []
    content: _Content | None = None


class KeySet(Struct, frozen=True):
    """A JWK Set: keys, unwrapped."""

    keys: list[Jwk]
    type: Literal["temporary"] = "temporary"


class PolicyOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of a key's own; null: those of its content, or the default ones."""

    policy: Policy | None


class KeyPolicy(Struct, frozen=True):
    """Rules of a key's own, and those under which it is issued: its content's count as well."""

    kid: str
    policy: Policy | None
    effective: Policy


# ------------------------------------------------------------------------------------------------ contents
class ContentInfo(Struct, frozen=True):
    """A content that has rules of its own or was revoked."""

    content: str
    policy: Policy | None
    created_at: int
    revoked_at: int | None


class ContentList(Struct, frozen=True):
    """Contents by their names."""

    contents: list[ContentInfo]


class ContentOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a content."""

    content: _Content


class ContentPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules for all keys of a content, besides their own; null: none."""

    content: _Content
    policy: Policy | None


class RotateOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Make the keys of a content's next crypto period: for `tracks`, or for those of its newest one."""

    content: _Content
    tracks: Annotated[list[_Track], Meta(max_length=32)] = []


# ------------------------------------------------------------------------------------------------ tokens, devices
class TokenOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a token."""

    token_id: _TokenId


class TokenList(Struct, frozen=True):
    """The ids of revoked tokens."""

    revoked: list[str]


class MintOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """A token for tests; it covers every key if it names none."""

    kids: Annotated[list[_Kid], Meta(max_length=64)] = []
    contents: Annotated[list[_Content], Meta(max_length=64)] = []
    life: Annotated[int, Meta(ge=1, le=86_400, description="Seconds.")] = 3600
    audience: _Name | None = None
    subject: _Name = ""
    token_id: _TokenId | None = None
    reusable: bool = False
    policy: Policy | None = None


class Minted(Struct, frozen=True):
    """A token, for `Authorization: Bearer`. It is a secret."""

    token: str
    expires_at: int


class DeviceInfo(Struct, frozen=True):
    """A device. What one reports of itself counts once it is enrolled."""

    device_id: str
    registered_at: int
    enrolled_at: int | None
    last_seen: int | None
    claimed_level: int | None
    revoked_at: int | None


class DeviceList(Struct, frozen=True):
    """Devices, the first registered first."""

    devices: list[DeviceInfo]


class DeviceOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Names a device: its whole id, or how the id of one registered device begins."""

    device: Annotated[str, Meta(min_length=4, max_length=64)]


# ------------------------------------------------------------------------------------------------ operation
class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows of the audit log: those after the row `after`."""

    after: Annotated[int, Meta(ge=0, le=LAST_ROW)] = 0
    limit: _Limit = 100


class AuditEvent(Struct, frozen=True):
    """A decision, or what an administrator did (status 0)."""

    id: int
    at: float
    action: str
    client: str
    status: int
    code: str
    kids: list[str]
    subject: str
    token_id: str
    device_id: str
    microseconds: int


class AuditPage(Struct, frozen=True):
    """Rows in their order; `next` is `after` of the next page, also while there is none yet."""

    events: list[AuditEvent]
    next: int


class Status(Struct, frozen=True):
    """How the server is, and what it asks for."""

    status: str
    keys: int
    epoch: int
    kek_ids: list[str]
    tokens_required: bool
    enrolled_devices_only: bool
    audit: str
    mints_tokens: bool
    revocation_seconds: Annotated[float, Meta(description="In force after so long, at the latest.")]
