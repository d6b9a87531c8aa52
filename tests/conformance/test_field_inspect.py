"""Files that people met, rebuilt with generated pictures and sound: what `inspect` says of each, and does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from player.verbs.inspect import command
from tests.conformance.edits import box, field
from tests.conformance.flaws import _shifted_copy

FIELD = Path(__file__).parents[1] / "data" / "field"
VECTORS = Path(__file__).parents[1] / "data" / "vectors" / "generated"


def report(*paths: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CliRunner().invoke(command, ["--json", *map(str, paths)]).stdout)
    return found


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("second_moov/CC2.mp4", {"second-moov", "damaged"}),  # told as far as the second one
        ("leftover_boxes/F15.mp4", {"leftover-boxes"}),
        ("leftover_boxes/F15g.mp4", {"leftover-boxes", "damaged"}),
        ("surplus_senc/F36d.mp4", {"senc-surplus"}),  # and no key stream used twice, as the last entries would tell
        ("default_kid_unused/F01.mp4", {"default-kid-unused"}),
        ("saiz_against_senc/F02.mp4", {"saiz-against-senc"}),
        ("iv_size/F06.mp4", {"iv-size", "damaged"}),
        ("no_mvex/T_notrex.mp4", {"no-mvex"}),
        ("unknown_scheme/N_scheme.mp4", {"damaged"}),  # its boxes of encryption were not left there by anybody
        ("unknown_scheme/N_notenc.mp4", {"damaged"}),
        ("key_not_reached/F07.mp4", set()),
    ],
)
def test_what_is_said(name: str, codes: set[str]) -> None:
    found = report(FIELD / name)["findings"]
    assert {each["code"] for each in found} - {"no-pssh"} == codes


def test_the_four_files_of_a_joined_one() -> None:
    folder = FIELD / "second_moov"
    found = report(*(folder / name for name in ("cc_i1.mp4", "cc_sA.m4s", "cc_i2.mp4", "cc_sB.m4s")))
    assert "second-moov" in {each["code"] for each in found["findings"]}


def test_the_iv_size_that_fits_is_named() -> None:
    (told,) = [each for each in report(FIELD / "iv_size" / "F06.mp4")["findings"] if each["code"] == "iv-size"]
    assert "IVs of 16 bytes are declared" in told["text"]
    assert "fit IVs of 8 bytes" in told["text"]
    assert told["evidence"][0] == "moof at byte 763: 12 entries in 192 bytes at byte 1096"


def test_what_saiz_and_senc_say_is_named() -> None:
    found = report(FIELD / "saiz_against_senc" / "F02.mp4")["findings"]
    (told,) = [each for each in found if each["code"] == "saiz-against-senc"]
    assert "entry 1 has 30 bytes by saiz and 16 in senc" in told["evidence"][0]


def test_counters_behind_a_second_movie_box_are_not_judged(tmp_path: Path) -> None:
    """The same IVs under another key are in order; a reader that goes by the first movie box cannot see that."""
    whole = (VECTORS / "pk_cenc_iv8_v.mp4").read_bytes()
    copy = _shifted_copy(whole)[len(whole) :]
    moov = box(whole, "moov")
    other = field("tenc", 8, b"\x77" * 16)(whole[moov.start : moov.end])
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(whole + other + copy)
    found = report(joined)
    assert {each["code"] for each in found["findings"]} >= {"second-moov"}
    assert "iv-reused" not in {each["code"] for each in found["findings"]}
    joined.write_bytes(whole + copy)
    assert "iv-reused" in {each["code"] for each in report(joined)["findings"]}
