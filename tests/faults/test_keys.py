"""A key that is missing and a key that is wrong are told apart, before a frame is shown, with the likely mistake."""

import hashlib

import pytest

from drm.keys import KeyId
from tests.interop.command import is_one_paragraph, write_keys
from tests.interop.vectors import read_vector

WRONG = "f0e1d2c3b4a5968778695a4b3c2d1e0f"


def verbs(film, keys, tmp_path):
    """Each verb that takes keys for a file, as a user types it."""
    return {
        "play": ["play", *film.files, "--keys-file", keys, "--framemd5", tmp_path / "out" / "hashes"],
        "digest": ["digest", "--json", "--keys-file", keys, *film.files],
        "keys check": ["keys", "check", "--keys-file", keys, *film.files],
    }


@pytest.fixture
def told(clearkey, tmp_path):
    """Run a verb with these keys and return what it came to; nothing may be left behind."""
    (tmp_path / "out").mkdir()

    def run(verb: str, film, pairs):
        keys = write_keys(tmp_path / "keys", pairs)
        ran = clearkey(*verbs(film, keys, tmp_path)[verb])
        assert list((tmp_path / "out").iterdir()) == [], "no hashes, and no half of them"
        return ran

    return run


@pytest.mark.parametrize("verb", ["play", "digest", "keys check"])
def test_a_missing_key(told, film, verb: str) -> None:
    ran = told(verb, film, [("ab" * 16, WRONG)])
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert f"no key for KID {KeyId.parse(film.keys[0][0])}" in ran.err
    assert str(film.files[0]) in ran.err
    assert "  try " in ran.err


def test_no_key_at_all(clearkey, film) -> None:
    for words in (["play", *film.files], ["digest", *film.files]):
        ran = clearkey(*words)
        assert ran.code == 4, ran.err
        assert is_one_paragraph(ran), ran.err


def test_one_of_two_keys_is_missing(told, sound_film) -> None:
    (picture, key), (sound, _) = sound_film.keys
    for verb in ("play", "digest", "keys check"):
        ran = told(verb, sound_film, [(picture, key)])
        assert ran.code == 4, ran.err
        assert is_one_paragraph(ran), ran.err
        assert str(KeyId.parse(sound)) in ran.err


@pytest.mark.parametrize("verb", ["play", "keys check"])
def test_a_wrong_key(told, film, verb: str) -> None:
    ((kid, _),) = film.keys
    ran = told(verb, film, [(kid, WRONG)])
    assert ran.code == 5, ran.err
    assert is_one_paragraph(ran), ran.err
    assert f"wrong key for KID {KeyId.parse(kid)}" in ran.err
    assert "track 1 (video avc1, scheme cenc)" in ran.err
    assert "encrypted samples decode with it" in ran.err, "what was seen"
    assert "  maybe " in ran.err
    assert WRONG not in ran.said


@pytest.mark.parametrize("name", [
    "pk_cbcs_1_9_v", "pk_cbcs_hevc_v", "pk_cenc_av1_v", "pk_cenc_vp9_v", "pk_cenc_iv8_a", "pk_cbcs_ac3_a",
    "pk_cenc_clearlead_v", "gp_cbcs_prog_av", "ff_cenc_prog_av",
])  # fmt: skip
def test_a_wrong_key_is_seen_in_every_codec_and_scheme(clearkey, own_vectors, tmp_path, name: str) -> None:
    film = read_vector(own_vectors, name)
    keys = write_keys(tmp_path / "keys", [(kid, hashlib.md5(key.encode()).hexdigest()) for kid, key in film.keys])
    ran = clearkey("play", *film.files, "--keys-file", keys, "--framemd5", tmp_path / "hashes")
    assert ran.code == 5, ran.err
    assert is_one_paragraph(ran), ran.err
    assert not (tmp_path / "hashes").exists()


def test_a_right_key_is_said_to_be_right(told, film) -> None:
    ran = told("keys check", film, film.keys)
    assert ran.code == 0, ran.err
    assert ran.out.count("right: 72 of 72 encrypted samples decode with it") == 1


@pytest.mark.parametrize("verb", ["play", "digest", "keys check"])
def test_kid_and_key_swapped(told, film, verb: str) -> None:
    ((kid, key),) = film.keys
    ran = told(verb, film, [(key, kid)])
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert "KID and KEY are swapped" in ran.err


@pytest.mark.parametrize("verb", ["play", "digest", "keys check"])
def test_the_kid_in_reversed_bytes(told, film, verb: str) -> None:
    ((kid, key),) = film.keys
    ran = told(verb, film, [(KeyId.parse(kid).byte_reversed.hex, key)])
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert "byte order" in ran.err
    assert "guid-le:" in ran.err


@pytest.mark.parametrize("verb", ["play", "keys check"])
def test_the_keys_of_two_tracks_swapped(told, sound_film, verb: str) -> None:
    (picture, one), (sound, other) = sound_film.keys
    ran = told(verb, sound_film, [(picture, other), (sound, one)])
    assert ran.code == 5, ran.err
    assert is_one_paragraph(ran), ran.err
    assert f"keys are swapped: the key given for {KeyId.parse(sound)} does decrypt it" in ran.err


@pytest.mark.parametrize("verb", ["play", "keys check"])
def test_the_kid_given_as_its_own_key(told, film, verb: str) -> None:
    ((kid, _),) = film.keys
    ran = told(verb, film, [(kid, kid)])
    assert ran.code == 5, ran.err
    assert "the KID was given as its own key" in ran.err


def test_what_was_there_before_a_failed_play_is_still_there(clearkey, film, tmp_path) -> None:
    hashes, sheet = tmp_path / "hashes", tmp_path / "sheet.png"
    hashes.write_text("of yesterday")
    sheet.write_text("of yesterday")
    keys = write_keys(tmp_path / "keys", [(film.keys[0][0], WRONG)])
    ran = clearkey("play", *film.files, "--keys-file", keys, "--framemd5", hashes, "--snapshot", sheet)
    assert ran.code == 5, ran.err
    assert hashes.read_text() == sheet.read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashes", "keys", "sheet.png"]


@pytest.mark.parametrize("text", ["", "{", "nonsense\n", "00:11\n", '{"keys": 1}', "\x00\x01"])
def test_a_keys_file_that_is_none(clearkey, film, tmp_path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    ran = clearkey("play", *film.files, "--keys-file", path)
    assert ran.code in {3, 4}, ran.err  # an empty one has no key
    assert is_one_paragraph(ran), ran.err
    assert str(path) in ran.err or not text


@pytest.mark.parametrize("pair", ["", "a:b", "00112233445566778899aabbccddee", "zz" * 16 + ":" + "00" * 16])
def test_a_key_on_the_command_line_that_is_none(clearkey, film, pair: str) -> None:
    ran = clearkey("play", *film.files, "--key", pair)
    assert ran.code == 2, ran.err
    assert is_one_paragraph(ran), ran.err
