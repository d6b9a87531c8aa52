"""A file that was cut between two fragments says so, whatever it can be known by; a whole one never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import UnsupportedMediaError
from drm.isobmff.box import top_boxes
from drm.isobmff.samples import open_presentation

OWN = Path(__file__).parents[2] / "data" / "vectors"
VECTORS: list[dict[str, Any]] = json.loads((OWN / "vectors.json").read_text())["vectors"]
MP4 = [each for each in VECTORS if all(file["path"].endswith((".mp4", ".m4s")) for file in each["files"])]
KNOWN = {  # and by what: the others announce nothing
    "pk_cenc_iv8_v": "segment index", "pk_cenc_iv8_a": "segment index", "pk_cbcs_1_9_v": "segment index",
}  # fmt: skip


def warnings(*paths: Path) -> tuple[str, ...]:
    with FileByteStream(list(paths)) as stream:
        opened = open_presentation(stream)
        for track in opened.tracks:
            for _ in opened.samples(track.track_id):
                pass
        return tuple(text for text in opened.warnings if "missing" in text)


def fragments(path: Path) -> list[tuple[int, int]]:
    """Where each fragment begins and ends."""
    with FileByteStream(path) as stream:
        tops = list(top_boxes(stream))
    starts = [top.start for top in tops if top.type == "moof"]
    ends = [top.end for top in tops if top.type == "mdat"]
    return list(zip(starts, ends, strict=True))


@pytest.mark.parametrize("vector", MP4, ids=lambda vector: vector["id"])
def test_no_vector_is_accused(vector: dict[str, Any]) -> None:
    assert warnings(*(OWN / file["path"] for file in vector["files"])) == ()


def test_no_vector_of_others_is_accused(vectors_folder: Path) -> None:
    for vector in json.loads((vectors_folder / "vectors.json").read_text())["vectors"]:
        paths = [vectors_folder / file["path"] for file in vector["files"]]
        if all(path.suffix in {".mp4", ".m4s"} for path in paths):
            try:
                assert warnings(*paths) == (), vector["id"]
            except UnsupportedMediaError:
                continue


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_cut_between_two_fragments_is_told(tmp_path: Path, name: str) -> None:
    whole = OWN / f"generated/{name}.mp4"
    *_, before, last = fragments(whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: last[0]])
    (told,) = warnings(cut)
    assert KNOWN[name] in told
    assert before[1] <= last[0]


def test_a_fragment_that_is_lost_in_the_middle_is_told(tmp_path: Path) -> None:
    whole = OWN / "generated/pk_cenc_iv8_v.mp4"
    data = whole.read_bytes()
    _, (start, end), *_ = fragments(whole)
    holed = tmp_path / "holed.mp4"
    holed.write_bytes(data[:start] + data[end:])
    (told,) = warnings(holed)
    assert f"s are missing before the fragment at byte {start}" in told


def test_the_duration_of_the_movie_tells_where_no_index_does(tmp_path: Path) -> None:
    whole = OWN / "generated/pk_cenc_iv8_v.mp4"
    data = whole.read_bytes().replace(b"sidx", b"free")
    assert b"mehd" in data
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: fragments(whole)[-1][0]])
    (told,) = warnings(cut)
    assert told.startswith("the movie ends at ")
