"""Keys files: a JWK Set, a JSON map of KID to key, lines with `#` comments, or GPAC's XML.

Pure: bytes in, keys out. Every notation of drm.keys is read, and on lines every spelling of drm.keyfile.spellings. No
message repeats a key: errors name the line, or the entry where JSON has lines of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from drm.bounded_xml import XmlElement, parse_xml
from drm.errors import InvalidArgumentError, KeysFileError, MalformedMediaError
from drm.keyfile.spellings import KeyEntry, KeyName, OnlyKid, TrackNumber, key_name, parse_keys
from drm.keys import ContentKey, KeyId

__all__ = ["MAX_KEYS_FILE", "join_keys", "parse_key_entries", "parse_keys_file"]

MAX_KEYS_FILE: Final = 4 << 20  # bytes: about fifty thousand keys

_FORMS: Final = 'a keys file is a JWK Set {"keys": [...]}, a JSON map {"KID": "KEY"}, lines KID:KEY, or GPAC XML'

_JSON_START: Final = re.compile(r'\s*(\[|\{\s*["}])')  # and not the brace of a {UUID}

_Entry = tuple[str, KeyId, ContentKey]  # where it stands, for messages


def parse_keys_file(data: bytes) -> dict[KeyId, ContentKey]:
    """Read a keys file of which every key has its KID. The same entry twice counts once.

    Raises:
        KeysFileError: not a keys file, an entry that cannot be read or has no KID, one KID with two keys, or an entry
            that stands in the file the other way round as well.
    """
    return join_keys(_with_kid(entry) for entry in parse_key_entries(data))


def parse_key_entries(data: bytes) -> list[KeyEntry]:
    """Read a keys file whose keys may also be for a track, or for a file's only KID. Raises KeysFileError."""
    if len(data) > MAX_KEYS_FILE:
        raise KeysFileError(f"the keys file has {len(data)} bytes, more than {MAX_KEYS_FILE}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KeysFileError(
            "the keys file is not text", seen=f"byte {error.start} is not UTF-8", remedy=_FORMS
        ) from None
    if text.lstrip().startswith("<"):
        entries = list(_xml_entries(text))
    else:
        entries = list(_json_entries(text) if _JSON_START.match(text) else _line_entries(text))
    if not entries:
        raise KeysFileError("the keys file holds no key", remedy=_FORMS)
    return entries


def _with_kid(entry: KeyEntry) -> _Entry:
    where, name, key = entry
    if isinstance(name, KeyId):
        return where, name, key
    what = f"a key for track {name.number}" if isinstance(name, TrackNumber) else "a key without a KID"
    raise KeysFileError(
        f"{what}, and there is no media file here that would say which KID that is", where=where, remedy=_FORMS
    )


def join_keys(entries: Iterable[_Entry]) -> dict[KeyId, ContentKey]:
    """Put entries (where, KID, key) together. Raises KeysFileError when two of them contradict each other."""
    keys: dict[KeyId, ContentKey] = {}
    places: dict[KeyId, str] = {}
    for where, kid, key in entries:
        if kid in keys and keys[kid] != key:
            raise KeysFileError(
                f"KID {kid} is given two different keys", where=f"{places[kid]} and {where}", kids=(str(kid),)
            )
        keys[kid] = key
        places.setdefault(kid, where)
    for kid, key in keys.items():
        mirror = KeyId(key.secret)
        if mirror != kid and mirror in keys and keys[mirror].secret == kid.value:
            # Whichever of the two is right, the other one's KID is a key: neither is named.
            raise KeysFileError(
                "one entry is another one the other way round, so KID and key are swapped in one of them",
                where=f"{places[kid]} and {places[mirror]}",
            )
    return keys


def _line_entries(text: str) -> Iterator[KeyEntry]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        where = f"line {number}"
        try:
            found = parse_keys(words)
        except InvalidArgumentError as error:
            raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy or _FORMS) from None
        for name, key in found:
            yield where, name, key


def _xml_entries(text: str) -> Iterator[KeyEntry]:
    """The keys of GPAC's DRM file: `key` elements, or attributes of their `CrypTrack` itself."""
    try:
        root = parse_xml(text, "the keys file", limit=MAX_KEYS_FILE)
    except MalformedMediaError as error:
        raise KeysFileError(error.what, where=error.where, remedy=error.remedy or _FORMS) from None
    for track in root.walk():
        if not track.name.lower().endswith("cryptrack"):
            continue
        told = _lowered(track)
        number = told.get("trackid", "0").strip()
        try:
            default: KeyName = OnlyKid() if number == "0" else key_name(number)
            for element in (track, *(child for child in track.children if child.name.lower() == "key")):
                own = _lowered(element)
                key = own.get("value", own.get("key"))
                if key is not None:
                    name = KeyId.parse(own["kid"]) if "kid" in own else default
                    yield f"line {element.line}", name, ContentKey.parse(key)
        except InvalidArgumentError as error:
            raise KeysFileError(error.what, where=f"CrypTrack in line {track.line}", maybe=error.maybe) from None


def _lowered(element: XmlElement) -> dict[str, str]:
    return {name.lower(): value for name, value in element.attributes.items()}


def _json_entries(text: str) -> Iterator[KeyEntry]:
    try:
        whole = json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise KeysFileError(
            f"the keys file is not JSON: {error.msg}", where=f"line {error.lineno}, column {error.colno}", remedy=_FORMS
        ) from None
    except RecursionError:
        raise KeysFileError("the keys file is JSON nested too deeply", remedy=_FORMS) from None
    if not isinstance(whole, _Members):
        raise KeysFileError("the keys file is a JSON array", remedy=_FORMS)
    members = dict(whole)
    jwks = members.get("keys")
    if isinstance(jwks, list):
        for number, jwk in enumerate(jwks, start=1):
            yield _jwk_entry(jwk, f"key {number} of `keys`")
    elif "kty" in members and "k" in members:
        yield _jwk_entry(whole, "the JWK")
    else:
        for number, (kid, key) in enumerate(whole, start=1):
            yield _entry(kid, key, f"member {number}")


class _Members(list[tuple[str, object]]):
    """A JSON object with its members in order, the repeated ones too."""


def _jwk_entry(jwk: object, where: str) -> KeyEntry:
    if not isinstance(jwk, _Members):
        raise KeysFileError("a member of `keys` is not a JSON object", where=where, remedy=_FORMS)
    members = dict(jwk)
    if members.get("kty") != "oct":
        raise KeysFileError(
            "the JWK is not a symmetric key", where=where, remedy='a content key has "kty": "oct", a `kid` and a `k`'
        )
    for name in ("kid", "k"):
        if name not in members:
            raise KeysFileError(f"the JWK has no `{name}`", where=where)
    return _entry(members["kid"], members["k"], where)


def _entry(kid: object, key: object, where: str) -> KeyEntry:
    if not isinstance(kid, str) or not isinstance(key, str):
        raise KeysFileError("KID and key are not both text", where=where, remedy=_FORMS)
    try:
        return where, key_name(kid), ContentKey.parse(key)
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None
