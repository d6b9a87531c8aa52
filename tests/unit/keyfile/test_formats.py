"""Keys files in every form, and what is said of those that are off."""

import json

import pytest

from drm.errors import KeysFileError
from drm.keyfile.formats import MAX_KEYS_FILE, parse_keys_file
from drm.keys import KeyId

KID = "0123456789abcdef0123456789abcdef"
KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
KID_B64, KEY_B64 = "ASNFZ4mrze8BI0VniavN7w", "8OHSw7Sllod4aVpLPC0eDw"
OTHER = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"

GOOD = [
    f"{KID}:{KEY}",
    f"# two\n\n  {KID} : {KEY}   # video\n",
    f"\ufeff{KID}:{KEY}\r\n",
    f"01234567-89ab-cdef-0123-456789abcdef:0x{KEY.upper()}",
    "{01234567-89ab-cdef-0123-456789abcdef}:" + KEY,
    f"urn:uuid:01234567-89ab-cdef-0123-456789abcdef:{KEY}",
    f"guid-le:67452301-ab89-efcd-0123-456789abcdef:{KEY}",
    json.dumps({KID: KEY}),
    json.dumps({KID_B64: KEY}),
    json.dumps({"keys": [{"kty": "oct", "kid": KID_B64, "k": KEY_B64, "alg": "A128KW"}], "x": 1}),
    json.dumps({"keys": [{"kty": "oct", "kid": KID, "k": KEY}], "type": "temporary"}),
    json.dumps({"kty": "oct", "kid": KID_B64 + "==", "k": KEY}),
    f"{KID}:{KEY}\n{KID}:{KEY}",
]

BAD = {
    "empty": ("", "holds no key", ""),
    "comments alone": ("# nothing\n", "holds no key", ""),
    "a short key": (f"{KID}:{KEY}\n{OTHER}:{KEY[:-1]}", "31 hex digits", "line 2"),
    "no colon": (f"\n{KID} {KEY}", "there is no ':'", "line 2"),
    "one KID, two keys": (f"{KID}:{KEY}\n{KID}:{OTHER}", "two different keys", "line 1 and line 2"),
    "one KID, two keys, in JSON": (f'{{"{KID}": "{KEY}", "{KID}": "{OTHER}"}}', "two different keys", "member"),
    "swapped": (f"{KID}:{KEY}\n{KEY}:{KID}", "swapped", "line 1 and line 2"),
    "broken JSON": ('{"keys": [\n{"kty": "oct",}]}', "not JSON", "line 2"),
    "JSON array": ("[1]", "JSON array", ""),
    "deep JSON": ('{"a":' * 100_000, "nested too deeply", ""),
    "an RSA key": ('{"keys": [{"kty": "RSA"}]}', "not a symmetric key", "key 1"),
    "no k": (f'{{"keys": [{{"kty": "oct", "kid": "{KID}"}}]}}', "no `k`", "key 1"),
    "numbers": (f'{{"{KID}": 5}}', "not both text", "member 1"),
    "a number for a JWK": ('{"keys": [5]}', "not a JSON object", "key 1"),
    "hex of hex": (f"{KID}:{KEY.encode().hex()}", "64 hex digits", "line 1"),
}


@pytest.mark.parametrize("text", GOOD)
def test_one_key_in_every_form(text: str) -> None:
    keys = parse_keys_file(text.encode())
    assert {kid.hex: key.secret.hex() for kid, key in keys.items()} == {KID: KEY}


@pytest.mark.parametrize("name", BAD)
def test_what_is_off_is_named_by_line_and_never_by_key(name: str) -> None:
    text, words, where = BAD[name]
    with pytest.raises(KeysFileError) as raised:
        parse_keys_file(text.encode())
    shown = raised.value.render()
    assert words in shown
    assert where in raised.value.where
    assert KEY not in shown
    assert OTHER not in shown
    assert raised.value.exit_code == 3


def test_the_swapped_pair_names_neither_as_a_kid() -> None:
    with pytest.raises(KeysFileError) as raised:
        parse_keys_file(f"{KID}:{KEY}\n{KEY}:{KID}".encode())
    assert str(KeyId.parse(KEY)) not in raised.value.render()
    assert raised.value.kids == ()


def test_a_key_that_equals_its_kid_is_not_taken_for_a_swap() -> None:
    # Test content is packaged like that.
    assert len(parse_keys_file(f"{KID}:{KID}".encode())) == 1


def test_not_text() -> None:
    with pytest.raises(KeysFileError, match="not text"):
        parse_keys_file(b"\xff\xfe0\x001\x00")


def test_the_size_is_bounded() -> None:
    with pytest.raises(KeysFileError, match="more than"):
        parse_keys_file(b"#" * (MAX_KEYS_FILE + 1))
