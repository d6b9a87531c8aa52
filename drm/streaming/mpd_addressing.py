"""Where the segments of a representation are (ISO/IEC 23009-1, 5.3.9 and 5.6.4).

Segment information is inherited from period to adaptation set to representation, attribute by attribute; a nearer kind
replaces a farther one. Each BaseURL is resolved against that of the level around it; several are the same bytes
elsewhere.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from urllib.parse import urljoin

from drm.bounded_xml import XmlElement
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.manifests.mpd_media import filled_template, template_variables
from drm.streaming.mpd_timing import place, unsigned
from drm.streaming.presentation import MOST_SEGMENTS, Piece, Segment, SegmentPlan
from drm.streaming.segment_index import IndexedMedia
from drm.streaming.segment_plans import ListedPlan, NumberPlan, Run, TimelinePlan, bounded

__all__ = ["Addressing", "addressing", "base_urls", "byte_range", "joined"]

_KINDS: Final = ("SegmentTemplate", "SegmentList", "SegmentBase")
_RANGE: Final = re.compile(r"(\d{1,18})-(\d{0,18})")
_MOST_ALTERNATIVES: Final = 8


@dataclass(frozen=True, slots=True)
class Addressing:
    """What a representation's segment information comes to."""

    plan: SegmentPlan | None  # None: `index` has to be read first
    index: IndexedMedia | None
    offset: Fraction  # presentationTimeOffset in seconds


def joined(bases: Sequence[str], uri: str, where: str) -> tuple[str, ...]:
    """`uri` against each base, each once. Raises MalformedMediaError: it is no URI."""
    try:
        return tuple(dict.fromkeys(urljoin(base, uri) for base in bases))
    except ValueError:
        raise MalformedMediaError("this is no URI", where=where, seen=repr(uri[:80])) from None


def base_urls(chain: Sequence[XmlElement], manifest: str) -> tuple[str, ...]:
    """The bases of the innermost of `chain`, which goes from the MPD inwards, behind the URL of the manifest."""
    bases: tuple[str, ...] = (manifest,)
    for element in chain:
        urls = list(itertools.islice(element.all("BaseURL"), _MOST_ALTERNATIVES))
        if urls:
            found = (each for url in urls for each in joined(bases, url.text.strip(), place(url)))
            bases = tuple(dict.fromkeys(found))[:_MOST_ALTERNATIVES]
    return bases


