"""How an authority stands: for a person, a monitor, or a test."""

from __future__ import annotations

from datetime import datetime

import msgspec

from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.naming import describe, names_of
from drm.trust.authority.staged_repository import ROLES
from drm.trust.authority.ticking import due_roles
from drm.trust.revocations import Revocation
from drm.trust.verifier import VerifiedTrust

__all__ = ["ListedComponent", "RoleStatus", "Status", "status_of"]


class RoleStatus(msgspec.Struct, frozen=True):
    """One role."""

    role: str
    version: int
    threshold: int
    key_ids: tuple[str, ...]
    keys_here: tuple[str, ...]
    expires: datetime
    days_left: float


class ListedComponent(msgspec.Struct, frozen=True):
    """One published archive."""

    name: str
    version: str
    class_id: str
    api: int
    sha256: str
    length: int  # bytes


class Status(msgspec.Struct, frozen=True):
    """Everything `clearkey authority status` shows."""

    authority: str
    repository: str
    tree: int
    roles: tuple[RoleStatus, ...]
    components: tuple[ListedComponent, ...]
    list_version: int
    list_issued: datetime
    revocations: tuple[Revocation, ...]
    revoked: tuple[str, ...]  # the same in lines for people, by name
    waiting: tuple[str, ...]  # archives that are signed and not published
    unused_keys: tuple[str, ...]  # in the authority's folder, listed by no role
    unfinished: str  # the command of a run that was killed, or ""
    warnings: tuple[str, ...]


def status_of(home: AuthorityHome) -> Status:
    """Look at everything, change nothing. Raises AuthorityError where no authority is, TrustError, StorageError."""
    trust, now = home.trust(), home.now()
    repository = home.reading()
    roles = []
    for role in ROLES:
        delegated = repository.delegated_role(role)
        here = tuple(key_id for key_id in delegated.keyids if home.keys.has(key_id))
        left = (trust.expiries[role] - now).total_seconds() / 86_400
        roles.append(
            RoleStatus(
                role,
                trust.versions[role],
                delegated.threshold,
                tuple(delegated.keyids),
                here,
                trust.expiries[role],
                round(left, 2),
            )
        )
    used = {key_id for key_ids in trust.key_ids.values() for key_id in key_ids}
    plan, names = home.unfinished, names_of(home)
    return Status(
        authority=str(home.folder),
        repository=str(home.trees.shown),
        tree=home.trees.number(),
        roles=tuple(roles),
        components=tuple(
            ListedComponent(e.name, e.version, str(e.class_id), e.api, e.sha256, e.length) for e in trust.components
        ),
        list_version=trust.revocations.version,
        list_issued=trust.revocations.issued,
        revocations=trust.revocations.entries,
        revoked=tuple(describe(entry, names) for entry in trust.revocations.entries),
        waiting=tuple(path.name for path in sorted(home.waiting.glob("*.zip"))),
        unused_keys=tuple(key_id for key_id in home.keys.held() if key_id not in used),
        unfinished=plan.words if plan else "",
        warnings=tuple(_warnings(home, trust, roles, now)),
    )


def _warnings(home: AuthorityHome, trust: VerifiedTrust, roles: list[RoleStatus], now: datetime) -> list[str]:
    said = []
    due = due_roles(trust, home.lifetimes, now)
    for role in roles:
        if role.days_left <= 0:
            said.append(f"{role.role} has expired: clients refuse to update")
        elif role.role in due:
            said.append(f"{role.role} is past half its life: tick")
    if home.unfinished:
        said.append("a run was killed: give its command again")
    here = [role.role for role in roles if role.role == "root" and len(role.keys_here) >= role.threshold]
    if here:
        said.append("enough root keys to replace everything are on this machine: take them off it")
    return said
