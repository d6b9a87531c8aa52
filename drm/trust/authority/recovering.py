"""Make an authority again of its keys and of what it published, or let one that came from a backup catch up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drm.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.lifetimes import DEFAULT_DAYS, Lifetimes
from drm.trust.authority.published import check_published, root_bytes
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.staged_repository import DELEGATED, ROLES, StagedRepository
from drm.trust.errors import MetadataError, RevocationListError, RollbackError
from drm.trust.floor import Floor
from drm.trust.verifier import REVOCATIONS, VerifiedTrust

__all__ = ["LONGEST_STEP", "recover"]

LONGEST_STEP = 1_000_000  # of numbers, at once: they end somewhere, and only rise


def recover(
    home: AuthorityHome, served: Path | None = None, *, ahead: int = 0, days: Mapping[str, int] | None = None
) -> VerifiedTrust:
    """Take over the published files in the folder `served`, and let all numbers jump `ahead`; return what is published.

    Taking over needs no key, so it says in notes what the keys that are here can sign. What is here already stays where
    it is as new as what is served. A jump needs the keys of every role but root; it is for numbers that clients have
    seen and nobody has any more.

    Raises:
        AuthorityError: nothing is here and nothing is served, or it is of another authority.
        TrustError: what is served does not verify.
        SigningKeyMissingError, PassphraseError: a jump cannot be signed.
        InvalidArgumentError: the folder lies in a git work tree.
        OSError: something cannot be read or written.
    """
    is_new = not home.trees.number()
    if served is None and is_new:
        raise AuthorityError(
            f"there is no authority in {home.folder}", remedy="name the folder of the published files to make it again"
        )
    if served is not None and not (served / "metadata").is_dir():
        raise AuthorityError(
            f"{served} holds no published files", remedy="name the folder that metadata/ and targets/ are in"
        )
    if served is not None and not is_new and not _is_newer(home, served):
        home.notes.append("what is served is no newer than what is here, which stays")
        served = None
    home.create(Lifetimes({**DEFAULT_DAYS, **(days or {})}))
    command = ("recover", *([str(served)] if served else []), str(ahead))
    with home.writing(command) as is_done:
        if not is_done and (served is not None or ahead):
            with home.change(command, source=served) as repository:
                if ahead:
                    _jump(home, repository, ahead)
        _say_what_is_here(home)
        return home.trust()


def _is_newer(home: AuthorityHome, served: Path) -> bool:
    """Whether a client of what is served would refuse what is here. Raises AuthorityError for another authority's."""
    offered, here = check_published(served), home.trust()
    if root_bytes(served, 1) != root_bytes(home.trees.published, 1):
        raise AuthorityError(f"what is served in {served} is another authority's", remedy="name another --authority")
    try:
        Floor.of(offered).check(here, is_new=True)
    except RollbackError:
        return True
    except (RevocationListError, MetadataError) as error:
        raise AuthorityError(
            "what is served and what is here have both moved on since they were one",
            seen=error.what,
            remedy=f"recover from one of them into an empty folder, with --ahead: {served} or {home.folder}",
        ) from None
    return False


def _jump(home: AuthorityHome, repository: StagedRepository, ahead: int) -> None:
    old = repository.published_list()
    repository.step = ahead
    for role in ("targets", *DELEGATED):
        if role != REVOCATIONS:
            repository.renew(role)
    number = old.version + ahead
    repository.set_list(encode_list(number, home.now(), old.entries))
    repository.finish(renew_snapshot=True)
    home.notes.append(f"revocation list {old.version} is list {number} now: revoke again what was revoked in between")


def _say_what_is_here(home: AuthorityHome) -> None:
    repository = home.reading()
    for role in ROLES:
        wanted = repository.delegated_role(role)
        here = sum(home.keys.has(key_id) for key_id in wanted.keyids)
        if here < wanted.threshold:
            home.notes.append(
                f"{here} of the {wanted.threshold} keys that sign {role} are here: put them into "
                f"{home.folder / 'keys'}, or name their folder with --keys when they are needed"
            )
