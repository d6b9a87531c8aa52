"""The comparison of encryption decrypts what it judges, and knows how each peer is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import encrypt_files
from benchmarks.decrypt_corpus import KEY, KEY_ID
from benchmarks.encrypt_peers import NAMES, encrypting
from benchmarks.peers import Job, Peer, find_peers


def test_only_files_that_hold_the_samples_encrypted_pass(tmp_path: Path, clips: Any) -> None:
    clear, target = clips(fragmented=True, sound=False), tmp_path / "out.mp4"
    wanted = encrypt_files._samples(clear)
    ours = [sys.executable, "-c", "from player.start import main; main()", "encrypt", str(clear), "-o", str(target)]

    def verdict(*words: str) -> str:
        return encrypt_files._verdict(list(words), tmp_path, target, wanted)

    assert verdict(*ours, "--key", f"{KEY_ID.hex}:{KEY}") == "writes a file of the same samples"
    assert verdict(*ours, "--key", f"{KEY_ID.hex}:{'ab' * 16}") == "writes other samples"
    assert verdict(*ours, "--key", f"{KEY_ID.hex}:{KEY}", "--clear-lead", "0.6") == "writes other samples"
    assert verdict("/bin/cp", str(clear), str(target)) == "writes other samples"
    assert verdict("/bin/false").startswith("fails")
    assert verdict("/bin/true").startswith("fails")


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_peers_are_told_key_and_scheme_or_named_as_unable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.peers._in_package", lambda name: None)
    assert find_peers(tmp_path, NAMES) == ([], ["ffmpeg", "gpac", "MP4Box", "mp4encrypt", "packager"])
    job = Job(tmp_path / "in.mp4", tmp_path / "out.mp4", KEY_ID.hex, KEY, "video", scheme, tmp_path)
    for name in ("mp4encrypt", "packager", "ffmpeg 8", "MP4Box", "gpac"):
        words = encrypting(Peer(name, f"/bin/{name}", ""), job)
        if name == "ffmpeg 8" and scheme == "cbcs":
            assert words is None
            continue
        assert words is not None
        said = " ".join(words) + "".join(path.read_text() for path in tmp_path.glob("gpac*.xml"))
        for part in ("in.mp4", "out.mp4", KEY_ID.hex, KEY):
            assert part in said
        assert scheme in said.lower()
