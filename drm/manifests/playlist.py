"""An HLS playlist as lines that keep their bytes (RFC 8216): tags that matter here are read, all others pass through.

The playlist is not trusted: its size, its lines and their number are bounded, and nothing it names is fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from drm.errors import MalformedMediaError

__all__ = ["Line", "attributes", "parse_playlist"]

_MAX_PLAYLIST: Final = 16 << 20  # bytes
_MAX_LINES: Final = 1_000_000
_MAX_LINE: Final = 1 << 16
_ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]++)=("[^"]*+"|[^",]*+)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    number: int
    text: str  # without its end
    end: str  # "\n", "\r\n", or nothing at the end of the file

    @property
    def tag(self) -> str:
        """`#EXT-X-KEY` of `#EXT-X-KEY:…`; empty for what is no tag."""
        return self.text.partition(":")[0].rstrip() if self.text.startswith("#EXT") else ""

    @property
    def is_uri(self) -> bool:
        """A segment, or a media playlist."""
        return bool(self.text.strip()) and not self.text.startswith("#")


def parse_playlist(data: bytes) -> list[Line]:
    """Split a playlist into lines; joined again they are the same bytes.

    Raises:
        MalformedMediaError: it is none, or larger than any.
    """
    if len(data) > _MAX_PLAYLIST:
        raise MalformedMediaError(f"the playlist has {len(data)} bytes, more than {_MAX_PLAYLIST} are not read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedMediaError("the playlist is not UTF-8", where=f"byte {error.start}") from None
    raw = text.split("\n")
    if raw[0].lstrip("\ufeff").rstrip("\r \t") != "#EXTM3U":
        raise MalformedMediaError("this is no HLS playlist: its first line is not #EXTM3U")
    if len(raw) > _MAX_LINES:
        raise MalformedMediaError(f"the playlist has {len(raw)} lines, more than {_MAX_LINES} are not read")
    lines = []
    for number, part in enumerate(raw, 1):
        if len(part) > _MAX_LINE:
            raise MalformedMediaError(f"a line of {len(part)} characters", where=f"line {number} of the playlist")
        newline = "\n" if number < len(raw) else ""
        if part.endswith("\r"):
            part, newline = part[:-1], "\r" + newline  # noqa: PLW2901 - the line without its end
        if part or newline:
            lines.append(Line(number, part, newline))
    return lines


def attributes(line: Line) -> dict[str, str]:
    """The attribute list of a tag (4.2), quotes taken off."""
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.text.partition(":")[2])}
