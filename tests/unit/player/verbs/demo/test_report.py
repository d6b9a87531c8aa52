"""The report page: whatever a hostile file or server says, it stays one sound page that loads nothing."""

from __future__ import annotations

import html.parser
from pathlib import Path

import msgspec
import pytest

from drm.protection import ComponentState, ProtectionReport, TrustReport
from player.verbs.demo.pictures import FlowEvent, flow_diagram
from player.verbs.demo.report import BoxRow, EventRow, ReportData, StoryStep, trust_of, write_report

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
EVIL = "\"'><script>alert(1)</script><img src=//evil.example/a.png onerror=x>{{ 7*7 }}\u202e\x00\x1b[2J\udcff]]>"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page as a browser would, and objects to what is not balanced."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes what is not open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.seen if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def written(folder: Path, **fields: object) -> tuple[str, Page]:
    data = {"title": "a playback", "file": "a.mp4", "verdict": "good", **fields}
    write_report(folder / "deep" / "index.html", ReportData(**data))  # type: ignore[arg-type]  # a table of any fields
    text = (folder / "deep" / "index.html").read_text(encoding="utf-8")
    return text, Page(text)


def full(word: str) -> dict[str, object]:
    """Every field set, with `word` wherever a word can stand."""
    box = BoxRow(word, 0, 100, word, True, [BoxRow(word, 8, 92, word)])
    return {
        "title": word,
        "file": word,
        "verdict": word,
        "facts": [(word, word)],
        "contact_sheet": PNG,
        "events": [EventRow(0.0, "application", word, word), EventRow(0.5, word, word, word)],
        "protection": {
            "level": 2,
            "layers": {"seccomp": "yes", word: "yes", "landlock": word},
            "started": 1_800_000_000.5,
            word: word,
            "components": {word: word},
            "hashes": [word],
            "trust": {
                "signed": word,
                "revocation_list": word,
                "freshness": word,
                "components": [dict.fromkeys(("name", "version", "class_id", "signer", "sha256", "state"), word)],
            },
        },
        "story": [StoryStep(word, word), StoryStep(word, word, tone="bad")],
        "boxes": [box, box],
        "notes": [word],
    }


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    _, calm = written(tmp_path / "calm", **full("calm words"))
    text, page = written(tmp_path / "evil", **full(EVIL))
    # The same elements with the same attributes as for calm words: nothing that was said became structure.
    assert [(tag, set(attrs)) for tag, attrs in page.seen] == [(tag, set(attrs)) for tag, attrs in calm.seen]
    assert "<script" not in text
    assert "49" not in page.text  # no template inside a template
    assert page.text.count("<script>alert(1)</script>") >= 20  # they are shown, all of them
    assert not set(text) & {"\u202e", "\x00", "\x1b"}
    assert r"\u202e\x00\x1b[2J\xff" in page.text


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    text, page = written(tmp_path, **full("http://evil.example/a.png"))
    assert not [tag for tag, _ in page.seen if tag in {"script", "link", "iframe", "object", "embed", "base", "form"}]
    for tag, attributes in page.seen:
        assert not [name for name in attributes if name.startswith("on") or name in {"srcset", "action", "xmlns"}]
        for name in ("src", "href"):
            if (target := attributes.get(name)) is not None:
                assert target.startswith(("data:image/png;base64,", "#")), f"<{tag} {name}={target}>"
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(meta["content"] for meta in page.tags("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")


def test_it_can_be_used_without_sight_or_mouse(tmp_path: Path) -> None:
    _, page = written(tmp_path, **full("calm words"))
    assert all(image.get("alt") for image in page.tags("img"))
    assert all(picture.get("aria-label") for picture in page.tags("svg"))
    ids = {str(attributes["id"]) for _, attributes in page.seen if "id" in attributes}
    assert len(ids) == sum("id" in attributes for _, attributes in page.seen)
    assert {str(link["href"]).removeprefix("#") for link in page.tags("a")} <= ids
    # What scrolls sideways can be reached by keyboard.
    assert all(part.get("tabindex") == "0" for part in page.tags("div") if part.get("class") == "wide")
    assert [html_.get("lang") for html_ in page.tags("html")] == ["en"]


def test_an_empty_report_says_so(tmp_path: Path) -> None:
    _, page = written(tmp_path, contact_sheet=b"GIF89a, not a PNG")
    assert page.tags("img") == []
    assert page.tags("svg") == []
    assert "No picture left the worker" in page.text
    assert "No protected session was made" in page.text
    assert "What is not protected against" in page.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("yes", "yes"),
        ("no: EPERM", "no EPERM"),
        ("no", "no no"),
        ("Yes, honestly", "no Yes, honestly"),
        (True, "no True"),
        (None, "no None"),
    ],
)
def test_a_layer_holds_only_when_the_report_says_so(tmp_path: Path, value: object, shown: str) -> None:
    _, page = written(tmp_path, protection={"level": 1, "layers": {"own_layer": value}})
    assert f"own layer {shown}" in page.text


