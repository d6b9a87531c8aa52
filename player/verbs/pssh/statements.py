"""What an input says about key ids, as a flat list: `pssh` boxes and their data, and the ids that samples use."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.isobmff.pssh import Pssh
from drm.isobmff.pssh_payload import PLAYREADY, WIDEVINE, PsshContents, read_contents
from drm.isobmff.reader import Reader
from drm.keys import KeyId, SystemId

__all__ = [
    "MAX_STATEMENTS",
    "Statement",
    "box_statements",
    "data_statement",
    "decoded",
    "kid_statement",
    "statement_of",
    "unbase64",
    "unhex_or_unbase64",
]

_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})+)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
MAX_TEXT: Final = 4 << 20  # characters of base64 or hex
MAX_STATEMENTS: Final = 10_000


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


def decoded(text: str, where: str) -> list[Statement]:
    """Read base64 or hex of boxes, of the data of Widevine's or PlayReady's box alone, or of one key id.

    Raises:
        UnsupportedMediaError: it is none of these.
    """
    data = unhex_or_unbase64(text, where)
    if data[4:8] == b"pssh":
        return box_statements(data, where)
    if len(data) == 16:
        return [kid_statement(f"{where}: sixteen bytes, as initialization data of type webm", [KeyId(data)])]
    if data[:2] in {b"<\0", b"\xff\xfe"} or (len(data) >= 6 and int.from_bytes(data[:4], "little") == len(data)):
        return [data_statement(data, PLAYREADY, f"{where}: a PlayReady Object without its box")]
    found = data_statement(data, WIDEVINE, f"{where}: Widevine's data without its box")
    if found.contents.key_ids and not found.contents.problem:
        return [found]
    raise UnsupportedMediaError(
        "these bytes are no pssh box, no PlayReady Object and no Widevine data",
        where=where,
        seen=f"{len(data)} bytes, the first are {data[:8].hex(' ')}",
        remedy="give whole boxes, which begin with their size and the letters pssh",
    )


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


def unhex_or_unbase64(text: str, where: str) -> bytes:
    """Decode hex, with 0x or without, or base64; whole bytes of hex digits are hex. Raises MalformedMediaError."""
    word = "".join(text.split())
    if len(word) <= MAX_TEXT and (match := _HEX.fullmatch(word)):
        return bytes.fromhex(match.group(1))
    if not _BASE64.fullmatch(word):
        raise MalformedMediaError("this is neither base64 nor hex", where=where, seen=f"{len(word)} characters")
    return unbase64(word, where)
