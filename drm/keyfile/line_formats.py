"""Keys on lines, with `#` comments, and in the properties of Kodi's playlists.

    KID:KEY                                                                    or any spelling of drm.keyfile.spellings
    #KODIPROP:inputstream.adaptive.drm_legacy=org.w3.clearkey|KID:KEY,KID:KEY  Kodi 21
    #KODIPROP:inputstream.adaptive.drm={"org.w3.clearkey": …}                  Kodi 22

Pure. Errors name the line; no message repeats a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.json_formats import recognise_json
from drm.keyfile.spellings import KeyEntry, Recognised, parse_keys
from drm.keyfile.table_formats import is_table, table_entries

__all__ = ["recognise_lines"]

_PROPERTY: Final = "#KODIPROP:"
_ADDON: Final = "inputstream.adaptive."
_CLEARKEY: Final = "org.w3.clearkey"
_KODI_REMEDY: Final = f"write {_ADDON}drm_legacy={_CLEARKEY}|KID:KEY"


def recognise_lines(text: str) -> Recognised:
    """Say which of these it is, and return its keys: lines in any spelling, if nothing else is seen."""
    if is_table(text):
        return Recognised("a table of keys", table_entries(text))
    if any(line.lstrip().startswith((_PROPERTY, _ADDON, f"{_CLEARKEY}|")) for line in text.splitlines()):
        return Recognised("Kodi's properties", _kodi_entries(text))
    return Recognised("lines of keys", _line_entries(text))


def _line_entries(text: str) -> Iterator[KeyEntry]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if words:
            yield from _spelled(words, f"line {number}")


def _spelled(words: str, where: str) -> Iterator[KeyEntry]:
    try:
        found = parse_keys(words)
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None
    for name, key in found:
        yield where, name, key


def _kodi_entries(text: str) -> Iterator[KeyEntry]:
    """The properties of a playlist that say keys; addresses, comments and other properties say none."""
    for number, line in enumerate(text.splitlines(), start=1):
        words, where = line.strip().removeprefix(_PROPERTY).strip(), f"line {number}"
        if words.startswith(f"{_CLEARKEY}|"):
            yield from _drm_legacy(words, where)
        elif words.startswith(_ADDON):
            name, _, value = words.removeprefix(_ADDON).partition("=")
            if name.strip() == "drm_legacy":
                yield from _drm_legacy(value.strip(), where)
            elif name.strip() == "drm":
                yield from _drm(value, where)
            elif name.strip() == "license_key":
                raise KeysFileError(
                    "license_key is a license server's address in Kodi, and Kodi reads no keys from it",
                    where=where,
                    remedy=_KODI_REMEDY,
                )
        elif words and not line.lstrip().startswith("#") and "://" not in words:
            raise KeysFileError("neither a property of Kodi nor an address", where=where, remedy=_KODI_REMEDY)


def _drm_legacy(value: str, where: str) -> Iterator[KeyEntry]:
    """`[key system]|[license server or keys]|[headers]`."""
    system, _, rest = value.partition("|")
    keys = rest.partition("|")[0].strip()
    if system.strip() != _CLEARKEY:
        raise KeysFileError(f"the key system is not {_CLEARKEY}, so there is no key", where=where)
    if not keys or "://" in keys:
        raise KeysFileError("Kodi gets the keys from a license server, and they are not here", where=where)
    yield from _spelled(keys, where)


def _drm(value: str, where: str) -> Iterator[KeyEntry]:
    try:
        for place, name, key in recognise_json(value).entries:
            yield f"{where}, {place}", name, key
    except KeysFileError as error:
        inside = ", ".join(part for part in (where, error.where) if part)
        raise KeysFileError(error.what, where=inside, maybe=error.maybe, remedy=error.remedy) from None
