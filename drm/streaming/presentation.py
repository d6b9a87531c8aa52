"""A streamed presentation as values: periods, sets, renditions, and a plan that computes each segment when it is asked.

DASH and HLS come to the same. A segment list is a function, never a list of what a manifest merely counts: a thousand
renditions of a hundred thousand segments cost as much as their manifest. Nothing here is trusted, and nothing is
fetched. Times are fractions of a second.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Protocol

from drm.keys import KeyId
from drm.manifests.key_ids import Statement

__all__ = [
    "MOST_SEGMENTS", "Kind", "Period", "Piece", "Rendition", "RenditionSet", "Segment", "SegmentPlan",
    "StreamPresentation",
]  # fmt: skip

MOST_SEGMENTS: Final = 100_000
"""Segments of one rendition and period that are looked at."""


class Kind(enum.StrEnum):
    """What a rendition carries, as far as its manifest says."""

    VIDEO = "video"
    AUDIO = "audio"
    MIXED = "mixed"  # both, or nobody says


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a resource."""

    uris: tuple[str, ...]  # of the same bytes, in the manifest's order; resolved
    start: int = 0
    size: int | None = None  # None: to the end

    @property
    def is_whole(self) -> bool:
        """Whether it is the resource as it is."""
        return self.start == 0 and self.size is None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: where its bytes are, and when its manifest says that it plays. Its samples say so themselves."""

    index: int  # in its plan, from 0
    start: Fraction  # seconds from the beginning of its period
    duration: Fraction  # seconds; 0: nobody says
    initialization: Piece | None  # None: it begins with it
    media: Piece


class SegmentPlan(Protocol):
    """The segments of one rendition in one period."""

    @property
    def count(self) -> int:
        """How many there are."""

    def segment(self, index: int) -> Segment:
        """The segment of this index, from 0 to `count`, less one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendition:
    """One way to have what its set shows (Representation; variant or EXT-X-MEDIA)."""

    name: str  # its id, for people and for --variant
    kind: Kind
    plan: SegmentPlan | None  # None: it has to be read first, see `source`
    bandwidth: int = 0  # bits per second
    width: int = 0  # pixels
    height: int = 0
    codecs: str = ""
    language: str = ""
    offset: Fraction | None = Fraction(0)  # media time at which its period begins; None: with its first sample
    statements: tuple[Statement, ...] = ()  # of key ids and licenses
    key_lines: tuple[str, ...] = ()  # HLS's, in words, without what may be a key
    source: object = None  # where the plan has to be read from: the form's own
    sound: str = ""  # of which set its sound comes; HLS's GROUP-ID

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """Every key id that its manifest names; KID zero names none."""
        named = (kid for statement in self.statements for kid in statement.key_ids if any(kid.value))
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True, eq=False)
class RenditionSet:
    """Renditions of the same thing (AdaptationSet; EXT-X-MEDIA of one group and name)."""

    name: str
    kind: Kind
    renditions: tuple[Rendition, ...]
    language: str = ""
    roles: tuple[str, ...] = ()
    is_default: bool = False
    group: str = ""  # HLS's GROUP-ID


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """A stretch of time with sets of its own."""

    name: str
    start: Fraction
    duration: Fraction | None  # None: until its media end
    sets: tuple[RenditionSet, ...]

    def renditions(self) -> Iterator[Rendition]:
        """Those of all sets."""
        return (rendition for each in self.sets for rendition in each.renditions)


@dataclass(frozen=True, slots=True, eq=False)
class StreamPresentation:
    """What a manifest shows."""

    form: str  # "DASH", "HLS"
    periods: tuple[Period, ...]
    passed_over: tuple[str, ...] = ()  # what is in the manifest and is not played, each with its reason
    notes: tuple[str, ...] = field(default=())
