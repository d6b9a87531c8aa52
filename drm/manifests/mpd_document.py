"""An MPD as elements that know their place in its bytes, so that it can be changed where it must be and nowhere else.

XML that cannot hurt: no document type, so no entities; bounded in bytes, depth and elements; nothing is fetched. Names
keep their prefix: dash.js goes by it, Shaka Player by the namespace that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from drm.bounded_xml import MAX_XML
from drm.errors import MalformedMediaError, UnsupportedMediaError

__all__ = ["MpdElement", "parse_mpd", "spliced"]

_MAX_DEPTH: Final = 64
_MAX_ELEMENTS: Final = 200_000
_MAX_PREFIXES: Final = 256  # at one place
_TAG: Final = re.compile(rb"""(?:[^"'>]++|"[^"]*+"|'[^']*+')*+>""")


@dataclass(slots=True, eq=False)
class MpdElement:
    """One element; offsets are bytes of the document."""

    prefix: str
    name: str  # without the prefix
    namespace: str
    attributes: dict[str, str]  # by their names as they stand, prefix included
    prefixes: dict[str, str]  # namespace by prefix, as they hold inside
    start: int
    tag_end: int  # behind its start tag
    end: int = 0  # behind its end tag
    line: int = 0
    text: str = ""  # before its first child
    parent: MpdElement | None = None
    children: list[MpdElement] = field(default_factory=list)

    def all(self, name: str) -> list[MpdElement]:
        """The children of this name, whatever their namespace."""
        return [child for child in self.children if child.name == name]

    def walk(self) -> Iterator[MpdElement]:
        """This element and everything in it, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)

    def attribute(self, local_name: str) -> str:
        """The value of the attribute that has this name behind any prefix, or an empty string."""
        return next((v for name, v in self.attributes.items() if name.rpartition(":")[2] == local_name), "")


def parse_mpd(data: bytes) -> MpdElement:
    """Return the root.

    Raises:
        MalformedMediaError: not XML, no MPD, too large or too deep, or with a document type.
        UnsupportedMediaError: in a text encoding in which ASCII is not what it is.
    """
    if len(data) > MAX_XML:
        raise MalformedMediaError(f"the MPD has {len(data)} bytes, more than {MAX_XML} are not read")
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in data[:4]:
        raise UnsupportedMediaError(
            "the MPD is in UTF-16", remedy="write it as UTF-8: iconv -f UTF-16 -t UTF-8, and say so in its first line"
        )
    builder = _Builder(data)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset}"
        words = expat.ErrorString(error.code) or "not well-formed"
        raise MalformedMediaError(f"the MPD is not XML: {words}", where=where) from None
    except (ValueError, LookupError):
        raise MalformedMediaError("the MPD is in a text encoding that is not known here") from None
    root = builder.root
    assert root is not None
    if root.name != "MPD":
        raise MalformedMediaError(f"this XML is no MPD: its root is {root.name[:40]}")
    return root


def spliced(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """`data` with the bytes from start to end of each change replaced. Changes do not overlap."""
    parts, at = [], 0
    for start, end, new in sorted(changes, key=lambda change: change[:2]):
        assert start >= at
        parts += [data[at:start], new]
        at = end
    return b"".join([*parts, data[at:]])


class _Builder:
    """Puts together what the parser finds."""

    def __init__(self, data: bytes) -> None:
        self.root: MpdElement | None = None
        self._data = data
        self._open: list[MpdElement] = []
        self._text: list[str] = []
        self._count = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _refuse(self, *_: object) -> None:
        raise MalformedMediaError(
            "the MPD has a document type, which may define entities",
            where=f"line {self.parser.CurrentLineNumber}",
            remedy="remove the <!DOCTYPE …>",
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= _MAX_DEPTH or self._count > _MAX_ELEMENTS:
            raise MalformedMediaError(
                "the MPD has too many elements, or nests them too deeply",
                where=f"line {self.parser.CurrentLineNumber}",
                seen=f"up to {_MAX_ELEMENTS} elements and {_MAX_DEPTH} inside one another are read",
            )
        parent = self._open[-1] if self._open else None
        outer = parent.prefixes if parent else {"": "", "xml": "http://www.w3.org/XML/1998/namespace"}
        own = {n.partition(":")[2]: v for n, v in attributes.items() if n == "xmlns" or n.startswith("xmlns:")}
        prefixes = {**outer, **own} if own else outer
        if len(prefixes) > _MAX_PREFIXES:
            raise MalformedMediaError(
                "the MPD declares too many namespaces", where=f"line {self.parser.CurrentLineNumber}"
            )
        prefix, _, name = tag.rpartition(":")
        at = self.parser.CurrentByteIndex
        element = MpdElement(
            prefix, name, prefixes.get(prefix, ""), attributes, prefixes, at, _tag_end(self._data, at),
            line=self.parser.CurrentLineNumber, parent=parent,
        )  # fmt: skip
        if parent is None:
            self.root = element
        else:
            if not parent.children:
                parent.text = "".join(self._text)
            parent.children.append(element)
        self._text.clear()
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        if not element.children:
            element.text = "".join(self._text)
        self._text.clear()
        is_empty = self._data[element.tag_end - 2 : element.tag_end] == b"/>"
        element.end = element.tag_end if is_empty else _tag_end(self._data, self.parser.CurrentByteIndex)


def _tag_end(data: bytes, at: int) -> int:
    """The offset behind the tag that begins at `at`: its first `>` outside quotes."""
    found = _TAG.match(data, at)
    return found.end() if found else len(data)
