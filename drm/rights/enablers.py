"""Content enablers and license paths: what rights acquisition is about, in both processes."""

from __future__ import annotations

import enum

import msgspec

from drm.keys import KeyId

__all__ = ["EnableType", "EnableURL", "EnablerActivate", "LicensePath", "URLTrustStatus"]


class EnableType(enum.StrEnum):
    """What a content enabler does (IMFContentEnabler::GetEnableType), by the GUIDs of the headers."""

    LICENSE_ACQUISITION = "9400e798-4f8c-4875-b6c4-9d45b01b9691"  # the type of Microsoft's Clear Key component
    INDIVIDUALIZATION = "acd2c84a-b303-4f65-bc2c-2c848d01a989"
    UPDATE_UNTRUSTED_COMPONENT = "9879f3d6-cee2-48e6-b573-9767ab172f16"
    UPDATE_REVOCATION_INFORMATION = "e558b0b5-b3c4-44a0-924c-50d178932385"


class URLTrustStatus(enum.IntEnum):
    """MF_URL_TRUST_STATUS: who vouches for the URL of an enabler.

    Nothing is sent to one that is not trusted. A URL that the publisher of the media signed would be trusted, and
    TAMPERED once it was altered; no format that is read here has signed URLs yet, so TAMPERED is a source's own word.
    """

    UNTRUSTED = 0  # found in the media, which anybody may have written
    TRUSTED = 1  # given by the user of the application
    TAMPERED = 2  # was signed, and is not what was signed


class EnableURL(msgspec.Struct, frozen=True):
    """Where an enabler goes, and whether it may (IMFContentEnabler::GetEnableURL)."""

    url: str
    trust_status: URLTrustStatus


class LicensePath(enum.StrEnum):
    """How the keys came to the worker, as the protection report says it."""

    NONE = "none"
    SEALED = "sealed"  # in a JWE that only this worker opens
    CLEAR = "clear"  # a plain JWK Set that passed through the application
    LOCAL = "local"  # given on the command line or in a keys file


class EnablerActivate(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the worker hands out when rights are missing: enough to make the content enabler in the application.

    `data` is what `get_enable_data` gives: the body to POST. Empty: there is none.
    """

    type: EnableType
    key_ids: tuple[KeyId, ...]
    data: bytes
