"""An MPD as a presentation: periods, adaptation sets and representations (ISO/IEC 23009-1, 5.3).

What is not read is refused by name, or listed among what is passed over. The reader of the document is
`drm.manifests.mpd_document`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from drm.bounded_xml import XmlElement
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.manifests.key_ids import Statement, protection_statements
from drm.manifests.mpd_document import parse_mpd
from drm.streaming.mpd_addressing import addressing
from drm.streaming.mpd_timing import period_times, place, unsigned
from drm.streaming.presentation import Kind, Period, Rendition, RenditionSet, StreamPresentation

__all__ = ["read_mpd"]

_XLINK: Final = "http://www.w3.org/1999/xlink"
_TO_NOTHING: Final = "urn:mpeg:dash:resolve-to-zero:2013"
_MOST_RENDITIONS: Final = 4096
_TRICK: Final = "http://dashif.org/guidelines/trickmode"
_KNOWN_ESSENTIAL: Final = ("urn:mpeg:mpegb:cicp:", "urn:mpeg:dash:preselection:2016")
_MOST_LISTED: Final = 64  # of what is passed over


def read_mpd(data: bytes, url: str, *, as_listed: bool = False) -> StreamPresentation:
    """Read an MPD whose bytes came from `url` (behind redirects). `as_listed`: a live one is played as it stands.

    Raises:
        MalformedMediaError: no MPD, or one that breaks its format.
        UnsupportedMediaError: it is live, or refers to other documents.
    """
    root = parse_mpd(data)
    _refuse_links(root)
    if root.attribute("type").strip() == "dynamic" and not as_listed:
        raise UnsupportedMediaError(
            "this MPD is live (type dynamic), and live presentations are not played",
            where=place(root),
            maybe="Shaka Packager writes that of finished files without --generate_static_live_mpd",
            remedy="add --as-listed: what it lists now is played to its end",
        )
    elements = [each for each in root.all("Period") if not _is_nothing(each)]
    if not elements:
        raise MalformedMediaError(
            "the MPD has no period",
            where=place(root),
            maybe="its packager has not written any yet, or it was cut",
        )
    reading = _Reading(root, url)
    times = period_times(root, elements)
    periods = [
        reading.period(element, number, start, duration)
        for number, (element, (start, duration)) in enumerate(zip(elements, times, strict=True), 1)
    ]
    return StreamPresentation("DASH", tuple(periods), tuple(reading.passed_over), tuple(_holes(periods)))


def _refuse_links(root: XmlElement) -> None:
    """Remote elements (5.5): what would be fetched could say anything, so the whole manifest is refused."""
    for element in root.walk():
        name = next((name for name in element.written if name.rpartition(":")[2] == "href"), None)
        if name is None or element.prefixes.get(name.rpartition(":")[0], "") != _XLINK:
            continue
        if not _is_nothing(element):
            raise UnsupportedMediaError(
                f"a {element.name} that stands in another document (xlink) is not fetched",
                where=place(element),
                remedy="have the packager write it into the MPD",
            )


def _is_nothing(element: XmlElement) -> bool:
    return element.attribute("href").strip() == _TO_NOTHING


def _holes(periods: list[Period]) -> Iterator[str]:
    for before, after in itertools.pairwise(periods):
        if before.duration is not None and before.start + before.duration < after.start:
            seconds = float(after.start - before.start - before.duration)
            yield f"between period {before.name} and period {after.name} are {seconds:.3f} s without media"


class _Reading:
    """Goes through one MPD."""

    def __init__(self, root: XmlElement, url: str) -> None:
        self._root, self._url = root, url
        self._count = 0
        self.passed_over: list[str] = []

    def period(self, element: XmlElement, number: int, start: Fraction, duration: Fraction | None) -> Period:
        name = element.attribute("id").strip()[:64] or str(number)
        sets = [
            found
            for at, each in enumerate(element.all("AdaptationSet"), 1)
            if not _is_nothing(each) and (found := self._set(element, each, at, duration)) is not None
        ]
        if not sets and not any(True for _ in element.all("AdaptationSet")):
            self._pass_over(f"period {name}: it has no adaptation set")
        return Period(name, start, duration, tuple(sets))

    def _set(
        self, period: XmlElement, element: XmlElement, number: int, duration: Fraction | None
    ) -> RenditionSet | None:
        named = f"adaptation set {element.attribute('id').strip()[:64] or number} (line {element.line})"
        if (reason := _not_played(element)) or not (representations := list(element.all("Representation"))):
            self._pass_over(f"{named}: {reason or 'it has no representation'}")
            return None
        kind = _kind(element, representations[0])
        if kind is None:
            self._pass_over(f"{named}: it is neither picture nor sound")
            return None
        language = element.attribute("lang").strip()[:35]
        around = tuple(self._statements(element, named))
        renditions = []
        for at, each in enumerate(representations, 1):
            if reason := _not_played(each):
                self._pass_over(f"representation {each.attribute('id')[:64]} in line {each.line}: {reason}")
                continue
            self._count += 1
            if self._count > _MOST_RENDITIONS:
                raise UnsupportedMediaError(
                    f"the MPD has more than {_MOST_RENDITIONS} representations", where=place(each)
                )
            found = addressing((self._root, period, element, each), self._url, duration)
            renditions.append(
                Rendition(
                    name=each.attribute("id").strip()[:64] or f"{number}.{at}",
                    kind=kind,
                    plan=found.plan,
                    bandwidth=unsigned(each, "bandwidth", 0),
                    width=unsigned(each, "width", unsigned(element, "width", 0)),
                    height=unsigned(each, "height", unsigned(element, "height", 0)),
                    codecs=(each.attribute("codecs") or element.attribute("codecs")).strip()[:256],
                    language=language,
                    offset=found.offset,
                    statements=(*around, *self._statements(each, named)),
                    source=found.index,
                )
            )
        if not renditions:
            return None
        roles = tuple(role.attribute("value").strip()[:64] for role in element.all("Role"))
        return RenditionSet(
            element.attribute("id").strip()[:64] or str(number),
            kind,
            tuple(renditions),
            language,
            roles,
            "main" in roles,
        )

    def _statements(self, element: XmlElement, where: str) -> Iterator[Statement]:
        for protection in element.all("ContentProtection"):
            yield from protection_statements(protection, where)

    def _pass_over(self, what: str) -> None:
        if len(self.passed_over) < _MOST_LISTED:
            self.passed_over.append(what)


def _not_played(element: XmlElement) -> str:
    """Why a set or a representation is passed over; empty: it is not."""
    for essential in element.all("EssentialProperty"):
        scheme = essential.attribute("schemeIdUri").strip()
        if scheme == _TRICK:
            return "it is for trick play"
        if not scheme.lower().startswith(_KNOWN_ESSENTIAL):
            return f"it demands {scheme[:100]!r} (EssentialProperty), which is not known here"
    return ""


def _kind(element: XmlElement, representation: XmlElement) -> Kind | None:
    """By content type, else media type, of the set, else of its first representation (5.3.3.2)."""
    told = [element.attribute("contentType")]
    told += [each.attribute("mimeType") for each in (element, representation)]
    for text in told:
        first = text.strip().lower().partition("/")[0]
        if first in {"video", "audio"}:
            codecs = (representation.attribute("codecs") or element.attribute("codecs")).split(",")
            return (
                Kind.MIXED if first == "video" and len([each for each in codecs if each.strip()]) > 1 else Kind(first)
            )
        if first:
            return None
    return Kind.MIXED
