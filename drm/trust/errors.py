"""What can go wrong between signed metadata and a component that may run. All are TrustErrors: exit code 7.

The HRESULTs are those of the Media Foundation headers for its global revocation list (GRL), whose place our revocation
list and the metadata around it take.
"""

from __future__ import annotations

from drm.errors import TrustError
from drm.hresult import HResult
from drm.trust.renewal import RevokedComponent

__all__ = [
    "ComponentDamagedError",
    "ComponentRevokedError",
    "ListFormatError",
    "ListTooOldError",
    "MetadataError",
    "MetadataExpiredError",
    "NotRenewableError",
    "RevocationListError",
    "RollbackError",
    "TestSignedError",
    "TrustAbsentError",
]


class MetadataError(TrustError, code="E-TRUST-METADATA", hresult=HResult.MF_E_GRL_INVALID_FORMAT):
    """Metadata is missing, damaged, or not signed by who must sign it. Nothing that it lists is trusted."""


class RollbackError(MetadataError, code="E-TRUST-ROLLBACK"):
    """Older metadata, or an older revocation list, than was seen before."""


class MetadataExpiredError(TrustError, code="E-TRUST-EXPIRED", hresult=HResult.MF_E_CODE_EXPIRED):
    """New metadata is past its end. Expiry is about taking metadata, not about running what is installed."""


class RevocationListError(MetadataError, code="E-TRUST-LIST"):
    """The revocation list cannot be read, or says two things under one number."""


class ListFormatError(RevocationListError, code="E-TRUST-LIST-FORMAT", hresult=HResult.MF_E_GRL_UNRECOGNIZED_FORMAT):
    """The revocation list is of a format that this version does not know."""


class ListTooOldError(TrustError, code="E-TRUST-LIST-OLD", hresult=HResult.MF_E_GRL_VERSION_TOO_LOW):
    """The license asks for a newer revocation list than the one at hand."""


class TestSignedError(TrustError, code="E-TRUST-TEST-SIGNED", hresult=HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED):
    """The license takes components only that the root vouches for which came with the package."""

    __test__ = False  # its name makes no test of it


class TrustAbsentError(TrustError, code="E-TRUST-ABSENT", hresult=HResult.MF_E_GRL_ABSENT):
    """There is no metadata at all, so no component is trusted."""


class ComponentRevokedError(TrustError, code="E-TRUST-REVOKED", hresult=HResult.MF_E_COMPONENT_REVOKED):
    """The copy at hand is revoked; `is_renewable` says whether the metadata lists one that can take its place."""

    is_renewable: bool = True
    component: RevokedComponent | None = None  # the copy at hand, and why it must not run


class NotRenewableError(TrustError, code="E-TRUST-NOT-RENEWABLE", hresult=HResult.MF_E_GRL_RENEWAL_NOT_FOUND):
    """The component is revoked, and nothing that is published can take its place."""


class ComponentDamagedError(TrustError, code="E-TRUST-DAMAGED"):
    """A component is listed, but the copy at hand is missing or is not what was signed."""

    component: RevokedComponent | None = None  # the copy that is wanted
