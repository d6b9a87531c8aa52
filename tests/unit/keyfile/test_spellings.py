"""Keys as other tools spell them, and the KIDs that a spelling leaves to the file."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.formats import parse_key_entries, parse_keys_file
from drm.keyfile.spellings import KeyName, OnlyKid, TrackNumber, parse_keys, resolve
from drm.keys import ContentKey, KeyId

KID = "0123456789abcdef0123456789abcdef"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
KEY2 = "00e1d2c3b4a5968778695a4b3c2d1e0f"

SPELLINGS: dict[str, list[tuple[KeyName, str]]] = {
    f"{KID}:{KEY}": [(KeyId.parse(KID), KEY)],
    f"{UUID}:0x{KEY}": [(KeyId.parse(KID), KEY)],
    "ASNFZ4mrze8BI0VniavN7w==:8OHSw7Sllod4aVpLPC0eDw==": [(KeyId.parse(KID), KEY)],
    f"1:{KEY}": [(TrackNumber(1), KEY)],
    f" 12 : {KEY} ": [(TrackNumber(12), KEY)],
    f"label=:key_id={KID}:key={KEY}": [(KeyId.parse(KID), KEY)],
    f"key_id={UUID}:key={KEY}": [(KeyId.parse(KID), KEY)],
    f"label=SD:key={KEY}:key_id={KID}:iv=00112233,label=HD:key_id={OTHER}:key={KEY2}": [
        (KeyId.parse(KID), KEY),
        (KeyId.parse(OTHER), KEY2),
    ],
    f"{KID}={KEY}": [(KeyId.parse(KID), KEY)],
    f"{KID}={KEY}:{OTHER}={KEY2}": [(KeyId.parse(KID), KEY), (KeyId.parse(OTHER), KEY2)],
    KEY: [(OnlyKid(), KEY)],
    f"0x{KEY}": [(OnlyKid(), KEY)],
    "8OHSw7Sllod4aVpLPC0eDw==": [(OnlyKid(), KEY)],
    f"{KID},{KEY}": [(KeyId.parse(KID), KEY)],
    f"2;{KEY}": [(TrackNumber(2), KEY)],
    f"{KID}:{KEY},{OTHER}:{KEY2}": [(KeyId.parse(KID), KEY), (KeyId.parse(OTHER), KEY2)],
    f"kid={UUID},key={KEY}": [(KeyId.parse(KID), KEY)],
}

OFF = {
    f"1:{KEY[:-1]}": "a content key: 31 hex digits",
    f"{KID}:{KEY}00": "a content key: 34 hex digits",
    f"{KID[:-2]}:{KEY}": "a key id: 30 hex digits",
    f"0:{KEY}": "a key id: 1 hex digits",
    f"99999999999:{KEY}": "a key id: 11 hex digits",
    KEY[:-1]: "there is no ':'",
    f"label=:key_id={KID}:{KEY}": "a field is none of",
    f"label=:key_id={KID}:secret={KEY}": "a field is none of",
    f"label=:key={KEY}": "there is no key_id=",
    f"label=:key_id={KID}": "there is no key=",
    f"label=:key_id={KID}:key={KEY},": "a field is none of",
    f"label=:key_id={KID}:key={KEY}:key={KEY2}": "stands twice",
    f"label=:key_id={KID[1:]}:key={KEY}": "a key id: 31 hex digits",
    f"{KID}={KEY[1:]}": "a content key: 31 hex digits",
    f"{KID}={KEY}:{OTHER}": "not a key id",
    "8OHSw7Sllod4aVpLPC0e/_": "content key",  # both alphabets are read; the last character is not one of sixteen bytes
}


def opened(found: list[tuple[KeyName, ContentKey]]) -> list[tuple[KeyName, str]]:
    return [(name, key.secret.hex()) for name, key in found]


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling(text: str) -> None:
    assert opened(parse_keys(text)) == SPELLINGS[text]


@pytest.mark.parametrize("text", OFF)
def test_what_is_off_is_said_without_the_key(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse_keys(text)
    said = raised.value.render()
    if text != "8OHSw7Sllod4aVpLPC0e/_":
        assert OFF[text] in said
    assert KEY[:20] not in said
    assert KEY2[:20] not in said


NOTATIONS: list[Callable[[bytes], str]] = [
    bytes.hex,
    lambda value: value.hex().upper(),
    lambda value: f"0x{value.hex()}",
    lambda value: str(uuid.UUID(bytes=value)),
    lambda value: f"{{{uuid.UUID(bytes=value)}}}",
    lambda value: f"urn:uuid:{uuid.UUID(bytes=value)}",
    lambda value: f"guid-le:{uuid.UUID(bytes_le=value)}",
    lambda value: base64.b64encode(value).decode(),
    lambda value: base64.urlsafe_b64encode(value).decode().rstrip("="),
]
PATTERNS = ["{0}:{1}", " {0} : {1} ", "{0},{1}", '"{0}";"{1}"', "{0}\t{1}", "kid={0},key={1}", "KEY = {1} ; kid = {0}"]
# In these a colon or an equals sign ends a side, so a side has none.
STRICT_PATTERNS = ["label=:key_id={0}:key={1}", "key_id={0}:key={1}:label=x", "{0}={1}"]
SIXTEEN = st.binary(min_size=16, max_size=16)


@given(SIXTEEN, SIXTEEN, st.sampled_from(NOTATIONS), st.sampled_from(NOTATIONS), st.sampled_from(PATTERNS))
def test_any_key_in_any_notation_and_pattern_is_read_as_it_is(
    kid: bytes, key: bytes, of_kid: Callable[[bytes], str], of_key: Callable[[bytes], str], pattern: str
) -> None:
    assert opened(parse_keys(pattern.format(of_kid(kid), of_key(key)))) == [(KeyId(kid), key.hex())]


@given(st.lists(st.tuples(SIXTEEN, SIXTEEN), min_size=1, max_size=4), st.sampled_from(STRICT_PATTERNS))
def test_any_keys_after_names_and_equals_signs_are_read_as_they_are(
    pairs: list[tuple[bytes, bytes]], pattern: str
) -> None:
    separator = "," if "key_id" in pattern else ":"
    word = separator.join(pattern.format(kid.hex(), key.hex()) for kid, key in pairs)
    assert opened(parse_keys(word)) == [(KeyId(kid), key.hex()) for kid, key in pairs]


@given(SIXTEEN, SIXTEEN, st.sampled_from(PATTERNS + STRICT_PATTERNS), st.integers(0, 31), st.sampled_from("-gG_"))
def test_a_slip_in_a_key_is_refused_and_not_shown(kid: bytes, key: bytes, pattern: str, at: int, slip: str) -> None:
    off = key.hex()[:at] + slip + key.hex()[at + 1 :]
    with pytest.raises(InvalidArgumentError) as raised:
        parse_keys(pattern.format(kid.hex(), off))
    assert off not in raised.value.render()


@pytest.mark.parametrize(("pattern", "separator"), [("{0}:{1}", ","), ("{0}={1}", ":"), (STRICT_PATTERNS[0], ",")])
def test_keys_in_one_word_are_bounded_and_none_is_passed_over(pattern: str, separator: str) -> None:
    pair = pattern.format(KID, KEY)
    assert len(parse_keys(separator.join([pair] * 10_000))) == 10_000
    with pytest.raises(InvalidArgumentError, match="more than 10000 keys in one word"):
        parse_keys(separator.join([pair] * 10_001))


@given(st.text(alphabet="0123456789abcdef:=,;_-{}key_idlabel \t", max_size=90))
def test_any_words_are_keys_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        assert parse_keys(text)


# ------------------------------------------------------------------------------------------------ against a file
A, B, C = (KeyId(bytes([n]) * 16) for n in (1, 2, 3))
TRACKS = {1: (A,), 2: (B, C), 3: ()}


def resolved(text: str, tracks: dict[int, tuple[KeyId, ...]]) -> dict[KeyId, str]:
    entries = [("--key", name, key) for word in text.split() for name, key in parse_keys(word)]
    return {kid: key.secret.hex() for _, kid, key in resolve(entries, tracks)}


def test_a_tracks_key_serves_its_key_ids() -> None:
    assert resolved(f"1:{KEY} 2:{KEY2}", TRACKS) == {A: KEY, B: KEY2, C: KEY2}


def test_a_key_that_names_its_kid_stands_before_the_tracks_key() -> None:
    assert resolved(f"{B.hex}:{KEY} 2:{KEY2}", TRACKS) == {B: KEY, C: KEY2}


def test_a_key_alone_is_for_the_one_kid() -> None:
    assert resolved(KEY, {1: (A,), 2: (A,), 3: ()}) == {A: KEY}
    assert resolved(KEY, {1: ()}) == {}
    with pytest.raises(InvalidArgumentError, match="without its KID, and the file has 3 KIDs") as raised:
        resolved(KEY, TRACKS)
    assert raised.value.kids == (str(A), str(B), str(C))


@pytest.mark.parametrize(("number", "words"), [(3, "not encrypted"), (4, "no such track"), (1122, "has no such track")])
def test_a_track_that_has_no_kid(number: int, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        resolved(f"{number}:{KEY}", TRACKS)


VECTORS = Path(__file__).parents[2] / "data" / "vectors" / "generated"
VIDEO_KEY, AUDIO_KEY = "3a2a1b68dd2bd9b2eeb25e84c4776668", "073be2e3cfd18eb5d3b1f2b6b8b2d6b1"


BOTH, ONE = "b4_mpeg-cenc_av.mp4", "pk_cenc_iv8_v.mp4"
BY_TRACK = ["--key", f"1:{VIDEO_KEY}", "--key", f"2:{AUDIO_KEY}"]
SWAPPED = ["--key", f"1:{AUDIO_KEY}", "--key", f"2:{VIDEO_KEY}"]


def clearkey(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "player.cli", *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


def digests(*words: object) -> list[str]:
    done = clearkey("digest", "--json", *words)
    assert done.returncode == 0, done.stderr
    return [track["sha256"] for track in json.loads(done.stdout)["tracks"]]


def clear_digests(name: str) -> list[str]:
    """Of the clear samples, as they were written down when the files were made."""
    vectors = json.loads((VECTORS.parent / "vectors.json").read_text())["vectors"]
    (found,) = (vector for vector in vectors if f"{vector['id']}.mp4" == name)
    return [track["sha256"] for track in found["tracks"]]


@pytest.mark.parametrize(
    ("name", "right", "wrong"), [(BOTH, BY_TRACK, SWAPPED), (ONE, ["--key", VIDEO_KEY], ["--key", KEY])]
)
def test_keys_without_kids_are_looked_up_in_the_file(
    name: str, right: list[str], wrong: list[str], tmp_path: Path
) -> None:
    assert digests(VECTORS / name, *right) == clear_digests(name)
    assert not set(digests(VECTORS / name, *wrong)) & set(clear_digests(name))
    assert clearkey("keys", "check", VECTORS / name, *right).returncode == 0
    refused = clearkey("keys", "check", VECTORS / name, *wrong)
    assert refused.returncode == 5
    assert "E-KEY-WRONG" in refused.stderr
    out = tmp_path / "out.mp4"
    assert clearkey("decrypt", "--check", VECTORS / name, *wrong, "-o", out).returncode == 5
    assert not out.exists()
    assert clearkey("decrypt", "--check", VECTORS / name, *right, "-o", out).returncode == 0
    assert digests(out) == clear_digests(name)


# ------------------------------------------------------------------------------------------------ keys files
GPAC = f"""<?xml version="1.0" encoding="UTF-8"?>
<GPACDRM type="CENC AES-CTR">
 <DRMInfo type="pssh" version="1"><BS ID128="1077efecc0b24d02ace33c1e52e2fb4b"/></DRMInfo>
 <CrypTrack trackID="1" IsEncrypted="1" IV_size="8" first_IV="0x0a610676cb88f302" saiSavedBox="senc">
  <key KID="0x{KID}" value="0x{KEY}"/>
  <key KID="0x{OTHER}" value="0x{KEY2}"/>
 </CrypTrack>
