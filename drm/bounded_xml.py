"""XML that cannot hurt: no document types, so no entities; bounded in bytes, depth and elements; nothing is fetched.

For the documents of this field: a PlayReady header, a manifest, a packager's list of keys. Each element knows its place
in the bytes, so that a document can be changed where it must be and nowhere else. Elements and attributes are looked up
by local name, because the writers of these documents do not agree on prefixes; prefix and namespace are kept, because
their readers go by one or the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from drm.errors import MalformedMediaError

__all__ = ["MAX_XML", "XmlElement", "parse_xml"]

MAX_XML: Final = 16 << 20  # bytes
_MAX_DEPTH: Final = 64
_MAX_ELEMENTS: Final = 200_000
_FEW: Final = 16  # children that are looked through one by one
_MAX_PREFIXES: Final = 256  # at one place
_TAG: Final = re.compile(rb"""(?:[^"'>]++|"[^"]*+"|'[^']*+')*+>""")
_NO_PREFIXES: Final = {"": "", "xml": "http://www.w3.org/XML/1998/namespace"}


@dataclass(slots=True, eq=False)
class XmlElement:
    """One element; offsets are bytes of the document."""

    name: str  # without its prefix
    attributes: dict[str, str] = field(default_factory=dict)  # by local name; declarations of prefixes are none
    text: str = ""  # before its first child
    children: list[XmlElement] = field(default_factory=list)
    line: int = 0
    prefix: str = ""
    namespace: str = ""
    written: dict[str, str] = field(default_factory=dict)  # attributes by their names as they stand, with declarations
    prefixes: dict[str, str] = field(default_factory=dict)  # namespace by prefix, as they hold inside
    start: int = 0
    tag_end: int = 0  # behind its start tag
    end: int = 0  # behind its end tag
    parent: XmlElement | None = None

    _named: dict[str, list[XmlElement]] | None = field(default=None, repr=False)

    def all(self, name: str) -> Iterator[XmlElement]:
        """The children of this name, whatever their namespace."""
        if len(self.children) <= _FEW:
            return (child for child in self.children if child.name == name)
        if self._named is None:  # each of thousands of children may ask what stands beside it
            self._named = {}
            for child in self.children:
                self._named.setdefault(child.name, []).append(child)
        return iter(self._named.get(name, ()))

    def walk(self) -> Iterator[XmlElement]:
        """This element and everything in it, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)

    def attribute(self, name: str) -> str:
        """The value of the attribute that has this name behind any prefix, or an empty string."""
        return self.attributes.get(name, "")


def parse_xml(data: bytes | str, what: str, *, limit: int = MAX_XML) -> XmlElement:
    """Return the root of the document; `what` names it in errors. Offsets are those of UTF-8 for text.

    Raises:
        MalformedMediaError: not XML, too large or too deep, or with a document type.
    """
    if len(data) > limit:
        raise MalformedMediaError(f"{what} has {len(data)} bytes, more than {limit} are not read")
    encoded = data.encode("utf-8", "replace") if isinstance(data, str) else data
    builder = _Builder(encoded, what, "utf-8" if isinstance(data, str) else None)
    try:
        builder.parser.Parse(encoded, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset}"
        words = expat.ErrorString(error.code) or "not well-formed"
        raise MalformedMediaError(f"{what} is not XML: {words}", where=where) from None
    except (ValueError, LookupError):
        raise MalformedMediaError(f"{what} is in a text encoding that is not known here") from None
    assert builder.root is not None
    return builder.root


class _Builder:
    """Puts together what the parser finds."""

    def __init__(self, data: bytes, what: str, encoding: str | None) -> None:
        self.root: XmlElement | None = None
        self._data = data
        self._what = what
        self._open: list[XmlElement] = []
        self._text: list[str] = []
        self._count = 0
        self.parser = expat.ParserCreate(encoding)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _refuse(self, *_: object) -> None:
        raise MalformedMediaError(
            f"{self._what} has a document type, which may define entities",
            where=f"line {self.parser.CurrentLineNumber}",
            remedy="remove the <!DOCTYPE …>",
        )

    def _start(self, tag: str, written: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= _MAX_DEPTH or self._count > _MAX_ELEMENTS:
            raise MalformedMediaError(
                f"{self._what} has too many elements, or nests them too deeply",
                where=f"line {self.parser.CurrentLineNumber}",
                seen=f"up to {_MAX_ELEMENTS} elements and {_MAX_DEPTH} inside one another are read",
            )
        parent = self._open[-1] if self._open else None
        prefixes = self._prefixes(parent, written)
        prefix, _, name = tag.rpartition(":")
        at = self.parser.CurrentByteIndex
        element = XmlElement(
            name, _local(written), "", [], self.parser.CurrentLineNumber, prefix, prefixes.get(prefix, ""), written,
            prefixes, at, _tag_end(self._data, at), parent=parent,
        )  # fmt: skip
        if parent is None:
            self.root = element
        else:
            if not parent.children:
                parent.text = "".join(self._text)
            parent.children.append(element)
        self._text.clear()
        self._open.append(element)

    def _prefixes(self, parent: XmlElement | None, written: dict[str, str]) -> dict[str, str]:
        outer = parent.prefixes if parent else _NO_PREFIXES
        own = {name.partition(":")[2]: uri for name, uri in written.items() if _is_declaration(name)}
        if not own:
            return outer
        prefixes = {**outer, **own}
        if len(prefixes) > _MAX_PREFIXES:
            raise MalformedMediaError(
                f"{self._what} declares too many namespaces", where=f"line {self.parser.CurrentLineNumber}"
            )
        return prefixes

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        if not element.children:
            element.text = "".join(self._text)
        self._text.clear()
        is_empty = self._data[element.tag_end - 2 : element.tag_end] == b"/>"
        element.end = element.tag_end if is_empty else _tag_end(self._data, self.parser.CurrentByteIndex)


def _is_declaration(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _local(written: dict[str, str]) -> dict[str, str]:
    """By local name: the first of two that have the same behind their prefixes."""
    if not any(":" in name or name == "xmlns" for name in written):
        return written
    local: dict[str, str] = {}
    for name, value in written.items():
        if not _is_declaration(name):
            local.setdefault(name.rpartition(":")[2], value)
    return local


def _tag_end(data: bytes, at: int) -> int:
    """The offset behind the tag that begins at `at`: its first `>` outside quotes."""
    found = _TAG.match(data, at)
    return found.end() if found else len(data)
