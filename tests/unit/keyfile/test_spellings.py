"""Keys as other tools spell them, and the KIDs that a spelling leaves to the file."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import DRMError, InvalidArgumentError, KeysFileError
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


@given(st.text(alphabet="0123456789abcdef:=,_-{}key_idlabel \n", max_size=90))
def test_any_words_are_keys_or_a_usage_error(text: str) -> None:
    try:
        for name, key in parse_keys(text):
            assert isinstance(name, KeyId | TrackNumber | OnlyKid)
            assert isinstance(key, ContentKey)
    except InvalidArgumentError:
        pass


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


@pytest.mark.parametrize(
    "words",
    [
        ["digest", "b4_mpeg-cenc_av.mp4", "--key", f"1:{VIDEO_KEY}", "--key", f"2:{AUDIO_KEY}"],
        ["digest", "pk_cenc_iv8_v.mp4", "--key", VIDEO_KEY],
        ["keys", "check", "pk_cenc_iv8_v.mp4", "--key", VIDEO_KEY],
        ["decrypt", "pk_cenc_iv8_v.mp4", "--key", VIDEO_KEY, "-o", "OUT"],
    ],
)
def test_verbs_look_the_kids_up_in_their_file(words: list[str], tmp_path: Path) -> None:
    words = [str(VECTORS / word) if word.endswith(".mp4") else word for word in words]
    words = [str(tmp_path / "out.mp4") if word == "OUT" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "player.cli", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


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
    assert len(entries) == sum(len(SPELLINGS[word]) for word in SPELLINGS if ":" in word or "=" in word)


@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(DRMError):
        parse_key_entries(b"<GPACDRM>" + data)
