"""The benchmarks measure what they say, do not time wrong output, and fail over a missed bar only when told to."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks import __main__ as program
from benchmarks import decrypt_files, decrypt_speed, license_server, playback, session, trust
from benchmarks.results import Ratio, write_results
from drm.app.rights.managers import LocalKeysManager
from drm.app.server import create_pmp_server
from drm.app.worker_configuration import WorkerConfiguration
from sample_content.clip import Clip

SMALL = Clip(width=320, height=180, frames=60, gop=30, sound=False, fragmented=True, bitrate=500_000, noise=10)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return playback.make_files(tmp_path_factory.mktemp("bench"), SMALL)


def test_files_are_made_once(files: tuple[Path, Path]) -> None:
    before = [path.stat().st_mtime_ns for path in files]
    assert playback.make_files(files[0].parent, SMALL) == files
    assert [path.stat().st_mtime_ns for path in files] == before
    other = msgspec.structs.replace(SMALL, frames=2)
    assert playback.make_files(files[0].parent, other)[0] != files[0]


def test_playback_is_measured_on_both_sides(files: tuple[Path, Path]) -> None:
    ratio = playback.measure(*files, pairs=2)
    turns = ratio.figures["turns"]
    assert {side: len(taken) for side, taken in turns.items()} == {"worker": 2, "inside": 2}
    for taken in turns.values():
        for turn in taken:
            assert turn["frames"] == 60
            assert 0 < turn["cpu"] < 5
    for turn in turns["worker"]:
        assert 0 < turn["application"] < turn["cpu"]  # the worker's share is there too
    assert 0.2 < ratio.value < 20  # a clip this short says nothing of the bar


def test_wrong_frames_are_not_timed(files: tuple[Path, Path]) -> None:
    other, _ = playback.make_files(files[0].parent, msgspec.structs.replace(SMALL, noise=0))
    with pytest.raises(SystemExit, match="are not the"):
        playback.measure(other, files[1], pairs=1)


@pytest.mark.parametrize(("keeps", "value", "is_met"), [("at most", 1.2, True), ("at most", 1.21, False),
                                                       ("at least", 1.2, True), ("at least", 1.19, False)])  # fmt: skip
def test_a_bar_is_met_or_not(keeps: str, value: float, is_met: bool, tmp_path: Path) -> None:
    ratio = Ratio("name", value, 1.2, keeps, "detail", {"turns": [1]})
    assert ratio.is_met is is_met
    assert ("good" if is_met else "MISSED") in ratio.line()
    write_results(tmp_path / "new" / "results.json", [ratio], ["gpac"])
    found = json.loads((tmp_path / "new" / "results.json").read_text())
    assert found["ratios"][0]["is_met"] is is_met
    assert found["ratios"][0]["figures"] == {"turns": [1]}
    assert found["absent_peers"] == ["gpac"]


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--strict"], 1)])
def test_the_program_prints_both_ratios_and_fails_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    monkeypatch.setattr(playback, "CLIP", msgspec.structs.replace(SMALL, frames=10))
    monkeypatch.setattr(playback, "BAR", 0.0)  # nothing is that fast
    monkeypatch.setattr(decrypt_speed, "CLIP", msgspec.structs.replace(SMALL, frames=10, sound=True))
    monkeypatch.setattr(decrypt_speed, "BAR", 0.0)
    monkeypatch.setattr(session, "CLIP", playback.CLIP)
    monkeypatch.setattr(decrypt_files, "BARS", {})  # its files take minutes to make
    monkeypatch.setattr(trust, "COLD", 1)
    monkeypatch.setattr(trust, "WARM", 2)
    monkeypatch.setattr(license_server, "ROUNDS", 1)
    monkeypatch.setattr(license_server, "SECONDS", 0.1)
    monkeypatch.setattr(license_server, "KEYS", 100)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.peers._in_package", lambda name: None)
    assert program.main(["--pairs", "1", "--folder", str(tmp_path / "bench"), *words]) == code
    said = capsys.readouterr().out
    assert "playback CPU, worker / in-process PyAV: " in said
    assert "decryption in session / raw AES-CTR: " in said
    assert "creating a session, shared worker / new worker: " in said
    assert "absent peers: ffmpeg, ffprobe, gpac, MP4Box, mp4decrypt, mp4encrypt, packager" in said
    assert "verified components, cold: " in said
    assert "verified components, warm: " in said
    assert "warm refresh of components: " in said
    ratios = json.loads((tmp_path / "bench" / "results.json").read_text())["ratios"]
    assert len(ratios) == len({ratio["name"] for ratio in ratios}) == said.count("(bar: ")


def test_the_first_frame_is_measured_stage_by_stage(files: tuple[Path, Path], tmp_path: Path) -> None:
    sink = session.sink_component(tmp_path / "sink")
    with create_pmp_server(WorkerConfiguration(components=(sink,), sealed=False)) as server:
        manager = LocalKeysManager(playback.content_keys())
        turn = session.first_frame(files[1], manager, sink, server)
    assert list(turn.stages) == [
        "open the file", "make the session", "topology, authority", "license", "key check, resolving",
        "decrypt and decode",
    ]  # fmt: skip
    assert min(turn.stages.values()) > 0
    assert sum(turn.stages.values()) == pytest.approx(turn.seconds, abs=0.001)
