"""The report of a playback: one HTML page that needs no other file, no network and no script.

Whatever stands in it may come from a hostile file or server, so Jinja's autoescape is on for every value, what is
not printable is spelled out, and a content policy in the page forbids it to load anything.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import jinja2
import markupsafe

from drm.protection import ADVICE, YES, Level
from drm.readable import readable
from drm.whole_file import write_whole
from player.verbs.demo.pictures import FlowEvent, flow_diagram

__all__ = [
    "BoxRow", "EventRow", "ReportData", "StoryStep", "TrustTable", "TrustedComponent", "trust_of", "write_report",
]  # fmt: skip

EventRow = FlowEvent

_MOST_CHILDREN: Final = 100  # boxes shown under one box
_MOST_DEPTH: Final = 16
_MOST_EVENTS: Final = 2000
_PLACED: Final = ("level", "layers", "trust")  # members of a protection report that have a place of their own
_GROUPS: Final = (Mapping, list, tuple)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MOST_COMPONENTS: Final = 512
_SHORT_CLASS: Final = 8
_SHORT_HASH: Final = 16
_MEANING: Final = {
    "trusted": "The root that the package pins vouches for every component.",
    "test-signed": "Another root than the package's vouches for some of them. A license can refuse that.",
}


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A box of the file. `detail` is one line: scheme, KID, counts."""

    name: str
    offset: int  # bytes from the start of the file
    size: int  # bytes, header included
    detail: str = ""
    is_encryption: bool = False
    children: Sequence[BoxRow] = ()


@dataclass(frozen=True, slots=True)
class StoryStep:
    """One step of what went before the playback: a word for it, and what happened."""

    name: str
    detail: str
    tone: Literal["good", "warn", "bad"] = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """What a playback leaves to be read. Plain values: the page knows nothing of sessions.

    `protection` is a ProtectionReport as a mapping (`msgspec.to_builtins`). `level`, `layers` and `trust` get a place
    of their own, where a layer holds only if its probe said "yes"; every other member becomes a row.
    """

    title: str
    file: str
    verdict: str
    passed: bool = True  # colours the verdict
    facts: Sequence[tuple[str, str]] = ()  # scheme, KIDs, license path ...
    contact_sheet: bytes | None = None  # PNG
    events: Sequence[EventRow] = ()
    story: Sequence[StoryStep] = ()
    protection: Mapping[str, object] = field(default_factory=dict)
    boxes: Sequence[BoxRow] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TrustedComponent:
    """One row of the components that a worker verified; ids are cut to what tells them apart."""

    name: str
    version: str
    class_id: str
    signer: str
    sha256: str
    state: str

    @property
    def is_trusted(self) -> bool:
        """Whether the root of the package vouches for it."""
        return self.state == "trusted"


@dataclass(frozen=True, slots=True)
class TrustTable:
    """The components of a protection report, and what they come to. The worker said it; nothing here believes it."""

    signed: str
    meaning: str
    list_number: str
    freshness: str
    verify_ms: str
    components: tuple[TrustedComponent, ...]


def write_report(path: Path, report: ReportData) -> None:
    """Write the page to `path`, whole or not at all; folders on the way are made. Raises OSError."""
    page = _render(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode())


def _render(report: ReportData) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=_finalized, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(resources.files(__package__).joinpath("report.html.jinja").read_text("utf-8"))
    others = [
        (key.replace("_", " "), _moment(value) if key == "started" else value)
        for key, value in report.protection.items()
        if key not in _PLACED
    ]
    sheet = report.contact_sheet if (report.contact_sheet or b"").startswith(_PNG) else None
    return template.render(
        report=report,
        events=report.events[:_MOST_EVENTS],
        sheet=base64.b64encode(sheet).decode() if sheet else "",
        flow=markupsafe.Markup(flow_diagram(report.events)) if report.events else "",  # noqa: S704 - escaped by its writer
        level=report.protection.get("level"),
        level_name=_level_name(report.protection.get("level")),
        layers=list(_layers(report.protection.get("layers"))),
        trust=trust_of(report.protection.get("trust")),
        scalars=[(name, _word(value)) for name, value in others if not isinstance(value, _GROUPS)],
        groups=[(name, _rows(value)) for name, value in others if isinstance(value, _GROUPS) and value],
        boxes=_bounded(report.boxes, 0),
    )


def _finalized(value: object) -> object:
    # Markup is ours; whatever else is text may come from anywhere.
    return readable(value, lines=True) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value


def _level_name(level: object) -> str:
    return next((known.label for known in Level if known == level), "")


def _layers(layers: object) -> Iterator[tuple[str, bool, str]]:
    """Each layer as its name, whether it holds, and if not, what was seen and what to do."""
    for name, answer in layers.items() if isinstance(layers, Mapping) else ():
        seen = [] if answer == YES else [str(answer).removeprefix("no: "), ADVICE.get(str(name), "")]
        yield str(name), answer == YES, ": ".join(part for part in seen if part)


def trust_of(trust: object) -> TrustTable | None:
    """Read a TrustReport that is a mapping (`msgspec.to_builtins`); None: nothing was verified."""
    if not isinstance(trust, Mapping):
        return None
    rows = trust.get("components", ())
    rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list | tuple) else []
    signed = str(trust.get("signed", ""))
    took = trust.get("verify_ms")
    return TrustTable(
        signed=signed,
        meaning=_MEANING.get(signed, ""),
        list_number=str(trust.get("revocation_list", 0)),
        freshness=str(trust.get("freshness", "")) or "not known",
        verify_ms=f"{took:.1f} ms" if isinstance(took, int | float) else "not known",
        components=tuple(_component(row) for row in rows[:_MOST_COMPONENTS]),
    )


def _component(row: Mapping[str, object]) -> TrustedComponent:
    def text(name: str, most: int | None = None) -> str:
        return str(row.get(name, ""))[:most]

    return TrustedComponent(
        name=text("name"),
        version=text("version"),
        class_id=text("class_id", _SHORT_CLASS),
        signer=text("signer", _SHORT_HASH),
        sha256=text("sha256", _SHORT_HASH),
        state=text("state"),
    )


def _rows(value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(str(key), _word(inner)) for key, inner in value.items()]
    return [("", _word(inner)) for inner in value] if isinstance(value, list | tuple) else []


def _moment(seconds: object) -> object:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if isinstance(seconds, float) else seconds


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return "not known" if value is None else str(value)


def _bounded(boxes: Sequence[BoxRow], depth: int) -> list[BoxRow]:
    """The same tree, with no more rows and no more depth than a page can show."""
    if depth == _MOST_DEPTH:
        return []
    shown = [
        BoxRow(box.name, box.offset, box.size, box.detail, box.is_encryption, _bounded(box.children, depth + 1))
        for box in boxes[:_MOST_CHILDREN]
    ]
    rest = boxes[_MOST_CHILDREN:]
    if rest:
        total = sum(box.size for box in rest)
        shown.append(BoxRow("…", rest[0].offset, total, f"{len(rest)} more boxes"))
    return shown
