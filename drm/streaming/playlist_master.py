"""A multivariant playlist as one period of sets (HLS, draft-pantos-hls-rfc8216bis, 4.4.6). Lines in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from urllib.parse import urljoin

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.manifests.playlist import Context, Line, attributes, defined, parse_playlist, split_query
from drm.streaming.presentation import Kind, Period, Rendition, RenditionSet, StreamPresentation

__all__ = ["PlaylistReference", "read_multivariant", "single_playlist"]

_MOST_RENDITIONS: Final = 4096
_RESOLUTION: Final = re.compile(r"(\d{1,6})x(\d{1,6})")
_SOUND: Final = ("mp4a", "ac-3", "ec-3", "ac-4", "opus", "flac", "alac", "vorbis", "mp3")
_MOST_LISTED: Final = 64  # of what is passed over


@dataclass(frozen=True, slots=True)
class PlaylistReference:
    """A media playlist that has to be read."""

    url: str
    context: Context
    data: bytes | None = None  # of one that is here already


def single_playlist(data: bytes, url: str) -> StreamPresentation:
    """A media playlist that was given by itself: one rendition, of whatever is in it."""
    reference = PlaylistReference(url, Context(query=split_query(url)[1]), data)
    rendition = Rendition("1", Kind.MIXED, None, offset=None, source=reference)
    only = RenditionSet("1", Kind.MIXED, (rendition,), is_default=True)
    return StreamPresentation("HLS", (Period("1", Fraction(0), None, (only,)),))


def read_multivariant(data: bytes, url: str) -> StreamPresentation:
    """Read a multivariant playlist whose bytes came from `url` (behind redirects).

    Raises:
        MalformedMediaError: it breaks the format, or a variable is not defined.
        UnsupportedMediaError: it has more renditions than are looked at.
    """
    lines, variables = defined(parse_playlist(data), Context(query=split_query(url)[1]))
    reading = _Reading(url, variables)
    sounds = list(reading.sounds(lines))
    groups = {each.group for each in sounds}
    variants = reading.variants(lines, groups)
    if not variants and not sounds:
        raise MalformedMediaError("the playlist names no variant")
    sets = list(sounds)
    if variants:
        kinds = {each.kind for each in variants}
        kind = kinds.pop() if len(kinds) == 1 else Kind.MIXED
        sets.insert(0, RenditionSet("variants", kind, tuple(variants), is_default=True))
    return StreamPresentation("HLS", (Period("1", Fraction(0), None, tuple(sets)),), tuple(reading.passed_over))


class _Reading:
    """Goes through one multivariant playlist."""

    def __init__(self, url: str, variables: Mapping[str, str]) -> None:
        self._url = url
        self._variables = variables
        self._count = 0
        self.passed_over: list[str] = []

    def sounds(self, lines: Sequence[Line]) -> list[RenditionSet]:
        """EXT-X-MEDIA of sound that has a playlist of its own; what has none is inside the variant."""
        found: list[RenditionSet] = []
        for line in lines:
            if line.tag in {"#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-IMAGE-STREAM-INF"}:
                self._pass_over(f"line {line.number}: pictures for trick play")
            if line.tag == "#EXT-X-CONTENT-STEERING":
                self._pass_over(f"line {line.number}: content steering")
            if line.tag != "#EXT-X-MEDIA":
                continue
            told = attributes(line)
            kind, name, group = told.get("TYPE", ""), told.get("NAME", "")[:64], told.get("GROUP-ID", "")[:64]
            if kind != "AUDIO":
                self._pass_over(f"line {line.number}: {kind.lower()[:32] or 'no type'} {name!r}")
                continue
            if "URI" not in told:
                continue
            rendition = Rendition(
                name=f"{group}/{name}",
                kind=Kind.AUDIO,
                plan=None,
                language=told.get("LANGUAGE", "")[:35],
                offset=None,
                source=self._reference(told["URI"], line),
            )
            is_default = told.get("DEFAULT") == "YES"
            found.append(RenditionSet(name, Kind.AUDIO, (rendition,), rendition.language, (), is_default, group))
        return found

    def variants(self, lines: Sequence[Line], groups: set[str]) -> list[Rendition]:
        """Each media playlist once, under the first variant that names it."""
        found: dict[str, Rendition] = {}
        told: dict[str, str] | None = None
        for line in lines:
            if line.tag == "#EXT-X-STREAM-INF":
                told = attributes(line)
            elif line.is_uri and told is not None:
                reference = self._reference(line.read.strip(), line)
                if reference.url not in found:
                    found[reference.url] = _variant(told, reference, len(found) + 1, groups)
                told = None
        return list(found.values())

    def _reference(self, uri: str, line: Line) -> PlaylistReference:
        self._count += 1
        if self._count > _MOST_RENDITIONS:
            raise UnsupportedMediaError(
                f"the playlist names more than {_MOST_RENDITIONS} others", where=f"line {line.number}"
            )
        if "{$" in uri:
            raise MalformedMediaError(
                "a variable is not defined: the playlist's own URL has no such parameter",
                where=f"line {line.number} of the playlist",
                seen=uri[:80],
            )
        try:
            url = urljoin(self._url, uri)
        except ValueError:
            raise MalformedMediaError(
                "this is no URI", where=f"line {line.number} of the playlist", seen=repr(uri[:80])
            ) from None
        return PlaylistReference(url, Context(self._variables, split_query(url)[1]))

    def _pass_over(self, what: str) -> None:
        if len(self.passed_over) < _MOST_LISTED:
            self.passed_over.append(what)


def _variant(told: Mapping[str, str], reference: PlaylistReference, number: int, groups: set[str]) -> Rendition:
    codecs = [each.strip().lower() for each in told.get("CODECS", "").split(",") if each.strip()]
    is_sound = [each.startswith(_SOUND) for each in codecs]
    has_own_sound = told.get("AUDIO", "") in groups
    if codecs and all(is_sound):
        kind = Kind.MIXED if not has_own_sound else Kind.AUDIO
    else:
        kind = Kind.VIDEO if has_own_sound else Kind.MIXED
    size = _RESOLUTION.fullmatch(told.get("RESOLUTION", ""))
    bandwidth = told.get("BANDWIDTH", "")
    return Rendition(
        name=str(number),
        kind=Kind.MIXED if kind is Kind.AUDIO else kind,
        plan=None,
        bandwidth=int(bandwidth) if bandwidth.isdecimal() and bandwidth.isascii() and len(bandwidth) <= 20 else 0,
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        codecs=",".join(codecs)[:256],
        offset=None,
        source=reference,
        sound=told.get("AUDIO", "") if has_own_sound else "",
    )
