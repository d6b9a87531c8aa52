"""Revoke and unrevoke: a new revocation list, and metadata that lists no more of what it revokes."""

from __future__ import annotations

import msgspec

from drm.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.revocation_list import encode_list
from drm.trust.entry import Entry, target_path
from drm.trust.revocations import Revocation, RevocationList
from drm.trust.verifier import COMPONENTS

__all__ = ["revoke", "unrevoke"]


def revoke(home: AuthorityHome, wanted: Revocation) -> Revocation:
    """Publish a list with `wanted` on it (its `id` is given here) and delist what it matches. Return the entry.

    An entry that says the same already is left as it is: the command can be repeated.

    Raises:
        AuthorityError: it would revoke everything that is published, because the key still signs.
        SigningKeyMissingError, PassphraseError: it cannot be signed.
    """
    nameless = msgspec.structs.replace(wanted, id="-")
    command = ("revoke", msgspec.json.encode(nameless).decode())
    with home.writing(command):
        trust = home.trust()
        old = trust.revocations
        for known in old.entries:
            if msgspec.structs.replace(known, id="-") == nameless:
                home.notes.append(f"the list has this entry already: {known.id}")
                return known
        if wanted.keyid in trust.key_ids[COMPONENTS]:
            raise AuthorityError(
                f"the key {wanted.keyid} signs what is published now: revoking it would revoke every component",
                remedy="run `clearkey authority rotate components` first",
            )
        new = msgspec.structs.replace(wanted, id=f"R-{old.version + 1}-1")
        hit = [entry for entry in trust.components if _matches(new, entry)]
        with home.change(command) as repository:
            repository.set_list(encode_list(old.version + 1, home.now(), (*old.entries, new)))
            if hit:
                with repository.edit_targets(COMPONENTS) as listed:
                    for entry in hit:
                        del listed.targets[target_path(entry.class_id, entry.version)]
            repository.finish()
        _say_what_it_means(home, hit, [entry for entry in trust.components if entry not in hit])
        return new


def unrevoke(home: AuthorityHome, entry_id: str) -> RevocationList:
    """Publish a list without the entry, under a higher number, and return it. What it delisted stays delisted.

    Raises:
        AuthorityError: the list has no such entry.
        SigningKeyMissingError, PassphraseError: it cannot be signed.
    """
    command = ("unrevoke", entry_id)
    with home.writing(command) as is_done:
        old = home.trust().revocations
        if not is_done:
            if entry_id not in {entry.id for entry in old.entries}:
                known = ", ".join(entry.id for entry in old.entries[:20]) or "none"
                raise AuthorityError(f"the revocation list has no entry {entry_id!r}", seen=f"its entries: {known}")
            remaining = [entry for entry in old.entries if entry.id != entry_id]
            with home.change(command) as repository:
                repository.set_list(encode_list(old.version + 1, home.now(), remaining))
                repository.finish()
        return home.trust().revocations


def _matches(revocation: Revocation, entry: Entry) -> bool:
    return revocation.matches(entry.class_id, entry.version_key, entry.sha256, entry.key_ids)


def _say_what_it_means(home: AuthorityHome, hit: list[Entry], left: list[Entry]) -> None:
    if not hit:
        home.notes.append("nothing that is published matches; copies that clients have may")
    for entry in hit:
        better = [other.version for other in left if other.class_id == entry.class_id]
        instead = f"clients take v{better[-1]}" if better else "nothing can take its place: publish a renewal"
        home.notes.append(f"{entry.name} v{entry.version} is listed no more; {instead}")
