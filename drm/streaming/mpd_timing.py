"""When the periods of an MPD begin and how long they last; its numbers and durations (ISO/IEC 23009-1, 5.3.2).

Times are fractions of a second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from drm.bounded_xml import XmlElement
from drm.errors import MalformedMediaError

__all__ = ["parse_duration", "period_times", "place", "unsigned"]

_DURATION: Final = re.compile(
    r"P(?:(\d{1,20})Y)?(?:(\d{1,20})M)?(?:(\d{1,20})D)?"
    r"(?:T(?:(\d{1,20})H)?(?:(\d{1,20})M)?(?:(\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})S)?)?"
)
_UNSIGNED: Final = re.compile(r"\+?(\d{1,20})")
_LONGEST: Final = 100 * 366 * 86_400  # seconds


def unsigned(element: XmlElement, name: str, default: int) -> int:
    """The attribute as a number. Raises MalformedMediaError for what is none."""
    text = element.attribute(name).strip()
    if not text:
        return default
    found = _UNSIGNED.fullmatch(text)
    if found is None:
        raise MalformedMediaError(f"{name} is no number of up to 20 digits", where=place(element), seen=repr(text[:32]))
    return int(found[1])


def parse_duration(element: XmlElement, name: str) -> Fraction | None:
    """The attribute, an xs:duration, in seconds; None where it is not there.

    Raises:
        MalformedMediaError: it is none, is negative, or longer than a hundred years.
    """
    text = element.attribute(name).strip()
    if not text:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise MalformedMediaError(f"{name} is no duration, as PT1M30.5S is", where=place(element), seen=repr(text[:32]))
    years, months, days, hours, minutes = (int(each or 0) for each in found.groups()[:5])
    whole = ((years * 365 + months * 30 + days) * 24 + hours) * 3600 + minutes * 60
    seconds = whole + Fraction(found[6] or 0)
    if seconds > _LONGEST:
        raise MalformedMediaError(f"{name} is longer than a hundred years", where=place(element), seen=repr(text[:32]))
    return seconds


def period_times(root: XmlElement, periods: Sequence[XmlElement]) -> list[tuple[Fraction, Fraction | None]]:
    """Start and duration of each period (5.3.2.1); None: until its media end.

    Raises:
        MalformedMediaError: a period begins before the one in front of it, or nobody can say when.
    """
    whole = parse_duration(root, "mediaPresentationDuration")
    told = [(parse_duration(each, "start"), parse_duration(each, "duration")) for each in periods]
    starts: list[Fraction] = []
    for number, (own, _duration) in enumerate(told):
        start = own
        if start is None:
            before = told[number - 1][1] if number else Fraction(0)
            if before is None:
                raise MalformedMediaError(
                    "nobody can say when this period begins: it has no start, and the one before it no duration",
                    where=place(periods[number]),
                    maybe="it is announced early, for a time that is not known yet",
                )
            start = (starts[-1] if starts else Fraction(0)) + before
        if starts and start < starts[-1]:
            raise MalformedMediaError("a period begins before the one in front of it", where=place(periods[number]))
        starts.append(start)
    times = []
    for number, (start, (_start, duration)) in enumerate(zip(starts, told, strict=True)):
        until = starts[number + 1] if number + 1 < len(starts) else whole
        lasts = None if until is None else max(Fraction(0), until - start)
        # What is shorter counts: behind its own duration a hole may follow.
        lengths = [each for each in (lasts, duration) if each is not None]
        times.append((start, min(lengths) if lengths else None))
    return times


def place(element: XmlElement) -> str:
    """Where an element stands, for people."""
    return f"{element.name} in line {element.line} of the MPD"
