"""Keys files in every form: what a file is, is seen in its text, and then it is read as that and as nothing else.

XML: drm.keyfile.xml_formats. JSON: drm.keyfile.json_formats. A table with a header: drm.keyfile.table_formats. All
else is lines: drm.keyfile.line_formats. Pure: bytes in, keys out. Each KID and key is in any notation of drm.keys,
told apart by length and prefix. No message repeats a key: errors say as what the file was read, and name the line, or
the entry where JSON has lines of its own.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from drm.errors import KeysFileError
from drm.keyfile.json_formats import recognise_json
from drm.keyfile.line_formats import recognise_lines
from drm.keyfile.spellings import KeyEntry, Recognised, TrackNumber
from drm.keyfile.xml_formats import recognise_xml
from drm.keys import ContentKey, KeyId

__all__ = ["MAX_KEYS_FILE", "join_keys", "keys_file_text", "parse_key_entries", "parse_keys_file"]

MAX_KEYS_FILE: Final = 4 << 20  # bytes: about fifty thousand keys
_MAX_ENTRIES: Final = 100_000

_FORMS: Final = (
    'a keys file is a JWK Set {"keys": [...]}, a JSON map {"KID": "KEY"}, lines KID:KEY, a CSV table, GPAC\'s XML or '
    "CPIX, or the settings of Shaka Player, dash.js or Kodi"
)
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
    text = keys_file_text(data)
    form = ""
    try:
        found = _recognised(text)
        form = f"read as {found.form}: "
        entries = list(islice(found.entries, _MAX_ENTRIES + 1))
    except KeysFileError as error:
        raise KeysFileError(
            f"{form}{error.what}",
            where=error.where,
            seen=error.seen,
            maybe=error.maybe,
            remedy=error.remedy or _FORMS,
            kids=error.kids,
        ) from None
    if not entries:
        raise KeysFileError(f"{form}the keys file holds no key", remedy=_FORMS)
    if len(entries) > _MAX_ENTRIES:
        raise KeysFileError(f"{form}the keys file holds more than {_MAX_ENTRIES} keys")
    return entries


def keys_file_text(data: bytes) -> str:
    """The text of a keys file. Raises KeysFileError: too large, or not UTF-8."""
    if len(data) > MAX_KEYS_FILE:
        raise KeysFileError(f"the keys file has {len(data)} bytes, more than {MAX_KEYS_FILE}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise KeysFileError(
            "the keys file is not text",
            seen=f"byte {error.start} is not UTF-8",
            maybe="it is UTF-16, as some programs of Windows write: save it as UTF-8" if is_utf_16 else "",
            remedy=_FORMS,
        ) from None


def _recognised(text: str) -> Recognised:
    if text.lstrip().startswith("<"):
        return recognise_xml(text)
    return recognise_json(text) if _JSON_START.match(text) else recognise_lines(text)


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
