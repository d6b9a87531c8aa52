"""How Clear Key is written into manifests: the forms that browsers' players play, in one place.

DASH: the system id of DASH-IF's Clear Key with its license URL in one element and no `pssh`. Shaka Player goes by
namespace and `Lic_type`, dash.js by the very prefix; before 5 it reads none where there are two. It hands any `pssh` it
finds there to the CDM as something it is not.
HLS: Shaka Player takes the key itself from a URL (RFC 8216, 4.3.2.4, KEYFORMAT "identity"), hls.js asks a license
server for the KID that the line names. Text in, text out.
"""

from __future__ import annotations

import enum
import html
import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from drm.errors import InvalidArgumentError
from drm.keys import COMMON_SYSTEM, KeyId, SystemId
from drm.media import Scheme

__all__ = [
    "CK_NAMESPACE", "CLEARKEY_FORMAT", "CLEARKEY_SYSTEM", "CLEARKEY_URN", "CLEARKEY_URNS", "DASHIF_NAMESPACE",
    "HLS_METHODS", "MP4_PROTECTION", "Player", "checked_url", "clearkey_lines", "default_kid_lines", "hls_key_line",
    "key_url",
]  # fmt: skip

CLEARKEY_SYSTEM: Final = SystemId.parse("e2719d58-a985-b3c9-781a-b030af78d30e")
CLEARKEY_URN: Final = f"urn:uuid:{CLEARKEY_SYSTEM}"
CLEARKEY_URNS: Final = frozenset({CLEARKEY_URN, f"urn:uuid:{COMMON_SYSTEM}"})
"""Both systems that players take for Clear Key."""

MP4_PROTECTION: Final = "urn:mpeg:dash:mp4protection:2011"
DASHIF_NAMESPACE: Final = "https://dashif.org/CPS"
CK_NAMESPACE: Final = "http://dashif.org/guidelines/clearKey"
CLEARKEY_FORMAT: Final = "org.w3.clearkey"
HLS_METHODS: Final = {Scheme.CENC: "SAMPLE-AES-CTR", Scheme.CBCS: "SAMPLE-AES"}
_LONGEST: Final = 2048  # characters of a URL


class Player(enum.StrEnum):
    """The players whose behaviour is known. dash.js reads MPDs, hls.js playlists, Shaka Player both."""

    SHAKA = "shaka"
    DASHJS = "dash.js"
    HLSJS = "hls.js"


def checked_url(url: str, what: str) -> str:
    """Return `url`, which is absolute, http or https, and fits a line of a manifest. Raises InvalidArgumentError."""
    is_plain = re.fullmatch(r"[!-~]+", url) is not None and not set(url) & set('"<>\\^`{|}')
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not is_plain or len(url) > _LONGEST or parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise InvalidArgumentError(
            f"{what} is no absolute http or https URL",
            seen=repr(url[:80]),
            maybe="characters that a URL writes as %XX" if not is_plain else "",
            remedy="give it whole, as players will ask for it: https://licenses.example.test/license",
        )
    return url


def key_url(kid: KeyId, license_url: str, keys_base: str | None = None) -> str:
    """Where the sixteen bytes of one key are: below `keys_base`, or in `hls/key` beside the license URL."""
    if keys_base is not None:
        return f"{keys_base.rstrip('/')}/{kid.hex}"
    parts = urlsplit(license_url)
    folder = parts.path.rpartition("/")[0]
    return urlunsplit((parts.scheme, parts.netloc, f"{folder}/hls/key/{kid.hex}", parts.query, ""))


def default_kid_lines(scheme: Scheme, kid: KeyId | None, *, declared: str = "") -> list[str]:
    """The element that says which scheme and key (ISO/IEC 23009-1, 5.8.5.2; ISO/IEC 23001-7, 11.2).

    No key: keys change, and the media names them. `declared` declares `cenc:`, where the document does not.
    """
    named = "" if kid is None else f' cenc:default_KID="{kid}"'
    return [f'<ContentProtection schemeIdUri="{MP4_PROTECTION}" value="{scheme.value}"{declared}{named}/>']


def clearkey_lines(license_url: str, *, declared: str = "") -> list[str]:
    """The element that says where licenses are; `declared` declares `clearkey:`, where the document does not."""
    return [
        f'<ContentProtection schemeIdUri="{CLEARKEY_URN}" value="ClearKey1.0">',
        f'  <clearkey:Laurl{declared} Lic_type="EME-1.0">{html.escape(license_url)}</clearkey:Laurl>',
        "</ContentProtection>",
    ]


def hls_key_line(player: Player, scheme: Scheme, kid: KeyId, license_url: str, keys_base: str | None = None) -> str:
    """The EXT-X-KEY for `player`. `scheme` is cenc or cbcs: no player takes another.

    hls.js knows a key by its URI, so each has one of its own. The license server passes over the word in it, as hls.js
    does: it asks where the application says.
    """
    method = HLS_METHODS[scheme]
    if player is Player.HLSJS:
        path, _, query = license_url.partition("#")[0].partition("?")
        url = f"{path}?{query}{'&' if query else ''}kid={kid.hex}"
        return f'#EXT-X-KEY:METHOD={method},URI="{url}",KEYID=0x{kid.hex},KEYFORMAT="{CLEARKEY_FORMAT}"'
    return f'#EXT-X-KEY:METHOD={method},URI="{key_url(kid, license_url, keys_base)}",KEYFORMAT="identity"'
