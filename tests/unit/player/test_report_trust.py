"""The page's table of components, and the story before a playback. Whether hostile words stay words: test_report.py."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from drm.protection import ComponentState, ProtectionReport, TrustReport
from player.report_trust import trust_of
from player.verbs.demo.report import ReportData, StoryStep, write_report
from tests.unit.player.test_report import Page

DECODER = ComponentState(
    name="av-decoder", version="1.0.1", class_id="3b0f6a53-9d0e-4c55-a7e1-5d7c40a0b6f2", sha256="aa" * 32,
    signer="bb" * 32, state="trusted",
)  # fmt: skip
SINK = msgspec.structs.replace(DECODER, name="my-sink", state="test-signed")


def page(folder: Path, **fields: object) -> Page:
    write_report(folder / "a.html", ReportData(title="t", file="f", verdict="v", **fields))  # type: ignore[arg-type]
    return Page((folder / "a.html").read_text(encoding="utf-8"))


def protection(*components: ComponentState, signed: str = "trusted") -> dict[str, object]:
    trust = TrustReport(signed=signed, revocation_list=17, freshness="stale", components=components, verify_ms=4.25)
    report = ProtectionReport(level=2, layers={"seccomp": "yes"}, components={"av-decoder": "cc" * 32}, trust=trust)
    found: dict[str, object] = msgspec.to_builtins(report)
    return found


def test_every_component_is_a_row_with_what_vouches_for_it(tmp_path: Path) -> None:
    shown = page(tmp_path, protection=protection(DECODER, SINK, signed="test-signed"))
    assert "av-decoder 1.0.1 class 3b0f6a53 key bbbbbbbbbbbbbbbb sha256 aaaaaaaaaaaaaaaa trusted" in shown.text
    assert "my-sink 1.0.1 " in shown.text
    marks = [attributes["class"] for attributes in shown.tags("span") if (attributes.get("class") or "")[:4] == "mark"]
    assert marks == ["mark good", "mark good", "mark warn"], "of the layer, the decoder, the sink"


@pytest.mark.parametrize(("signed", "tone"), [("trusted", "good"), ("test-signed", "warn"), ("anything", "warn")])
def test_the_summary_says_what_the_worker_said(tmp_path: Path, signed: str, tone: str) -> None:
    shown = page(tmp_path, protection=protection(DECODER, signed=signed))
    assert "Revocation list number 17, stale" in shown.text
    assert "Verified in 4.2 ms" in shown.text
    assert {"class": f"verdict {tone}"} in shown.tags("span")


def test_where_nothing_was_verified_there_is_no_table(tmp_path: Path) -> None:
    shown = page(tmp_path, protection={"level": 0, "layers": {}, "trust": None})
    assert not [attributes for attributes in shown.tags("section") if attributes.get("id") == "components"]
    assert not [attributes for attributes in shown.tags("a") if attributes["href"] == "#components"]
    assert "trust" not in [word.strip() for word in shown.words], "nor a row of it"


def test_the_story_is_told_in_order_and_only_where_there_is_one(tmp_path: Path) -> None:
    steps = [StoryStep("refused", "0xC00D7151", tone="bad"), StoryStep("updated", "6,901 bytes in 0.15 s")]
    shown = page(tmp_path, story=steps)
    assert "refused 0xC00D7151 updated 6,901 bytes in 0.15 s" in shown.text
    assert "#story" in [attributes["href"] for attributes in shown.tags("a")]
    assert "#story" not in [attributes["href"] for attributes in page(tmp_path).tags("a")]


@pytest.mark.parametrize("trust", [None, "trusted", 7, ["trusted"]])
def test_what_is_no_report_is_none(trust: object) -> None:
    assert trust_of(trust) is None


@pytest.mark.parametrize("components", [None, "x", 7, ["x", None, {}], {"name": "x"}])
def test_a_list_that_is_none_is_survived(components: object) -> None:
    found = trust_of({"signed": "trusted", "components": components, "verify_ms": "soon"})
    assert found is not None
    assert found.verify_ms == "not known"
    assert not any(row.is_trusted for row in found.components)
