"""Keys as keys files, for people and for the tools of this field.

Each form that is written here is read by drm.keyfile.formats, and by the tool whose name it has. What is returned holds
the keys: it goes where the user said, and nowhere else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Final

from drm.keyfile.xml_formats import CPIX, PSKC
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url, encode_jwk_set

__all__ = ["WRITERS"]

_Keys = Mapping[KeyId, ContentKey]


def _jwk(keys: _Keys) -> str:
    return encode_jwk_set(keys).decode()


def _lines(keys: _Keys) -> str:
    return "\n".join(f"{kid.hex}:{key.secret.hex()}" for kid, key in keys.items())


def _csv(keys: _Keys) -> str:
    return "\n".join(["kid,key", *(f"{kid},{key.secret.hex()}" for kid, key in keys.items())])


def _shaka_player(keys: _Keys) -> str:
    """For `player.configure(…)`."""
    return json.dumps({"drm": {"clearKeys": _hex(keys)}}, indent=2)


def _dash_js(keys: _Keys) -> str:
    """For `player.setProtectionData(…)`."""
    pairs = {kid.base64url: b64url(key.secret) for kid, key in keys.items()}
    return json.dumps({"org.w3.clearkey": {"clearkeys": pairs}}, indent=2)


def _kodi(keys: _Keys) -> str:
    """For the property `inputstream.adaptive.drm`."""
    return json.dumps({"org.w3.clearkey": {"license": {"keyids": _hex(keys)}}}, indent=2)


def _hex(keys: _Keys) -> dict[str, str]:
    return {kid.hex: key.secret.hex() for kid, key in keys.items()}


def _gpac(keys: _Keys) -> str:
    """For `MP4Box -decrypt`; to encrypt, it also wants a scheme and an IV."""
    lines = (f'    <key KID="0x{kid.hex}" value="0x{key.secret.hex()}"/>' for kid, key in keys.items())
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', "<GPACDRM>", "  <CrypTrack>", *lines, "  </CrypTrack>", "</GPACDRM>"]
    )


def _cpix(keys: _Keys) -> str:
    """CPIX 2.3 with the keys in the clear."""
    lines = (
        f'    <cpix:ContentKey kid="{kid}"><cpix:Data><pskc:Secret><pskc:PlainValue>'
        f"{base64.b64encode(key.secret).decode()}</pskc:PlainValue></pskc:Secret></cpix:Data></cpix:ContentKey>"
        for kid, key in keys.items()
    )
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<cpix:CPIX version="2.3" xmlns:cpix="{CPIX}" xmlns:pskc="{PSKC}">',
            "  <cpix:ContentKeyList>",
            *lines,
            "  </cpix:ContentKeyList>",
            "</cpix:CPIX>",
        ]
    )


WRITERS: Final[Mapping[str, Callable[[_Keys], str]]] = {
    "jwk": _jwk,
    "lines": _lines,
    "csv": _csv,
    "shaka-player": _shaka_player,
    "dash.js": _dash_js,
    "kodi": _kodi,
    "gpac": _gpac,
    "cpix": _cpix,
}
"""Every form by the name that a user gives; each writes the text of a keys file, without a line end at its end."""
