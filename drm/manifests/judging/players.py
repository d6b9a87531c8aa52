"""The table of what plays: which form of a manifest each player takes, what it needs besides, and what ends it.

Measured with Chromium, each form on real media. Verdicts are those of Shaka Player 5.2, dash.js 5.2 and hls.js 1.7;
which other versions do the same is in `drm.manifests.judging.played`, and said with them. Numbers in parentheses are
the players' error codes. Values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from drm.keys import KeyId
from drm.manifests.forms import (
    CK_NAMESPACE,
    CLEARKEY_FORMAT,
    CLEARKEY_URN,
    CLEARKEY_URNS,
    DASHIF_NAMESPACE,
    HLS_METHODS,
    MP4_PROTECTION,
    Player,
)
from drm.manifests.judging.findings import Basis
from drm.manifests.judging.played import lines
from drm.manifests.judging.verdicts import Plays, Verdict
from drm.media import Scheme

__all__ = [
    "DashStatement", "HlsKey", "LicenseUrl", "dash_verdicts", "hls_verdicts", "lacks_pssh", "one_map", "one_url",
]  # fmt: skip


class LicenseUrl(msgspec.Struct, frozen=True):
    """One element that may name a license URL."""

    prefix: str
    namespace: str
    name: str
    license_type: str
    url: str


class DashStatement(msgspec.Struct, frozen=True):
    """One ContentProtection."""

    scheme_id: str  # schemeIdUri, in lower case
    value: str = ""  # of the element of the scheme: which one, in lower case
    has_kid: bool = False
    has_pssh: bool = False
    urls: tuple[LicenseUrl, ...] = ()


class HlsKey(msgspec.Struct, frozen=True):
    """One EXT-X-KEY that encrypts."""

    method: str
    key_format: str  # in lower case
    uri: str
    has_kid: bool
    kid: KeyId | None = None  # by KEYID, or by the URI


_CBCS: Final = HLS_METHODS[Scheme.CBCS]
_UNPLAYED: Final = frozenset({"cens", "cbc1"})
_IN_BAND: Final = "keys change in the media itself, which it plays in no form (113)"
_BY_PERIODS: Final = "begin a Period, with a default_KID of its own, where a key changes"
_OURS: Final = "clearkey:Laurl"
_CLEAR: Final = "it is not encrypted"
_REPACK: Final = "package it anew with scheme cenc or cbcs"
_PREFIXES: Final = frozenset({"clearkey", "dashif", "ck"})
_SHAKA_SERVER: Final = "configure drm.servers['org.w3.clearkey'] = LICENSE_URL, or clearkey signal the manifest"
_SHAKA_KEYS: Final = "clearkey signal the manifest, or configure drm.clearKeys = {KID: KEY} in hex"
_DASHJS_SERVER: Final = (
    "setProtectionData({'org.w3.clearkey': {serverURL: LICENSE_URL}}), or clearkey signal the manifest"
)
_DASHJS_KEYS: Final = (
    "clearkey signal the manifest, or setProtectionData({'org.w3.clearkey': {clearkeys: {KID: KEY}}}) in base64url"
)
_HLSJS_CONFIG: Final = "configure emeEnabled: true, drmSystems: {'org.w3.clearkey': {licenseUrl: LICENSE_URL}}"


# ------------------------------------------------------------------------------------------------ DASH
def dash_verdicts(statements: Sequence[DashStatement], *, rotates: bool = False) -> list[Verdict]:
    """What follows from the ContentProtection elements that hold for one representation; none: it is clear.

    `rotates`: keys change in the media, which names them itself (DASH-IF's mode 9.3).
    """
    if not statements:
        return [Verdict(player, Plays.FROM_MANIFEST, _CLEAR) for player in (Player.SHAKA, Player.DASHJS)]
    for statement in statements:
        if statement.scheme_id == MP4_PROTECTION and statement.value in _UNPLAYED:
            why = f"no browser decrypts {statement.value}"
            return [Verdict(player, Plays.NO, why, _REPACK) for player in (Player.SHAKA, Player.DASHJS)]
    if rotates:
        return [_shaka_rotation(statements), Verdict(Player.DASHJS, Plays.NO, _IN_BAND, _BY_PERIODS)]
    return [_shaka_dash(statements), _dashjs(statements)]


def _shaka_rotation(statements: Sequence[DashStatement]) -> Verdict:
    """It asks for what its media names, unless the MPD gives it anything to begin with."""
    what = "cenc:default_KID" if any(statement.has_kid for statement in statements) else ""
    if any(statement.has_pssh for statement in statements if statement.scheme_id in CLEARKEY_URNS):
        what = "a pssh"
    if what:
        why = f"keys change in the media, and the MPD has {what}: it asks for that alone, and shows nothing"
        return Verdict(Player.SHAKA, Plays.NO, why, f"take {what} out of the MPD, or: {_BY_PERIODS}")
    return _shaka_dash(statements)


def _shaka_dash(statements: Sequence[DashStatement]) -> Verdict:
    ours = [statement for statement in statements if statement.scheme_id in CLEARKEY_URNS]
    if not ours:
        return Verdict(Player.SHAKA, Plays.NO, "it does not say that Clear Key is to be used (6001)", _SHAKA_KEYS)
    # It takes the first element of the two systems, and looks for a URL in no other.
    read = [url for url in ours[0].urls if _is_shaka_url(url)]
    if read:  # by its namespace, under whatever prefix
        return _reads(Player.SHAKA, ["dashif:Laurl" if url.namespace == DASHIF_NAMESPACE else _OURS for url in read])
    if any(_is_shaka_url(url) for statement in ours[1:] for url in statement.urls):
        why = "the license URL stands in a later element than the first of Clear Key's, which alone is read (6012)"
    elif any(url.url for statement in ours for url in statement.urls):
        why = "the license URL is in a spelling that is not read: laurl, or without Lic_type EME-1.0 (6012)"
    else:
        why = "it names no license URL (6012)"
    return Verdict(Player.SHAKA, Plays.WITH_CONFIG, why, _SHAKA_SERVER)


def _is_shaka_url(url: LicenseUrl) -> bool:
    if url.name != "Laurl" or not url.url:
        return False
    return url.namespace == DASHIF_NAMESPACE or (url.namespace == CK_NAMESPACE and url.license_type == "EME-1.0")


def _dashjs(statements: Sequence[DashStatement]) -> Verdict:
    ours = [statement for statement in statements if statement.scheme_id == CLEARKEY_URN]
    if not ours:
        common = any(statement.scheme_id in CLEARKEY_URNS for statement in statements)
        why = "it names only W3C's common system" if common else "it does not say that Clear Key is to be used"
        return Verdict(Player.DASHJS, Plays.NO, f"{why} (113)", _DASHJS_KEYS)
    if any(statement.has_pssh for statement in ours):
        why = "Clear Key's element holds a pssh, which is handed to the CDM as key ids (113)"
        return Verdict(Player.DASHJS, Plays.NO, why, _DASHJS_KEYS)
    if not any(statement.has_kid for statement in statements if statement.scheme_id == MP4_PROTECTION):
        why = "it names no cenc:default_KID, from which the license request is made"
        return Verdict(Player.DASHJS, Plays.NO, why, "clearkey signal the manifest with --kid KID")
    has_pssh = any(statement.has_pssh for statement in statements if statement.scheme_id in CLEARKEY_URNS)
    read = [url for statement in ours for url in statement.urls if _is_dashjs_url(url)]
    if read:
        careful = "configure no serverURL: with one it takes the pssh of the common system (113)" if has_pssh else ""
        return _reads(Player.DASHJS, [f"{url.prefix}:{url.name}" for url in read], careful)
    if has_pssh:
        why = "it names no license URL, and with one configured it takes the pssh of the common system (113)"
        return Verdict(Player.DASHJS, Plays.NO, why, _DASHJS_KEYS)
    prefixes = {url.prefix for statement in ours for url in statement.urls}
    why = "the license URL's element has another prefix than" if prefixes else "it names no license URL in an element"
    return Verdict(Player.DASHJS, Plays.WITH_CONFIG, f"{why} dashif:, ck: or clearkey: (111)", _DASHJS_SERVER)


def _reads(player: Player, spellings: Sequence[str], careful: str = "") -> Verdict:
    """The verdict on an MPD that has all; older versions do not read every spelling of the license URL."""
    told = lines(player, spellings[0] if len(spellings) == 1 else "two of Laurl")
    best = lines(player, _OURS)
    why = f"it names Clear Key and the license URL{told and f', in a spelling that {told} read'}"
    mended = f"clearkey signal writes the spelling that {best} read" if told not in {"", best} else ""
    return Verdict(player, Plays.FROM_MANIFEST, why, "; ".join(filter(None, (careful, mended))))


def _is_dashjs_url(url: LicenseUrl) -> bool:
    return url.prefix in _PREFIXES and url.name in {"Laurl", "laurl"} and bool(url.url)


# ------------------------------------------------------------------------------------------------ HLS
def hls_verdicts(keys: Sequence[HlsKey], *, is_protected: bool, is_fmp4: bool, has_pssh: bool = True) -> list[Verdict]:
    """What follows from the EXT-X-KEY lines that hold at once.

    Args:
        keys: the lines.
        is_protected: whether the media says so, or lines do.
        is_fmp4: whether there is an EXT-X-MAP.
        has_pssh: whether the initialization segment names its keys in a `pssh` of the common system.
    """
    players = (Player.SHAKA, Player.HLSJS)
    if not is_protected and not keys:
        return [Verdict(player, Plays.FROM_MANIFEST, _CLEAR) for player in players]
    if keys and all(key.method == "AES-128" for key in keys):
        why = "whole segments are encrypted (AES-128), which is neither Common Encryption nor a matter of EME"
        return [Verdict(player, Plays.UNKNOWN, why, rests_on=Basis.NOTHING) for player in players]
    if not is_fmp4:
        why = "Clear Key plays in fragmented MP4 alone, and there is no EXT-X-MAP"
        return [Verdict(player, Plays.NO, why, "package it as fragmented MP4") for player in players]
    if not keys:
        return [
            Verdict(player, Plays.NO, f"the media is encrypted and no EXT-X-KEY says so{code}", _resign(player))
            for player, code in zip(players, (" (6010)", ""), strict=True)
        ]
    return [_shaka_hls(keys), _hlsjs(keys) if has_pssh else lacks_pssh("its keys")]


def lacks_pssh(keys: str) -> Verdict:
    """The verdict on media whose initialization segment does not name `keys`: hls.js asks for what stands there."""
    why = f"no pssh of the common system in the initialization segment names {keys}: it asks for no license, and stalls"
    return Verdict(Player.HLSJS, Plays.NO, why, "clearkey pssh insert INIT -o NEW_INIT, or package with such a pssh")


def one_url(keys: Iterable[HlsKey]) -> list[Verdict]:
    """The verdict on all key lines of a playlist: hls.js knows a key by its URI, and stalls at the first change."""
    by_url: dict[str, set[KeyId]] = {}
    for key in keys:
        if key.key_format == CLEARKEY_FORMAT and key.kid is not None:
            by_url.setdefault(key.uri, set()).add(key.kid)
    if all(len(kids) == 1 for kids in by_url.values()):
        return []
    why = "keys change and their lines have one URI, by which it knows a key: it stalls at the first change"
    return [Verdict(Player.HLSJS, Plays.NO, why, _resign(Player.HLSJS))]


def one_map(map_uri: str, kids: int) -> list[Verdict]:
    """The verdicts on keys that change under one initialization segment, which both players end in an error."""
    why = f"{kids} keys hold one after another under one EXT-X-MAP, {map_uri}: each needs an initialization segment"
    remedy = "package each key's segments with an initialization segment of their own, and an EXT-X-MAP before them"
    return [Verdict(player, Plays.NO, why, remedy) for player in (Player.SHAKA, Player.HLSJS)]


def _resign(player: Player) -> str:
    return f"clearkey signal --for {player}"


def _shaka_hls(keys: Sequence[HlsKey]) -> Verdict:
    identity = [key for key in keys if key.key_format == "identity"]
    if not identity:
        why = "no EXT-X-KEY has KEYFORMAT identity (4026)"
        return Verdict(Player.SHAKA, Plays.NO, why, _resign(Player.SHAKA))
    if any(key.uri.lower().startswith("data:") for key in identity):
        why = "the key's URI holds data, which Shaka Packager fills with the key id, not the key: a decode error"
        return Verdict(Player.SHAKA, Plays.NO, why, _resign(Player.SHAKA))
    why = f"the key's URL gives its sixteen bytes, which {lines(Player.SHAKA, 'identity')} fetch"
    return Verdict(Player.SHAKA, Plays.FROM_MANIFEST, why)


def _hlsjs(keys: Sequence[HlsKey]) -> Verdict:
    clearkey = [key for key in keys if key.key_format == CLEARKEY_FORMAT]
    if not clearkey:
        why = "no EXT-X-KEY has KEYFORMAT org.w3.clearkey"
        return Verdict(Player.HLSJS, Plays.NO, why, _resign(Player.HLSJS))
    if any(key.uri.lower().startswith("data:") for key in clearkey):
        why = "the key's URI holds data: it stops behind the first segment"
        return Verdict(Player.HLSJS, Plays.NO, why, _resign(Player.HLSJS))
    if not all(key.has_kid for key in clearkey):
        return Verdict(Player.HLSJS, Plays.NO, "the key has no KEYID", _resign(Player.HLSJS))
    if any(key.key_format == "identity" for key in keys) and any(key.method == _CBCS for key in keys):
        why = "beside a key of KEYFORMAT identity it plays no cbcs"
        return Verdict(Player.HLSJS, Plays.NO, why, f"a playlist of its own: {_resign(Player.HLSJS)}")
    by_url, by_request = (lines(Player.HLSJS, CLEARKEY_FORMAT, plays) for plays in ("config", "code"))
    why = f"it names Clear Key and the KID; the application gives the license URL, which is all that {by_url} needs"
    why += f" ({by_request}: the license request as well)" if by_request else ""
    return Verdict(Player.HLSJS, Plays.WITH_CONFIG, why, _HLSJS_CONFIG)
