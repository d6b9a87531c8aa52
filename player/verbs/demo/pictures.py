"""What a session did as a picture: SVG, written by hand, of rectangles, lines, circles and words.

A picture is inline in a page: it has no address in it, takes its colours from the page's custom properties
(so it follows light and dark), and every word in it is escaped here.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from drm.hresult import name_of
from drm.readable import readable
from drm.session.events import MediaEvent, MediaEventType, SessionCapability, TopologyStatus

__all__ = ["LANES", "FlowEvent", "flow_diagram", "flow_events"]

LANES: Final = ("application", "session proxy", "PMP worker", "ITA", "license server")
_PROTECTED: Final = ("PMP worker", "ITA")
_LANES_OF_EVENTS: Final = {
    MediaEventType.LICENSE_ACQUISITION_START: "ITA",
    MediaEventType.LICENSE_ACQUISITION_COMPLETED: "ITA",
    MediaEventType.INDIVIDUALIZATION_START: "ITA",
    MediaEventType.INDIVIDUALIZATION_COMPLETED: "ITA",
    MediaEventType.ENABLER_PROGRESS: "application",
    MediaEventType.ENABLER_COMPLETED: "application",
}

_TIME_WIDTH: Final = 64  # all of these in SVG user units, which are CSS pixels at full size
_LANE_WIDTH: Final = 74
_HEAD: Final = 48
_ROW: Final = 26
# The width of a letter in the monospaced fonts that pages get, at the size that report.html.jinja sets.
_LETTER: Final = 7.6
_MOST_ROWS: Final = 60
_MOST_CHARACTERS: Final = 72  # of the words beside a row: with five lanes, as wide as the page at its widest


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """One thing that happened: seconds since the start, in which lane, its name and what it was about."""

    seconds: float
    lane: str
    name: str
    detail: str = ""


class _Svg:
    def __init__(self) -> None:
        self._parts: list[str] = []

    def add(self, tag: str, text: str = "", **attributes: float | str) -> None:
        """Add an element; `cls` stands for `class`, and `_` in a name for `-`."""
        named = {("class" if name == "cls" else name.replace("_", "-")): value for name, value in attributes.items()}
        inside = "".join(f' {name}="{html.escape(str(value))}"' for name, value in named.items())
        self._parts.append(f"<{tag}{inside}>{html.escape(readable(text, lines=True))}</{tag}>")

    def page(self, width: float, height: float, label: str) -> str:
        """The whole picture. `label` is what somebody who cannot see it is told."""
        head = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        return f'{head}aria-label="{html.escape(readable(label, lines=True))}">{"".join(self._parts)}</svg>'


def flow_events(
    begin: float, ready: float, commands: Iterable[tuple[float, str]], events: Iterable[MediaEvent]
) -> list[FlowEvent]:
    """Return the flow from `begin` on; `ready` is when the worker reported its lock-down. Monotonic seconds."""
    rows = [
        FlowEvent(0.0, "application", "create_pmp_media_session"),
        FlowEvent(ready - begin, "PMP worker", "locked down, components verified"),
    ]
    for event in events:
        asks = event.type == MediaEventType.ENABLER_PROGRESS and str(event.values.get("text", "")).startswith("got ")
        lane = "license server" if asks else _LANES_OF_EVENTS.get(MediaEventType(event.type), "PMP worker")
        rows.append(FlowEvent(event.time - begin, lane, event.name, _detail(event)))
    rows += [FlowEvent(moment - begin, "session proxy", name) for moment, name in commands]
    return sorted(rows, key=lambda row: row.seconds)


def flow_diagram(events: Sequence[FlowEvent]) -> str:
    """Draw who did what when: a lane for each place, the protected zone shaded, times at the left.

    A long flow is folded in its middle; the page's table has every event.
    """
    others = sorted({event.lane for event in events} - set(LANES))
    lanes = [*LANES, *others]
    rows = _folded(events)
    centers = {lane: _TIME_WIDTH + _LANE_WIDTH * (index + 0.5) for index, lane in enumerate(lanes)}
    words_at = _TIME_WIDTH + _LANE_WIDTH * len(lanes) + 12
    longest = max((len(_line(row)) for row in rows if isinstance(row, FlowEvent)), default=0)
    width, height = words_at + round(_LETTER * max(longest, 40)) + 8, _HEAD + _ROW * len(rows) + 12

    svg = _Svg()
    first, last = (centers[lane] for lane in (_PROTECTED[0], _PROTECTED[-1]))
    edge, breadth = first - _LANE_WIDTH / 2, last - first + _LANE_WIDTH
    svg.add("rect", cls="zone", x=edge, y=0, width=breadth, height=height, rx=8)
    for lane, x in centers.items():
        svg.add("line", cls="lane", x1=x, y1=_HEAD - 8, x2=x, y2=height - 6)
        # Two words, two lines: the head of a lane is no wider than the lane.
        words = lane.split(" ", 1)
        for line, word in enumerate(words):
            above = 14 * (len(words) - 1 - line)
            svg.add("text", _cut(word, 12), cls="head", x=x, y=_HEAD - 16 - above, text_anchor="middle")

    before: tuple[float, float] | None = None
    for index, row in enumerate(rows):
        y = _HEAD + _ROW * (index + 0.5)
        if isinstance(row, int):
            svg.add("text", f"{row} more, in the table below", cls="detail", x=words_at, y=y + 4)
            continue
        x = centers[row.lane]
        if before is not None:
            svg.add("line", cls="path", x1=before[0], y1=before[1], x2=x, y2=y)
        svg.add("line", cls="lead", x1=x, y1=y, x2=words_at - 6, y2=y)
        svg.add("circle", cls="dot protected" if row.lane in _PROTECTED else "dot", cx=x, cy=y, r=5)
        svg.add("text", f"{row.seconds:.3f} s", cls="time", x=_TIME_WIDTH - 8, y=y + 4, text_anchor="end")
        _words(svg, row, words_at, y + 4)
        before = (x, y)
    return svg.page(width, height, f"{len(events)} events over {len(lanes)} places, in order of time")


def _detail(event: MediaEvent) -> str:
    if event.status:
        return name_of(event.status)
    if event.type == MediaEventType.SESSION_TOPOLOGY_STATUS:
        return TopologyStatus(int(event.values["status"])).name
    if event.type == MediaEventType.SESSION_CAPABILITIES_CHANGED:
        return SessionCapability(int(event.values["capabilities"])).name or "none"
    if event.type == MediaEventType.ENABLER_PROGRESS:
        return str(event.values.get("text", ""))
    return ", ".join(f"{name} {value}" for name, value in event.values.items())


def _words(svg: _Svg, row: FlowEvent, x: float, y: float) -> None:
    line, name = _line(row), _cut(row.name, _MOST_CHARACTERS)
    svg.add("text", name, cls="name", x=x, y=y)
    svg.add("text", line[len(name) :].strip(), cls="detail", x=round(x + _LETTER * (len(name) + 1.5), 1), y=y)


def _line(row: FlowEvent) -> str:
    return _cut(f"{_cut(row.name, _MOST_CHARACTERS)} {row.detail}", _MOST_CHARACTERS)


def _folded(events: Sequence[FlowEvent]) -> list[FlowEvent | int]:
    if len(events) <= _MOST_ROWS:
        return list(events)
    head, tail = events[: _MOST_ROWS * 2 // 3], events[-(_MOST_ROWS // 3 - 1) :]
    return [*head, len(events) - len(head) - len(tail), *tail]


def _cut(text: str, most: int) -> str:
    line = " ".join(readable(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
