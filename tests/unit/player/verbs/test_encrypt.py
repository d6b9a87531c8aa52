"""`clearkey encrypt` as a process: what words mean, what it says, loads, ends with and leaves behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import player
from drm.app.byte_stream import FileByteStream
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import WIDEVINE, make_data
from drm.keys import ContentKey, KeyId
from player.digests import TrackDigest, digest_tracks
from player.quick.encrypt import encrypt_at_once, read_words

SCHEMA = json.loads(Path(player.__file__).with_name("schemas").joinpath("encrypt-1.json").read_text())
START = "from player.start import main; main()"
HEAVY = {"numpy", "av", "Crypto", "flask", "requests", "rich", "sqlalchemy", "asyncio"}
PAIRS = [(KeyId(bytes([n]) * 15 + b"\0"), ContentKey(bytes([n + 64]) * 16)) for n in range(1, 4)]


def spelled(number: int) -> str:
    kid, key = PAIRS[number]
    return f"{kid.hex}:{key.secret.hex()}"


def run(*words: object, python: tuple[str, ...] = (), verb: str = "encrypt", **options: Any) -> Any:
    command = [sys.executable, *python, "-c", START, verb, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def digests(path: Path) -> list[TrackDigest]:
    with FileByteStream(path) as stream:
        return digest_tracks(stream, dict(PAIRS), frozenset())[0]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """One key."""
    path = tmp_path / "keys.txt"
    path.write_text(spelled(0) + "\n")
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, clips: Any) -> Path:
    """66 MiB: the fragments of a small file over and over. Its tracks are at the same time again and again."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    whole = clips(fragmented=True).read_bytes()
    first, tail = whole.index(b"moof") - 4, whole.index(b"mfra") - 4
    with path.open("wb") as file:
        file.write(whole[:first])
        while file.tell() < 66 << 20:
            file.write(whole[first:tail])
    return path


# ------------------------------------------------------------------------------------------------ what words mean
def test_one_key_is_for_every_track_and_what_to_do_next_is_said(tmp_path: Path, clips: Any, keys_file: Path) -> None:
    target = tmp_path / "sealed.mp4"
    ran = run(clips(), "-o", target, "--keys-file", keys_file)
    assert (ran.returncode, ran.stdout) == (0, "")
    kid = PAIRS[0][0]
    assert ran.stderr.splitlines() == [
        f"track 1 (video avc1): cenc, 45 of 45 samples encrypted, KID {kid}",
        f"track 2 (audio mp4a): cenc, 72 of 72 samples encrypted, KID {kid}",
        f"written: {target}",
        f"next: clearkey play {target} --keys-file {keys_file}",
    ]
    sealed = digests(target)
    assert [(track.samples, track.samples_encrypted) for track in sealed] == [(45, 45), (72, 72)]
    assert [track.sha256 for track in sealed] == [track.sha256 for track in digests(clips())]


def test_a_key_may_be_a_file_or_standard_input(tmp_path: Path, clips: Any, keys_file: Path) -> None:
    said = []
    for words, piped in (
        (["--keys-file", keys_file], ""),
        (["--key", f"@{keys_file}"], ""),
        (["--key", "-"], keys_file.read_text()),
    ):
        target = tmp_path / "sealed.mp4"
        ran = run(clips(), "-o", target, *words, input=piped)
        assert ran.returncode == 0, ran.stderr
        said.append(ran.stderr.splitlines()[:-1])
        found = run("--json", target, *words, input=piped, verb="digest")
        assert found.returncode == 0, found.stderr
        assert found.stderr == ""  # nobody else can see these keys
    assert said[0] == said[1] == said[2]
    absent = run(clips(), "-o", target, "--key", f"@{tmp_path / 'none.txt'}")
    assert (absent.returncode, "none.txt cannot be read" in absent.stderr) == (2, True)


