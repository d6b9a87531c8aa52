"""Is this WebM? Told by what the file begins with, and by the document type of its EBML header."""

from __future__ import annotations

from typing import Final

from drm.errors import UnsupportedMediaError
from drm.media import ByteSource
from drm.webm.ebml import Ebml, Element
from drm.webm.names import id_of, name_of

__all__ = ["begins_as_ebml", "read_header"]

_SIGNATURE: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPES: Final = {"webm": "WebM", "matroska": "Matroska"}
_LIMITS: Final = {  # what the file may ask of its reader (RFC 8794, section 11.2; RFC 9559, section 6)
    id_of("EBMLReadVersion"): 1,
    id_of("EBMLMaxIDLength"): 4,
    id_of("EBMLMaxSizeLength"): 8,
    id_of("DocTypeReadVersion"): 4,
}
_EBML, _SEGMENT, _VOID, _CRC = id_of("EBML"), id_of("Segment"), id_of("Void"), id_of("CRC-32")
_DOC_TYPE: Final = id_of("DocType")


def begins_as_ebml(source: ByteSource) -> bool:
    """Whether the file begins with an EBML header, as WebM and Matroska do."""
    return source.read_at(0, len(_SIGNATURE)) == _SIGNATURE


def read_header(ebml: Ebml) -> tuple[str, Element]:
    """Read the EBML header; return the container's name and the Segment behind it.

    Raises:
        UnsupportedMediaError: no EBML, another document type, or a version beyond those that exist.
        MalformedMediaError, TruncatedMediaError: the header is broken, or there is no Segment behind it.
    """
    if ebml.peek(0, len(_SIGNATURE)) != _SIGNATURE:
        ebml.refuse("this file is not WebM", 0, None, seen=f"it begins with {ebml.peek(0, 8).hex(' ')}")
    header = ebml.element(0, None)
    name = ""
    for child in ebml.children(header):
        if child.id == _DOC_TYPE:
            name = ebml.text(child)
        elif child.id in _LIMITS and (value := ebml.uint(child)) > _LIMITS[child.id]:
            ebml.refuse(
                f"this file wants a newer reader: {name_of(child.id)} {value}",
                child.start,
                child,
                seen=f"at most {_LIMITS[child.id]} is known",
            )
    if name not in _DOC_TYPES:
        raise UnsupportedMediaError(
            f"this EBML document is neither WebM nor Matroska but {name[:40]!r}",
            where=ebml.where(0, header),
            remedy="check that this is the media file",
        )
    assert header.end is not None  # an EBML header of unknown size was refused
    return _DOC_TYPES[name], _segment(ebml, header.end)


def _segment(ebml: Ebml, at: int) -> Element:
    while True:
        found = ebml.element(at, None)
        if found.id == _SEGMENT:
            return found
        if found.id not in {_VOID, _CRC} or found.end is None:
            ebml.fail(f"a {name_of(found.id)} element where the Segment belongs", at, None)
        at = found.end
