"""What can go wrong on the publisher's side."""

from __future__ import annotations

from drm.errors import DRMError, ExitCode

__all__ = ["AuthorityError", "PassphraseError", "SigningKeyMissingError"]


class AuthorityError(DRMError, code="E-AUTHORITY", exit_code=ExitCode.USAGE):
    """What was asked cannot be published, or the authority's folder is not what it must be. Nothing was changed."""


class SigningKeyMissingError(AuthorityError, code="E-AUTHORITY-KEY", exit_code=ExitCode.KEY_MISSING):
    """Too few of a role's signing keys are here to reach its threshold."""


class PassphraseError(AuthorityError, code="E-AUTHORITY-PASSPHRASE", exit_code=ExitCode.KEY_WRONG):
    """The passphrase does not open a signing key, or there is none."""
