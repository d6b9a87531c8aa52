"""Words on the command line as `pssh` boxes: base64 or hex of whole boxes, of a box's data, or of one key id."""

from __future__ import annotations

import re
from typing import Final

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE
from drm.keys import KeyId
from drm.manifests.key_ids import MAX_TEXT, Statement, box_statements, data_statement, kid_statement, unbase64

__all__ = ["decoded", "unhex_or_unbase64"]

_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})+)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


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


def unhex_or_unbase64(text: str, where: str) -> bytes:
    """Decode hex, with 0x or without, or base64; whole bytes of hex digits are hex. Raises MalformedMediaError."""
    word = "".join(text.split())
    if len(word) <= MAX_TEXT and (match := _HEX.fullmatch(word)):
        return bytes.fromhex(match.group(1))
    if not _BASE64.fullmatch(word):
        raise MalformedMediaError("this is neither base64 nor hex", where=where, seen=f"{len(word)} characters")
    return unbase64(word, where)
