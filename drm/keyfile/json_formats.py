"""Keys in JSON: EME's JWK Set, a map of KID to key, lists, and the settings of players.

    {"keys": [{"kty": "oct", "kid": KID, "k": KEY}]}                EME Clear Key
    {KID: KEY}                                                      a map; also what Shaka Player calls clearKeys
    [{"kid": KID, "key": KEY}]                                      a list
    {"drm": {"clearKeys": {KID: KEY}}}                              Shaka Player
    {"org.w3.clearkey": {"clearkeys": {KID: KEY}}}                  dash.js, also inside "protData"
    {"org.w3.clearkey": {"license": {"keyids": {KID: KEY}}}}        Kodi's inputstream.adaptive

Pure. Of a player's settings the part with the keys is read, and the rest is passed over; a key outside that part is
refused, as is a member that stands twice. No message repeats a name or a value that may be a key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.spellings import KeyEntry, Recognised, key_name
from drm.keys import ContentKey, KeyId

__all__ = ["recognise_json"]

_CLEARKEY: Final = "org.w3.clearkey"
_OTHER_SYSTEMS: Final = {"com.widevine.alpha", "com.microsoft.playready", "com.apple.fps", "com.huawei.wiseplay"}
_DASH_JS: Final = "dash.js's protection data"
_SHAKA: Final = "Shaka Player's settings"
_NO_KEYS: Final = "the player gets its keys from a license server, and they are not in its settings"


class _Members(list[tuple[str, object]]):
    """A JSON object with its members in order, the repeated ones too."""


def recognise_json(text: str) -> Recognised:
    """Say which of these it is, and return its keys. Raises KeysFileError: not JSON, or none of these."""
    try:
        whole = json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise KeysFileError(
            f"the keys file is not JSON: {error.msg}", where=f"line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise KeysFileError("the keys file is JSON nested too deeply") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise KeysFileError("the keys file is JSON with a number of thousands of digits") from None
    if isinstance(whole, _Members):
        return _recognise_object(whole)
    return Recognised("a JSON array of keys", _listed(whole if isinstance(whole, list) else [], "element"))


def _recognise_object(whole: _Members) -> Recognised:
    told = dict(whole)
    if isinstance(told.get("keys"), list):
        return Recognised("a JWK Set", _jwk_set(whole))
    if {"kty", "k"} <= told.keys():
        return Recognised("a JWK", _one_jwk(whole))
    if _CLEARKEY in told:
        section = told[_CLEARKEY]
        is_kodi = isinstance(section, _Members) and "license" in dict(section)
        return Recognised("Kodi's DRM settings" if is_kodi else _DASH_JS, _protection_data(whole, "the object"))
    for name in ("protData", "protectionData"):
        if name in told:
            return Recognised(_DASH_JS, _wrapped_protection_data(whole, name))
    if "clearkeys" in told:
        return Recognised(_DASH_JS, _clear_keys(whole, "clearkeys", ""))
    if "clearKeys" in told:
        return Recognised(_SHAKA, _clear_keys(whole, "clearKeys", ""))
    if "drm" in told:
        return Recognised(_SHAKA, _shaka(whole))
    if _OTHER_SYSTEMS & told.keys():
        return Recognised("a player's DRM settings", _protection_data(whole, "the object"))
    return Recognised("a JSON map of KID to key", _tracks_too(whole))


# ------------------------------------------------------------------------------------------------ players' settings
def _section(whole: object, name: str, where: str) -> object:
    """The member `name` of an object: there, once, and no key beside it."""
    if not isinstance(whole, _Members):
        raise KeysFileError("this is no JSON object", where=where)
    found = [value for member, value in whole if member == name]
    if not found:
        raise KeysFileError(f"there is no `{name}`", where=where, maybe=_NO_KEYS)
    if len(found) > 1:
        raise KeysFileError(f"the member `{name}` stands twice", where=where)
    for number, (member, value) in enumerate(whole, start=1):
        if isinstance(value, str) and _is_key_id(member):
            of = f" of {where}" if where else ""
            raise KeysFileError(f"a key stands beside `{name}`, and not in it", where=f"member {number}{of}")
    return found[0]


def _is_key_id(text: str) -> bool:
    try:
        KeyId.parse(text)
    except InvalidArgumentError:
        return False
    return True


def _clear_keys(whole: object, name: str, where: str) -> Iterator[KeyEntry]:
    yield from _map(_section(whole, name, where), f"`{name}`" + (f" of {where}" if where else ""))


def _shaka(whole: _Members) -> Iterator[KeyEntry]:
    yield from _clear_keys(_section(whole, "drm", ""), "clearKeys", "`drm`")


def _wrapped_protection_data(whole: _Members, name: str) -> Iterator[KeyEntry]:
    yield from _protection_data(_section(whole, name, ""), f"`{name}`")


def _protection_data(whole: object, where: str) -> Iterator[KeyEntry]:
    """What dash.js (`clearkeys`) and Kodi (`license.keyids`) say of Clear Key."""
    system, place = _section(whole, _CLEARKEY, where), f"`{_CLEARKEY}`"
    is_kodi = isinstance(system, _Members) and "license" in dict(system)
    if is_kodi:
        yield from _clear_keys(_section(system, "license", place), "keyids", f"`license` of {place}")
    if not is_kodi or (isinstance(system, _Members) and "clearkeys" in dict(system)):
        yield from _clear_keys(system, "clearkeys", place)


# ------------------------------------------------------------------------------------------------ maps and lists
def _map(value: object, where: str) -> Iterator[KeyEntry]:
    if not isinstance(value, _Members):
        raise KeysFileError("this is no JSON object of KIDs and keys", where=where)
    for number, (kid, key) in enumerate(value, start=1):
        place = f"member {number} of {where}"
        _, name, found = _entry(kid, key, place)
        if not isinstance(name, KeyId):
            raise KeysFileError("a track's number, where the player wants a KID", where=place)
        yield place, name, found


def _jwk_set(whole: _Members) -> Iterator[KeyEntry]:
    yield from _listed(_section(whole, "keys", ""), "key", " of `keys`")


def _one_jwk(whole: _Members) -> Iterator[KeyEntry]:
    yield _jwk_entry(whole, "the JWK")


def _tracks_too(whole: _Members) -> Iterator[KeyEntry]:
    for number, (kid, key) in enumerate(whole, start=1):
        yield _entry(kid, key, f"member {number}")


def _listed(whole: object, what: str, of: str = "") -> Iterator[KeyEntry]:
    if not isinstance(whole, list):
        raise KeysFileError("this is no JSON list of keys")
    for number, value in enumerate(whole, start=1):
        where = f"{what} {number}{of}"
        if not isinstance(value, _Members):
            raise KeysFileError("this is not a JSON object with a KID and a key", where=where)
        names = {name for name, _ in value}
        yield _pair_entry(value, where) if {"kid", "key"} <= names else _jwk_entry(value, where)


def _pair_entry(value: _Members, where: str) -> KeyEntry:
    return _entry(_once(value, "kid", where), _once(value, "key", where), where)


def _jwk_entry(jwk: _Members, where: str) -> KeyEntry:
    """A symmetric key (RFC 7518 6.4) with a kid."""
    if dict(jwk).get("kty") != "oct":
        raise KeysFileError(
            "the JWK is not a symmetric key", where=where, remedy='a content key has "kty": "oct", a `kid` and a `k`'
        )
    return _entry(_once(jwk, "kid", where), _once(jwk, "k", where), where)


def _once(value: _Members, name: str, where: str) -> object:
    found = [inside for member, inside in value if member == name]
    if len(found) != 1:
        raise KeysFileError(f"there are several `{name}`" if found else f"there is no `{name}`", where=where)
    return found[0]


def _entry(kid: object, key: object, where: str) -> KeyEntry:
    if not isinstance(kid, str) or not isinstance(key, str):
        raise KeysFileError("KID and key are not both text", where=where)
    try:
        return where, key_name(kid), ContentKey.parse(key)
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None
