"""Key ids and `pssh` boxes in what stands around the media: MPD, HLS playlist, "keyids" JSON. Bytes in, statements out.

Nothing that a manifest refers to is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from drm.bounded_xml import XmlElement
from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.keys import KeyId
from drm.manifests.key_ids import Statement, key_line_statements, kid_statement, protection_statements
from drm.manifests.mpd_document import parse_mpd
from drm.manifests.playlist import KEY, SESSION_KEY, attributes, defined, parse_playlist

__all__ = ["hls_statements", "keyids_statements", "mpd_statements"]


def mpd_statements(data: bytes) -> list[Statement]:
    """What every ContentProtection of an MPD says. Raises MediaError: not an MPD."""
    return list(_protections(parse_mpd(data), ""))


def _protections(element: XmlElement, path: str) -> Iterator[Statement]:
    counts: dict[str, int] = {}
    for child in element.children:
        if child.name == "ContentProtection":
            yield from protection_statements(child, path or "MPD")
        elif child.name in {"Period", "AdaptationSet", "Representation", "Preselection"}:
            counts[child.name] = counts.get(child.name, 0) + 1
            name = f"{child.name} {child.attributes.get('id', counts[child.name])}"
            yield from _protections(child, f"{path}, {name}" if path else name)


def hls_statements(data: bytes) -> list[Statement]:
    """What every EXT-X-KEY and EXT-X-SESSION-KEY of a playlist says of keys. Raises MediaError: not a playlist."""
    lines = (line for line in defined(parse_playlist(data))[0] if line.tag in {KEY, SESSION_KEY})
    return [
        statement
        for line in lines
        for statement in key_line_statements(attributes(line), f"{line.tag[1:]} in line {line.number}")
    ]


def keyids_statements(data: bytes) -> list[Statement]:
    """Initialization data of type "keyids", or a Clear Key license request: {"kids": [base64url, …]}.

    Raises:
        MalformedMediaError: not that JSON.
    """
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedMediaError("this is not JSON", seen=type(error).__name__) from None
    kids = told.get("kids") if isinstance(told, dict) else None
    if not isinstance(kids, list) or not all(isinstance(kid, str) for kid in kids) or len(kids) > 10_000:
        raise MalformedMediaError(
            'this JSON has no list `kids`, as initialization data of type "keyids" has',
            maybe="keys go to --keys-file; here it is about pssh boxes and key ids",
        )
    try:
        return [kid_statement('"keyids"', map(KeyId.parse, kids))]
    except InvalidArgumentError as error:
        raise MalformedMediaError(error.what, where="kids", maybe=error.maybe, remedy=error.remedy) from None
