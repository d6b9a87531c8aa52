"""`clearkey keys`: make, import, list, convert and check keys. Sub-verbs are imported when they are called."""

from __future__ import annotations

from typing import Final

from player.lazy_group import lazy_group

__all__ = ["command"]

_SUBVERBS: Final = {
    "new": ("player.verbs.keys.text", "make new keys"),
    "convert": ("player.verbs.keys.text", "write KIDs and keys in another notation"),
    "check": ("player.verbs.keys.check", "say whether keys decrypt a file"),
    "import": ("player.verbs.keys.store", "put keys into a store"),
    "list": ("player.verbs.keys.store", "list the KIDs of a store"),
    "remove": ("player.verbs.keys.store", "remove keys from a store"),
    "policy": ("player.verbs.keys.rules", "set the rules under which a key is issued"),
    "revoke": ("player.verbs.keys.revoke", "issue no license for a key, content, token or device"),
    "rotate": ("player.verbs.keys.revoke", "make the keys of a content's next crypto period"),
    "token": ("player.verbs.keys.token", "make a token for a server that asks for one"),
    "export": ("player.verbs.keys.operation", "write keys of a store to a file; audited"),
    "verify": ("player.verbs.keys.operation", "hold every stored key to its check value"),
    "rewrap": ("player.verbs.keys.operation", "wrap a store's keys with a new key-encryption key"),
    "migrate": ("player.verbs.keys.operation", "bring a store to the version of this program"),
    "devices": ("player.verbs.keys.rules", "list, enrol and remove devices"),
}


@lazy_group("keys", _SUBVERBS)
def command() -> None:
    """Make, import, list, convert and check keys. Only `new`, `convert` and `export` write keys."""
