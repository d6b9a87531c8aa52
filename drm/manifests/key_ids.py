"""The one reader of key ids: what boxes, manifests and playlists say of them, in whatever spelling, as a flat list.

`default_KID` in any notation and number; `pssh` boxes of the common system, Widevine and PlayReady, and PlayReady's
`pro`, whose ids stand in GUID order; KEYID, and data in the URI, of EXT-X-KEY. What a file says in `tenc` and `seig` is
`drm.isobmff.samples`' to read. Bytes and text in, values out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from drm.bounded_xml import XmlElement
from drm.errors import DRMError, InvalidArgumentError, MalformedMediaError, MediaError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, PsshContents, read_contents
from drm.isobmff.reader import Reader
from drm.keys import KeyId, SystemId

__all__ = [
    "CENC_NAMESPACE", "MAX_STATEMENTS", "MAX_TEXT", "Statement", "box_statements", "data_statement", "default_kids",
    "key_line_statements", "kid_in_data", "kid_in_url", "kid_statement", "protection_statements", "statement_of",
    "unbase64",
]  # fmt: skip

CENC_NAMESPACE: Final = "urn:mpeg:cenc:2013"
MAX_TEXT: Final = 4 << 20  # characters of base64 or hex
MAX_STATEMENTS: Final = 10_000
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_FORMATS: Final = {"com.microsoft.playready": PLAYREADY, "com.widevine": WIDEVINE, "com.widevine.alpha": WIDEVINE}
_OUR_KEY_URL: Final = re.compile(r"/([0-9a-fA-F]{32})(?:[?#]|$)")


class Statement(msgspec.Struct, frozen=True):
    """One thing in the input that names key ids."""

    where: str  # for people: "moov", "AdaptationSet 2", "EXT-X-KEY in line 7"
    kind: str  # "box": a pssh box; "data": the data of one, without its box; "samples": the ids that samples use
    system: SystemId | None = None  # None: the ids of samples
    version: int | None = None  # of the box
    box_kids: tuple[KeyId, ...] = ()  # in the box itself, or those of samples
    contents: PsshContents = PsshContents()
    license_url: str = ""  # beside the box, in a manifest
    data: bytes = b""
    times: int = 1  # how often the same stands there
    problem: str = ""

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """Every key id that it names, each once."""
        return tuple(dict.fromkeys((*self.box_kids, *self.contents.key_ids)))

    @property
    def name(self) -> str:
        """The system's name, with the id where the name says nothing."""
        if self.system is None:
            return "samples"
        return str(self.system) if self.system.name == "unknown system" else self.system.name


def kid_statement(where: str, key_ids: Iterable[KeyId]) -> Statement:
    """The key ids that samples use, or that an initialization of type "keyids" or "webm" asks for."""
    return Statement(where, "samples", box_kids=tuple(dict.fromkeys(key_ids)))


def box_statements(boxes: bytes, where: str) -> list[Statement]:
    """Read concatenated `pssh` boxes. A broken one is a statement with its problem.

    Raises:
        MalformedMediaError: these are no boxes at all.
    """
    found: list[Statement] = []
    for number, box in enumerate(Reader(boxes).boxes(), 1):
        if box.type != Pssh.TYPE:
            box.fail(f"a {box.type!r} box among the pssh boxes")
        found.append(statement_of(box, f"{where}, box {number}" if found or box.end < len(boxes) else where))
        if len(found) > MAX_STATEMENTS:
            box.fail(f"more than {MAX_STATEMENTS} pssh boxes")
    return found


def statement_of(box: Reader, where: str) -> Statement:
    """Read one box that stands at `where`."""
    try:
        pssh = Pssh.parse(box)
    except MediaError as error:
        return Statement(where, "box", problem=f"{error.what} ({error.where})")
    contents = read_contents(pssh.system_id, pssh.data)
    return Statement(where, "box", pssh.system_id, pssh.version, pssh.key_ids, contents, data=pssh.data)


def data_statement(data: bytes, system: SystemId, where: str) -> Statement:
    """Read the data of a box without the box around it, as manifests carry it."""
    contents = read_contents(system, data)
    return Statement(where, "data", system, None, (), contents, data=data)


