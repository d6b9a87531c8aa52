"""`clearkey inspect --svg`: the picture as a program sees it. What it looks like, its maker has looked at."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from drm.app.byte_stream import FileByteStream
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme
from player.verbs.inspect import command
from player.verbs.inspect.map import draw
from player.verbs.inspect.map_model import OTHER, Cell, read_map
from player.verbs.inspect.map_strip import strip

OWN = Path(__file__).parents[4] / "data" / "vectors" / "generated"
SVG = "{http://www.w3.org/2000/svg}"
KID = KeyId(bytes(16))


def said(root: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def svg_of(film: Path | str, tmp_path: Path, *words: str) -> ET.Element:
    """Through the command, into a file."""
    target = tmp_path / "map.svg"
    ran = CliRunner().invoke(command, ["--no-boxes", "--svg", str(target), *words, str(OWN / film)])
    assert ran.exit_code == 0
    return ET.fromstring(target.read_text(encoding="utf-8"))


def test_it_stands_alone_and_says_what_it_shows(tmp_path: Path) -> None:
    root = svg_of("pk_cbcs_clearlead_v.mp4", tmp_path)
    assert root.get("role") == "img"
    names = {each.get("id"): "".join(each.itertext()) for each in root if each.get("id")}
    assert root.get("aria-labelledby", "").split() == ["title", "desc"]
    assert names["title"].startswith("Encryption of ")
    assert "clear lead 1.000 s" in names["desc"]
    assert "7.7 % of bytes" in names["desc"]
    whole = ET.tostring(root, encoding="unicode")
    assert not re.search(r"<script|javascript:|href=|@import|url\((?!#)|\bon[a-z]+=", whole)
    assert "prefers-color-scheme:dark" in whole


def test_keys_leads_and_boundaries_are_there(tmp_path: Path) -> None:
    lead = said(svg_of("pk_cbcs_clearlead_v.mp4", tmp_path))
    assert "clear lead" in lead
    assert "KID 10000000-1000-1000-1000-100000000001" in lead
    root = svg_of("pk_cenc_rot_v.mp4", tmp_path)
    assert {"key 1", "key 2", "KID 00000010-0010-0010-0010-000000000110", "2 key periods"} <= set(said(root))
    (turns,) = [each.get("d", "") for each in root.iter(f"{SVG}path") if each.get("class") == "turn"]
    # From 0 s at 170 to 3 s at 976: the key changes at 2 s.
    assert re.findall(r"M([\d.]+)", turns) == ["707.3"]


def test_a_column_is_as_high_as_its_bytes_say() -> None:
    with FileByteStream([OWN / "pk_cbcs_1_9_v.mp4"]) as stream:
        drawn = read_map(stream, ())
    (lane,) = drawn.lanes
    assert lane.is_by_sample
    assert len(lane.cells) == 72
    assert sum(sum(cell.encrypted.values()) for cell in lane.cells) == lane.tally.encrypted_bytes
    total = sum(sum(c.encrypted.values()) + sum(c.skipped.values()) + c.clear_within + c.clear for c in lane.cells)
    assert total == lane.tally.size
    lane.cells = [Cell(0.0, 3.0, {0: 25}, {0: 50}, 25, 0)]
    drawn.strips = []
    shapes = {each.get("class"): each.get("d", "") for each in ET.fromstring(draw(drawn)).iter(f"{SVG}path")}
    heights = {kind: float(re.findall(r"v([\d.]+)", d)[0]) for kind, d in shapes.items() if kind in {"k0", "s0"}}
    assert heights["s0"] == 2 * heights["k0"] == 28


def test_tracks_are_chosen(tmp_path: Path) -> None:
    assert {"track 1", "track 2"} <= set(said(svg_of("gp_roll_frag_v.mp4", tmp_path)))
    one = said(svg_of("gp_roll_frag_v.mp4", tmp_path, "--track", "2"))
    assert "track 2" in one
    assert "track 1" not in one


@pytest.mark.parametrize("name", [
    "gp_multikey_prog_v.mp4", "pk_webm_vp9_v.webm", "pk_webm_opus_a.webm", "gp_rap_prog_v.mp4", "pk_cens_2_3_v.mp4",
    "pk_cbc1_a.mp4", "gp_piff_frag_av.mp4", "../clear/src_avc_aac.mp4",
])  # fmt: skip
def test_every_kind_of_file_is_drawn_inside_its_frame(name: str, tmp_path: Path) -> None:
    root = svg_of(name, tmp_path)
    width, height = (float(value) for value in root.get("viewBox", "").split()[2:])
    for shape in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", shape.get("d", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    for shape in root.iter(f"{SVG}rect"):
        assert float(shape.get("x", 0)) + float(shape.get("width", 0)) <= width
        assert float(shape.get("width", 0)) >= 0
    assert max(float(each.get("y", 0)) for each in root.iter(f"{SVG}text")) < height


def test_blocks_of_a_pattern_lie_where_decryption_would_find_them() -> None:
    crypto = SampleCrypto(KID, Scheme.CBCS, bytes(16), ((20, 500), (6, 40)), 1, 9)
    sample = Sample(1, 0, 0, 1, True, 0, 566, 1, crypto)
    # One unit of the picture is one byte; the close-up shows the whole sample.
    drawn = "".join(strip(0, 0, 566, "sample", sample, {KID: 0}))
    solid = re.search(r'<path class="k0" d="([^"]+)"', drawn)
    assert solid
    for row, width in ((20, 16), (54, 15.4)):  # the whole sample, and the close-up with a gap between blocks
        blocks = re.findall(rf"M([\d.]+) {row}h([\d.]+)v", solid.group(1))
        assert [(float(x), float(w)) for x, w in blocks] == [(x, width) for x in (20, 180, 340, 500, 526)]


def test_names_out_of_a_file_cannot_break_out(tmp_path: Path) -> None:
    film = tmp_path / "a<script>&\"'\x1b]0;b.mp4"
    film.write_bytes((OWN / "pk_cenc_iv8_v.mp4").read_bytes())
    assert any("a<script>&\"'" in text for text in said(svg_of(film, tmp_path)))
    drawn = (tmp_path / "map.svg").read_text(encoding="utf-8")
    assert "<script" not in drawn
    assert "\x1b" not in drawn


def test_it_goes_to_standard_output_alone() -> None:
    program = [sys.executable, "-m", "player.cli", "inspect", "--svg", "-", str(OWN / "pk_cenc_iv8_a.mp4")]
    ran = subprocess.run(program, capture_output=True, text=True, check=True, timeout=30)
    assert ET.fromstring(ran.stdout).tag == f"{SVG}svg"
    assert ran.stderr == ""


def test_a_damaged_file_is_drawn_up_to_the_damage(tmp_path: Path) -> None:
    cut, target = tmp_path / "cut.mp4", tmp_path / "cut.svg"
    cut.write_bytes((OWN / "pk_cenc_iv8_a.mp4").read_bytes()[:-100])
    program = [sys.executable, "-m", "player.cli", "inspect", "--no-boxes", "--svg", str(target), str(cut)]
    ran = subprocess.run(program, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 3
    assert "E-MEDIA-TRUNCATED" in ran.stderr
    assert any(text.startswith("damaged at ") for text in said(ET.fromstring(target.read_text())))


def test_very_many_keys_share_a_colour_and_the_picture_stays_small() -> None:
    with FileByteStream([OWN / "pk_cenc_rot_v.mp4"]) as stream:
        drawn = read_map(stream, ())
    many = [KeyId(number.to_bytes(16, "big")) for number in range(5000)]
    drawn.keys = {key_id: min(number, OTHER) for number, key_id in enumerate(many)}
    drawn.numbers = {key_id: number for number, key_id in enumerate(many, 1)}
    (lane,) = drawn.lanes
    lane.tally.by_kid = dict.fromkeys(many, 1)
    lane.tally.period_count = 5000
    lane.cells = [
        Cell(n / 400, (n + 1) / 400, dict.fromkeys(range(9), 7), dict.fromkeys(range(9), 5), 3) for n in range(400)
    ]
    drawn.lanes = [lane] * 4
    drawn.strips = []
    whole = draw(drawn)
    assert len(whole) < 500_000
    assert "4992 more keys, 19968 samples" in whole
    assert "5000 key periods" in said(ET.fromstring(whole))
