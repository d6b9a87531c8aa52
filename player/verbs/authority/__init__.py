"""`clearkey authority`: sign, publish, revoke components. Sub-verbs are imported when they are called."""

from __future__ import annotations

from typing import Final

from player.lazy_group import lazy_group

__all__ = ["command"]

_CHANGES: Final = "player.verbs.authority.changes"
_SHOWS: Final = "player.verbs.authority.shows"
_RESCUES: Final = "player.verbs.authority.rescues"
_SUBVERBS: Final = {
    "init": (_CHANGES, "make an authority: keys, roles, an empty revocation list"),
    "sign": (_CHANGES, "pack a component's folder as the archive that will be published"),
    "publish": (_CHANGES, "list signed archives, so that clients take them"),
    "revoke": (_CHANGES, "put a component on the revocation list, and list it no more"),
    "unrevoke": (_CHANGES, "take an entry off the revocation list"),
    "rotate": (_CHANGES, "give a role new keys"),
    "tick": (_CHANGES, "sign again what is half through its life"),
    "status": (_SHOWS, "show roles, keys, expiries and what is published"),
    "verify": (_SHOWS, "verify what is published, as a client does"),
    "export-root": (_SHOWS, "write the root that clients pin"),
    "recover": (_RESCUES, "make an authority again of its keys and what it published"),
    "passphrase": (_RESCUES, "give signing keys another passphrase"),
    "root-request": (_RESCUES, "write a file for root keys that are kept offline"),
    "countersign": (_RESCUES, "sign such a file where root keys are"),
    "accept": (_RESCUES, "publish the roots in such a file"),
    "bundle": (_SHOWS, "write what is published as the bundle that a wheel carries"),
}


@lazy_group("authority", _SUBVERBS)
def command() -> None:
    """Sign, publish and revoke components: the publisher's side, on The Update Framework.

    The passphrase of the signing keys is asked for, or read from CLEARKEY_AUTHORITY_PASSPHRASE; where keys have
    several, that holds one a line.
    """
