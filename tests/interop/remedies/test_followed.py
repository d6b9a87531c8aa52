"""What errors say to try is tried: the error comes, its words are those of the source, and following them leads out.

A remedy that no line of a shell can follow stands in not_followed.toml with its reason; one that is neither there nor
followed fails here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.interop.command import LIMIT, Command, Ran, end
from tests.interop.remedies import file_cases, keys_cases, manifest_cases, server_cases, trust_cases
from tests.interop.remedies.case import AUDIO, ONE, VIDEO, Case
from tests.interop.remedies.words import Text, remedies

HERE = Path(__file__).parent
CASES = [
    case
    for subject in (keys_cases, file_cases, manifest_cases, server_cases, trust_cases)
    for case in subject.case.found
]
LISTED: dict[str, list[str]] = {
    reason["why"]: reason["words"] for reason in tomllib.loads((HERE / "not_followed.toml").read_text())["reason"]
}


class Shell:
    """Runs lines in a folder, `clearkey` being the one that is tested."""

    def __init__(self, clearkey: Command, folder: Path) -> None:
        self._environment = clearkey.environment | {
            "PATH": f"{Path(clearkey.path).parent}{os.pathsep}{os.environ['PATH']}",
            "CLEARKEY_HOME": str(folder / "home"),
            "FIELD": str(HERE.parents[1] / "data" / "field"),
            "SOURCE": str(HERE.parents[2]),
            "SPOIL": f"{sys.executable} {HERE / 'spoil.py'}",
        }
        self._folder = folder

    def __call__(self, line: str) -> Ran:
        done = subprocess.run(["sh", "-c", line], cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT, check=False)  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr, 0.0)


@pytest.fixture(scope="module")
def shelf(clearkey: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what every case finds: a clear film, the same encrypted with one key and with two, keys."""
    folder = tmp_path_factory.mktemp("shelf")
    shell = Shell(clearkey, folder)
    for line in (
        "ffmpeg -v error -f lavfi -i testsrc2=s=160x90:d=6 -f lavfi -i sine=d=6 -c:v libx264 -g 25 -c:a aac clear.mp4",
        "ffmpeg -v error -i clear.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof fragments.mp4",
        f"clearkey encrypt clear.mp4 -o one.mp4 --key {ONE}",
        f"clearkey encrypt clear.mp4 -o two.mp4 --key video={VIDEO} --key audio={AUDIO}",
        f"clearkey encrypt fragments.mp4 -o encrypted_fragments.mp4 --key {ONE}",
        "$SPOIL head encrypted_fragments.mp4 init.mp4; $SPOIL tail encrypted_fragments.mp4 segment.m4s",
        f"echo {ONE} > one.keys",
    ):
        ran = shell(line)
        assert ran.code == 0, (line, ran.said)
    return folder


def text_of(case: Case) -> Text:
    """The text of the source that a case is about."""
    found = [text for text in remedies() if text.words == case.words and case.path in {"", text.path}]
    assert found, f"no remedy of the source reads {case.words!r}"
    assert len(found) == 1, f"name the file of {case.words!r}: {[text.path for text in found]}"
    return found[0]


def tried(ran: Ran) -> list[str]:
    """What the lines say that begin with `try`, and lines that say no more than that."""
    return [line.strip().removeprefix("try").strip() for line in ran.said.splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_remedy_leads_out(case: Case, clearkey: Command, shelf: Path, tmp_path: Path) -> None:
    for path in shelf.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    shell, text = Shell(clearkey, tmp_path), text_of(case)
    for line in case.before:
        ran = shell(line)
        assert ran.code == 0, (line, ran.said)
    url, serving = "", None
    if case.server:
        serving = clearkey.start("serve", "--port", "0", *case.server.split(), cwd=tmp_path)
        assert serving.stdout is not None
        url = serving.stdout.readline().rpartition("license server: ")[2].strip().removesuffix("/license")
        assert url.startswith("http"), serving.stderr and serving.stderr.read()
    try:
        ran = shell(case.wrong.replace("URL", url))
        assert ran.code == case.code, ran.said
        assert any(text.matches(each) for each in tried(ran)), ran.said
        for line in case.then:
            ran = shell(line.replace("URL", url))
            assert ran.code == 0, (line, ran.said)
    finally:
        if serving is not None:
            end(serving)


def test_each_remedy_is_followed_or_listed() -> None:
    followed = {(text.path, text.words) for text in map(text_of, CASES)}
    listed = {words for words_of in LISTED.values() for words in words_of}
    every = {(text.path, text.words) for text in remedies()}
    assert sorted((path, words) for path, words in every - followed if words not in listed) == []
    assert sorted(words for words in listed if words not in {words for _, words in every}) == [], "it is said no more"
    assert sorted(words for words in listed if all((path, words) in followed for path, w in every if w == words)) == []
