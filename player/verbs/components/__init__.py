"""`clearkey components`: what a worker would run, whether it may, and how it is renewed. Sub-verbs load lazily."""

from __future__ import annotations

from typing import Final

from player.lazy_group import lazy_group

__all__ = ["command"]

_SUBVERBS: Final = {
    "list": ("player.verbs.components.show", "show every component at hand, who signed it and whether it may run"),
    "verify": ("player.verbs.components.show", "verify all of it here, and once more in a worker"),
    "update": ("player.verbs.components.update", "renew the revocation list, and what it replaces, from a server"),
}


@lazy_group("components", _SUBVERBS)
def command() -> None:
    """Show, verify and renew the components that a worker runs.

    Without options: those that the package pins an authority for; in a copy that pins none, those that a development
    authority signs by itself. Exits with 7 when a component that every session needs must not run.
    """