def unbase64(text: str, where: str) -> bytes:
    """Decode base64 of either alphabet, padded or not. Raises MalformedMediaError."""
    word = "".join(text.split())
    if len(word) > MAX_TEXT or not _BASE64.fullmatch(word):
        raise MalformedMediaError("this is not base64", where=where, seen=f"{len(word)} characters")
    word = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(word + "=" * (-len(word) % 4))
    except binascii.Error:
        raise MalformedMediaError(
            "this base64 is cut", where=where, seen=f"{len(word)} characters", remedy="copy it whole"
        ) from None


# ------------------------------------------------------------------------------------------------ DASH
def default_kids(text: str) -> tuple[KeyId, ...]:
    """The key ids of `cenc:default_KID`, a list of any notation (ISO/IEC 23001-7, 11.2), each once.

    Raises:
        InvalidArgumentError: one of them is none.
    """
    return tuple(dict.fromkeys(map(KeyId.parse, text.split())))


def protection_statements(element: XmlElement, path: str) -> Iterator[Statement]:
    """What one ContentProtection says (ISO/IEC 23009-1, 5.8.4.1); `path` is where it stands, for people."""
    where = f"{path} (line {element.line})"
    scheme = element.attribute("schemeIdUri").strip().lower()
    system = _system(scheme.removeprefix("urn:uuid:")) if scheme.startswith("urn:uuid:") else None
    laurls = (each for each in element.walk() if each.name.lower() == "laurl")
    url = next((each.text.strip() or each.attribute("url") for each in laurls), "")
    if element.attribute("default_KID").strip():
        try:
            yield kid_statement(f"{where}, default_KID", default_kids(element.attribute("default_KID")))
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
        yield msgspec.structs.replace(statement, license_url=url)


def _system(text: str) -> SystemId | None:
    try:
        return SystemId.parse(text)
    except InvalidArgumentError:
        return None


# ------------------------------------------------------------------------------------------------ HLS
def key_line_statements(told: Mapping[str, str], where: str) -> Iterator[Statement]:
    """What the attributes of one EXT-X-KEY or EXT-X-SESSION-KEY say (RFC 8216, 4.3.2.4). Never raises."""
    system = _hls_system(told)
    try:
        yield from _of_key(told, system, where)
    except DRMError as error:
        yield Statement(where, "data", system, problem=error.what)


def _of_key(told: Mapping[str, str], system: SystemId | None, where: str) -> Iterator[Statement]:
    if "KEYID" in told:
        yield kid_statement(f"{where}, KEYID", [KeyId.parse(told["KEYID"])])
    head, comma, body = told.get("URI", "").partition(",")
    has_data = bool(comma) and head.lower().startswith("data:")
    is_base64 = has_data and head.lower().endswith("base64")
    if system is None:
        return  # sixteen bytes under "identity" may be a key: nobody but the signaller looks at them
    if not has_data:
        yield Statement(where, "data", system, license_url=told.get("URI", ""))
        return
    data = unbase64(unquote(body), where) if is_base64 else unquote_to_bytes(body)
    if data[4:8] == b"pssh":
        yield from box_statements(data, where)
    else:
        yield data_statement(data, system, where)


def kid_in_data(told: Mapping[str, str]) -> KeyId | None:
    """Shaka Packager, told of no URL, writes the key id where the key is looked for; others write the key there."""
    head, _, body = told.get("URI", "").partition(",")
    if _format(told) != "identity" or not head.lower().startswith("data:") or not head.lower().endswith("base64"):
        return None
    try:
        value = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return KeyId(value) if len(value) == 16 else None


def kid_in_url(url: str) -> KeyId | None:
    """The key id that the URL of a key ends with, as this project's license server has them."""
    found = _OUR_KEY_URL.search(url)
    return KeyId(bytes.fromhex(found[1])) if found else None


def _format(told: Mapping[str, str]) -> str:
    return told.get("KEYFORMAT", "identity").lower()


def _hls_system(told: Mapping[str, str]) -> SystemId | None:
    name = _format(told)
    return _FORMATS.get(name) or (_system(name.removeprefix("urn:uuid:")) if name.startswith("urn:uuid:") else None)
