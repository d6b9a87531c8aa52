"""Key ids and keys in every notation, and the doors that a key must not leave by."""

import copy
import pickle

import pytest

from drm.errors import InvalidArgumentError
from drm.keys import COMMON_SYSTEM, ContentKey, KeyId, SystemId, parse_key_pair

HEX = "0123456789abcdeffedcba9876543210"
VALUE = bytes.fromhex(HEX)
KEY_HEX = "ffeeddccbbaa99887766554433221100"

NOTATIONS = [
    HEX,
    HEX.upper(),
    "0x" + HEX,
    "0X" + HEX.upper(),
    "01234567-89ab-cdef-fedc-ba9876543210",
    "01234567-89AB-CDEF-FEDC-BA9876543210",
    "{01234567-89ab-cdef-fedc-ba9876543210}",
    "urn:uuid:01234567-89ab-cdef-fedc-ba9876543210",
    "URN:UUID:01234567-89ab-cdef-fedc-ba9876543210",
    "ASNFZ4mrze_-3LqYdlQyEA",
    "ASNFZ4mrze_-3LqYdlQyEA==",
    "ASNFZ4mrze/+3LqYdlQyEA",
    "ASNFZ4mrze/+3LqYdlQyEA==",
    "guid-le:67452301-ab89-efcd-fedc-ba9876543210",
    "GUID-LE:67452301ab89efcdfedcba9876543210",
    "  " + HEX + "\n",
]

BAD = {
    "": "0 ",
    HEX[:-1]: "31 hex digits",
    HEX + "0": "33 hex digits",
    HEX.encode().hex(): "hex of a hex string",
    "01234567–89ab–cdef–fedc–ba9876543210": "typographic dashes",  # noqa: RUF001
    "ASNFZ4mrze_-3LqYdlQyEB": "last character",
    "ASNFZ4mrze_-3LqYdlQyEA=": "23 characters",
    "0123456789abcdeffedcba987654321g": "32 characters",
    "x" * 10_000: "10000 characters",
    "guid-le:": "0 ",
    "٠١٢٣٤٥٦٧٨٩abcdeffedcba9876543210": "32 characters",  # noqa: RUF001 - digits, but not of ASCII
}


@pytest.mark.parametrize("text", NOTATIONS)
@pytest.mark.parametrize("kind", [KeyId, SystemId])
def test_every_notation_is_the_same_sixteen_bytes(kind, text: str) -> None:
    assert kind.parse(text).value == VALUE
    assert ContentKey.parse(text).secret == VALUE


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_sixteen_bytes_is_told_by_its_shape_and_never_repeated(text: str) -> None:
    for parse in (KeyId.parse, ContentKey.parse):
        with pytest.raises(InvalidArgumentError) as raised:
            parse(text)
        shown = raised.value.render()
        assert BAD[text] in shown
        assert len(shown) < 500
        if len(text) > 8:
            assert text not in shown


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_sixteen_bytes_and_no_other_number(length: int) -> None:
    for kind in (KeyId, SystemId, ContentKey):
        with pytest.raises(ValueError, match="16 bytes"):
            kind(bytes(length))


def test_a_key_id_in_the_three_forms_that_we_write() -> None:
    kid = KeyId(VALUE)
    assert (str(kid), kid.hex, kid.base64url) == (
        "01234567-89ab-cdef-fedc-ba9876543210",
        HEX,
        "ASNFZ4mrze_-3LqYdlQyEA",
    )
    assert kid.byte_reversed.hex == "67452301ab89efcdfedcba9876543210"
    assert kid.byte_reversed.byte_reversed == kid
    assert {kid: 1}[KeyId.parse(HEX)] == 1


def test_a_key_has_no_way_to_print_or_travel() -> None:
    key = ContentKey.parse(HEX)
    for text in (repr(key), str(key), f"{key}", "%s" % key, f"{[key]}", f"{ {'k': key} }"):  # noqa: UP031
        assert HEX not in text
        assert "#Eg" not in text
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in the process"):
            leave(key)
    with pytest.raises(TypeError):
        hash(key)
    assert not hasattr(key, "__dict__")


def test_a_wiped_key_is_zeros() -> None:
    key = ContentKey.parse(HEX)
    key.wipe()
    assert key.secret == bytes(16)


def test_keys_are_compared_by_value_and_with_keys_alone() -> None:
    assert ContentKey(VALUE) == ContentKey(bytearray(VALUE)) == ContentKey(memoryview(VALUE))
    assert ContentKey(VALUE) != ContentKey(VALUE[::-1])
    assert ContentKey(VALUE) != VALUE
    assert ContentKey(VALUE) != KeyId(VALUE)


@pytest.mark.parametrize("k", ["ASNFZ4mrze_-3LqYdlQyEA", "ASNFZ4mrze/+3LqYdlQyEA==", "ASNFZ4mrze/-3LqYdlQyEA"])
def test_k_of_a_jwk_in_both_alphabets(k: str) -> None:
    assert ContentKey.from_base64url(k).secret == VALUE


@pytest.mark.parametrize("k", ["", "AAAA", HEX, "!" * 22, "ASNFZ4mrze_-3LqYdlQyEAAA", "é" * 22])
def test_k_of_a_jwk_that_is_no_key(k: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ContentKey.from_base64url(k)
    assert not k or k not in raised.value.render()


@pytest.mark.parametrize("kid", NOTATIONS)
@pytest.mark.parametrize("key", [KEY_HEX, "_-7dzLuqmYh3ZlVEMyIRAA", "urn:uuid:ffeeddcc-bbaa-9988-7766-554433221100"])
def test_pairs_in_every_notation_on_both_sides(kid: str, key: str) -> None:
    assert parse_key_pair(f"{kid.strip()}:{key}") == (KeyId(VALUE), ContentKey.parse(KEY_HEX))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEX, "no ':'"),
        ("", "no ':'"),
        (f"{HEX}:", "content key"),
        (f":{HEX}", "key id"),
        (f"{HEX}:{KEY_HEX}:", "key id|content key"),
        (f"{HEX}:{KEY_HEX[:-1]}", "content key: 31 hex digits"),
        (f"{HEX[:-1]}:{KEY_HEX}", "key id: 31 hex digits"),
        (":" * 1000, "key id"),
    ],
)
def test_pairs_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as raised:
        parse_key_pair(text)
    assert KEY_HEX[:-1] not in raised.value.render()


def test_system_ids_have_names() -> None:
    assert str(COMMON_SYSTEM) == "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"
    assert COMMON_SYSTEM.name == "W3C common"
    assert SystemId(VALUE).name == "unknown system"
