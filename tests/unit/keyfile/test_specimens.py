"""Each tool's form is recognised and gives exactly its keys; what is off is refused, named by form and place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import KeysFileError
from drm.keyfile.formats import parse_key_entries, parse_keys_file
from drm.keyfile.spellings import OnlyKid, TrackNumber
from drm.keys import ContentKey, KeyId
from tests.unit.keyfile.specimens import KEY, KEY2, KEY64, KID, OTHER, SPECIMENS, UUID

GPAC, CPIX, SHAKA = (SPECIMENS[name][1] for name in ("GPAC, as its own examples begin", "CPIX", "Shaka Player"))
CLEAR = '"org.w3.clearkey"'


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_specimen_gives_exactly_its_keys(name: str) -> None:
    _, text, keys = SPECIMENS[name]
    assert [(found, key.secret.hex()) for _, found, key in parse_key_entries(text.encode())] == keys


@pytest.mark.parametrize("name", SPECIMENS)
def test_an_error_names_the_form_and_never_the_key(name: str) -> None:
    form, text, keys = SPECIMENS[name]
    cut = keys[0][1][:-1]
    off = text.replace(KEY, cut).replace(f"{KEY64}==", f"{KEY64[:-1]}==").replace(KEY64, KEY64[:-1])
    with pytest.raises(KeysFileError) as raised:
        parse_key_entries(off.encode())
    assert raised.value.what.startswith(f"read as {form}: this is not a content key: ")
    assert raised.value.where
    assert cut not in raised.value.render()
    assert KEY64[:-1] not in raised.value.render()


def test_one_kid_with_two_keys_is_named_and_no_key_is() -> None:
    for _, text, keys in SPECIMENS.values():
        if len(keys) == 2 and KID in text and KEY2 in text:
            with pytest.raises(KeysFileError, match=f"KID {UUID} is given two different keys") as raised:
                parse_keys_file(text.replace(OTHER, KID).replace(str(KeyId.parse(OTHER)), UUID).encode())
            assert KEY not in raised.value.render()
            assert KEY2 not in raised.value.render()


# name: (the text, what is said, where)
OFF = {
    "GPAC, a key without a value": (GPAC.replace(f' value="0x{KEY}"', ""), "a key element without a value", "line 14"),
    "GPAC, a track without a key": (
        GPAC.replace('IsEncrypted="0"', 'IsEncrypted="1"'), "CrypTrack without a key", "line 17",
    ),
    "GPAC, a misspelt track": (GPAC.replace("CrypTrack", "CrypTack"), "<CrypTack> is no element of a GPAC", "line 13"),
    "GPAC, a misspelt key": (GPAC.replace("<key KID", "<kee KID"), "<kee> is no element of a CrypTrack", "line 14"),
    "GPAC, a key outside": (GPAC.replace("</GPAC", "<key/></GPAC"), "<key> is no element of a GPACDRM", "line 19"),
    "GPAC, random keys": (GPAC.replace("keyRoll", 'random="true" keyRoll'), "GPAC makes new keys", "line 13"),
    "GPAC, a track's name": (GPAC.replace('ID="1"', f'ID="{KID}"'), "no track's number", "line 13"),
    "GPAC, cut": (GPAC[:-12], "the GPAC crypt file is not XML", "line"),
    "GPAC, two declarations": (f'<?xml version="1.0" />{GPAC}', "the GPAC crypt file is not XML", "line 1"),
    "CPIX, GPAC's declaration": (CPIX.replace("?>", " />"), "the CPIX document is not XML", "line"),
    "CPIX, encrypted": (
        CPIX.replace("s:PlainValue", "s:EncryptedValue"), f"the key of KID {UUID} is encrypted", "ContentKey in line 4",
    ),
    "CPIX, a request": (
        CPIX.replace(f"<s:PlainValue>\n        {KEY64}==\n      </s:PlainValue>", ""), "has no keys", "line 4",
    ),
    "CPIX, two keys": (
        CPIX.replace("<Data><s:Secret><s:PlainValue>\n", "<Data><s:Secret><s:PlainValue/><s:PlainValue>\n"),
        "has 2 keys", "line 4",
    ),
    "CPIX, no kid": (CPIX.replace(f'ContentKey kid="{UUID}" e', "ContentKey e"), "has no attribute kid", "line 4"),
    "CPIX, PSKC under another URI": (CPIX.replace("keyprov:pskc", "keyprov:other"), "has no keys", "line 4"),
    "CPIX under another URI": (CPIX.replace("org:cpix", "org:other"), "its root is <CPIX>", "line 2"),
    "CPIX, 32 bytes": (CPIX.replace(f"{KEY64}==", "A" * 43 + "="), "not a content key: 44 characters", "line 4"),
    "CPIX with no key": ('<CPIX xmlns="urn:dashif:org:cpix"/>', "CPIX document: the keys file holds no key", ""),
    "CPIX with an entity": (f"<!DOCTYPE CPIX [<!ENTITY a 'b'>]>{CPIX[38:]}", "document type", "line 1"),
    "an MPD": ("<MPD/>", "its root is <MPD>", "line 1"),
    "Shaka Player, no keys": ('{"drm": {"servers": {}}}', "there is no `clearKeys`", "`drm`"),
    "Shaka Player, a key beside": (
        SHAKA.replace('"servers"', f'"{OTHER}": "{KEY2}", "servers"'),
        "a key stands beside `clearKeys`", "member 2 of `drm`",
    ),
    "Shaka Player, twice": (SHAKA[:-1] + f', "drm": {{"clearKeys": {{"{KID}": "{KEY}"}}}}}}', "`drm` stands twice", ""),
    "Shaka Player, a track": (SHAKA.replace(OTHER, "2"), "a track's number", "member 2 of `clearKeys` of `drm`"),
    "Shaka Player, no object": ('{"drm": {"clearKeys": ["a"]}}', "no JSON object of KIDs", "`clearKeys` of `drm`"),
    "dash.js, a server alone": (f'{{{CLEAR}: {{"serverURL": "u"}}}}', "there is no `clearkeys`", CLEAR.strip('"')),
    "dash.js, Widevine alone": ('{"com.widevine.alpha": {"serverURL": "u"}}', "no `org.w3.clearkey`", "object"),
    "dash.js, not an object": (f"{{{CLEAR}: 5}}", "this is no JSON object", CLEAR.strip('"')),
    "Kodi, a server alone": (f'{{{CLEAR}: {{"license": {{"server_url": "u"}}}}}}', "there is no `keyids`", "`license`"),
    "Kodi, Widevine": ("inputstream.adaptive.drm_legacy=com.widevine.alpha|u", "not org.w3.clearkey", "line 1"),
    "Kodi, an address": ("org.w3.clearkey|https://a/b", "from a license server", "line 1"),
    "Kodi, the old way": (f"#KODIPROP:inputstream.adaptive.license_key={KID}:{KEY}", "license_key", "line 1"),
    "Kodi, a key of no property": (f"org.w3.clearkey|{KID}:{KEY}\n{OTHER}:{KEY2}", "neither a property", "line 2"),
    "Kodi, JSON cut": ('#KODIPROP:inputstream.adaptive.drm={"a"', "not JSON", "line 1, line 1, column"),
    "EME, k twice": (
        f'{{"keys": [{{"kty": "oct", "kid": "{KID}", "k": "{KEY}", "k": "{KEY2}"}}]}}', "several `k`", "key 1",
    ),
    "a JWK Set and more": (f'{{"keys": [], "{KID}": "{KEY}"}}', "a key stands beside `keys`", "member 2"),
    "a list without a key": (f'[{{"kid": "{KID}"}}]', "not a symmetric key", "element 1"),
    "a long number": ('{"a": ' + "1" * 5000 + "}", "thousands of digits", ""),
    "a table, no key": (f"kid,key\n{KID},{KEY}\n{OTHER},\n", "this is not a content key: 0 characters", "line 3"),
    "a table, a third column": (f"kid,key,iv\n{KID},{KEY},00\n", "column 3 is not known", "line 1"),
    "a table, kid twice": (f"kid,key,KeyID\n{KID},{KEY},{KID}\n", "two columns kid", "line 1"),
    "a table, too short": (f"kid,key\n{KID}\n", "more or fewer columns", "line 2"),
    "a table, an open quotation mark": (f'kid,key\n"{KID},{KEY}\n', "not CSV", "line"),
    "a table, another check value": (f"kid,key,check_value\n{KID},{KEY},000000\n", "its check value names", "line 2"),
    "a table with nothing in it": ("kid,key\n", "read as a table of keys: the keys file holds no key", ""),
    "three columns without a header": (f"{KID},{KEY},{KEY2}", "there is no ':'", "line 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", OFF)
def test_what_is_off_is_named_with_its_place(name: str) -> None:
    text, words, where = OFF[name]
    with pytest.raises(KeysFileError) as raised:
        parse_key_entries(text.encode())
    assert words in raised.value.what
    assert where in raised.value.where
    shown = raised.value.render()
    assert not any(secret in shown for secret in (KEY, KEY2, KEY64))
    assert raised.value.exit_code == 3


def test_a_check_value_that_names_its_key_is_taken() -> None:
    # The first three bytes of `openssl mac -cipher AES-128-CBC -macopt hexkey:KEY CMAC` over 16 zero bytes.
    assert len(parse_keys_file(f"kid,key,check_value\n{KID},{KEY},2da497\n".encode())) == 1


def test_what_takes_long_is_refused() -> None:
    for text in (":" * 1_000_000, "=:" * 1_000_000, ",;" * 1_000_000, f"{KID}:{KEY}," * 40_000, " " * 3_000_000 + "x"):
        with pytest.raises(KeysFileError):
            parse_key_entries(text.encode())


def test_the_number_of_keys_is_bounded() -> None:
    with pytest.raises(KeysFileError, match="more than 100000 keys"):
        parse_key_entries(b"1:AAAAAAAAAAAAAAAAAAAAAA\n" * 100_001)


@given(
    st.sampled_from(sorted(SPECIMENS)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.text(max_size=3)), min_size=1, max_size=4),
)
def test_a_bent_specimen_gives_keys_or_an_error_of_ours(name: str, changes: list[tuple[float, int, str]]) -> None:
    text = SPECIMENS[name][1]
    for at, removed, put in changes:
        start = int(at * len(text))
        text = text[:start] + put + text[start + removed :]
    entries, said = [], ""
    try:
        entries = parse_key_entries(text.encode("utf-8", "replace"))
    except KeysFileError as error:
        said = error.render()
    assert bool(entries) is not bool(said)
    assert not any(secret in said for secret in (KEY, KEY2, KEY64))
    for where, found, key in entries:
        assert where
        assert isinstance(found, KeyId | TrackNumber | OnlyKid)
        assert isinstance(key, ContentKey)
