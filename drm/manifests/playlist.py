"""An HLS playlist as lines that keep their bytes (RFC 8216): tags that matter here are read, all others pass through.

Variables (`EXT-X-DEFINE`, RFC 8216bis, 4.4.2.3) are put in where lines are read, and stay as they are where these are
written again. The playlist is not trusted: its size, its lines, their number and what variables make of them are
bounded, and nothing it names is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drm.errors import MalformedMediaError

__all__ = ["KEY", "MAP", "SESSION_KEY", "Context", "Line", "attributes", "defined", "parse_playlist", "split_query"]

KEY, MAP, SESSION_KEY = "#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-SESSION-KEY"
_DEFINE: Final = "#EXT-X-DEFINE"
_READ: Final = frozenset({KEY, MAP, SESSION_KEY, "#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-MEDIA"})
_MAX_PLAYLIST: Final = 16 << 20  # bytes, and characters once variables are put in
_MAX_LINES: Final = 1_000_000
_MAX_LINE: Final = 1 << 16
_ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]++)=("[^"]*+"|[^",]*+)(?:,|$)')
_VARIABLE: Final = re.compile(r"\{\$([A-Za-z0-9_-]{1,256})\}")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a media playlist from the one that names it."""

    variables: Mapping[str, str] = field(default_factory=dict)  # of the multivariant playlist, for IMPORT
    query: str | None = None  # of the URI by which it was named, for QUERYPARAM; None: its URI is not known
    codecs: tuple[str, ...] = ()  # that its variants name


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    number: int
    text: str  # without its end
    end: str  # "\n", "\r\n", or nothing at the end of the file
    put_in: str | None = None  # the text with its variables put in, where it has any

    @property
    def read(self) -> str:
        """The text as it is to be understood."""
        return self.text if self.put_in is None else self.put_in

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
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.read.partition(":")[2])}


def split_query(uri: str) -> tuple[str, str]:
    """A URI without its query and fragment, and these with the character that begins them."""
    at = min((found for found in (uri.find("?"), uri.find("#")) if found >= 0), default=len(uri))
    return uri[:at], uri[at:]


def defined(lines: Sequence[Line], context: Context | None = None) -> tuple[list[Line], dict[str, str]]:
    """Put variables into the lines that are read here. Returns the lines, and every variable with its value.

    A variable whose value stands elsewhere, in a multivariant playlist or in the playlist's own URL, and is not known
    stays as it is.

    Raises:
        MalformedMediaError: a variable is defined nowhere before it, or twice; or they make too much of the playlist.
    """
    values: dict[str, str] = {}
    elsewhere: set[str] = set()
    done: list[Line] = []
    total = 0
    for line in lines:
        new = line
        if line.tag == _DEFINE:
            _define(line, values, elsewhere, context or Context())
        elif "{$" in line.text and (line.is_uri or line.tag in _READ):
            new = replace(line, put_in=_put_in(line, values, elsewhere))
        total += len(new.read)
        if total > _MAX_PLAYLIST:
            raise MalformedMediaError(
                f"variables make more than {_MAX_PLAYLIST} characters of the playlist", where=f"line {line.number}"
            )
        done.append(new)
    return done, values


def _define(line: Line, values: dict[str, str], elsewhere: set[str], context: Context) -> None:
    told = attributes(line)
    name = told.get("NAME") or told.get("IMPORT") or told.get("QUERYPARAM") or ""
    if not _VARIABLE.fullmatch(f"{{${name}}}"):
        raise MalformedMediaError("EXT-X-DEFINE defines nothing that is a name", where=f"line {line.number}")
    if name in values or name in elsewhere:
        raise MalformedMediaError(f"the variable {name} is defined twice", where=f"line {line.number}")
    if "NAME" in told:
        values[name] = told.get("VALUE", "")
        return
    value = context.variables.get(name) if "IMPORT" in told else _parameter(context.query, name)
    if value is None:
        elsewhere.add(name)
    else:
        values[name] = value


def _parameter(query: str | None, name: str) -> str | None:
    """The value of a parameter as it stands in the URL, since it will stand in one again."""
    pairs = (part.partition("=") for part in (query or "").partition("#")[0].lstrip("?").split("&"))
    return next((value for key, _, value in pairs if key == name), None)


def _put_in(line: Line, values: Mapping[str, str], elsewhere: set[str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] in values:
            return values[found[1]]
        if found[1] in elsewhere:
            return found[0]
        raise MalformedMediaError(
            f"the variable {found[1][:40]} is not defined before it is used",
            where=f"line {line.number} of the playlist",
            remedy="#EXT-X-DEFINE:NAME=…,VALUE=… belongs before it",
        )

    made = _VARIABLE.sub(value, line.text)
    if len(made) > _MAX_LINE:
        raise MalformedMediaError(f"variables make a line of {len(made)} characters", where=f"line {line.number}")
    return made
