"""Files from the field whose structure changes what their samples mean: read right, or refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, top_boxes
from drm.isobmff.fragment import Tfhd, Trun
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks

FIELD = Path(__file__).parents[2] / "data" / "field"
PICTURE = "91da6df112ffcfe320507d1395d1ef35363a829e08d6c2a7042a2aed5c12040d"
SOUND = "b7e7ee1baf0f4e3adb92046535ecba141cbcfceed2f21ab50b021b25fe512599"


def digests(folder: str, *files: Path) -> dict[int, str]:
    """SHA-256 of the decrypted samples of each track."""
    lines = (FIELD / folder / "keys.txt").read_text().split()
    keys = {KeyId.parse(kid): ContentKey(bytes.fromhex(key)) for kid, key in (line.split(":") for line in lines)}
    with FileByteStream([str(file) for file in files]) as stream:
        return {found.track_id: found.sha256 for found in digest_tracks(stream, keys, frozenset())[0]}


def parts(film: Path) -> list[tuple[str, bytes]]:
    """The outermost boxes of a file."""
    data = film.read_bytes()
    with FileByteStream([str(film)]) as stream:
        return [(top.type, data[top.start : top.end]) for top in top_boxes(stream)]


def written(folder: Path, boxes: Sequence[bytes]) -> Path:
    (folder / "made.mp4").write_bytes(b"".join(boxes))
    return folder / "made.mp4"


# ------------------------------------------------------------------------------------------------ one movie box
MOVED = FIELD / "second_moov"


@pytest.mark.parametrize(
    "files",
    [["CC2.mp4"], ["cc_i1.mp4", "cc_sA.m4s", "cc_i2.mp4", "cc_sB.m4s"], ["cc_i1.mp4", "cc_i2.mp4", "cc_sB.m4s"]],
    ids=["one-file", "four-files", "two-inits"],
)
def test_another_movie_box_is_refused_by_name(files: list[str]) -> None:
    with pytest.raises(UnsupportedMediaError, match="a second moov box") as refused:
        digests("second_moov", *(MOVED / name for name in files))
    at = refused.value.where.rpartition(" ")[2]
    joined = b"".join((MOVED / name).read_bytes() for name in files)
    assert joined[int(at) + 4 :].startswith(b"moov")
    assert "EXT-X-MAP" in refused.value.maybe


def test_a_movie_box_that_is_repeated_is_harmless(tmp_path: Path) -> None:
    """As recorders write it before each segment; siblings: each period by itself."""
    first = digests("second_moov", MOVED / "cc_i1.mp4", MOVED / "cc_sA.m4s")
    again = digests("second_moov", MOVED / "cc_i1.mp4", MOVED / "cc_i1.mp4", MOVED / "cc_sA.m4s")
    assert first == again
    assert first != digests("second_moov", MOVED / "cc_i2.mp4", MOVED / "cc_sB.m4s")


def test_another_movie_box_behind_one_without_fragments_is_refused_at_once(build, tmp_path: Path) -> None:
    film = written(tmp_path, [build.moov(build.trak([build.entry(None)])), build.init(build.entry(None))])
    with FileByteStream([str(film)]) as stream, pytest.raises(UnsupportedMediaError, match="a second moov box"):
        open_presentation(stream)


# ------------------------------------------------------------------------------------------------ no mvex
def test_fragments_that_nothing_announces_are_read() -> None:
    assert digests("no_mvex", FIELD / "no_mvex" / "T_notrex.mp4") == {1: PICTURE}


@pytest.mark.parametrize(
    ("lacks", "told"), [("sizes", Tfhd(1, duration=10)), ("durations", Tfhd(1, size=16)), ("sizes and", Tfhd(1))]
)
def test_what_such_fragments_leave_to_defaults_is_named(build, tmp_path: Path, lacks: str, told: Tfhd) -> None:
    draft = build.moof(encode_box("traf", told.encode(), Trun(3, 0).encode()))
    moof = build.moof(encode_box("traf", told.encode(), Trun(3, len(draft) + 8).encode()))
    film = written(tmp_path, [build.moov(build.trak([build.entry(None)])), moof, encode_box("mdat", bytes(48))])
    with FileByteStream([str(film)]) as stream, pytest.raises(MalformedMediaError, match=f"does not say the {lacks}"):
        list(open_presentation(stream).samples(1))