def test_a_missing_layer_comes_with_what_to_do(tmp_path: Path) -> None:
    _, page = written(tmp_path, protection={"level": 1, "layers": {"landlock": "no: ENOSYS"}})
    assert "landlock no ENOSYS: needs Linux 5.13" in page.text


@pytest.mark.parametrize(
    ("level", "shown"), [(0, "level 0, unprotected"), (2, "level 2, contained+"), (9, "level 9"), ("x", "level x")]
)
def test_the_level_is_named(tmp_path: Path, level: object, shown: str) -> None:
    _, page = written(tmp_path, protection={"level": level, "kernel": "6.1"})
    verdict = page.text.split("before it took a key. ")[1].split(" kernel")[0]
    assert verdict == shown


def test_a_huge_file_gives_a_page_of_bounded_size(tmp_path: Path) -> None:
    deep = BoxRow("x", 0, 8)
    for _ in range(400):
        deep = BoxRow("x", 0, 8, children=[deep])
    boxes = [deep, *(BoxRow("moof", n, 8) for n in range(100_000))]
    events = [EventRow(n / 1000, "ITA", "word", "w" * 100_000) for n in range(10_000)]
    text, page = written(tmp_path, boxes=boxes, events=events)
    assert len(text) < 8_000_000
    assert "99901 more boxes" in page.text
    assert "8000 later events are left out" in page.text


def test_the_old_page_stays_when_the_new_one_cannot_be_made(tmp_path: Path) -> None:
    written(tmp_path, verdict="the old one")
    page = tmp_path / "deep" / "index.html"
    with pytest.raises(TypeError):
        write_report(page, ReportData(title="t", file="f", verdict="v", boxes=[BoxRow("x", None, 1)]))  # type: ignore[arg-type]
    assert "the old one" in page.read_text(encoding="utf-8")
    assert list(page.parent.iterdir()) == [page]  # and nothing half-made beside it


def test_the_flow_is_in_order_and_folded_in_its_middle() -> None:
    events = [FlowEvent(n, "PMP worker", f"event{n}") for n in range(200)]
    drawn = Page(flow_diagram(events))
    names = [word for word in drawn.words if word.startswith("event")]
    assert names[0] == "event0"
    assert names[-1] == "event199"
    assert names == sorted(names, key=lambda word: int(word[5:]))
    assert any("more, in the table" in word for word in drawn.words)
    assert f"{200 - len(names)} more" in drawn.text


def test_what_happens_in_the_worker_is_drawn_in_the_protected_zone() -> None:
    lanes = ["application", "session proxy", "PMP worker", "ITA", "license server", "somewhere else"]
    drawn = Page(flow_diagram([FlowEvent(0, lane, "event") for lane in lanes]))
    zone = next(part for part in drawn.tags("rect"))
    left, width = float(zone["x"] or 0), float(zone["width"] or 0)
    inside = [left < float(dot["cx"] or 0) < left + width for dot in drawn.tags("circle")]
    assert inside == [lane in ("PMP worker", "ITA") for lane in lanes]


