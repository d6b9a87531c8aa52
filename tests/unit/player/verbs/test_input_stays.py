"""`-o` that is the input by another name: refused, whatever the name, and the input is as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.media import Scheme, TrackType
from player.digests import digest_tracks

START = "from player.start import main; main()"


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def itself(path: Path) -> Path:
    return path


def symbolic(path: Path) -> Path:
    link = path.with_name("symbolic.mp4")
    link.symlink_to(path.name)
    return link


def hard(path: Path) -> Path:
    link = path.with_name("hard.mp4")
    link.hardlink_to(path)
    return link


def spelled_otherwise(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / "." / path.name


def through_another_folder(path: Path) -> Path:
    other = path.parent.with_name("other")
    other.symlink_to(path.parent)
    return other / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


WAYS = {"quick": [], "verb": ["--check"], "general": ["--dialect", "ctr-128-bit-carry"]}
NAMES = [itself, symbolic, hard, spelled_otherwise, through_another_folder, relative]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def told(keys: Any) -> list[str]:
    return [f"--key={kid.hex}:{key.secret.hex()}" for kid, key in keys[:1]]


@pytest.fixture
def clear(folder: Path, clips: Any) -> Path:
    path = folder / "film.mp4"
    path.write_bytes(clips(fragmented=True).read_bytes())
    return path


@pytest.fixture
def sealed(folder: Path, clips: Any, keys: Any) -> Path:
    path = folder / "film.mp4"
    encrypt_file(clips(fragmented=True), path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(*keys[0])})
    return path


def digests(path: Path, keys: Any) -> list[str]:
    with FileByteStream(path) as stream:
        return [track.sha256 for track in digest_tracks(stream, dict(keys), frozenset())[0]]


def is_refused(ran: subprocess.CompletedProcess[str]) -> bool:
    return ran.returncode == 2 and "it is the input" in ran.stderr and "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
@pytest.mark.parametrize("at_once", [True, False], ids=["quick", "verb"])
def test_encrypt(clear: Path, told: list[str], name: Callable[[Path], Path], at_once: bool) -> None:
    before = clear.read_bytes()
    if not at_once:  # the verb alone reads keys files so
        keys = clear.with_name("keys")
        keys.write_text(told[0].removeprefix("--key="))
        told = [f"--key=@{keys}"]
    ran = run("encrypt", clear, "-o", name(clear), *told)
    assert is_refused(ran), ran.stderr
    assert clear.read_bytes() == before
    assert not list(clear.parent.glob(".*")), "and no draft is left"


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
@pytest.mark.parametrize(
    "more", [[], ["--check"], ["--dialect", "short-last-crypt-run-is-clear"]], ids=["quick", "verb", "general"]
)
def test_decrypt(sealed: Path, told: list[str], name: Callable[[Path], Path], more: list[str]) -> None:
    before = sealed.read_bytes()
    ran = run("decrypt", sealed, "-o", name(sealed), *told, *more)
    assert is_refused(ran), ran.stderr
    assert sealed.read_bytes() == before
    assert not list(sealed.parent.glob(".*"))


def test_decrypt_into_one_of_several_inputs(sealed: Path, told: list[str]) -> None:
    data = sealed.read_bytes()
    at = data.index(b"moof") - 4
    first, second = sealed.with_name("init.mp4"), sealed.with_name("segment.m4s")
    first.write_bytes(data[:at])
    second.write_bytes(data[at:])
    ran = run("decrypt", first, second, "-o", second, *told)
    assert is_refused(ran), ran.stderr
    assert second.read_bytes() == data[at:]


@pytest.mark.parametrize("name", [itself, hard, symbolic], ids=lambda name: name.__name__)
def test_package(folder: Path, clips: Any, told: list[str], name: Callable[[Path], Path]) -> None:
    source = folder / "video.mp4"
    source.write_bytes(clips().read_bytes())
    before = source.read_bytes()
    ran = run("package", name(source), "-o", folder, "--license-url", "http://127.0.0.1:8700/license", *told)
    assert is_refused(ran), ran.stderr
    assert source.read_bytes() == before
    assert {path.name for path in folder.iterdir()} <= {"video.mp4", "hard.mp4", "symbolic.mp4"}, "nothing was written"


# ------------------------------------------------------------------------------------------------ in place
def test_encrypt_and_decrypt_in_place(clear: Path, told: list[str], keys: Any) -> None:
    before = digests(clear, keys)
    encrypted = run("encrypt", clear, "--in-place", "--clear", "audio", *told)
    assert encrypted.returncode == 0, encrypted.stderr
    assert b"senc" in clear.read_bytes()
    decrypted = run("decrypt", clear, "--in-place", *told)
    assert decrypted.returncode == 0, decrypted.stderr
    assert b"senc" not in clear.read_bytes()
    assert digests(clear, keys) == before


def test_a_wrong_key_spoils_nothing_in_place(sealed: Path, keys: Any) -> None:
    before = sealed.read_bytes()
    ran = run("decrypt", sealed, "--in-place", f"--key={keys[0][0].hex}:{'5a' * 16}")
    assert ran.returncode == 5, ran.stderr
    assert sealed.read_bytes() == before


def test_a_key_that_nothing_confirms_spoils_nothing_in_place(folder: Path, keys: Any) -> None:
    """PCM decodes with any key."""
    data = Path(__file__).parents[3] / "data" / "field" / "pcm_cbcs" / "a_pcm.mov"
    sealed = folder / "sound.mov"
    encrypt_file(data, sealed, scheme=Scheme.CENC, tracks={TrackType.AUDIO: TrackEncryption(*keys[0])})
    before = sealed.read_bytes()
    ran = run("decrypt", sealed, "--in-place", f"--key={keys[0][0].hex}:{'5a' * 16}")
    assert ran.returncode == 3, ran.stderr
    assert "cannot be told" in ran.stderr
    assert sealed.read_bytes() == before


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_a_file_to_write_is_named_once(clear: Path, told: list[str], verb: str) -> None:
    neither = run(verb, clear, *told)
    assert neither.returncode == 2
    assert "--in-place" in neither.stderr
    both = run(verb, clear, "--in-place", "-o", clear.with_name("other.mp4"), *told)
    assert both.returncode == 2
    assert not clear.with_name("other.mp4").exists()
