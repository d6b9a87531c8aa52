"""A media playlist as segments (HLS, draft-pantos-hls-rfc8216bis, 4.4.3 and 4.4.4). Lines in, values out.

The reader of lines, variables and keys is `drm.manifests`'. What a line asks for that is not done here is refused by
name, or noted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from urllib.parse import urljoin

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.manifests.key_ids import Statement, key_line_statements
from drm.manifests.playlist import Context, Line, attributes, defined, parse_playlist
from drm.manifests.playlist_keys import KeyGroup, KeyLine, segment_groups
from drm.streaming.presentation import Piece, Segment
from drm.streaming.segment_plans import bounded

__all__ = ["MediaPlaylist", "PlaylistSegment", "is_multivariant", "joined_plan", "read_media_playlist", "url_name"]

_BYTE_RANGE: Final = re.compile(r"(\d{1,18})(?:@(\d{1,18}))?")
_SECONDS: Final = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})")
_MULTIVARIANT: Final = frozenset({"#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"})


@dataclass(frozen=True, slots=True)
class PlaylistSegment:
    """A segment with what holds for it."""

    segment: Segment  # its start counts from the beginning of the playlist
    discontinuity: int  # its discontinuity sequence
    keys: tuple[KeyLine, ...]


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """What a media playlist lists."""

    segments: tuple[PlaylistSegment, ...]
    notes: tuple[str, ...]

    def statements(self) -> tuple[Statement, ...]:
        """What its key lines say of key ids, each line once."""
        lines = {key.line.number: key for each in self.segments for key in each.keys}
        found = (
            statement
            for key in lines.values()
            for statement in key_line_statements(attributes(key.line), f"{key.line.tag[1:]} in line {key.line.number}")
        )
        return tuple(found)

    def key_lines(self) -> tuple[str, ...]:
        """Its key lines in words, each once. What stands in a data: URI may be a key, and is not told."""
        lines = {key.line.number: key for each in self.segments for key in each.keys}
        return tuple(map(_in_words, lines.values()))


def _in_words(key: KeyLine) -> str:
    uri = key.uri.lower()
    leads = "no URI"
    if uri.startswith("data:"):
        leads = "a data: URI, of which no key is taken"
    elif uri:
        leads = f"a URI of {uri.partition(':')[0][:32]}:, which is not asked"
    return f"line {key.line.number}: {key.method[:32]}, KEYFORMAT {key.key_format[:64]!r}, {leads}"


def is_multivariant(lines: Sequence[Line]) -> bool:
    """Whether it names other playlists, rather than segments."""
    return any(line.tag in _MULTIVARIANT for line in lines)


def read_media_playlist(
    data: bytes, url: str, context: Context | None = None, *, as_listed: bool = False
) -> MediaPlaylist:
    """Read a media playlist whose bytes came from `url` (behind redirects).

    `context`: what the playlist that names it defines. `as_listed`: one without an end is played as it stands.

    Raises:
        MalformedMediaError: it breaks the format, or a variable is not defined.
        UnsupportedMediaError: it is live, or encrypted in a way that is not read.
    """
    lines, _variables = defined(parse_playlist(data), context)
    tags = {line.tag for line in lines}
    if is_multivariant(lines):
        raise MalformedMediaError("a playlist of playlists where one of segments belongs", where=url_name(url))
    _refuse(lines, tags, url, as_listed=as_listed)
    reading = _Reading(url)
    groups = {line.number: group for group, line in segment_groups(lines)}
    for line in lines:
        reading.take(line, groups.get(line.number))
    return MediaPlaylist(tuple(reading.segments), tuple(reading.notes))


def _refuse(lines: Sequence[Line], tags: set[str], url: str, *, as_listed: bool) -> None:
    if "#EXT-X-I-FRAMES-ONLY" in tags:
        raise UnsupportedMediaError("a playlist of single pictures, for trick play, is not played", where=url_name(url))
    if "#EXT-X-SKIP" in tags:
        raise UnsupportedMediaError(
            "this playlist leaves out segments that an older one had (EXT-X-SKIP)", where=url_name(url)
        )
    kind = next((line.read.partition(":")[2].strip() for line in lines if line.tag == "#EXT-X-PLAYLIST-TYPE"), "")
    if "#EXT-X-ENDLIST" not in tags and kind != "VOD" and not as_listed:
        raise UnsupportedMediaError(
            "this playlist is live (it has no EXT-X-ENDLIST), and live presentations are not played",
            where=url_name(url),
            maybe="the packager has not finished it",
            remedy="add --as-listed: what it lists now is played to its end",
        )


class _Reading:
    """Goes through one media playlist."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.segments: list[PlaylistSegment] = []
        self.notes: dict[str, None] = {}
        self._start = self._length = Fraction(0)
        self._discontinuity = 0
        self._range = ""
        self._is_gap = False
        self._ends: dict[str, int] = {}  # by URI, behind its last range

    def take(self, line: Line, group: KeyGroup | None) -> None:
        """One line; `group`, of a segment's."""
        value = line.read.partition(":")[2].strip()
        match line.tag:
            case "#EXTINF":
                found = _SECONDS.match(value)
                if found is None:
                    raise MalformedMediaError("a segment without its duration", where=_where(line), seen=value[:32])
                self._length = Fraction(found[1])
            case "#EXT-X-BYTERANGE":
                self._range = value.strip('"')
            case "#EXT-X-GAP":
                self._is_gap = True
            case "#EXT-X-DISCONTINUITY":
                self._discontinuity += 1
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                if self.segments or not value.isdecimal() or len(value) > 20:
                    raise MalformedMediaError(
                        "a discontinuity sequence is a number before all segments", where=_where(line)
                    )
                self._discontinuity += int(value)
            case "#EXT-X-PART" | "#EXT-X-PRELOAD-HINT":
                self.notes.setdefault("parts of segments are passed over: the whole segments are played")
        if group is not None:
            self._segment(line, group)

    def _segment(self, line: Line, group: KeyGroup) -> None:
        for key in group.keys:
            self._look_at(key)
        uri = self._resolved(line.read.strip(), line)
        media = self._piece(uri, self._range, line)
        head = None
        if group.map_uri:
            head = self._piece(self._resolved(group.map_uri, line), group.map_range, line, is_map=True)
        if self._is_gap:
            self.notes.setdefault("segments that the playlist calls gaps (EXT-X-GAP) are left out")
        else:
            segment = Segment(len(self.segments), self._start, self._length, head, media)
            self.segments.append(PlaylistSegment(segment, self._discontinuity, tuple(group.keys)))
            bounded(len(self.segments), _where(line))
        self._start += self._length
        self._length, self._range, self._is_gap = Fraction(0), "", False

    def _look_at(self, key: KeyLine) -> None:
        if key.method == "AES-128":
            raise UnsupportedMediaError(
                "whole segments are encrypted (METHOD=AES-128): the application must not decrypt them",
                where=_where(key.line),
                remedy="have the packager write SAMPLE-AES or SAMPLE-AES-CTR with fMP4 segments",
            )
        if key.method.startswith("SAMPLE-AES"):
            if key.is_clearkey and key.uri.lower().startswith(("http:", "https:")):
                self.notes.setdefault("the URLs of keys are not asked: licenses and --key alone bring keys")
            return
        raise UnsupportedMediaError(f"METHOD={key.method[:32]} is not known", where=_where(key.line))

    def _resolved(self, uri: str, line: Line) -> str:
        if "{$" in uri:
            raise MalformedMediaError(
                "a variable is not defined: the playlist that names this one does not define it, or its URL has no "
                "such parameter",
                where=_where(line),
                seen=uri[:80],
            )
        try:
            return urljoin(self._url, uri)
        except ValueError:
            raise MalformedMediaError("this is no URI", where=_where(line), seen=repr(uri[:80])) from None

    def _piece(self, uri: str, range_: str, line: Line, *, is_map: bool = False) -> Piece:
        """Without an offset, a range lies behind the last one of the same resource (4.4.4.2); a map's, at its start."""
        if not range_:
            self._ends.pop(uri, None)
            return Piece((uri,))
        found = _BYTE_RANGE.fullmatch(range_)
        if found is None:
            raise MalformedMediaError("this is no range of bytes, as 1024@0 is", where=_where(line), seen=range_[:48])
        start = int(found[2]) if found[2] else 0 if is_map else self._ends.get(uri, -1)
        if start < 0:
            raise MalformedMediaError(
                "a range without an offset, and no range of the same file before it", where=_where(line)
            )
        if not is_map:
            self._ends = {uri: start + int(found[1])}
        return Piece((uri,), start, int(found[1]))


def _where(line: Line) -> str:
    return f"line {line.number} of the playlist"


def url_name(url: str) -> str:
    """The last part of a URL, for people."""
    return url.partition("?")[0].rpartition("/")[2][:100] or "the playlist"


def joined_plan(segments: Sequence[PlaylistSegment]) -> tuple[Segment, ...]:
    """The segments of a part of a playlist, numbered and timed anew."""
    begin = segments[0].segment.start if segments else Fraction(0)
    return tuple(
        Segment(
            index, each.segment.start - begin, each.segment.duration, each.segment.initialization, each.segment.media
        )
        for index, each in zip(itertools.count(), segments, strict=False)
    )