def test_a_missing_key_that_only_widevine_asks_for_is_said_to_be(tmp_path: Path, clips: Any, keys_file: Path) -> None:
    sealed = tmp_path / "sealed.mp4"
    assert run(clips(fragmented=True), "-o", sealed, "--keys-file", keys_file, "--pssh", "none").returncode == 0
    box = Pssh(WIDEVINE, (), make_data(WIDEVINE, (PAIRS[0][0],))).encode()
    data = bytearray(sealed.read_bytes())
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    data[at : at + 4] = (size + len(box)).to_bytes(4, "big")
    data[at + size : at + size] = box
    sealed.write_bytes(data)
    ran = run("check", sealed, "--key", spelled(1), verb="keys")
    assert ran.returncode == 4
    assert "only Widevine's names this KID" in ran.stderr
    assert f"clearkey pssh insert {sealed} -o OUT" in ran.stderr


def test_no_key_is_ever_said(tmp_path: Path, clips: Any) -> None:
    words = [clips(), "-o", tmp_path / "sealed.mp4", "--key", spelled(0), "--json"]
    for more in ([], ["--clear", "9"], ["--pattern", "1:9"], ["--nonsense"], ["--key", spelled(1)]):
        ran = run(*words, *more)
        for _, key in PAIRS:
            assert key.secret.hex() not in (ran.stdout + ran.stderr).lower()
        assert PAIRS[0][0].hex in ran.stdout.replace("-", "") or more
    assert "visible to other users" in run(*words).stderr


@pytest.mark.parametrize(
    ("words", "kids"),
    [
        (["--key", f"video={spelled(0)}", "--key", f"audio={spelled(1)}"], [0, 1]),
        (["--key", f"1={spelled(1)}", "--key", spelled(0)], [1, 0]),
        (["--key", f"2={spelled(2)}", "--key", f"audio={spelled(1)}", "--key", f"video={spelled(0)}"], [0, 2]),
        (["--key", spelled(0), "--clear", "audio"], [0, None]),
        (["--key", spelled(0), "--clear", "1"], [None, 0]),
        (["--key", f"AUDIO={spelled(1)}"], [None, 1]),
        (["--key", f"label=video:key_id={PAIRS[0][0].hex}:key={PAIRS[0][1].secret.hex()},"
                   f"label=audio:key_id={PAIRS[1][0].hex}:key={PAIRS[1][1].secret.hex()}"], [0, 1]),
        (["--key", f"label=:key_id={PAIRS[2][0].hex}:key={PAIRS[2][1].secret.hex()}"], [2, 2]),
    ],
)  # fmt: skip
def test_which_key_is_for_which_track(tmp_path: Path, clips: Any, words: list[str], kids: list[int | None]) -> None:
    target = tmp_path / "sealed.mp4"
    ran = run(clips(), "-o", target, *words, "--json", "--scheme", "cbcs")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["schema"], told["version"], told["scheme"]) == ("clearkey-encrypt", 1, "cbcs")
    for schema in (SCHEMA, SCHEMA["properties"]["tracks"]["items"]):
        schema["additionalProperties"] = False  # what is printed is described, all of it
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert [track["key_ids"] for track in told["tracks"]] == [
        [] if number is None else [str(PAIRS[number][0])] for number in kids
    ]
    assert [track.samples_encrypted > 0 for track in digests(target)] == [number is not None for number in kids]
    assert ("stays clear" in ran.stderr) is (None in kids)


