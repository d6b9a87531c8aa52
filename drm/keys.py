"""Key ids, content keys and system ids: sixteen bytes each, and never to be mixed.

Every notation that the field uses is read, told apart by length and prefix and never by guess:

    32 hex digits          0123456789abcdef0123456789abcdef
    0x + 32 hex digits     0x0123456789abcdef0123456789abcdef
    UUID                   01234567-89ab-cdef-0123-456789abcdef, also in {braces} and after urn:uuid:
    base64url, no padding  22 characters
    base64, padded         24 characters that end in ==, either alphabet
    guid-le:               any of these, in the byte order of PlayReady and Windows
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Self

import msgspec

from drm.errors import InvalidArgumentError

__all__ = ["COMMON_SYSTEM", "ContentKey", "KeyId", "SystemId", "parse_key_pair"]

_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{32})")
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\}?",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{22}(?:==)?")
_NOTATIONS = "32 hex digits, 0x and 32 hex digits, a UUID, or 22 characters of base64url (24 with '==')"
_MOST_COLONS = 9  # `guid-le:urn:uuid:` on both sides has seven: one more colon is no pair, and trying each takes long
_TO_URL = bytes.maketrans(b"+/", b"-_")


def _sixteen_bytes(text: str, what: str) -> bytes:
    """Return the sixteen bytes that `text` stands for; the error never repeats a key's text."""
    word = text.strip()
    swap = word.lower().startswith("guid-le:")
    if swap:
        word = word[len("guid-le:") :]
    value = _decoded(word)
    if value is None:
        raise InvalidArgumentError(
            f"this is not {what}: {_shape(word)}",
            maybe=_likely_mistake(word),
            remedy=f"give {what} as {_NOTATIONS}",
        )
    return uuid.UUID(bytes_le=value).bytes if swap else value


def _decoded(word: str) -> bytes | None:
    if match := _HEX.fullmatch(word) or _UUID.fullmatch(word):
        return bytes.fromhex(match.group(1).replace("-", ""))
    if _BASE64.fullmatch(word):
        standard = word.rstrip("=").replace("-", "+").replace("_", "/") + "=="
        value = base64.b64decode(standard)
        # The last character holds four bits that mean nothing; a set one is a typing error, not a key.
        if base64.b64encode(value).decode() == standard:
            return value
    return None


def _shape(word: str) -> str:
    kind = "hex digits" if re.fullmatch(r"[0-9a-fA-F]+", word) else "characters"
    return f"{len(word)} {kind}"


def _likely_mistake(word: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", word):
        return "64 hex digits are 32 bytes: perhaps the hex of a hex string"
    if "–" in word or "—" in word or "‐" in word:  # noqa: RUF001 - the very characters that people paste
        return "it has typographic dashes, as copied from a web page"
    if re.fullmatch(r"[A-Za-z0-9+/_-]{22}", word.rstrip("=")):
        return "base64 of sixteen bytes, but its last character is not one that sixteen bytes can end in"
    return ""


class KeyId(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Names a content key. Public: it stands in the file and in the license request."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 16:
            raise ValueError(f"a key id has 16 bytes, not {len(self.value)}")

    def __str__(self) -> str:
        return str(uuid.UUID(bytes=self.value))

    @property
    def hex(self) -> str:
        """Thirty-two lower-case hex digits."""
        return self.value.hex()

    @property
    def base64url(self) -> str:
        """Twenty-two characters, as EME Clear Key writes a `kid`."""
        return binascii.b2a_base64(self.value, newline=False).translate(_TO_URL)[:22].decode()

    @property
    def byte_reversed(self) -> KeyId:
        """The id that results when a Windows GUID's byte order was taken for a UUID's, or the reverse."""
        return KeyId(uuid.UUID(bytes=self.value).bytes_le)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key id in any notation. Raises InvalidArgumentError."""
        return cls(_sixteen_bytes(text, "a key id"))


class SystemId(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Names a content protection system in a `pssh` box."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 16:
            raise ValueError(f"a system id has 16 bytes, not {len(self.value)}")

    def __str__(self) -> str:
        return str(uuid.UUID(bytes=self.value))

    @property
    def name(self) -> str:
        """The system's usual name, or 'unknown system'."""
        return _SYSTEM_NAMES.get(str(self), "unknown system")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a system id in any notation. Raises InvalidArgumentError."""
        return cls(_sixteen_bytes(text, "a system id"))


_SYSTEM_NAMES = {
    "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b": "W3C common",
    "e2719d58-a985-b3c9-781a-b030af78d30e": "DASH-IF Clear Key",
    "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed": "Widevine",
    "9a04f079-9840-4286-ab92-e65be0885f95": "PlayReady",
    "94ce86fb-07ff-4f43-adb8-93d2fa968ca2": "FairPlay",
    "5e629af5-38da-4063-8977-97ffbd9902d4": "Marlin",
}

COMMON_SYSTEM = SystemId.parse("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b")
"""The common system of W3C's "cenc" initialization data format: a version 1 `pssh` that lists key ids."""


class ContentKey:
    """Sixteen secret bytes. Prints as its kind alone, cannot be pickled, can be wiped (best effort)."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        if len(value) != 16:
            raise ValueError(f"a content key has 16 bytes, not {len(value)}")
        self._bytes = bytearray(value)

    def __repr__(self) -> str:
        return "<ContentKey>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContentKey) and self._bytes == other._bytes

    __hash__ = None  # type: ignore[assignment]  # a secret is never a dictionary key

    def __reduce__(self) -> str:
        raise TypeError("a content key stays in the process that holds it")

    @property
    def secret(self) -> bytes:
        """The key's bytes. Whoever reads this is listed in the tests: engines, sealing, and the key verbs."""
        return bytes(self._bytes)

    def wipe(self) -> None:
        """Overwrite the key. Python copies bytes freely, so this shortens a key's life and proves nothing."""
        self._bytes[:] = bytes(16)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key in any notation. Raises InvalidArgumentError, which never repeats the text."""
        return cls(_sixteen_bytes(text, "a content key"))

    @classmethod
    def from_base64url(cls, text: str) -> Self:
        """Read `k` of a JWK; both alphabets, padded or not, as old systems write them."""
        try:
            return cls(base64.b64decode(text.rstrip("=").replace("-", "+").replace("_", "/") + "==", validate=True))
        except (binascii.Error, ValueError):
            raise InvalidArgumentError("`k` is not the base64url of a 16-byte key") from None


def parse_key_pair(text: str) -> tuple[KeyId, ContentKey]:
    """Read `KID:KEY`, each side in any notation. Raises InvalidArgumentError."""
    sides = text.strip().split(":")
    for cut in range(1, min(len(sides), _MOST_COLONS)):
        kid, key = ":".join(sides[:cut]), ":".join(sides[cut:])
        if _readable(kid) and _readable(key):
            return KeyId.parse(kid), ContentKey.parse(key)
    if len(sides) == 1:
        raise InvalidArgumentError(
            "a key is given as KID:KEY, and there is no ':' here", remedy=f"each side may be {_NOTATIONS}"
        )
    # Neither cut fits: parse the likeliest one so that the message says which side is off.
    kid, key = text.strip().rsplit(":", 1)
    KeyId.parse(kid)
    ContentKey.parse(key)
    raise InvalidArgumentError("this is not KID:KEY", remedy=f"each side may be {_NOTATIONS}")


def _readable(word: str) -> bool:
    word = word.strip()
    return _decoded(word[len("guid-le:") :] if word.lower().startswith("guid-le:") else word) is not None
