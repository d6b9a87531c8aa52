"""Make an authority: its keys, its roles, and an empty list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from securesystemslib.signer import Key

from drm.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.lifetimes import DEFAULT_DAYS, Lifetimes
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.staged_repository import ROLES

__all__ = ["ROOT_KEYS", "ROOT_THRESHOLD", "create_authority"]

ROOT_KEYS: Final = 3
ROOT_THRESHOLD: Final = 2


def create_authority(
    home: AuthorityHome,
    *,
    root_keys: int = ROOT_KEYS,
    root_threshold: int = ROOT_THRESHOLD,
    days: Mapping[str, int] | None = None,
) -> dict[str, list[str]]:
    """Make the authority and return the key ids of each role.

    Raises:
        InvalidArgumentError: the folder lies in a git work tree.
        AuthorityError: there is one here already, or the threshold cannot be reached.
        PassphraseError: the passphrase is too short.
    """
    if not 1 <= root_threshold <= root_keys:
        raise AuthorityError(f"a root of {root_keys} keys cannot have the threshold {root_threshold}")
    command = ("init",)
    home.create(Lifetimes({**DEFAULT_DAYS, **(days or {})}))
    with home.writing(command) as is_done:
        if not is_done:
            if home.trees.number():
                raise AuthorityError(f"there is an authority in {home.folder} already")
            made = {role: [home.keys.make() for _ in range(root_keys if role == "root" else 1)] for role in ROLES}
            with home.change(command, [key for keys in made.values() for key in keys]) as repository:
                public: dict[str, list[Key]] = {role: [key.public for key in keys] for role, keys in made.items()}
                repository.begin(public, {"root": root_threshold})
                repository.set_list(encode_list(1, home.now(), ()))
                repository.finish()
        return {role: list(key_ids) for role, key_ids in home.trust().key_ids.items()}
