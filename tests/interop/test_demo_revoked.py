"""`clearkey demo --revoked`: refused, replaced, played. A license server, a store and two workers, all real."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.interop.command import Command, Ran, without_remarks


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("revoked")
    clearkey = Command(tmp_path_factory.mktemp("clearkey-home"))
    (folder / "tmp").mkdir()
    clearkey.environment |= {"TMPDIR": str(folder / "tmp")}
    return folder, clearkey("demo", "--revoked", "--output", folder / "build")


def test_it_ends_by_itself_and_well(demo: tuple[Path, Ran]) -> None:
    folder, ran = demo
    assert ran.code == 0, ran.said
    assert without_remarks(ran.err) == []
    assert len(ran.out.splitlines()) <= 20
    assert "615 frames, all equal to the clear original" in ran.out
    assert list((folder / "tmp").iterdir()) == [], "the throw-away authority, with its keys"


def test_the_first_call_is_refused_and_the_second_runs_what_the_enabler_fetched(demo: tuple[Path, Ran]) -> None:
    _folder, ran = demo
    told = [
        line for line in ran.out.splitlines() if re.match(r"(revoked|first call|its enabler|second call|played):", line)
    ]
    assert [line.partition(":")[0] for line in told] == [
        "revoked",
        "first call",
        "its enabler",
        "second call",
        "played",
    ]
    assert "0xC00D7151 MF_E_COMPONENT_REVOKED" in told[1]
    assert "av-decoder v1.0.0 is revoked (R-2-1: flaw, " in ran.out
    assert int(re.search(r"fetched ([\d,]+) bytes in", told[2])[1].replace(",", "")) > 1000  # type: ignore[index]
    assert "av-decoder 1.0.1 runs" in told[3]
    assert "list 2" in told[3]


def test_the_store_has_what_was_said(demo: tuple[Path, Ran]) -> None:
    folder, _ran = demo
    store = folder / "build" / "demo" / "components"
    generation = store / "generations" / max(path.name for path in (store / "generations").iterdir())
    assert json.loads((generation / "revocations.list").read_bytes())["version"] == 2
    archives = [path.read_bytes() for path in (store / "blobs").iterdir()]
    assert any(b'"av-decoder"' in data and b'version = "1.0.1"' in data for data in archives)


def test_the_page_tells_the_story_and_shows_the_components(demo: tuple[Path, Ran]) -> None:
    folder, _ran = demo
    page = (folder / "build" / "demo" / "index.html").read_text(encoding="utf-8")
    for word in ("0xC00D7151", "refused", "updated", "session refused", "component enabler", "test-signed",
                 "3b0f6a53", "video-constrictor", "number 2, fresh"):  # fmt: skip
        assert word in page, word
    row = re.search(r"<tr><td><b>av-decoder</b></td><td class=\"number\">([\d.]+)</td>", page)
    assert row is not None
    assert row[1] == "1.0.1"
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
