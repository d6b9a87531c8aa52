"""Every kind of finding, planted in a real file, is found by its name; sound twins and look-alikes are not accused."""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from drm.content_checks.checks import CHECKS
from player.verbs.inspect import command
from tests.conformance.flaws import FLAWS, HARMLESS, Flaw

DATA = Path(__file__).parents[1] / "data"


def sound(flaw: Flaw) -> Path:
    return DATA / "field" / flaw.file if "/" in flaw.file else DATA / "vectors" / "generated" / flaw.file


def inspect(path: Path) -> dict[str, Any]:
    ran = CliRunner().invoke(command, ["--json", "--no-boxes", str(path)])
    report: dict[str, Any] = json.loads(ran.stdout)
    assert getattr(ran.exception, "exit_code", 0) == (3 if report["error"] else 0)
    return report


@functools.cache
def codes_of(path: Path) -> Counter[str]:
    return Counter(found["code"] for found in inspect(path)["findings"])


def spoilt(flaw: Flaw, folder: Path) -> Path:
    whole = sound(flaw).read_bytes()
    path = folder / "spoilt.mp4"
    path.write_bytes(flaw.edit(whole))
    return path


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name)
def test_a_planted_flaw_is_named(tmp_path: Path, flaw: Flaw) -> None:
    found = [each for each in inspect(spoilt(flaw, tmp_path))["findings"] if each["code"] == flaw.code]
    assert found, f"{flaw.name}: not found"
    (check,) = (each for each in CHECKS if each.code == flaw.code)
    for each in found:
        assert (each["level"], each["requirement"]) == (check.level.value, check.requirement)
        assert each["text"]
    if spoilt(flaw, tmp_path).read_bytes() != sound(flaw).read_bytes():
        assert codes_of(sound(flaw))[flaw.code] < len(found), "its unspoilt twin is accused as well"


@pytest.mark.parametrize("flaw", HARMLESS, ids=lambda flaw: flaw.name)
def test_what_looks_like_a_flaw_is_not_accused(tmp_path: Path, flaw: Flaw) -> None:
    report = inspect(spoilt(flaw, tmp_path))
    assert [each for each in report["findings"] if each["code"] == flaw.code] == []
    assert [each for each in report["unjudged"] if each["code"] == flaw.code] == []


def test_every_kind_is_planted_twice() -> None:
    planted = Counter(flaw.code for flaw in FLAWS)
    assert {check.code: planted[check.code] for check in CHECKS if planted[check.code] < 2} == {}
    assert set(planted) == {check.code for check in CHECKS}
