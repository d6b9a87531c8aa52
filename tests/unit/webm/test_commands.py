"""The vectors through the real command: digest, keys check, inspect, and play in the worker, frame by frame."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

OWN = Path(__file__).parents[2] / "data" / "vectors"
VECTORS: list[dict[str, Any]] = [
    each for each in json.loads((OWN / "vectors.json").read_text())["vectors"] if each["container"] == "webm"
]


def clearkey(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "player.cli", *map(str, words)]
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)


def file_of(vector: dict[str, Any]) -> Path:
    return OWN / vector["files"][0]["path"]


@pytest.fixture(params=VECTORS, ids=lambda each: each["id"])
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.fixture
def keys(vector: dict[str, Any], tmp_path: Path) -> Path:
    file = tmp_path / "keys.txt"
    file.write_text("".join(f"{key['kid']}:{key['key']}\n" for key in vector["keys"]))
    return file


def test_there_are_four() -> None:
    assert [each["id"] for each in VECTORS] == [
        "pk_webm_opus_a", "pk_webm_vp8_v", "pk_webm_vp9_full_v", "pk_webm_vp9_v",
    ]  # fmt: skip


def test_digest(vector: dict[str, Any], keys: Path) -> None:
    ran = clearkey("digest", "--json", "--keys-file", keys, file_of(vector))
    assert ran.returncode == 0, ran.stderr
    (found,) = json.loads(ran.stdout)["tracks"]
    assert found == {name: vector["tracks"][0][name] for name in found}
    assert found["scheme"] == "webm-aes-ctr"


def test_keys_check(vector: dict[str, Any], keys: Path) -> None:
    track = vector["tracks"][0]
    ran = clearkey("keys", "check", "--keys-file", keys, file_of(vector))
    assert ran.returncode == 0, ran.stderr
    assert "right" in ran.stdout
    assert clearkey("keys", "check", file_of(vector)).returncode == 4
    wrong = clearkey("keys", "check", "--key", f"{track['kids'][0]}:{'5a' * 16}", file_of(vector))
    assert wrong.returncode == 5
    assert "webm" in wrong.stderr


def test_inspect(vector: dict[str, Any]) -> None:
    track = vector["tracks"][0]
    ran = clearkey("inspect", "--json", file_of(vector))
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["container"], report["encrypted"], report["pssh"]) == ("WebM", True, [])
    (found,) = report["tracks"]
    for name in ("samples", "samples_encrypted", "samples_clear", "bytes", "scheme", "type"):
        assert found[name] == track[name]
    assert found["sample_entries"] == track["sample_entry"]
    assert [kid["hex"] for kid in found["kids"]] == track["kids"]
    names = json.dumps(report["boxes"])
    assert all(f'"{name}"' in names for name in ("EBML", "TrackEntry", "ContentEncKeyID", "Cluster"))
    people = clearkey("inspect", file_of(vector)).stdout
    assert f"{file_of(vector)}: WebM" in people
    assert "ContentEncAlgo" in people
    assert "more Clusters" in people


def frames(clear: Path) -> list[str]:
    """MD5 of each frame that PyAV decodes, as FFmpeg's framemd5 has them."""
    found = []
    with av.open(clear) as container:
        resampler = av.AudioResampler(format="s16")
        for frame in container.decode(container.streams[0]):
            if isinstance(frame, av.AudioFrame):
                (sound,) = resampler.resample(frame)
                data = bytes(sound.planes[0])[: sound.samples * sound.layout.nb_channels * 2]
            else:
                rows = [(plane, row) for plane in frame.planes for row in range(plane.height)]
                data = b"".join(bytes(plane)[row * plane.line_size :][: plane.width] for plane, row in rows)
            found.append(hashlib.md5(data).hexdigest())
    return found


def test_play_in_the_worker(vector: dict[str, Any], keys: Path, tmp_path: Path) -> None:
    track, clear = vector["tracks"][0], OWN / vector["clear_reference"][0]
    hashes = tmp_path / "frames.txt"
    ran = clearkey("play", "--keys-file", keys, "--framemd5", hashes, "--compare", clear, file_of(vector))
    assert ran.returncode == 0, ran.stderr
    assert f"all {track['decoded_frames']} frames are equal" in ran.stderr
    found = [line.rpartition(" ")[2] for line in hashes.read_text().splitlines() if not line.startswith("#")]
    wanted = frames(clear)
    assert len(found) == len(wanted) == track["decoded_frames"]
    if track["sample_entry"] == ["A_OPUS"]:
        # The clear file's DiscardPadding cuts the end of its last frame; the encrypted file does not have it.
        found, wanted = found[:-1], wanted[:-1]
    assert found == wanted


def test_play_stops_at_a_key_that_is_missing_or_wrong(vector: dict[str, Any]) -> None:
    kid = vector["keys"][0]["kid"]
    missing = clearkey("play", "--key", f"{'ab' * 16}:{'cd' * 16}", file_of(vector))
    assert missing.returncode == 4
    assert f"{kid[:8]}-" in missing.stderr
    wrong = clearkey("play", "--key", f"{kid}:{'5a' * 16}", file_of(vector))
    assert wrong.returncode == 5
    assert "Traceback" not in missing.stderr + wrong.stderr


def test_a_cut_file_ends_with_one_paragraph(vector: dict[str, Any], keys: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.webm"
    cut.write_bytes(file_of(vector).read_bytes()[:20_000])
    for words in (["digest"], ["inspect"], ["play"]):
        ran = clearkey(*words, *(["--keys-file", keys] if words != ["inspect"] else []), cut)
        assert ran.returncode == 3, ran.stderr
        assert "E-MEDIA-TRUNCATED" in ran.stderr
        assert "Segment/Cluster" in ran.stderr
        assert "Traceback" not in ran.stderr
