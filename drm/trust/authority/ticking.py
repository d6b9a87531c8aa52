"""Sign again what is half through its life, as far as the keys are here: online keys from a timer, the rest by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.lifetimes import Lifetimes
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.staged_repository import ROLES
from drm.trust.verifier import REVOCATIONS, VerifiedTrust

__all__ = ["due_roles", "next_tick", "tick"]

_OFTEN = ("snapshot", "timestamp")


def due_roles(trust: VerifiedTrust, lifetimes: Lifetimes, now: datetime) -> list[str]:
    """Return the roles whose metadata has spent half of its life."""
    return [role for role in ROLES if trust.expiries[role] - now < lifetimes.of(role) / 2]


def next_tick(trust: VerifiedTrust, lifetimes: Lifetimes, now: datetime) -> timedelta:
    """Return how long it takes until the next role is due; zero or less: one is."""
    return min(trust.expiries[role] - lifetimes.of(role) / 2 for role in ROLES) - now


def tick(home: AuthorityHome) -> list[str]:
    """Sign what is due anew and return the roles that were signed; a role that is due and has no keys here gets a note.

    Raises:
        SigningKeyMissingError: the keys of timestamp or snapshot are not here.
        PassphraseError: the passphrase does not open them.
    """
    command = ("tick",)
    with home.writing(command):
        trust, now = home.trust(), home.now()
        due = [role for role in due_roles(trust, home.lifetimes, now) if _can_sign(home, role, trust)]
        if not due:
            return []
        with home.change(command) as repository:
            for role in due:
                if role == REVOCATIONS:
                    # The same list under the same number; only its date moves: it says that this is still all there is.
                    repository.set_list(encode_list(trust.revocations.version, now, trust.revocations.entries))
                elif role not in _OFTEN:
                    repository.renew(role)
            # A snapshot names what changed; a timestamp names that snapshot.
            repository.finish(renew_snapshot="snapshot" in due)
        return [role for role, version in home.trust().versions.items() if version != trust.versions[role]]


def _can_sign(home: AuthorityHome, role: str, trust: VerifiedTrust) -> bool:
    if role in _OFTEN or home.reading().can_sign(role):
        return True
    home.notes.append(
        f"{role} is good until {trust.expiries[role]:%Y-%m-%d}, and its keys are not here: tick with --keys FOLDER"
    )
    return False
