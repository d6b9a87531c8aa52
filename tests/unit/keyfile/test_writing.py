"""What is written for a tool is read again as that tool's form, with the very keys."""

from __future__ import annotations

import base64
import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import KeysFileError
from drm.keyfile.formats import parse_keys_file
from drm.keyfile.writing import WRITERS
from drm.keys import ContentKey, KeyId

FORMS = {
    "jwk": "a JWK Set",
    "lines": "lines of keys",
    "csv": "a table of keys",
    "shaka-player": "Shaka Player's settings",
    "dash.js": "dash.js's protection data",
    "kodi": "Kodi's DRM settings",
    "gpac": "a GPAC crypt file",
    "cpix": "a CPIX document",
}
KID, KEY = KeyId(bytes(range(16))), ContentKey(bytes(range(240, 256)))
KEY64 = "8PHy8_T19vf4-fr7_P3-_w"


def test_every_writer_is_tried() -> None:
    assert FORMS.keys() == WRITERS.keys()


@pytest.mark.parametrize("form", FORMS)
@given(keys=st.dictionaries(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), min_size=1))
def test_what_is_written_is_read_again(form: str, keys: dict[bytes, bytes]) -> None:
    given_keys = {KeyId(kid): ContentKey(key) for kid, key in keys.items() if keys.get(key) != kid or key == kid}
    if given_keys:  # a pair and its mirror are refused as swapped, in every form
        assert parse_keys_file(WRITERS[form](given_keys).encode()) == given_keys


@pytest.mark.parametrize("form", FORMS)
def test_it_is_read_as_the_form_that_was_asked_for(form: str) -> None:
    text = WRITERS[form]({KID: KEY})
    for secret in (KEY.secret.hex(), base64.b64encode(KEY.secret).decode(), KEY64):
        text = text.replace(secret, "00")
    with pytest.raises(KeysFileError) as raised:
        parse_keys_file(text.encode())
    assert f"read as {FORMS[form]}: this is not a content key" in raised.value.what


def test_each_is_what_its_tool_reads() -> None:
    """By the documents of the tools, and with other readers than ours."""
    written = {form: write({KID: KEY}) for form, write in WRITERS.items()}
    kid, key = KID.hex, KEY.secret.hex()
    assert written["lines"] == f"{kid}:{key}"
    assert json.loads(written["shaka-player"]) == {"drm": {"clearKeys": {kid: key}}}
    assert json.loads(written["kodi"]) == {"org.w3.clearkey": {"license": {"keyids": {kid: key}}}}
    assert json.loads(written["dash.js"]) == {"org.w3.clearkey": {"clearkeys": {"AAECAwQFBgcICQoLDA0ODw": KEY64}}}
    track = ET.fromstring(written["gpac"]).find("CrypTrack/key")
    assert track is not None
    assert track.attrib == {"KID": f"0x{kid}", "value": f"0x{key}"}
    names = {"c": "urn:dashif:org:cpix", "p": "urn:ietf:params:xml:ns:keyprov:pskc"}
    content_key = ET.fromstring(written["cpix"]).find("c:ContentKeyList/c:ContentKey", names)
    assert content_key is not None
    assert content_key.attrib == {"kid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}
    assert content_key.findtext("c:Data/p:Secret/p:PlainValue", namespaces=names) == "8PHy8/T19vf4+fr7/P3+/w=="
