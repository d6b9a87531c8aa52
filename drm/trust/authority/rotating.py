"""Give a role new keys. What is published stays good throughout, and no client fails for it."""

from __future__ import annotations

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from drm.errors import InvalidArgumentError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.staged_repository import DELEGATED, ROLES, StagedRepository

__all__ = ["rotate"]


def rotate(home: AuthorityHome, role: str, only: str | None = None) -> list[str]:
    """Replace all keys of a role, or the key `only`; return the ids of the new ones.

    Old keys stay in their folder: nothing asks for them any more, and removing a secret is for its owner to do.

    Raises:
        InvalidArgumentError: there is no such role, or it has no such key.
        SigningKeyMissingError: too few keys of the role's delegator are here, or of root's old ones.
        PassphraseError: the passphrase does not open them.
    """
    if role not in ROLES:
        raise InvalidArgumentError(f"there is no role {role!r}", remedy=f"one of {', '.join(ROLES)}")
    command = ("rotate", role, *([only] if only else []))
    with home.writing(command) as is_done:
        old = list(home.trust().key_ids[role])
        if is_done:
            return old
        if only is not None and only not in old:
            raise InvalidArgumentError(f"{role} has no key {only}", seen=f"its keys: {', '.join(old)}")
        leaving = [only] if only else old
        made = [home.keys.make() for _ in leaving]
        with home.change(command, made) as repository:
            _rotate(repository, role, leaving, [key.public for key in made])
        return [key.public.keyid for key in made]


def _rotate(repository: StagedRepository, role: str, leaving: list[str], coming: list[Key]) -> None:
    if role in DELEGATED:
        # Snapshot to targets to delegated role is fixed by version and hash: nobody sees an old one with a new one.
        with repository.edit_targets() as targets:
            _exchange(targets, role, leaving, coming)
        repository.renew(role)
    elif role == "root":
        with repository.edit_root() as root:  # signed by the old keys and by the new ones: TUF 5.3.4
            _exchange(root, role, leaving, coming)
    else:
        # A client may have asked for the next root a moment before there was one, and then asks for the rest. So the
        # last thing that the old keys sign is what it gets, beside the new ones; and a root that lists both stands
        # between, for whoever keeps more than one root apart in time.
        old = [repository.root().get_key(key_id) for key_id in leaving]
        repository.also_sign[role] = old
        with repository.edit_root() as root:
            _exchange(root, role, [], coming)
        with repository.edit_root() as root:
            _exchange(root, role, leaving, [])
        if role == "targets":
            repository.renew(role)
    repository.finish(renew_snapshot=role == "snapshot")


def _exchange(delegator: Root | Targets, role: str, leaving: list[str], coming: list[Key]) -> None:
    for key in coming:
        delegator.add_key(key, role)
    for key_id in leaving:
        delegator.revoke_key(key_id, role)
