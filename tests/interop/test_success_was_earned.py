"""Exit code 0 means that something was done: a sample was reached, a key was tried, a frame was shown."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.command import Command
from tests.interop.vectors import Vector

FIELD = Path(__file__).parents[1] / "data" / "field"
INIT, SEGMENT = FIELD / "nothing_played" / "ei.mp4", FIELD / "nothing_played" / "es1.m4s"
KEY = "6e2eabb85035a404d04f169c971e303b:00112233445566778899aabbccddeeff"
F07 = FIELD / "key_not_reached" / "F07.mp4"
FIRST = "00112233445566778899aabbccddeeff:000102030405060708090a0b0c0d0e0f"
SECOND = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
RIGHT = f"{SECOND}:f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
WRONG = f"{SECOND}:00f1f2f3f4f5f6f7f8f9fafbfcfdfeff"


@pytest.mark.parametrize("files", [[INIT], [SEGMENT, INIT]], ids=["init-alone", "segment-before-init"])
@pytest.mark.parametrize(
    "verb", [["play"], ["play", "--remote-source"], ["digest"], ["keys", "check"], ["decrypt"], ["decrypt", "--check"]],
    ids=" ".join,
)  # fmt: skip
def test_promised_samples_that_are_not_there(
    clearkey: Command, tmp_path: Path, verb: list[str], files: list[Path]
) -> None:
    if "--remote-source" in verb and len(files) > 1:
        files = [INIT]
    output = ["-o", tmp_path / "out.mp4"] if verb[0] == "decrypt" else []
    ran = clearkey(*verb, *files, *output, "--key", KEY)
    assert ran.code == 3, ran.said
    assert "E-MEDIA-NOTHING" in ran.err
    assert "INIT.mp4 SEGMENT.m4s" in ran.err
    assert not list(tmp_path.iterdir())


def test_the_same_for_a_clear_file_without_samples(
    clearkey: Command, vector: Callable[[str], Vector], tmp_path: Path
) -> None:
    """A sibling: no key is in question, and still nothing was seen."""
    data = INIT.read_bytes()
    data = data.replace(b"encv", b"avc1").replace(b"sinf", b"free")
    (tmp_path / "clear.mp4").write_bytes(data)
    for verb in (["play"], ["digest"], ["keys", "check"]):
        ran = clearkey(*verb, tmp_path / "clear.mp4")
        assert ran.code == 3, (verb, ran.said)
        assert "E-MEDIA-NOTHING" in ran.err


def test_what_the_error_says_leads_out(clearkey: Command, tmp_path: Path) -> None:
    """The remedy, followed: the key is a wrong one, and that is what is said then."""
    for verb in (["play"], ["keys", "check"]):
        assert clearkey(*verb, INIT, SEGMENT, "--key", KEY).code == 5


def test_a_track_that_nothing_was_read_of_is_named(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path], tmp_path: Path
) -> None:
    """Its fragments name another track, so of its own there are none; the other track plays."""
    film = vector("b4_mpeg-cenc_av")
    data = bytearray(film.files[0].read_bytes())
    at = data.find(b"moof")
    if at < 0:
        pytest.fail("this vector is not in fragments: take another")
    while (at := data.find(b"tfhd", at + 1)) >= 0:
        if data[at + 8 : at + 12] == struct.pack(">I", 2):
            data[at + 8 : at + 12] = struct.pack(">I", 99)
    (tmp_path / "half.mp4").write_bytes(data)
    ran = clearkey("play", tmp_path / "half.mp4", "--keys-file", keys_of(film))
    assert ran.code == 0, ran.said
    assert "no sample of track 2 was reached" in ran.err


# ------------------------------------------------------------------------------------------------ every key is tried
def test_a_key_that_begins_inside_a_group_is_judged(clearkey: Command, tmp_path: Path) -> None:
    right = clearkey("keys", "check", F07, "--key", FIRST, "--key", RIGHT)
    assert right.code == 0, right.said
    wrong = clearkey("keys", "check", F07, "--key", FIRST, "--key", WRONG)
    assert wrong.code in {3, 5}, wrong.said
    assert "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf" in wrong.err
    ran = clearkey("decrypt", "--check", F07, "-o", tmp_path / "out.mp4", "--key", FIRST, "--key", WRONG)
    assert ran.code in {3, 5}, ran.said
    assert not (tmp_path / "out.mp4").exists()


def test_no_wrong_key_inside_a_group_is_called_right(clearkey: Command) -> None:
    """Its samples are small, so at times nobody can tell: of 150 wrong keys 140 were seen to be wrong, none right."""
    keys = [f"{SECOND}:{secrets.token_hex(16)}" for _ in range(8)]
    codes = [clearkey("keys", "check", F07, "--key", FIRST, "--key", key).code for key in keys]
    assert set(codes) <= {3, 5}, keys
    assert 5 in codes


def test_play_says_that_it_did_not_see_whether_such_a_key_is_right(clearkey: Command) -> None:
    ran = clearkey("play", F07, "--key", FIRST, "--key", WRONG)
    assert "whether the key of KID a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf is right was not seen" in ran.err


def test_a_key_that_the_media_names_and_no_sample_uses_is_not_asked_for(clearkey: Command) -> None:
    film = FIELD / "default_kid_unused" / "F01.mp4"
    checked = clearkey("keys", "check", film, "--key", FIRST)
    assert checked.code == 0, checked.said
    assert "not used: no sample is encrypted under it" in checked.out


def test_a_key_whose_decoder_takes_noise_is_not_called_right(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path], tmp_path: Path
) -> None:
    """PCM sound: whatever it decrypts to is sound. Nobody can judge that by decoding."""
    pcm = FIELD / "pcm_cbcs" / "a_pcm.mov"
    sealed = tmp_path / "sealed.mp4"
    assert clearkey("encrypt", pcm, "-o", sealed, "--key", FIRST).code == 0
    ran = clearkey("keys", "check", sealed, "--key", FIRST)
    assert ran.code == 3, ran.said
    assert "E-KEY-NOT-JUDGED" in ran.err


@pytest.mark.parametrize("name", ["N_scheme.mp4", "N_notenc.mp4"])
def test_what_cannot_be_decrypted_is_not_called_clear(clearkey: Command, name: str) -> None:
    ran = clearkey("keys", "check", FIELD / "unknown_scheme" / name, "--key", KEY)
    assert ran.code == 3, ran.said
    assert "E-MEDIA-UNSUPPORTED" in ran.err


def test_damage_behind_which_other_keys_may_stand_is_not_success(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path], tmp_path: Path
) -> None:
    """The scheme says eight bytes for the IV of each sample; the last fragment's senc ends inside of one."""
    film = vector("b4_mpeg-cenc_iv8_av")
    data = bytearray(film.files[0].read_bytes())
    last = data.rindex(b"senc")
    count = int.from_bytes(data[last + 8 : last + 12], "big")
    data[last + 8 : last + 12] = struct.pack(">I", count + 5)
    data = data.replace(b"saiz", b"free").replace(b"saio", b"free")
    (tmp_path / "bent.mp4").write_bytes(data)
    ran = clearkey("keys", "check", tmp_path / "bent.mp4", "--keys-file", keys_of(film))
    assert "right" in ran.out, "what stands before the damage is judged all the same"
    assert ran.code == 3, ran.said
