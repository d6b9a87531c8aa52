"""Watch: the catalogue in Shaka Player, and beside the picture all that EME does and says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Blueprint, render_template

from license_server.pages.media import catalogue_of

__all__ = ["add_watch"]

_FAULTS: Final = (
    ("", "none"),
    ("expired", "403, the license has expired"),
    ("status-404", "404"),
    ("status-500", "500"),
    ("delay-3", "three seconds late"),
    ("slow-body-2", "in two halves"),
    ("wrong-kid", "another key id"),
    ("wrong-key", "another key"),
    ("swapped", "key and key id swapped"),
    ("missing-key", "one key missing"),
    ("empty", "no key"),
    ("padded", "padded base64"),
    ("html", "a page of HTML, with 200"),
    ("no-cors", "no CORS headers"),
)


def add_watch(blueprint: Blueprint, catalogue: Path | None, *, has_faults: bool) -> None:
    """Add the page. It needs no sign-in: it shows what every player that has the films can see."""

    @blueprint.get("/watch")
    def watch() -> str:
        return render_template(
            "watch.html",
            has_catalogue=catalogue is not None,
            films=[] if catalogue is None else catalogue_of(catalogue),
            faults=_FAULTS if has_faults else (),
        )
