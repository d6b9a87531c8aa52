"""Keys files as other tools write them, by hand and with keys of our own; each with the keys that it holds."""

from __future__ import annotations

from typing import Final

from drm.keyfile.spellings import KeyName, OnlyKid, TrackNumber
from drm.keys import KeyId

__all__ = ["KEY", "KEY2", "KID", "OTHER", "SPECIMENS", "UUID"]

KID: Final = "0123456789abcdef0123456789abcdef"
UUID: Final = "01234567-89ab-cdef-0123-456789abcdef"
KID64: Final = "ASNFZ4mrze8BI0VniavN7w"
OTHER: Final = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
OTHER_UUID: Final = "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"
KEY: Final = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
KEY64: Final = "8OHSw7Sllod4aVpLPC0eDw"
KEY2: Final = "00e1d2c3b4a5968778695a4b3c2d1e0f"
KEY2_64: Final = "AOHSw7Sllod4aVpLPC0eDw"

_ONE: Final[list[tuple[KeyName, str]]] = [(KeyId.parse(KID), KEY)]
_TWO: Final[list[tuple[KeyName, str]]] = [*_ONE, (KeyId.parse(OTHER), KEY2)]

_GPAC_TWO: Final = f"""<?xml version="1.0" encoding="UTF-8" />
<GPACDRM type="CENC AES-CTR">

<!-- a system of our own, with <key KID="0x{OTHER}" value="0x{KEY}"/> in a comment -->
<DRMInfo type="pssh" version="1" cypherOffset="9" cypherKey="0x{OTHER}" cypherIV="0x00000000000000000000000000000001">
<BS ID128="1077efecc0b24d02ace33c1e52e2fb4b"/>
<BS value="2" bits="32"/>
<BS ID128="0x{KID}"/>
<BS bits="8" string="CID=Film"/>
</DRMInfo>
<DRMInfoTemplate system="1077efecc0b24d02ace33c1e52e2fb4b" KEY="0x{OTHER}"><BS ID128="KEY"/></DRMInfoTemplate>

<CrypTrack trackID="1" IsEncrypted="1" IV_size="16" first_IV="0x0a610676cb88f302d10ac8bc66e039ed" keyRoll="roll=2">
<key KID="0x{KID}" value="0x{KEY}" hlsInfo='URI="urn:keys:1"'/>
<key KID="0x{OTHER}" value="0x{KEY2}" spatialId="1"/>
</CrypTrack>
<CrypTrack trackID="2" IsEncrypted="0"/>

</GPACDRM>
"""
_CPIX_TWO: Final = f"""<?xml version="1.0" encoding="utf-8"?>
<CPIX contentId="film" version="2.3" xmlns="urn:dashif:org:cpix" xmlns:s="urn:ietf:params:xml:ns:keyprov:pskc">
  <ContentKeyList>
    <ContentKey kid="{UUID}" explicitIV="AAAAAAAAAAAAAAAAAAAAAQ==" commonEncryptionScheme="cbcs">
      <Data><s:Secret><s:PlainValue>
        {KEY64}==
      </s:PlainValue></s:Secret></Data>
    </ContentKey>
    <ContentKey kid="{OTHER_UUID}">
      <Data><s:Secret><s:PlainValue>{KEY2_64}==</s:PlainValue></s:Secret></Data>
    </ContentKey>
  </ContentKeyList>
  <DRMSystemList><DRMSystem kid="{UUID}" systemId="edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"><PSSH>AAAA</PSSH></DRMSystem>
  </DRMSystemList>
  <ContentKeyUsageRuleList><ContentKeyUsageRule kid="{UUID}" intendedTrackType="HD"/></ContentKeyUsageRuleList>
</CPIX>
"""
_CPIX_PREFIXED: Final = (
    '<cpix:CPIX xmlns:cpix="urn:dashif:org:cpix" xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc"><cpix:ContentKeyList>'
    f'<cpix:ContentKey kid="{UUID.upper()}"><cpix:Data><pskc:Secret><pskc:PlainValue>{KEY64}==</pskc:PlainValue>'
    "</pskc:Secret></cpix:Data></cpix:ContentKey></cpix:ContentKeyList></cpix:CPIX>"
)
_SHAKA: Final = (
    f'{{"streaming": {{"bufferingGoal": 30}}, "drm": {{"clearKeys": {{"{KID}": "{KEY}", "{OTHER}": "{KEY2}"}}, '
    '"servers": {"com.widevine.alpha": "https://licenses.example/w"}}}'
)
_DASH_JS: Final = (
    f'{{"org.w3.clearkey": {{"clearkeys": {{"{KID64}": "{KEY64}"}}, "priority": 1}}, "com.widevine.alpha": {{}}}}'
)
_KODI: Final = f'{{"org.w3.clearkey": {{"license": {{"keyids": {{"{KID}": "{KEY}", "{OTHER}": "{KEY2}"}}}}}}}}'
_KODI_PLAYLIST: Final = f"""#EXTM3U
#EXTINF:-1,A film
#KODIPROP:mimetype=application/dash+xml
#KODIPROP:inputstream=inputstream.adaptive
#KODIPROP:inputstream.adaptive.drm_legacy=org.w3.clearkey|{KID}:{KEY},{OTHER}:{KEY2}
https://films.example/film.mpd
"""

