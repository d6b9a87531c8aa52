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

    advice = (
        "`clearkey components update` fetches it anew. If that says the same, the update server offers what its "
        "publisher did not sign, or the root file (`--root`, CLEARKEY_COMPONENTS_ROOT) is another publisher's: compare "
        "it with the one that the publisher exports."
    )


class RollbackError(MetadataError, code="E-TRUST-ROLLBACK"):
    """Older metadata, or an older revocation list, than was seen before."""

    advice = (
        "Try again from another network. If an older state was put back on purpose, as from a backup of the authority, "
        "its publisher signs and publishes once more: numbers only rise."
    )


class MetadataExpiredError(TrustError, code="E-TRUST-EXPIRED", hresult=HResult.MF_E_CODE_EXPIRED):
    """New metadata is past its end. Expiry is about taking metadata, not about running what is installed."""

    advice = (
        "Check this machine's clock, then run `clearkey components update`. If the server's metadata is old itself, "
        "its publisher runs `clearkey authority tick`. What is installed goes on working."
    )


class RevocationListError(MetadataError, code="E-TRUST-LIST"):
    """The revocation list cannot be read, or says two things under one number."""

    advice = (
        "`clearkey components update` fetches the list anew. If it comes so each time, its publisher puts it right: "
        "`clearkey authority verify` finds the fault."
    )


class ListFormatError(RevocationListError, code="E-TRUST-LIST-FORMAT", hresult=HResult.MF_E_GRL_UNRECOGNIZED_FORMAT):
    """The revocation list is of a format that this version does not know."""

    advice = "Install a newer version of clearkey: the publisher moved on to a format that this one does not read."


class ListTooOldError(TrustError, code="E-TRUST-LIST-OLD", hresult=HResult.MF_E_GRL_VERSION_TOO_LOW):
    """The license asks for a newer revocation list than the one at hand."""

    advice = (
        "Run `clearkey components update` (or play with `--update-components`). If no newer list is published, the "
        "license asks for one that does not exist yet: tell whoever runs the license server."
    )


class TestSignedError(TrustError, code="E-TRUST-TEST-SIGNED", hresult=HResult.MF_E_TEST_SIGNED_COMPONENTS_NOT_ALLOWED):
    """The license takes components only that the root vouches for which came with the package."""

    advice = (
        "Play with the components that a release carries, and without components of your own; or have the license "
        "server take test-signed ones."
    )

    __test__ = False  # its name makes no test of it


class TrustAbsentError(TrustError, code="E-TRUST-ABSENT", hresult=HResult.MF_E_GRL_ABSENT):
    """There is no metadata at all, so no component is trusted."""

    advice = (
        "Run `clearkey components update`. With an authority of your own, name its root file with `--root` and its "
        "address with `--url`."
    )


class ComponentRevokedError(TrustError, code="E-TRUST-REVOKED", hresult=HResult.MF_E_COMPONENT_REVOKED):
    """The copy at hand is revoked; `is_renewable` says whether the metadata lists one that can take its place."""

    advice = (
        "Run `clearkey components update`, or play with `--update-components`: the copy that takes its place is "
        "fetched, and the session made again. `clearkey components list` says why it was revoked."
    )

    is_renewable: bool = True
    component: RevokedComponent | None = None  # the copy at hand, and why it must not run


class NotRenewableError(TrustError, code="E-TRUST-NOT-RENEWABLE", hresult=HResult.MF_E_GRL_RENEWAL_NOT_FOUND):
    """The component is revoked, and nothing that is published can take its place."""

    advice = (
        "There is nothing to take instead yet: run `clearkey components update` later. The publisher publishes a "
        "higher version with `clearkey authority publish`."
    )


class ComponentDamagedError(TrustError, code="E-TRUST-DAMAGED"):
    """A component is listed, but the copy at hand is missing or is not what was signed."""

    advice = (
        "`clearkey components update` fetches the copy that was signed. If it is damaged again and again, look at the "
        "disk and at who may write to the store."
    )

    component: RevokedComponent | None = None  # the copy that is wanted