def test_a_call_at_once_and_the_verb_say_the_same(tmp_path: Path, clips: Any, keys_file: Path) -> None:
    """`--json=` is no word of the command, but an abbreviation is: only the verb knows those."""
    target = tmp_path / "sealed.mp4"
    words = [clips(fragmented=True), "-o", target, "--keys-file", keys_file, "--clear-lead", "0.6", "--json"]
    at_once = run(*words, python=("-X", "importtime"))
    by_verb = run(*words, "--", python=("-X", "importtime"))
    loaded = [
        {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
        for ran in (at_once, by_verb)
    ]
    assert not (HEAVY | {"click", "player.cli", "pathlib"}) & loaded[0]
    assert {"click", "player.cli"} <= loaded[1]
    assert not HEAVY & loaded[1]
    said = [[line for line in ran.stderr.splitlines() if "import time:" not in line] for ran in (at_once, by_verb)]
    assert said[0] == said[1] != []
    assert at_once.stdout == by_verb.stdout != ""
    told = json.loads(at_once.stdout)["tracks"]
    assert (told[0]["samples"], told[0]["encrypted_samples"]) == (45, 15)


def test_every_option_of_the_verb_is_read_at_once_or_left_to_it() -> None:
    words = (
        "in.mp4 -o out.mp4 --key a --key=b --scheme cens --pattern 2:3 --iv-size 16 --clear-lead 1.5 --rotate=2 "
        "--clear audio --clear 3 --pssh none --jobs 4 --json --quiet"
    )
    request = read_words(words.split(" "))
    assert (request.source, request.output, request.key_words) == ("in.mp4", "out.mp4", ["a", "b"])
    assert (request.scheme, request.pattern, request.iv_size, request.jobs) == ("cens", "2:3", "16", 4)
    assert (request.clear_lead, request.rotate, request.clear_words) == (1.5, 2.0, ["audio", "3"])
    assert (request.pssh, request.as_json, request.quiet) == ("none", True, True)
    for words in (
        "in.mp4", "-o out.mp4", "in.mp4 -o", "a b -o c", "a -o b --scheme rot13", "a -o b --jobs 0", "a -o b --jobs 65",
        "a -o b --jobs x", "a -o b --nonsense", "-h", "a -o b -o c", "a -o b --keys-file /none", "a -o b --rotate soon",
    ):  # fmt: skip
        assert encrypt_at_once(words.split(" ")) is None, words


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "no key to encrypt with"),
        (["--key", "video=" + spelled(0)[:-2]], 2, "not a content key"),
        (["--key", spelled(0), "--key", spelled(1)], 2, "video=KID:KEY"),
        (["--key", spelled(0), "--rotate", "1"], 2, "nothing to rotate"),
        (["--key", spelled(0), "--rotate", "0"], 2, "periods of 0.0 seconds"),
        (["--key", spelled(0), "--clear", "text"], 2, "'text' is no track"),
        (["--key", spelled(0), "--clear", "7"], 2, "there is no track 7"),
        (["--key", f"9={spelled(0)}"], 2, "there is no track 9"),
        (["--key", spelled(0), "--clear", "video", "--clear", "audio"], 2, "no track is to be encrypted"),
        (["--key", spelled(0), "--pattern", "1:9"], 2, "cenc has no pattern"),
        (["--key", spelled(0), "--pattern", "19", "--scheme", "cbcs"], 2, "is no pattern"),
        (["--key", spelled(0), "--iv-size", "0"], 2, "cenc has no constant IV"),
        (["--key", spelled(0), "--clear-lead", "-1"], 2, "clear lead of -1"),
        (["--key", spelled(0), "--clear-lead", "nan"], 2, "clear lead of nan"),
        (["--key", spelled(0), "--scheme", "rot13"], 2, "rot13"),
        (["--key", "label=video:key=12"], 2, "label"),
        (["--key", f"{PAIRS[0][0].hex}:{'00' * 16}", "--key", spelled(0), "--rotate", "1"], 2, "two different keys"),
    ],
)
def test_words_that_make_no_sense(tmp_path: Path, clips: Any, words: list[str], code: int, says: str) -> None:
    ran = run(clips(), "-o", tmp_path / "sealed.mp4", *words)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_read_or_written(tmp_path: Path, clips: Any) -> None:
    key, target = ["--key", spelled(0)], tmp_path / "sealed.mp4"
    once = tmp_path / "once.mp4"
    assert run(clips(), "-o", once, *key, "-q").returncode == 0
    os.mkfifo(tmp_path / "pipe")
    for source, out, code, says in (
        (tmp_path / "none.mp4", target, 2, "none.mp4"),
        (tmp_path, target, 2, "is no regular file"),
        (tmp_path / "pipe", target, 2, "is no regular file"),
        (clips(), "-", 2, "writes a file"),
        (clips(), tmp_path / "no" / "sealed.mp4", 2, "no/sealed.mp4"),
        (clips(), tmp_path, 2, str(tmp_path)),
        (clips(), tmp_path / "pipe", 2, "a device or a pipe"),
        (Path(__file__), target, 3, "not MP4"),
        (once, target, 3, "is encrypted already"),
    ):
        ran = run(source, "-o", out, *key)
        assert (ran.returncode, ran.stdout) == (code, ""), ran.stderr
        assert says in ran.stderr
        assert "Traceback" not in ran.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["once.mp4", "pipe"]


