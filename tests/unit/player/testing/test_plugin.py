"""The plugin as its users have it: a project of theirs, in a folder of its own, run by a pytest of its own."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSING = """
import sys

LOADED = {name.partition(".")[0] for name in sys.modules}  # while tests are collected: no fixture has been asked for

from pathlib import Path

import pytest
import requests


@pytest.fixture(scope="session")
def clearkey_keys():
    return {"0cbd6a08-9bea-47f4-97e8-0ab3a1a4a9b7": "00112233445566778899aabbccddeeff"}


def asked(server, kid):
    return requests.post(server.license_url, json={"kids": [kid]}, timeout=10)


def note(*processes):
    with Path("pids").open("a") as file:
        file.writelines(f"{process.pid} " for process in processes)


def test_nothing_is_loaded():
    assert not LOADED & {"av", "click", "cryptography", "drm", "flask", "license_server", "msgspec", "requests",
                         "sample_content", "sqlalchemy", "tuf"}


@pytest.mark.parametrize("encrypted_sample", ["cenc", "cbcs"], indirect=True)
def test_the_sample_plays_from_the_server(encrypted_sample, clearkey_server, assert_plays):
    played = assert_plays(encrypted_sample.path, license_url=clearkey_server.license_url,
                          frames={"video 1": encrypted_sample.video_frames}, compare=encrypted_sample.clear)
    assert played.license_path == "sealed"
    assert played.level >= 1
    assert played.frames == sum(map(len, played.md5.values()))
    assert len(set(played.md5["video 1"])) == encrypted_sample.video_frames == 60


def test_keys_at_hand_and_the_plain_function(encrypted_sample):
    from player.testing.assertions import assert_plays

    told = {str(kid): key for kid, key in encrypted_sample.keys.items()}
    assert assert_plays(str(encrypted_sample.path), keys=told, frames=60 + 94).license_path == "local"


def test_the_server_knows_what_the_override_says(clearkey_server):
    assert asked(clearkey_server, "DL1qCJvqR_SX6AqzoaSptw").json()["keys"][0]["k"] == "ABEiM0RVZneImaq7zN3u_w"


def test_the_server_learns(clearkey_server):
    kid = "_" * 21 + "w"
    assert asked(clearkey_server, kid).status_code == 404
    clearkey_server.add_key(kid, "ffeeddccbbaa99887766554433221100")
    assert asked(clearkey_server, kid).json()["keys"][0]["k"] == "_-7dzLuqmYh3ZlVEMyIRAA"


def test_servers_of_its_own(clearkey_servers, clearkey_server, encrypted_sample):
    another = clearkey_servers(keys=encrypted_sample.keys)
    assert another.url != clearkey_server.url
    note(another, clearkey_server)


def test_a_session(pmp_session, encrypted_sample, clearkey_server):
    one, other = pmp_session(license_url=clearkey_server.license_url), pmp_session(keys=encrypted_sample.keys)
    assert one.protection_report.level >= 1
    assert one.pid != other.pid
    note(one, other)
"""

FAILING = """
from drm.keys import ContentKey


def wrong(keys):
    return {kid: ContentKey(bytes(range(16))) for kid in keys}


def test_wrong_key(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.path, keys=wrong(encrypted_sample.keys))


def test_missing_key(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.path, keys=dict(list(encrypted_sample.keys.items())[:1]))


def test_missing_key_at_the_server(assert_plays, encrypted_sample, clearkey_servers):
    assert_plays(encrypted_sample.path, license_url=clearkey_servers(keys={"ab" * 16: "cd" * 16}).license_url)


def test_unreachable_server(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.path, license_url="http://127.0.0.1:9/license")


def test_frames_missing(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.path, keys=encrypted_sample.keys, frames={"video 1": 61})


def test_another_original(assert_plays, encrypted_sample, tmp_path):
    from sample_content.clip import Clip, make_clip

    make_clip(tmp_path / "other.mp4", Clip(width=320, height=180, frames=30, sound=False))
    assert_plays(encrypted_sample.path, keys=encrypted_sample.keys, compare=tmp_path / "other.mp4")


def test_no_file(assert_plays):
    assert_plays("absent.mp4")


def test_a_slip_in_the_keys(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.path, keys={"no kid": "no key"})


def test_another_key_for_a_kid(clearkey_server, encrypted_sample):
    clearkey_server.add_key(next(iter(encrypted_sample.keys)), "ab" * 16)
