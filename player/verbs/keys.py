"""`clearkey keys`: make, import, list, convert and check keys. Sub-verbs are imported when they are called."""

from __future__ import annotations

from typing import Final

from player.lazy_group import lazy_group

__all__ = ["command"]

_SUBVERBS: Final = {
    "new": ("player.keys_text", "make new keys"),
    "convert": ("player.keys_text", "write KIDs and keys in another notation"),
    "check": ("player.keys_check", "say whether keys decrypt a file"),
    "import": ("player.keys_store", "put keys into a store"),
    "list": ("player.keys_store", "list the KIDs of a store"),
    "remove": ("player.keys_store", "remove keys from a store"),
    "policy": ("player.keys_store_rules", "set the rules under which a key is issued"),
    "revoke": ("player.keys_revoke", "issue no license for a key, content, token or device"),
    "rotate": ("player.keys_revoke", "make the keys of a content's next crypto period"),
    "token": ("player.keys_token", "make a token for a server that asks for one"),
    "export": ("player.keys_operation", "write keys of a store to a file; audited"),
    "verify": ("player.keys_operation", "hold every stored key to its check value"),
    "rewrap": ("player.keys_operation", "wrap a store's keys with a new key-encryption key"),
    "migrate": ("player.keys_operation", "bring a store to the version of this program"),
    "devices": ("player.keys_store_rules", "list, enrol and remove devices"),
}


@lazy_group("keys", _SUBVERBS)
def command() -> None:
    """Make, import, list, convert and check keys. Only `new`, `convert` and `export` write keys."""
