"""XML that cannot hurt: no document types, so no entities; bounded in bytes, depth and elements; nothing is fetched.

For the small documents of this field: a PlayReady header, a manifest, a packager's list of keys. Names are local names:
the writers of these documents do not agree on prefixes. An element's namespace stands beside its name, by URI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from drm.errors import MalformedMediaError

__all__ = ["MAX_XML", "XmlElement", "parse_xml"]

MAX_XML: Final = 16 << 20  # bytes
_MAX_DEPTH: Final = 64
_MAX_ELEMENTS: Final = 200_000


@dataclass(slots=True)
class XmlElement:
    """One element: local name, attributes by local name, the text before its first child, children, namespace URI."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[XmlElement] = field(default_factory=list)
    line: int = 0
    namespace: str = ""

    def all(self, name: str) -> Iterator[XmlElement]:
        """The children of this name."""
        return (child for child in self.children if child.name == name)

    def walk(self) -> Iterator[XmlElement]:
        """This element and everything in it, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)


def parse_xml(data: bytes | str, what: str, *, limit: int = MAX_XML) -> XmlElement:
    """Return the root of the document; `what` names it in errors.

    Raises:
        MalformedMediaError: not XML, too large or too deep, or with a document type.
    """
    if len(data) > limit:
        raise MalformedMediaError(f"{what} has {len(data)} bytes, more than {limit} are not read")
    builder = _Builder(what, "utf-8" if isinstance(data, str) else None)
    try:
        builder.parser.Parse(data.encode("utf-8", "replace") if isinstance(data, str) else data, True)
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

    def __init__(self, what: str, encoding: str | None) -> None:
        self.root: XmlElement | None = None
        self._what = what
        self._open: list[XmlElement] = []
        self._text: list[str] = []
        self._count = 0
        self.parser = expat.ParserCreate(encoding, " ")
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

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= _MAX_DEPTH or self._count > _MAX_ELEMENTS:
            limits = f"{_MAX_ELEMENTS} elements and {_MAX_DEPTH} inside one another are read"
            raise MalformedMediaError(
                f"{self._what} has too many elements, or nests them too deeply",
                where=f"line {self.parser.CurrentLineNumber}",
                seen=f"up to {limits}",
            )
        named = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        namespace, _, local = name.rpartition(" ")
        element = XmlElement(local, named, line=self.parser.CurrentLineNumber, namespace=namespace)
        if self._open:
            parent = self._open[-1]
            if not parent.children:
                parent.text = "".join(self._text)
            parent.children.append(element)
        else:
            self.root = element
        self._text.clear()
        self._open.append(element)

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        if not element.children:
            element.text = "".join(self._text)
        self._text.clear()