"""

# What each of them prints, in the order of the paragraph.
SAID = {
    "test_wrong_key": [r"error: wrong key for KID [0-9a-f-]{36}  \[E-KEY-WRONG\]", r"where  .*sample_cenc.mp4, track",
                       r"seen   \d+ of \d+", r"try    clearkey keys check .*sample_cenc.mp4 --keys-file KEYS"],
    "test_missing_key": [r"error: no key for KID", r"where  .*sample_cenc.mp4", r"seen   keys were given for",
                         r'try    keys=\{"[0-9a-f-]{36}": KEY\}'],
    "test_missing_key_at_the_server": [r"error: the license server has no key for .*\[E-KEY-MISSING\]",
                                       "where .*sample_cenc.mp4"],
    "test_unreachable_server": [r"error: the license server cannot be reached.*\[E-LICENSE-UNREACHABLE\]",
                                r"where  .*http://127.0.0.1:9/license", "seen   Connection refused", "maybe  it is"],
    "test_frames_missing": [r"error: .*not as many frames .* expected: video 1: 61",
                            r"seen   154 in all: video 1: 60, audio 1: 94"],
    "test_another_original": [r"not all frames are equal to those of .*other.mp4",
                              r"seen   audio 1: only the encrypted file has it; video 1: different from frame",
                              r"try    clearkey play .* --compare .*other.mp4"],
    "test_no_file": [r"error: .*absent.mp4"],
    "test_a_slip_in_the_keys": [r"error: .*\[E-USAGE\]"],
    "test_another_key_for_a_kid": [r"knows another key of KID"],
}  # fmt: skip


@dataclass
class Run:
    code: int
    output: str

    @property
    def outcomes(self) -> dict[str, str]:
        """Of each test, as -rA lists them at the end."""
        listed = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) \S+?::(\w+)", self.output, re.MULTILINE)
        return {name: outcome for outcome, name in listed}

    def said(self, test: str) -> str:
        """What the failure of one test prints."""
        sections = re.split(r"^_{3,} (?:ERROR at setup of )?(\w+) _{3,}$", self.output, flags=re.MULTILINE)
        return dict(zip(sections[1::2], sections[2::2], strict=True))[test]


class Project:
    """A folder of a user's, with what stands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *options: str, ini: str = "", **files: str) -> Run:
        (self.folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}")
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)
        # The user's own environment: nothing of this suite's, and the data folder of a machine that never ran clearkey.
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "CLEARKEY"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "no:schemathesis", *options],
            cwd=self.folder,
            env={**kept, "CLEARKEY_HOME": str(self.folder / "home"), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return Run(done.returncode, done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# Two tests for two processes: each has its own server and its own file.
SHARED = """
import pytest
import requests


@pytest.mark.parametrize("turn", range(2))
def test_plays(turn, worker_id, encrypted_sample, clearkey_server, assert_plays):
    with open(f"on-{worker_id}", "w") as file:
        file.write(clearkey_server.url)
    assert_plays(encrypted_sample.path, license_url=clearkey_server.license_url)
    asked = {"kids": ["DL1qCJvqR_SX6AqzoaSptw"]}
    assert requests.post(clearkey_server.license_url, json=asked, timeout=10).status_code == 200
"""

UNISOLATED = """
def test_a_session(pmp_session):
    pmp_session()


def test_a_file(assert_plays, encrypted_sample):
    assert_plays(encrypted_sample.clear)
"""

WITHOUT = """
import pytest

from player.testing.assertions import assert_plays


def test_with(request):
    for name in ("assert_plays", "clearkey_server", "clearkey_servers", "encrypted_sample", "pmp_session"):
        with pytest.raises(pytest.FixtureLookupError):
            request.getfixturevalue(name)


def test_without():
    with pytest.raises(AssertionError, match="absent.mp4"):
        assert_plays("absent.mp4")
"""


def test_what_passes(project: Project) -> None:
    ran = project.run(test_passing=PASSING)
    assert ran.code == 0, ran.output
    assert set(ran.outcomes.values()) == {"PASSED"}
    assert len(ran.outcomes) == PASSING.count("\ndef test_")
    pids = (project.folder / "pids").read_text().split()
    assert len(pids) == 4
    assert not [pid for pid in pids if Path("/proc", pid).exists()], "a process outlives the run"


def test_what_fails_says_why(project: Project) -> None:
    ran = project.run(test_failing=FAILING)
    assert ran.code == 1, ran.output
    assert ran.outcomes == dict.fromkeys(SAID, "FAILED"), ran.output
    for test, lines in SAID.items():
        said = ran.said(test)
        assert re.search(".*".join(lines), said, re.DOTALL), f"{test}: {said}"
        assert re.findall(r"^(\S+\.py):\d+: \w+", said, re.MULTILINE) == ["test_failing.py"], (
            "more than the user's line"
        )
        assert "During handling" not in said
        assert said.count("\nE ") <= 5, "more than the paragraph"
        assert "000102030405" not in said


def test_with_xdist_each_process_has_its_own(project: Project) -> None:
    (project.folder / "keys.txt").write_text("0cbd6a08-9bea-47f4-97e8-0ab3a1a4a9b7:00112233445566778899aabbccddeeff\n")
    ran = project.run("-n", "2", ini="clearkey_keys_file = keys.txt\n", test_shared=SHARED)
    assert ran.code == 0, ran.output
    assert len({path.read_text() for path in project.folder.glob("on-gw*")}) == 2


def test_a_level_that_the_machine_lacks_fails_and_is_not_skipped(project: Project) -> None:
    ran = project.run(ini="clearkey_min_level = 3\n", test_unisolated=UNISOLATED)
    assert ran.outcomes == {"test_a_session": "FAILED", "test_a_file": "FAILED"}, ran.output
    for test in ran.outcomes:
        said = ran.said(test)
        assert "no PMP service: No such file or directory" in said
        assert "/run/clearkey/pmp.sock" in said
        assert "clearkey pmp-service install" in said


def test_without_the_plugin(project: Project) -> None:
    ran = project.run("-p", "no:clearkey", test_without=WITHOUT)
    assert ran.outcomes == {"test_with": "PASSED", "test_without": "PASSED"}, ran.output


def test_it_costs_a_run_nothing(tmp_path: Path) -> None:
    """Whoever installs clearkey for something else starts pytest as fast as before."""
    timed = "import time, pytest; began = time.perf_counter(); import player.testing.plugin; "
    timed += "print(time.perf_counter() - began)"
    took = [
        float(subprocess.run([sys.executable, "-c", timed], cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(3)
    ]
    assert min(took) < 0.010