# ------------------------------------------------------------------------ the table of components, and the story
DECODER = ComponentState(
    name="av-decoder", version="1.0.1", class_id="3b0f6a53-9d0e-4c55-a7e1-5d7c40a0b6f2", sha256="aa" * 32,
    signer="bb" * 32, state="trusted",
)  # fmt: skip
SINK = msgspec.structs.replace(DECODER, name="my-sink", state="test-signed")


def protection(*components: ComponentState, signed: str = "trusted") -> dict[str, object]:
    trust = TrustReport(signed=signed, revocation_list=17, freshness="stale", components=components, verify_ms=4.25)
    report = ProtectionReport(level=2, layers={"seccomp": "yes"}, components={"av-decoder": "cc" * 32}, trust=trust)
    found: dict[str, object] = msgspec.to_builtins(report)
    return found


def test_every_component_is_a_row_with_what_vouches_for_it(tmp_path: Path) -> None:
    _, shown = written(tmp_path, protection=protection(DECODER, SINK, signed="test-signed"))
    assert "av-decoder 1.0.1 class 3b0f6a53 key bbbbbbbbbbbbbbbb sha256 aaaaaaaaaaaaaaaa trusted" in shown.text
    assert "my-sink 1.0.1 " in shown.text
    marks = [attributes["class"] for attributes in shown.tags("span") if (attributes.get("class") or "")[:4] == "mark"]
    assert marks == ["mark good", "mark good", "mark warn"], "of the layer, the decoder, the sink"


@pytest.mark.parametrize(("signed", "tone"), [("trusted", "good"), ("test-signed", "warn"), ("anything", "warn")])
def test_the_summary_says_what_the_worker_said(tmp_path: Path, signed: str, tone: str) -> None:
    _, shown = written(tmp_path, protection=protection(DECODER, signed=signed))
    assert "Revocation list number 17, stale" in shown.text
    assert "Verified in 4.2 ms" in shown.text
    assert {"class": f"verdict {tone}"} in shown.tags("span")


def test_where_nothing_was_verified_there_is_no_table(tmp_path: Path) -> None:
    _, shown = written(tmp_path, protection={"level": 0, "layers": {}, "trust": None})
    assert not [attributes for attributes in shown.tags("section") if attributes.get("id") == "components"]
    assert not [attributes for attributes in shown.tags("a") if attributes["href"] == "#components"]
    assert "trust" not in [word.strip() for word in shown.words], "nor a row of it"


def test_the_story_is_told_in_order_and_only_where_there_is_one(tmp_path: Path) -> None:
    steps = [StoryStep("refused", "0xC00D7151", tone="bad"), StoryStep("updated", "6,901 bytes in 0.15 s")]
    _, shown = written(tmp_path, story=steps)
    assert "refused 0xC00D7151 updated 6,901 bytes in 0.15 s" in shown.text
    assert "#story" in [attributes["href"] for attributes in shown.tags("a")]
    assert "#story" not in [attributes["href"] for attributes in written(tmp_path)[1].tags("a")]


@pytest.mark.parametrize("trust", [None, "trusted", 7, ["trusted"]])
def test_what_is_no_report_is_none(trust: object) -> None:
    assert trust_of(trust) is None


@pytest.mark.parametrize("components", [None, "x", 7, ["x", None, {}], {"name": "x"}])
def test_a_list_that_is_none_is_survived(components: object) -> None:
    found = trust_of({"signed": "trusted", "components": components, "verify_ms": "soon"})
    assert found is not None
    assert found.verify_ms == "not known"
    assert not any(row.is_trusted for row in found.components)