# name: (the form that is to be recognised, the text, the keys in order)
SPECIMENS: Final[dict[str, tuple[str, str, list[tuple[KeyName, str]]]]] = {
    "GPAC, as its own examples begin": ("a GPAC crypt file", _GPAC_TWO, _TWO),
    "GPAC, with a sound declaration": ("a GPAC crypt file", _GPAC_TWO.replace('8" />', '8"?>'), _TWO),
    "GPAC, after an empty line": ("a GPAC crypt file", "\n" + _GPAC_TWO, _TWO),
    "GPAC, without 0x": ("a GPAC crypt file", _GPAC_TWO.replace('"0x', '"'), _TWO),
    "GPAC, a UUID": ("a GPAC crypt file", _GPAC_TWO.replace(f"0x{KID}", UUID), _TWO),
    "GPAC, digits in groups": ("a GPAC crypt file", _GPAC_TWO.replace(f"0x{KID}", f"0x{UUID}".replace("-", " ")), _TWO),
    "GPAC, Key with a capital": ("a GPAC crypt file", _GPAC_TWO.replace("<key", "<Key"), _TWO),
    "GPAC, of all tracks": (
        "a GPAC crypt file",
        f'<GPACDRM><CrypTrack ID="*"><key value="0x{KEY}"/></CrypTrack></GPACDRM>',
        [(OnlyKid(), KEY)],
    ),
    "GPAC, for OMA": (
        "a GPAC crypt file",
        f'<GPACDRM><CryptTrack trackID="3" key="0x{KEY}"><OMATextHeader>a: b</OMATextHeader></CryptTrack></GPACDRM>',
        [(TrackNumber(3), KEY)],
    ),
    "CPIX": ("a CPIX document", _CPIX_TWO, _TWO),
    "CPIX, with prefixes": ("a CPIX document", _CPIX_PREFIXED, _ONE),
    "Shaka Player": ("Shaka Player's settings", _SHAKA, _TWO),
    "Shaka Player, the section": ("Shaka Player's settings", f'{{"clearKeys": {{"{KID}": "{KEY}"}}}}', _ONE),
    "Shaka Player, in base64url": ("Shaka Player's settings", f'{{"clearKeys": {{"{KID64}": "{KEY64}"}}}}', _ONE),
    "dash.js": ("dash.js's protection data", _DASH_JS, _ONE),
    "dash.js, in its list of sources": ("dash.js's protection data", f'{{"name": "x", "protData": {_DASH_JS}}}', _ONE),
    "dash.js, the section": ("dash.js's protection data", f'{{"clearkeys": {{"{KID64}": "{KEY64}"}}}}', _ONE),
    "Kodi": ("Kodi's DRM settings", _KODI, _TWO),
    "Kodi, a playlist": ("Kodi's properties", _KODI_PLAYLIST, _TWO),
    "Kodi, a playlist of version 22": (
        "Kodi's properties",
        f"#KODIPROP:inputstream.adaptive.drm={_KODI}\nhttps://a/b\n",
        _TWO,
    ),
    "Kodi, the value": ("Kodi's properties", f"org.w3.clearkey|{KID}:{KEY}", _ONE),
    "EME": (
        "a JWK Set",
        f'{{"keys": [{{"kty": "oct", "kid": "{KID64}", "k": "{KEY64}"}}], "type": "temporary"}}',
        _ONE,
    ),
    "a list": (
        "a JSON array of keys",
        f'[{{"kid": "{KID}", "key": "{KEY}"}}, {{"kid": "{OTHER}", "key": "{KEY2}"}}]',
        _TWO,
    ),
    "a map": ("a JSON map of KID to key", f'{{"{KID}": "{KEY}", "{OTHER}": "{KEY2}"}}', _TWO),
    "CSV": ("a table of keys", f"kid,key\n{UUID},{KEY}\n\n# the second\n{OTHER},{KEY2}\n", _TWO),
    "CSV, other order and names": ("a table of keys", f'"Content Key";"Key ID"\r\n"{KEY}";"{UUID}"\r\n', _ONE),
    "CSV, tabs": ("a table of keys", f"# mine\nKID\tKEY\tcontent\n{KID}\t{KEY}\tfilm\n", _ONE),
    "CSV without a header": ("lines of keys", f'"{UUID}","{KEY}"\n{OTHER},{KEY2}\n', _TWO),
    "semicolons without a header": ("lines of keys", f"{UUID};{KEY}\n{OTHER}\t{KEY2}\n", _TWO),
    "fields with names": ("lines of keys", f"kid={KID},key={KEY}\nkey = {KEY2} ; KID = {OTHER_UUID}", _TWO),
    "mp4decrypt, N_m3u8DL-RE": ("lines of keys", f"# film\n{KID}:{KEY}\n{OTHER}:{KEY2}  # sound\n", _TWO),
    "Shaka Packager": ("lines of keys", f"label=HD:key_id={KID}:key={KEY},label=SD:key_id={OTHER}:key={KEY2}", _TWO),
}
