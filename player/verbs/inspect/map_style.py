"""How an encryption map looks: its colours, for light and dark, and the few shapes that it is made of."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from drm.readable import readable

__all__ = ["HATCH", "STYLE", "Paths", "colour_name", "number", "rect", "text", "words"]

# Told apart by people who do not see red or green as well; the keys are numbered too, so colour is never all.
_KEYS: Final = (
    ("#0072b2", "#4aa8e0"), ("#d55e00", "#f08a3c"), ("#008f6b", "#2fc49a"), ("#a8518a", "#d98abf"),
    ("#7a5195", "#b08fd0"), ("#8c6d00", "#d1ab2c"), ("#3b5bdb", "#8ea2ff"), ("#b02a37", "#f0737e"),
    ("#555555", "#b5b5b5"),
)  # fmt: skip


def colour_name(colour: int) -> str:
    """The class of a key's colour."""
    return f"k{colour}"


def _rules(dark: bool) -> str:
    page, ink, quiet, line, clear = (
        ("#15181c", "#eceff2", "#a9b1ba", "#4a525b", "#5c656f")
        if dark
        else ("#ffffff", "#16191d", "#59626c", "#c5ccd3", "#b4bcc5")
    )
    keys = "".join(
        f".k{number}{{fill:{pair[dark]}}}.s{number}{{fill:{pair[dark]};fill-opacity:.32}}"
        for number, pair in enumerate(_KEYS)
    )
    return (
        f".page{{fill:{page}}}text{{fill:{ink}}}.quiet{{fill:{quiet}}}.on{{fill:{page}}}"
        f".line{{stroke:{line}}}.turn{{stroke:{ink}}}.clear{{fill:{clear}}}.hatch{{stroke:{page}}}{keys}"
    )


STYLE: Final = (
    "<style>text{font:12px system-ui,sans-serif}.mono{font:12px ui-monospace,monospace}.big{font-size:17px;"
    "font-weight:600}.bold{font-weight:600}.small{font-size:11px}.line,.turn{fill:none;stroke-width:1}"
    f".turn{{stroke-dasharray:3 3}}{_rules(False)}@media(prefers-color-scheme:dark){{{_rules(True)}}}</style>"
)
HATCH: Final = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="hatch" d="M0 0V6" stroke-width="2.4"/></pattern></defs>'
)


def number(value: float) -> str:
    """A coordinate in as few characters as it needs."""
    return f"{value:.1f}".removesuffix(".0")


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    """A filled rectangle; `title` is what a pointer over it, and a screen reader, tells."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    if not title:
        return f'<rect class="{kind}" {place}/>'
    return f'<rect class="{kind}" {place}><title>{words(title)}</title></rect>'


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "") -> str:
    """One line of text; `y` is its base line."""
    where = f" text-anchor={quoteattr(anchor)}" if anchor else ""
    style = f" class={quoteattr(kind)}" if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{where}{style}>{words(said)}</text>'


def words(said: str) -> str:
    """Text out of a file, as XML may have it."""
    shown = "".join(char if char <= "\ud7ff" or char >= "\ue000" else "\N{REPLACEMENT CHARACTER}" for char in said)
    return escape(readable(shown, 300))


class Paths:
    """Many small rectangles of few kinds: one path for each kind, which is a tenth of the bytes.

    `crisp` ones end at whole pixels: neighbours then leave no seam between them.
    """

    def __init__(self, *, crisp: bool = False) -> None:
        self._how = ' shape-rendering="crispEdges"' if crisp else ""
        self._by_kind: dict[str, list[str]] = {}

    def add(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Add a rectangle; one too small to be seen is left out."""
        if width > 0 and height >= 0.05:
            drawn = f"M{x:.2f} {number(y)}h{width:.2f}v{number(height)}h-{width:.2f}z"
            self._by_kind.setdefault(kind, []).append(drawn)

    def svg(self) -> str:
        """Every path, in the order in which the kinds first came."""
        paths = (f'<path class="{kind}"{self._how} d="{"".join(each)}"/>' for kind, each in self._by_kind.items())
        return "".join(paths)
