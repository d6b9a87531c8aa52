"""The comparison with other programs judges outputs before it times anything, and counts what a process really used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import decrypt_files
from benchmarks.decrypt_corpus import KEY, KEY_ID
from benchmarks.peers import Job, Peer, find_peers
from benchmarks.processes import once
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey
from drm.media import Scheme, TrackType


def test_only_right_samples_pass(tmp_path: Path, clips: Any) -> None:
    clear, sealed, target = clips(fragmented=True, sound=False), tmp_path / "sealed.mp4", tmp_path / "out.mp4"
    encrypt_file(
        clear,
        sealed,
        scheme=Scheme.CENC,
        tracks={TrackType.VIDEO: TrackEncryption(KEY_ID, ContentKey.parse(KEY))},
    )
    wanted = decrypt_files._samples(clear)
    ours = [sys.executable, "-c", "from player.start import main; main()", "decrypt", str(sealed), "-o", str(target)]
    right = [*ours, "--key", f"{KEY_ID.hex}:{KEY}"]
    assert decrypt_files._verdict(right, tmp_path, target, wanted) == "writes the same samples"
    wrong = [*ours, "--key", f"{KEY_ID.hex}:{'ab' * 16}"]
    assert decrypt_files._verdict(wrong, tmp_path, target, wanted) == "writes other samples"
    for fails in (["/bin/cp", str(sealed), str(target)], ["/bin/false"], ["/bin/true"]):
        assert decrypt_files._verdict(fails, tmp_path, target, wanted) == "fails"


def test_cost_is_that_of_the_process_alone(tmp_path: Path) -> None:
    weight = bytearray(200 << 20)  # of this process; a child must not be charged with it
    cost = once([sys.executable, "-c", "sum(range(3_000_000)); bytearray(b'x') * (40 << 20)"], tmp_path)
    assert 0.02 < cost.cpu < 5
    assert 40 < cost.peak < 120 < len(weight) >> 20
    idle = once(["/bin/sleep", "0.2"], tmp_path)
    assert idle.cpu < 0.1 < 0.2 <= idle.wall


def test_peers_are_found_on_path_and_named_when_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "MP4Box"
    program.write_text("#!/bin/sh\necho 'MP4Box - GPAC version 9.9-X' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.peers._in_package", lambda name: None)
    found, absent = find_peers(tmp_path)
    assert found == [Peer("MP4Box", str(program), "9.9-X")]
    assert absent == ["ffmpeg", "gpac", "mp4decrypt", "packager"]
    job = Job(tmp_path / "in.mp4", tmp_path / "out.mp4", KEY_ID.hex, KEY, "video", "cenc", tmp_path)
    for name in ("mp4decrypt", "packager", "ffmpeg 8", "MP4Box", "gpac"):
        words = " ".join(Peer(name, name, "").command(job))
        assert "in.mp4" in words
        assert "out.mp4" in words