# ------------------------------------------------------------------------------------------------ rotation
@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
def test_keys_that_rotate_play_in_the_worker(tmp_path: Path, clips: Any, fragmented: bool) -> None:
    """In the order of the file of keys; the session compares every frame with those of the clear film."""
    clear, sealed, keys = clips(fragmented=fragmented, frames=90), tmp_path / "sealed.mp4", tmp_path / "keys.txt"
    keys.write_text("\n".join(map(spelled, (2, 0, 1))))
    ran = run(clear, "-o", sealed, "--keys-file", keys, "--rotate", "1", "--json")
    told = json.loads(ran.stdout)["tracks"][0]
    assert told["key_ids"] == [str(PAIRS[number][0]) for number in (2, 0, 1)]
    played = run(sealed, "--keys-file", keys, "--compare", clear, verb="play")
    assert played.returncode == 0, played.stderr
    keys.write_text(spelled(2))
    assert run(sealed, "--keys-file", keys, verb="digest").returncode == 4


# ------------------------------------------------------------------------------------------------ how it ends
@pytest.mark.parametrize("given", [["--keys-file", "{}"], ["--key", "@{}"]], ids=["at once", "the whole command"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, clips: Any, keys_file: Path, given: list[str]) -> None:
    target = tmp_path / "no" / "sealed.mp4"
    ran = run(clips(), "-o", target, *(word.format(keys_file) for word in given))
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"error: cannot write {target}: there is no folder {tmp_path / 'no'}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing(tmp_path: Path, large: Path, jobs: int) -> None:
    """A full disk, played by a limit on the size of files: the kernel refuses the write that passes it."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20))

    target = tmp_path / "sealed.mp4"
    ran = run(large, "-o", target, "--key", spelled(0), "-q", "--jobs", jobs, preexec_fn=limited)
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [f"error: File too large: {target}  [E-UNEXPECTED]"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_the_old_file(tmp_path: Path, large: Path, number: signal.Signals, jobs: int) -> None:
    target = tmp_path / "sealed.mp4"
    words = ["encrypt", str(large), "-o", str(target), "--key", spelled(0), "-q", "--jobs", str(jobs)]
    for _ in range(5):
        target.write_bytes(b"old")
        with subprocess.Popen(
            [sys.executable, "-c", START, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            while process.poll() is None and not any(p.stat().st_size > 1000 for p in tmp_path.iterdir()):
                time.sleep(0.001)
            if met := process.poll() is None:
                os.kill(process.pid, signal.SIGSTOP)
                met = target.read_bytes() == b"old"
                os.killpg(process.pid, number)
                os.kill(process.pid, signal.SIGCONT)
            _, said = process.communicate(timeout=30)  # which also waits for its workers: they hold the pipe
        if met:
            break
    assert met, "it was too fast five times"
    assert target.read_bytes() == b"old"
    assert "Traceback" not in said
    if number != signal.SIGKILL:  # which nobody can answer: what was being made stays, under a name of its own
        assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
        assert list(tmp_path.iterdir()) == [target]


def test_memory_does_not_grow_with_the_file(tmp_path: Path, large: Path) -> None:
    launcher = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)"
    )
    words = [sys.executable, "-c", START, "encrypt", str(large), "-o", str(tmp_path / "sealed.mp4"), "-q"]
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", launcher, *words, "--key", spelled(0)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(ran.stdout) <= 40  # MiB: 27 of them where modules are read from their bytecode
