"""Key ids and `pssh` boxes in what stands around the media: MPD, HLS playlist, "keyids" JSON. Text in, statements out.

Nothing that a manifest refers to is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from drm.bounded_xml import XmlElement, parse_xml
from drm.errors import DRMError, InvalidArgumentError, MalformedMediaError, MediaError
from drm.isobmff.pssh_payload import PLAYREADY, WIDEVINE
from drm.keys import KeyId, SystemId
from player.verbs.pssh.statements import Statement, box_statements, data_statement, kid_statement, unbase64

__all__ = ["hls_statements", "keyids_statements", "mpd_statements"]

_FORMATS: Final = {"com.microsoft.playready": PLAYREADY, "com.widevine": WIDEVINE, "com.widevine.alpha": WIDEVINE}
_ATTRIBUTE: Final = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_MAX_LINE: Final = 1 << 20


# ------------------------------------------------------------------------------------------------ DASH
def mpd_statements(data: bytes) -> list[Statement]:
    """Every ContentProtection of an MPD (ISO/IEC 23009-1, clause 5.8.4.1; ISO/IEC 23001-7, clause 11.2).

    Raises:
        MalformedMediaError: not an MPD.
    """
    root = parse_xml(data, "the MPD")
    if root.name != "MPD":
        raise MalformedMediaError(f"this XML is no MPD: its root is {root.name[:40]}")
    return list(_protections(root, ""))


def _protections(element: XmlElement, path: str) -> Iterator[Statement]:
    counts: dict[str, int] = {}
    for child in element.children:
        if child.name == "ContentProtection":
            yield from _protection(child, path or "MPD")
        elif child.name in {"Period", "AdaptationSet", "Representation", "Preselection"}:
            counts[child.name] = counts.get(child.name, 0) + 1
            name = f"{child.name} {child.attributes.get('id', counts[child.name])}"
            yield from _protections(child, f"{path}, {name}" if path else name)


def _protection(element: XmlElement, path: str) -> Iterator[Statement]:
    where = f"{path} (line {element.line})"
    scheme = element.attributes.get("schemeIdUri", "").lower()
    system = _system(scheme.removeprefix("urn:uuid:")) if scheme.startswith("urn:uuid:") else None
    url = next((e.text.strip() or e.attributes.get("url", "") for e in element.walk() if e.name.lower() == "laurl"), "")
    kids = element.attributes.get("default_KID", "").split()
    if kids:
        try:
            yield kid_statement(f"{where}, default_KID", map(KeyId.parse, kids))
        except InvalidArgumentError as error:
            yield Statement(f"{where}, default_KID", "samples", problem=error.what)
    carried = False
    for child in element.children:
        if child.name in {"pssh", "pro"} and child.text.strip():
            carried = True
            yield from _carried(child.text, f"{where}, {child.name}", None if child.name == "pssh" else PLAYREADY, url)
    if system is not None and not carried:
        yield Statement(f"{where}, no pssh", "data", system, license_url=url)


def _carried(text: str, where: str, system: SystemId | None, url: str) -> Iterator[Statement]:
    """The base64 of boxes, or of the data of a box of `system`."""
    try:
        data = unbase64(text, where)
        found = box_statements(data, where) if system is None else [data_statement(data, system, where)]
    except MediaError as error:
        found = [Statement(where, "box" if system is None else "data", system, problem=error.what)]
    for statement in found:
        yield _with_url(statement, url)


def _with_url(statement: Statement, url: str) -> Statement:
    fields = {name: getattr(statement, name) for name in Statement.__struct_fields__}
    return Statement(**{**fields, "license_url": url})


def _system(text: str) -> SystemId | None:
    try:
        return SystemId.parse(text)
    except InvalidArgumentError:
        return None


# ------------------------------------------------------------------------------------------------ HLS
def hls_statements(text: str) -> list[Statement]:
    """Every EXT-X-KEY and EXT-X-SESSION-KEY of a playlist (RFC 8216, clauses 4.3.2.4 and 4.3.4.5) that names keys.

    Raises:
        MalformedMediaError: a line is longer than any playlist has.
    """
    found: list[Statement] = []
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _MAX_LINE:
            raise MalformedMediaError(f"a line of {len(line)} characters", where=f"line {number} of the playlist")
        tag, _, rest = line.partition(":")
        if tag not in {"#EXT-X-KEY", "#EXT-X-SESSION-KEY"}:
            continue
        told = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(rest)}
        where = f"{tag[1:]} in line {number}"
        try:
            found += _of_key(told, where)
        except DRMError as error:
            found.append(Statement(where, "data", _hls_system(told), problem=error.what))
    return found


def _of_key(told: dict[str, str], where: str) -> Iterator[Statement]:
    if "KEYID" in told:
        yield kid_statement(f"{where}, KEYID", [KeyId.parse(told["KEYID"])])
    system = _hls_system(told)
    head, comma, body = told.get("URI", "").partition(",")
    if system is None:
        return
    if not comma or not head.lower().startswith("data:"):
        yield Statement(where, "data", system, license_url=told.get("URI", ""))
        return
    data = unbase64(unquote(body), where) if head.lower().endswith(";base64") else unquote_to_bytes(body)
    if data[4:8] == b"pssh":
        yield from box_statements(data, where)
    else:
        yield data_statement(data, system, where)


def _hls_system(told: dict[str, str]) -> SystemId | None:
    name = told.get("KEYFORMAT", "identity").lower()
    return _FORMATS.get(name) or (_system(name.removeprefix("urn:uuid:")) if name.startswith("urn:uuid:") else None)


# ------------------------------------------------------------------------------------------------ EME
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
