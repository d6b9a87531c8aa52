"""Which initialization segment or file each representation of an MPD begins with (ISO/IEC 23009-1, 5.3.9, 5.6.4).

URIs are resolved as far as the MPD goes: relative ones stay relative to it. Nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urljoin

from drm.bounded_xml import XmlElement

__all__ = ["filled_template", "is_encryptable", "media_heads", "representations", "template_variables"]


_NEVER: Final = ("image/", "text/", "application/ttml+xml")  # thumbnails, and subtitles in files of their own
_VARIABLE: Final = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth|SubNumber)(?:%0(\d{1,2})d)?\$|\$\$")
_ANY_VARIABLE: Final = re.compile(r"\$([^$]*)\$")


def representations(root: XmlElement) -> Iterator[XmlElement]:
    """Every Representation, in order."""
    return (element for element in root.walk() if element.name == "Representation")


def is_encryptable(representation: XmlElement) -> bool:
    """Whether it is media that Common Encryption can be about, rather than pictures or text in files of their own."""
    parent = representation.parent
    kind = representation.attribute("mimeType") or (parent.attribute("mimeType") if parent is not None else "")
    return not kind.lower().startswith(_NEVER)


def media_heads(root: XmlElement) -> dict[XmlElement, str]:
    """The URI of each representation's head; those that name none are missing."""
    found = {}
    for representation in representations(root):
        uri = _head(representation)
        if uri:
            found[representation] = uri
    return found


def _head(representation: XmlElement) -> str:
    chain = [representation]
    while (parent := chain[-1].parent) is not None:
        chain.append(parent)
    base = ""
    for element in reversed(chain):
        url = next(element.all("BaseURL"), None)
        if url is not None:
            base = _joined(base, url.text.strip())
    # What is nearest to the representation overrides what stands around it.
    for element in chain:
        template = next(element.all("SegmentTemplate"), None)  # each stands once, here and below
        if template is not None and template.attribute("initialization"):
            return _joined(base, _filled(template.attribute("initialization"), representation))
        for described in filter(None, (next(element.all(name), None) for name in ("SegmentList", "SegmentBase"))):
            part = next(described.all("Initialization"), None)
            if part is not None and not (part.attribute("range") or "0-").strip().startswith("0-"):
                return ""  # further on in a file, whose beginning says nothing of it
            if part is not None and part.attribute("sourceURL"):
                return _joined(base, part.attribute("sourceURL"))
    return base if not base.endswith("/") else ""


def _joined(base: str, uri: str) -> str:
    try:
        return urljoin(base, uri)
    except ValueError:
        return ""


def _filled(text: str, representation: XmlElement) -> str:
    values = {name: representation.attribute(name) for name in ("id", "bandwidth")}
    return filled_template(text, {"RepresentationID": values["id"], "Bandwidth": values["bandwidth"]})


def filled_template(text: str, values: Mapping[str, str]) -> str:
    """The template with the variables that have a value (5.3.9.4.4); all others stay as they are."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        if match[1] not in values:
            return match[0]
        # An identifier has no width.
        return values[match[1]].zfill(int(match[2] or 1) if match[1] != "RepresentationID" else 0)

    return _VARIABLE.sub(value, text)


def template_variables(text: str) -> dict[str, bool]:
    """What stands between dollar signs, and whether it is a variable of 5.3.9.4.4."""
    tokens = (match[0] for match in _ANY_VARIABLE.finditer(text))
    found = {token: _VARIABLE.fullmatch(token) for token in tokens}
    return {(known[1] or "") if known else token[1:-1]: known is not None for token, known in found.items()}
