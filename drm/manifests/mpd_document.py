"""An MPD as elements that know their place in its bytes, so that it can be changed where it must be and nowhere else.

What bounds it is `drm.bounded_xml`. Names keep their prefix: dash.js goes by it, Shaka Player by the namespace that it
stands for.
"""

from __future__ import annotations

from drm.bounded_xml import XmlElement, parse_xml
from drm.errors import MalformedMediaError, UnsupportedMediaError

__all__ = ["parse_mpd", "spliced"]


def parse_mpd(data: bytes) -> XmlElement:
    """Return the root.

    Raises:
        MalformedMediaError: not XML, no MPD, too large or too deep, or with a document type.
        UnsupportedMediaError: in a text encoding in which ASCII is not what it is.
    """
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in data[:4]:
        raise UnsupportedMediaError(
            "the MPD is in UTF-16", remedy="write it as UTF-8: iconv -f UTF-16 -t UTF-8, and say so in its first line"
        )
    root = parse_xml(data, "the MPD")
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