</GPACDRM>"""


def test_gpacs_xml() -> None:
    keys = parse_keys_file(GPAC.encode())
    assert {kid.hex: key.secret.hex() for kid, key in keys.items()} == {KID: KEY, OTHER: KEY2}


def test_gpacs_xml_without_kids_names_the_track() -> None:
    tracks = f'<CrypTrack trackID="2"><key value="0x{KEY}"/></CrypTrack><CrypTrack KID="{KID}" key="{KEY2}"/>'
    entries = parse_key_entries(f"<GPACDRM>{tracks}</GPACDRM>".encode())
    assert opened([(name, key) for _, name, key in entries]) == [(TrackNumber(2), KEY), (KeyId.parse(KID), KEY2)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GPAC.replace("<GPACDRM", '<!DOCTYPE a [<!ENTITY e "ee">]><GPACDRM', 1), "document type"),
        (GPAC.replace("</GPACDRM>", ""), "not XML"),
        (GPAC.replace(KEY, KEY[1:]), "33 characters"),
        (GPAC.replace("CrypTrack", "Track"), "<Track> is no element of a GPACDRM"),
        (f"1:{KEY}", "a key for track 1"),
        (KEY, "a key without a KID"),
        (f'{{"1": "{KEY}"}}', "a key for track 1"),
    ],
)
def test_keys_files_that_need_a_media_file_or_are_off(text: str, words: str) -> None:
    with pytest.raises(KeysFileError) as raised:
        parse_keys_file(text.encode())
    assert words in raised.value.render()
    assert KEY[1:] not in raised.value.render()


def test_every_spelling_on_a_line() -> None:
    text = "\n".join(word for word in SPELLINGS if ":" in word or "=" in word)
    entries = parse_key_entries(text.encode())
    wanted = [pair for word in SPELLINGS if ":" in word or "=" in word for pair in SPELLINGS[word]]
    assert opened([(name, key) for _, name, key in entries]) == wanted


@given(st.binary(max_size=200), st.sampled_from([b"<GPACDRM>", b'{"', b"[", b"kid,key\n", b"#KODIPROP:", b""]))
def test_any_bytes_are_keys_or_an_error_of_ours(data: bytes, head: bytes) -> None:
    with contextlib.suppress(KeysFileError):
        assert parse_key_entries(head + data)
