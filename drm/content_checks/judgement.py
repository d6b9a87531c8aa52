"""The shape of every check on content: a question to facts, answered yes, no or unknown, with what was seen.

"Is this wrong with it?" Yes rests on bytes that were looked at, and says which; no as well. What cannot be told is
unknown, and says why: it is never counted as sound, and accuses nobody. Nothing to ask is no answer at all.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from drm.content_checks.facts import ContentFacts

__all__ = ["Answer", "Check", "Judgement", "Level", "Summary"]

_SHOWN: Final = 3  # places that a summary names


class Answer(enum.StrEnum):
    """Whether it is wrong in the way that is asked about."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Level(enum.StrEnum):
    """What an answer of yes means to whoever made the file."""

    FAULT = "fault"  # weakens the protection, or keeps players from decoding
    ODD = "odd"  # against the standard, or a known source of trouble on devices
    INFO = "info"  # worth a look


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer. `text` tells people what was found, or why it cannot be told; `evidence` names places and values."""

    answer: Answer
    text: str = ""
    track_id: int = 0  # 0: of the whole file
    evidence: tuple[str, ...] = ()

    @classmethod
    def yes(cls, text: str, *evidence: str, track_id: int = 0) -> Judgement:
        """It is wrong, and this was seen."""
        return cls(Answer.YES, text, track_id, evidence)

    @classmethod
    def no(cls, track_id: int = 0) -> Judgement:
        """It was looked at, and is in order."""
        return cls(Answer.NO, "", track_id)

    @classmethod
    def unknown(cls, why: str, track_id: int = 0) -> Judgement:
        """It cannot be told."""
        return cls(Answer.UNKNOWN, why, track_id)


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `requirement` is the id of the rule of conformance that it asks about; empty: none."""

    code: str
    requirement: str
    level: Level
    means: str  # what yes means, in a sentence
    remedy: str  # what to do then
    ask: Callable[[ContentFacts], Iterable[Judgement]]


@dataclass(slots=True)
class Summary:
    """The answers of one question at many places of a file (fragments, samples), in memory that does not grow."""

    place: str = "place"  # what one place is called: "fragment", "sample"
    counts: dict[Answer, int] = field(default_factory=lambda: dict.fromkeys(Answer, 0))
    _first: dict[Answer, Judgement] = field(default_factory=dict)
    _evidence: list[str] = field(default_factory=list)

    def add(self, judgement: Judgement | None, place: str = "") -> None:
        """Take one answer, of a `place` that is called so; None: there was nothing to ask."""
        if judgement is None:
            return
        if place and judgement.answer is not Answer.NO:
            self.place = place
        self.counts[judgement.answer] += 1
        self._first.setdefault(judgement.answer, judgement)
        if judgement.answer is Answer.YES and len(self._evidence) < _SHOWN:
            self._evidence += judgement.evidence

    def judgement(self) -> Judgement | None:
        """The answer for all places: yes if it is so at any, unknown if at any it could not be told."""
        for answer in (Answer.YES, Answer.UNKNOWN, Answer.NO):
            if first := self._first.get(answer):
                more = self.counts[answer] - 1
                also = f" (and {more} more {self.place}{'s' if more > 1 else ''})" if more and first.text else ""
                shown = tuple(self._evidence) if answer is Answer.YES else ()
                return Judgement(answer, first.text + also, first.track_id, shown)
        return None
