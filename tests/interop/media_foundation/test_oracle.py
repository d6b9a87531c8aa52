"""The product's sessions beside a real mf.dll: the same scenarios, and every difference listed and judged.

A third of the scenarios; `make oracle` plays all. Wine's logs lie in the folder `wine`, so no Wine is needed here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.assertions import ASSERTIONS
from tests.interop.media_foundation import pages, wine
from tests.interop.media_foundation.comparison import hunks
from tests.interop.media_foundation.judged import DIFFERENCES, breaches, known, of_kind, settled, updated, verdicts
from tests.interop.media_foundation.logs import KINDS, product_logs, wine_log
from tests.interop.media_foundation.scenarios import FOLDER, every, some


# ------------------------------------------------------------------------------------------------ the product
@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The log of each scenario by kind of session: all are played side by side."""
    clips = tmp_path_factory.mktemp("clips")

    def play(kind: str) -> dict[str, str]:
        return product_logs(kind, some(), clips)

    with ThreadPoolExecutor() as pool:
        first = dict(zip(KINDS, pool.map(play, KINDS), strict=True))
    return {
        kind: settled(kind, first[kind], known(), lambda name, kind=kind: product_logs(kind, [name], clips)[name])
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", some())
def test_what_differs_from_wine_is_listed(logs: dict[str, dict[str, str]], kind: str, name: str) -> None:
    found = breaches(name, kind, logs[kind][name], known())
    assert found == [], "judge it: python -m tests.interop.media_foundation --update, then name its cause"


@pytest.mark.parametrize("name", [name for name in some() if of_kind(name, "pmp") not in known()])
def test_both_kinds_of_session_do_the_same(logs: dict[str, dict[str, str]], name: str) -> None:
    """But for times, and for what is listed by kind: both logs are near what is listed, and near each other."""
    assert [
        each
        for each in hunks(logs["local"][name], logs["pmp"][name], waits_for_211=every()[name].waits_for_211)
        if not each.is_near()
    ] == []


# ------------------------------------------------------------------------------------------------ the lists
def test_each_difference_has_a_cause_and_each_cause_a_verdict() -> None:
    causes = {cause for rows in known().values() for each in rows for cause in each.because}
    assert [name for name, rows in known().items() for each in rows if not each.because] == []
    assert causes == set(verdicts())
    for name, each in verdicts().items():
        assert each.verdict in ("wine", "ours", "choice", "python"), name
        assert each.page, name
        assert len(each.why.split()) > 5, name
        assert set(each.rules) <= set(ASSERTIONS), name


def test_the_pages_tell_what_is_listed() -> None:
    told = "python -m tests.interop.media_foundation --update"
    assert pages.PAGE.read_text() == pages.page(), told
    assert pages.COLUMN.read_text() == pages.column(), told
    assert set(pages.tried()) <= set(ASSERTIONS)
    assert {name for names in pages.tried().values() for name in names} <= set(every())


def test_each_scenario_has_wines_log() -> None:
    assert {path.stem for path in (FOLDER / "wine").glob("*.log")} == set(every())
    assert set(known()) <= {*every(), *(of_kind(name, kind) for name in every() for kind in KINDS)}


def test_the_suite_plays_a_third_with_every_kind_of_step_and_every_cause() -> None:
    """But for causes that a scenario of their own has, which takes long."""
    assert len(every()) / 3 <= len(some()) == len(set(some())) < len(every()) / 2
    verbs = lambda names: {step.split()[0] for name in names for step in every()[name].steps}  # noqa: E731
    assert verbs(some()) == verbs(every())


def test_the_list_is_written_as_it_is_read(tmp_path: Path) -> None:
    (copy := tmp_path / "differences.toml").write_text(updated({}, known()))
    assert known(copy) == known()
    assert copy.read_text() == DIFFERENCES.read_text()


# ------------------------------------------------------------------------------------------------ what it would find
def test_a_new_difference_and_one_that_is_gone_are_told() -> None:
    ours = wine_log("pause_start").replace("caps=64 delta=3", "caps=0 delta=67")
    assert breaches("pause_start", "local", ours, known()) == []
    assert "pause_start: listed, and gone" in breaches("pause_start", "local", wine_log("pause_start"), known())
    broken = ours.replace("104 Paused 00000000", "104 Paused c00d36b2")
    assert breaches("pause_start", "local", broken, known()) == [
        "pause_start: new", "    Wine  104 Paused 00000000", "    ours  104 Paused c00d36b2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("clock: GetTime 00000000 500ms, running", "clock: GetTime 00000000 640ms, running", False),
        ("clock: GetTime 00000000 500ms, running", "clock: GetTime 00000000 660ms, running", True),
        ("clock: GetTime 00000000 500ms, running", "clock: GetTime 00000000 500ms, paused", True),
        ("frames a: 9 at the sink, from 0ms to 267ms", "frames a: 11 at the sink, from 0ms to 333ms", False),
        ("frames a: 9 at the sink, from 0ms to 267ms", "frames a: 12 at the sink, from 0ms to 367ms", True),
        ("103 Started 00000000", "103 Started c00d36b2", True),
        ("110 CapabilitiesChanged 0 caps=67 delta=67", "110 CapabilitiesChanged 0 caps=83 delta=83", False),
        ("  ~ source a: Start(0 ms)", "  ~ sink a: clock start", False),
    ],
)  # fmt: skip
def test_two_lines_are_the_same_but_for_what_a_clock_may_differ_by(one: str, other: str, differs: bool) -> None:
    assert bool(hunks(f"      1 {one}\n", f"    207 {other}\n")) is differs


# ------------------------------------------------------------------------------------------------ Wine
def stand_in(folder: Path, name: str, says: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("says", "named"),
    [
        ("wine-8.0 (Debian 8.0~repack-4)", "wine-8.0 is older than Wine 10.0"),
        ("what?", "names no version"),
        (None, "wine"),
    ],
)
def test_wine_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, named: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if says is not None:
        stand_in(tmp_path, "wine", says)
        stand_in(tmp_path, "x86_64-w64-mingw32-gcc", "")
    before = wine_log("pause_start")
    with pytest.raises(wine.UnusableWineError, match=named) as raised:
        wine.rebuild(["pause_start"])
    assert "install wine" in str(raised.value)
    assert wine_log("pause_start") == before


def test_a_wine_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in(tmp_path, "wine", "wine-10.0 (Debian 10.0~repack-6)")
    stand_in(tmp_path, "x86_64-w64-mingw32-gcc", "")
    assert wine.check().startswith("wine-10.0")
