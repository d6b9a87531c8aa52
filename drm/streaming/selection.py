"""Which renditions of a period are played: one of its pictures, one of its sound."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drm.errors import InvalidArgumentError
from drm.media import TrackType
from drm.streaming.presentation import Kind, Period, Rendition, RenditionSet

__all__ = ["Chosen", "Selection", "every_rendition"]

_SIZE: Final = re.compile(r"(\d{1,6})x(\d{1,6})")
_BOTH: Final = frozenset({TrackType.VIDEO, TrackType.AUDIO})


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rendition, and which of its tracks are played."""

    rendition: Rendition
    types: frozenset[TrackType]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user wants. Empty: the best picture, the main sound."""

    variant: str = ""  # an id, a number from 1 in the order of the manifest, WxH, or bits per second
    max_height: int = 0  # pixels; 0: any
    language: str = ""  # as BCP 47 has it; "de" takes "de-AT" too

    def choose(self, period: Period) -> list[Chosen]:
        """The renditions of one period.

        Raises:
            InvalidArgumentError: it has no such variant, or no picture so small, or no such language.
        """
        pictures = [each for each in period.sets if each.kind is not Kind.AUDIO]
        sounds = [each for each in period.sets if each.kind is Kind.AUDIO]
        chosen: list[Chosen] = []
        picture = self._picture(pictures, period)
        if picture is not None and picture.sound:
            sounds = [each for each in sounds if each.group == picture.sound]
        sound = self._sound(sounds, period)
        if picture is not None:
            types = {Kind.VIDEO: frozenset({TrackType.VIDEO})}.get(picture.kind, _BOTH)
            chosen.append(Chosen(picture, types - {TrackType.AUDIO} if sound is not None else types))
        if sound is not None:
            chosen.append(Chosen(sound, frozenset({TrackType.AUDIO})))
        return chosen

    def _picture(self, sets: Sequence[RenditionSet], period: Period) -> Rendition | None:
        all_ = [rendition for each in sets for rendition in each.renditions]
        if not all_:
            return None
        if self.variant:
            found = list(self._named(all_))
            if not found:
                raise InvalidArgumentError(
                    f"period {period.name} has no variant {self.variant[:64]!r}", seen=_listed(all_)
                )
            return found[0]
        main = [each for each in sets if each.is_default] or list(sets)
        fitting = [each for each in main[0].renditions if not self.max_height or each.height <= self.max_height]
        if not fitting:
            raise InvalidArgumentError(
                f"period {period.name} has no picture of at most {self.max_height} lines", seen=_listed(all_)
            )
        return max(fitting, key=lambda each: (each.height, each.bandwidth))

    def _named(self, renditions: Sequence[Rendition]) -> Iterator[Rendition]:
        size = _SIZE.fullmatch(self.variant)
        wanted = (int(size[1]), int(size[2])) if size else None
        yield from (each for each in renditions if each.name == self.variant)
        for number, each in enumerate(renditions, 1):
            if (each.width, each.height) == wanted or self.variant in {str(number), str(each.bandwidth)}:
                yield each

    def _sound(self, sets: Sequence[RenditionSet], period: Period) -> Rendition | None:
        if not sets:
            return None
        if self.language:
            wanted = self.language.lower()
            spoken = [each for each in sets if f"{each.language.lower()}-".startswith(f"{wanted}-")]
            if not spoken:
                told = ", ".join(dict.fromkeys(each.language or "(none said)" for each in sets))
                raise InvalidArgumentError(f"period {period.name} has no sound in {self.language[:35]!r}", seen=told)
            sets = spoken
        best = next((each for each in sets if each.is_default), sets[0])
        return max(best.renditions, key=lambda each: each.bandwidth)


def every_rendition(period: Period) -> list[Chosen]:
    """All of them, with picture and sound."""
    return [Chosen(rendition, _BOTH) for rendition in period.renditions()]


def _listed(renditions: Sequence[Rendition]) -> str:
    shown = [f"{each.name}: {each.width}x{each.height}, {each.bandwidth} bit/s" for each in renditions[:16]]
    return "; ".join(shown)
