"""Files from the field at the command line: each verb says the same of structure that changes what samples mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.command import Command

FIELD = Path(__file__).parents[1] / "data" / "field"
VERBS = (["inspect"], ["digest"], ["decrypt"], ["play"], ["keys", "check"])


def _run(clearkey: Command, tmp_path: Path, verb: list[str], folder: str, *names: str) -> tuple[int, str]:
    keys = [] if verb == ["inspect"] else ["--keys-file", FIELD / folder / "keys.txt"]
    output = ["-o", tmp_path / "out.mp4"] if verb == ["decrypt"] else []
    ran = clearkey(*verb, *(FIELD / folder / name for name in names), *keys, *output)
    return ran.code, ran.out + ran.err


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_second_movie_box_is_refused_by_every_verb(clearkey: Command, tmp_path: Path, verb: list[str]) -> None:
    for names in (["CC2.mp4"], ["cc_i1.mp4", "cc_sA.m4s", "cc_i2.mp4", "cc_sB.m4s"]):
        code, said = _run(clearkey, tmp_path, verb, "second_moov", *names)
        assert code == 3, said
        assert "moov at byte 3510" in said
        assert "EXT-X-MAP" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize(("folder", "name"), [("no_mvex", "T_notrex.mp4"), ("default_kid_unused", "F01.mp4")])
def test_what_can_be_read_is_read_by_every_verb(
    clearkey: Command, tmp_path: Path, verb: list[str], folder: str, name: str
) -> None:
    code, said = _run(clearkey, tmp_path, verb, folder, name)
    assert code == 0, said
    if verb == ["play"]:
        assert "24 frames" in said
