"""What `clearkey serve` is told about the administrator's API."""

from __future__ import annotations

from pathlib import Path

from drm.errors import InvalidArgumentError
from license_server.admin.access import AdminRules, admin_tokens_of
from license_server.issuing.token_minting import read_signing_key

__all__ = ["admin_rules"]


def admin_rules(token_file: Path | None, signing_key: Path | None) -> AdminRules | None:
    """How the API is set up; None: there is none. Raises InvalidArgumentError for files that cannot be taken."""
    if token_file is None:
        if signing_key is not None:
            raise InvalidArgumentError(
                "--admin-signing-key is for the administrator's API", remedy="give --admin-token-file too"
            )
        return None
    return AdminRules(
        tokens=admin_tokens_of(token_file),
        signing_key=None if signing_key is None else read_signing_key(signing_key),
    )