def byte_range(text: str, where: str) -> tuple[int, int | None]:
    """Start and size of `first-last`. Raises MalformedMediaError."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        raise MalformedMediaError("this is no range of bytes, as 0-1023 is", where=where, seen=repr(text[:48]))
    return int(found[1]), int(found[2]) + 1 - int(found[1]) if found[2] else None


class _Information:
    """Segment information of one kind, with what it inherits."""

    def __init__(self, levels: Sequence[XmlElement]) -> None:
        """`levels`: the elements of this kind, the nearest first."""
        self.element = levels[0]
        self._levels = levels

    def number(self, name: str, default: int) -> int:
        for level in self._levels:
            if level.attribute(name).strip():
                return unsigned(level, name, default)
        return default

    def text(self, name: str) -> str:
        return next((found for level in self._levels if (found := level.attribute(name).strip())), "")

    def children(self, name: str) -> list[XmlElement]:
        return next((found for level in self._levels if (found := list(level.all(name)))), [])

    @property
    def where(self) -> str:
        return place(self.element)


def addressing(chain: Sequence[XmlElement], manifest: str, duration: Fraction | None) -> Addressing:
    """How the segments of the innermost of `chain` are found; `duration` is its period's.

    Raises:
        MalformedMediaError: it breaks the format.
        UnsupportedMediaError: a way of addressing that is not read, or more segments than are looked at.
    """
    representation = chain[-1]
    bases = base_urls(chain, manifest)
    kind = ""
    levels: list[XmlElement] = []
    for element in reversed(chain[1:]):  # the MPD has none
        for name in _KINDS if not kind else (kind,):
            if (found := next(element.all(name), None)) is not None:
                kind, levels = name, [*levels, found]
                break
    if not kind:
        if bases == (manifest,):
            raise MalformedMediaError("nothing says where its segments are", where=place(representation))
        return Addressing(ListedPlan((_whole(Piece(bases), duration),)), None, Fraction(0))
    information = _Information(levels)
    timescale = information.number("timescale", 1)
    if not timescale:
        raise MalformedMediaError("timescale is 0", where=information.where)
    units = information.number("presentationTimeOffset", 0)
    offset = Fraction(units, timescale)
    if kind == "SegmentBase":
        base = _of_base(information, bases, offset, duration)
        return Addressing(None, base, offset) if isinstance(base, IndexedMedia) else Addressing(base, None, offset)
    if kind == "SegmentList":
        return Addressing(_of_list(information, bases, units, timescale, duration), None, offset)
    return Addressing(_of_template(information, representation, bases, units, timescale, duration), None, offset)


def _whole(media: Piece, duration: Fraction | None) -> Segment:
    return Segment(0, Fraction(0), duration or Fraction(0), None, media)


def _piece(element: XmlElement, uri: str, range_: str, bases: Sequence[str]) -> Piece:
    uris = joined(bases, element.attribute(uri).strip(), place(element)) if element.attribute(uri).strip() else bases
    if not element.attribute(range_).strip():
        return Piece(tuple(uris))
    return Piece(tuple(uris), *byte_range(element.attribute(range_), place(element)))


def _initialization(information: _Information, bases: Sequence[str]) -> Piece | None:
    found = information.children("Initialization")
    return _piece(found[0], "sourceURL", "range", bases) if found else None


def _of_base(
    information: _Information, bases: Sequence[str], offset: Fraction, duration: Fraction | None
) -> IndexedMedia | ListedPlan:
    initialization = _initialization(information, bases)
    if not information.text("indexRange"):
        return ListedPlan((_whole(Piece(tuple(bases)), duration),))
    start, size = byte_range(information.text("indexRange"), information.where)
    if size is None:
        raise MalformedMediaError("indexRange has no end", where=information.where)
    head = initialization or (Piece(tuple(bases), 0, start) if start else None)
    return IndexedMedia(Piece(tuple(bases), start, size), head, information.where, offset)


def _of_list(
    information: _Information, bases: Sequence[str], offset: int, timescale: int, duration: Fraction | None
) -> SegmentPlan:
    initialization = _initialization(information, bases)
    pieces = [_piece(each, "media", "mediaRange", bases) for each in information.children("SegmentURL")]
    bounded(len(pieces), information.where)
    if timeline := information.children("SegmentTimeline"):
        runs = _runs(timeline[0], offset, timescale, duration)
        times = [(run.time + at * run.duration, run.duration) for run in runs for at in range(run.count)]
        times = times[: len(pieces)]
    else:
        length = information.number("duration", 0)
        if not length and len(pieces) > 1:
            raise MalformedMediaError("a list of segments without their duration", where=information.where)
        times = [(offset + at * length, length) for at in range(len(pieces))]
    segments = (
        Segment(at, Fraction(time - offset, timescale), Fraction(length, timescale), initialization, piece)
        for at, (piece, (time, length)) in enumerate(zip(pieces, times, strict=False))
    )
    return ListedPlan(tuple(segments))


def _of_template(
    information: _Information,
    representation: XmlElement,
    bases: Sequence[str],
    offset: int,
    timescale: int,
    duration: Fraction | None,
) -> SegmentPlan:
    where = information.where
    constant = {
        "RepresentationID": representation.attribute("id"),
        "Bandwidth": representation.attribute("bandwidth"),
    }
    head = information.text("initialization")
    initialization = _initialization(information, bases)
    if head:
        _check_variables(head, {"RepresentationID", "Bandwidth"}, where)
        initialization = Piece(joined(bases, filled_template(head, constant), where))
    text = information.text("media")
    if not text:
        raise MalformedMediaError("a SegmentTemplate without media", where=where)
    timeline = information.children("SegmentTimeline")
    _check_variables(text, {*constant, "Number", *(["Time"] if timeline else [])}, where)

    def media(number: int, time: int) -> Piece:
        return Piece(
            joined(bases, filled_template(text, {**constant, "Number": str(number), "Time": str(time)}), where)
        )

    first = information.number("startNumber", 1)
    last = information.number("endNumber", -1)
    if timeline:
        runs = _runs(timeline[0], offset, timescale, duration, first)
        bounded(sum(run.count for run in runs), where)
        return TimelinePlan(_until(runs, last), offset, timescale, initialization, media)
    length = information.number("duration", 0)
    if not length:
        raise MalformedMediaError("a SegmentTemplate without duration and without SegmentTimeline", where=where)
    count = last + 1 - first if last >= 0 else MOST_SEGMENTS + 1
    if duration is not None:
        count = min(count, -(-(duration * timescale) // length)) if last >= 0 else -(-(duration * timescale) // length)
    elif last < 0:
        raise MalformedMediaError("nobody says how many segments there are: the period has no end", where=where)
    return NumberPlan(bounded(max(0, int(count)), where), first, length, timescale, initialization, media)


def _check_variables(text: str, may: set[str], where: str) -> None:
    for name, is_known in template_variables(text).items():
        if name == "SubNumber":
            raise UnsupportedMediaError("sequences of segments ($SubNumber$) are not read", where=where)
        if not is_known or (name and name not in may):
            raise MalformedMediaError(
                f"${name[:40]}$ cannot stand in this template", where=where, seen=text[:80],
                maybe="$Time$ wants a SegmentTimeline" if name == "Time" else "",
            )  # fmt: skip


def _until(runs: Sequence[Run], last: int) -> list[Run]:
    """Without the segments behind the number `last`."""
    if last < 0:
        return list(runs)
    kept = (Run(run.time, run.duration, min(run.count, last + 1 - run.number), run.number) for run in runs)
    return [run for run in kept if run.count > 0]


def _runs(timeline: XmlElement, offset: int, timescale: int, duration: Fraction | None, number: int = 1) -> list[Run]:
    """The S elements (5.3.9.6), without segments that lie wholly outside the period."""
    end = None if duration is None else offset + duration * timescale
    entries = list(timeline.all("S"))
    runs: list[Run] = []
    time = 0
    for at, entry in enumerate(entries):
        length, repeat = unsigned(entry, "d", 0), entry.attribute("r").strip()
        if not length:
            raise MalformedMediaError("a segment of no duration", where=place(entry))
        if unsigned(entry, "k", 1) > 1:
            raise UnsupportedMediaError("sequences of segments (S@k) are not read", where=place(entry))
        time = unsigned(entry, "t", time)
        number = unsigned(entry, "n", number)
        if runs and time < runs[-1].time + runs[-1].duration * runs[-1].count:
            time = _no_overlap(runs, time, entry)
        if repeat.startswith("-"):
            following = entries[at + 1].attribute("t") if at + 1 < len(entries) else ""
            until = unsigned(entries[at + 1], "t", 0) if following else end
            if until is None:
                raise MalformedMediaError("a segment repeats until nobody says when", where=place(entry))
            count = int(-(-(until - time) // length))
            if count < 1:
                raise MalformedMediaError("a segment repeats until a time before its own", where=place(entry))
        else:
            count = unsigned(entry, "r", 0) + 1
        runs += _inside(Run(time, length, count, number), offset, end)
        number += count
        time += length * count
    return runs


def _no_overlap(runs: Sequence[Run], time: int, entry: XmlElement) -> int:
    """Some packagers round, and a segment begins a little before the end of the one in front of it."""
    if time < runs[-1].time + runs[-1].duration * (runs[-1].count - 1):
        raise MalformedMediaError("a segment begins before the one in front of it", where=place(entry))
    return time


def _inside(run: Run, offset: int, end: Fraction | None) -> Iterator[Run]:
    before = max(0, (offset - run.time) // run.duration) if run.time < offset else 0
    count = run.count - before
    if end is not None:
        behind = -(-(end - run.time) // run.duration)  # the first of them that begins at the end, or behind it
        count = min(count, int(behind) - before)
    if count > 0:
        yield Run(run.time + before * run.duration, run.duration, count, run.number + before)
