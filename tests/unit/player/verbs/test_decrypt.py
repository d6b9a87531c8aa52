"""`clearkey decrypt` as a process: what it loads, says, ends with and leaves behind."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.media import Scheme, TrackType
from player.quick.decrypt import decrypt_at_once

START = "from player.start import main; main()"
HEAVY = {"numpy", "av", "Crypto", "flask", "requests", "rich", "sqlalchemy", "player.cli", "asyncio"}
# What the everyday call does without, each of them milliseconds of a process that lives for forty.
NOT_AT_ONCE = {"click", "msgspec", "drm.errors", "drm.keys", "pathlib", "hashlib", "secrets", "json", "logging"}


def run(*words: object, python: tuple[str, ...] = (), **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-c", START, "decrypt", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, clips: Any, keys: Any) -> dict[str, Path]:
    """A fragmented, a progressive and a rare file, and the first with its fragments over and over: 24 and 96 MB."""
    folder = tmp_path_factory.mktemp("sealed")
    tracks = {TrackType.VIDEO: TrackEncryption(*keys[0]), TrackType.AUDIO: TrackEncryption(*keys[1])}
    made = {}
    for name, fragmented, scheme in (
        ("fragmented", True, Scheme.CENC), ("progressive", False, Scheme.CENC), ("rare", False, Scheme.CENS),
    ):  # fmt: skip
        made[name] = folder / f"{name}.mp4"
        encrypt_file(clips(fragmented=fragmented), made[name], scheme=scheme, tracks=tracks)
    whole = made["fragmented"].read_bytes()
    first, tail = whole.index(b"moof") - 4, whole.index(b"mfra") - 4 if b"mfra" in whole else len(whole)
    for name, size in (("long", 24 << 20), ("large", 96 << 20)):
        made[name] = folder / f"{name}.mp4"
        with made[name].open("wb") as file:
            file.write(whole[:first])
            while file.tell() < size:
                file.write(whole[first:tail])
    return made


@pytest.fixture(scope="module")
def told(keys: Any) -> list[str]:
    return [word for kid, key in keys for word in ("--key", f"{kid.hex}:{key.secret.hex()}")]


# ------------------------------------------------------------------------------------------------ what it loads
LISTS_MODULES = ("-X", "importtime")


def modules(said: str) -> set[str]:
    """What Python says that it imported, told as it happens: the process ends without a chance to look back."""
    return {line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("name", ["fragmented", "progressive"])
def test_an_everyday_call_loads_next_to_nothing(
    files: dict[str, Path], told: list[str], tmp_path: Path, name: str
) -> None:
    ran = run(files[name], "-o", tmp_path / "clear.mp4", *told, python=LISTS_MODULES)
    assert ran.returncode == 0
    loaded = modules(ran.stderr)
    assert "cryptography" in loaded, "the control: what is there is seen"
    assert not (HEAVY | NOT_AT_ONCE) & loaded


def test_a_file_for_the_general_way_loads_no_heavy_library(
    files: dict[str, Path], told: list[str], tmp_path: Path
) -> None:
    ran = run(files["rare"], "-o", tmp_path / "clear.mp4", *told, python=LISTS_MODULES)
    assert ran.returncode == 0
    loaded = modules(ran.stderr)
    assert {"click", "drm.isobmff.samples"} <= loaded
    assert not (HEAVY - {"player.cli"}) & loaded


# ------------------------------------------------------------------------------------------------ what words mean
def test_an_everyday_call_and_the_verb_do_and_say_the_same(
    files: dict[str, Path], told: list[str], tmp_path: Path
) -> None:
    """--dialect is a word that only the verb knows; this one makes no difference to cenc with IVs of 8 bytes."""
    target = tmp_path / "clear.mp4"
    at_once = run(files["fragmented"], "-o", target, *told)
    written = target.read_bytes()
    target.unlink()
    by_verb = run(files["fragmented"], "-o", target, *told, "--dialect", "ctr-128-bit-carry")
    assert target.read_bytes() == written
    assert (at_once.returncode, at_once.stdout, at_once.stderr) == (0, "", by_verb.stderr)
    assert at_once.stderr.splitlines() == [
        "note: a key on the command line is visible to other users in the process list; --keys-file keeps it private",
        f"written: {target}  (whether the keys are right was not checked: --check decodes a little of it first)",
    ]


@pytest.mark.parametrize(
    "form",
    [
        "IN -o OUT --keys-file HEX -q",
        "-q --keys-file=HEX --output OUT IN",
        "IN --output=OUT --keys-file UUID --jobs 2 --quiet",
        "IN -o OUT --keys-file UUID --jobs=1 -q",
    ],
)
def test_what_is_done_at_once(files: dict[str, Path], keys: Any, tmp_path: Path, form: str) -> None:
    assert decrypt_at_once(_words(form, files, keys, tmp_path)) == 0
    assert (tmp_path / "out.mp4").stat().st_size == files["fragmented"].stat().st_size


@pytest.mark.parametrize(
    "form",
    [
        "IN -o OUT --keys-file JSON -q",
        "IN -o OUT --keys-file COMMENTED -q",
        "IN -o OUT --keys-file HEX --keys-file HEX -q",
        "IN -oOUT --keys-file HEX",
        "IN IN -o OUT --keys-file HEX",
        "-- IN -o OUT --keys-file HEX",
        "IN -o OUT --keys-file HEX --check",
        "IN -o OUT --keys-file HEX --jobs 0",
        "IN -o OUT --keys-file HEX --jobs 65",
        "IN -o OUT --keys-file HEX --jobs many",
        "IN -o OUT --key guid-le:00112233445566778899aabbccddeeff:00112233445566778899aabbccddeeff",
        "IN -o OUT --key 0011-2233445566778899aabbccddeeff00:00112233445566778899aabbccddeeff",
        "IN -o OUT --key",
        "IN -o - --keys-file HEX",
        "IN --keys-file HEX",
        "IN -o OUT",
        "--help",
        "RARE -o OUT --keys-file HEX",
        "NOT_THERE -o OUT --keys-file HEX",
        "FOLDER -o OUT --keys-file HEX",
    ],
)
def test_what_is_left_to_the_verb(
    files: dict[str, Path], keys: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert decrypt_at_once(_words(form, files, keys, tmp_path)) is None
    assert not (tmp_path / "out.mp4").exists()
    assert capsys.readouterr() == ("", "")


def _words(form: str, files: dict[str, Path], keys: Any, folder: Path) -> list[str]:
    texts = {
        "HEX": "\n".join(f"{kid.hex}:{key.secret.hex()}" for kid, key in keys) + "\n",
        "UUID": "\n".join(f"{kid}:{key.secret.hex().upper()}" for kid, key in keys),
        "COMMENTED": "# mine\n" + "\n".join(f"{kid.hex}:{key.secret.hex()}" for kid, key in keys),
        "JSON": "{" + ", ".join(f'"{kid.hex}": "{key.secret.hex()}"' for kid, key in keys) + "}",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    paths = {name: folder / name for name in texts} | {
        "IN": files["fragmented"], "RARE": files["rare"], "OUT": folder / "out.mp4",
        "NOT_THERE": folder / "none.mp4", "FOLDER": folder,
    }  # fmt: skip
    for name, path in paths.items():
        form = " ".join(
            word.replace(name, str(path)) if word in {name, f"-o{name}"} or word.endswith(f"={name}") else word
            for word in form.split(" ")
        )
    return form.split(" ")


@pytest.mark.parametrize("name", ["fragmented", "progressive", "rare"])
def test_errors_of_a_user(files: dict[str, Path], told: list[str], tmp_path: Path, keys: Any, name: str) -> None:
    target = tmp_path / "clear.mp4"
    (video, key), (audio, _) = keys
    one = ["--key", f"{video.hex}:{key.secret.hex()}"]
    swapped = ["--key", f"{key.secret.hex()}:{video.hex}"]
    cases: list[tuple[list[object], int, str]] = [
        ([files[name], "-o", target, *one], 4, str(audio)),
        ([files[name], "-o", target], 4, str(video)),
        ([files[name], "-o", target, *swapped], 4, "swapped"),
        ([files[name], *told], 2, "--output"),
        ([files[name], "-o", "-", *told], 2, "writes a file"),
        ([tmp_path / "none.mp4", "-o", target, *told], 2, "none.mp4"),
        ([files[name], "-o", tmp_path / "no" / "clear.mp4", *told], 2, "no/clear.mp4"),
        ([files[name], "-o", tmp_path, *told], 2, str(tmp_path)),
        ([__file__, "-o", target, *told], 3, "not MP4"),
    ]
    for words, code, says in cases:
        ran = run(*words)
        assert (ran.returncode, ran.stdout) == (code, ""), ran.stderr
        assert says in ran.stderr
        assert "Traceback" not in ran.stderr
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_encrypted_is_said_to_be_so(tmp_path: Path, clips: Any) -> None:
    ran = run(clips(fragmented=True), "-o", tmp_path / "copy.mp4")
    assert ran.returncode == 0
    assert "is not encrypted: it was copied as it is" in ran.stderr
    assert "whether the keys are right" not in ran.stderr
    assert (tmp_path / "copy.mp4").read_bytes() == clips(fragmented=True).read_bytes()


def test_check_finds_a_wrong_key_before_anything_is_written(
    files: dict[str, Path], told: list[str], tmp_path: Path, keys: Any
) -> None:
    target = tmp_path / "clear.mp4"
    wrong = ["--key", f"{keys[0][0].hex}:{'5a' * 16}", *told[2:]]
    ran = run(files["fragmented"], "-o", target, *wrong, "--check")
    assert ran.returncode == 5
    assert str(keys[0][0]) in ran.stderr
    assert not target.exists()
    ran = run(files["fragmented"], "-o", target, *told, "--check")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == f"written: {target}"


# ------------------------------------------------------------------------------------------------ how it ends
GENERAL = ["--dialect", "ctr-128-bit-carry"]


def test_workers_make_the_same_file(files: dict[str, Path], told: list[str], tmp_path: Path) -> None:
    targets = [tmp_path / f"{jobs}.mp4" for jobs in (1, 2)]
    for jobs, target in zip((1, 2), targets, strict=True):
        assert run(files["large"], "-o", target, *told, "--jobs", jobs).returncode == 0
    assert subprocess.run(["cmp", *targets], check=False).returncode == 0
    for target in targets:
        target.unlink()


@pytest.mark.parametrize("more", [[], GENERAL], ids=["at once", "general"])
def test_a_folder_that_is_not_there_is_named(
    files: dict[str, Path], told: list[str], tmp_path: Path, more: list[str]
) -> None:
    target = tmp_path / "no" / "clear.mp4"
    ran = run(files["fragmented"], "-o", target, *told, *more)
    assert ran.returncode == 2
    assert f"error: cannot write {target}: there is no folder {tmp_path / 'no'}" in ran.stderr
    assert ran.stderr.count("note:") == 1


@pytest.mark.parametrize("more", [[], GENERAL, ["--jobs", "2"]], ids=["at once", "general", "two workers"])
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing(
    files: dict[str, Path], told: list[str], tmp_path: Path, more: list[str]
) -> None:
    """A full disk, played by a limit on the size of files: the kernel refuses the write that passes it."""
    limit = 20 << 20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ran = run(files["large"], "-o", tmp_path / "clear.mp4", *told, "-q", *more, preexec_fn=limited)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == f"error: File too large: {tmp_path / 'clear.mp4'}  [E-UNEXPECTED]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [[], GENERAL, ["--jobs", "2"]], ids=["at once", "general", "two workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(
    files: dict[str, Path], told: list[str], tmp_path: Path, number: signal.Signals, more: list[str]
) -> None:
    target = tmp_path / "clear.mp4"
    words = [sys.executable, "-c", START, "decrypt", str(files["large"]), "-o", str(target), *told, "-q", *more]
    for _ in range(5):
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            while process.poll() is None and not any(path.stat().st_size for path in tmp_path.iterdir()):
                time.sleep(0.001)
            if met := process.poll() is None:
                os.kill(process.pid, signal.SIGSTOP)
                met = not target.exists()
                os.killpg(process.pid, number)
                os.kill(process.pid, signal.SIGCONT)
            _, said = process.communicate(timeout=30)  # which also waits for its workers: they hold the pipe
        if met:
            break
        target.unlink(missing_ok=True)  # it was through before the signal: once more
    assert met, "it was too fast five times"
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in said


def test_a_bar_is_drawn_on_a_terminal_and_only_when_it_takes_a_while(
    files: dict[str, Path], told: list[str], tmp_path: Path
) -> None:
    assert "decrypting" in on_a_terminal(files["large"], "-o", tmp_path / "a.mp4", *told, *GENERAL)
    assert "decrypting" not in on_a_terminal(files["fragmented"], "-o", tmp_path / "b.mp4", *told)
    assert "decrypting" not in on_a_terminal(files["long"], "-o", tmp_path / "a.mp4", *told, *GENERAL, "-q")


def on_a_terminal(*words: object) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", START, "decrypt", *map(str, words)], stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            seen += part
    os.close(ours)
    assert process.returncode == 0, seen
    return seen.decode()
