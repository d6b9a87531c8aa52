"""What the page on CI shows: its tests run in a user's project, its lines in a shell, its jobs have their shape."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.license.clearkey import encode_jwk_set
from drm.media import Scheme
from license_server.process import LicenseServer
from sample_content.small import SmallSample, make_small_sample

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "in-ci.md").read_text(encoding="utf-8")
LIKE_DOCKER = Path(__file__).with_name("like_docker.py")
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)

MY_PLAYER = """
from player.testing.assertions import PlaysError as NoLicense
from player.testing.assertions import assert_plays


def play(path, license_url):
    return len(assert_plays(path, license_url=license_url).md5["video 1"])
"""
FAILING = """
def test_of_the_page(assert_plays, encrypted_sample):
    {call}
"""


def blocks(language: str) -> dict[str, str]:
    return {title or str(at): text for at, (kind, title, text) in enumerate(BLOCK.findall(PAGE)) if kind == language}


def run(*words: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**kept, "COLUMNS": "200", "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )


def test_every_block_says_what_it_is() -> None:
    assert PAGE.count("\n```") == 2 * len(BLOCK.findall(PAGE))
    assert {kind for kind, _, _ in BLOCK.findall(PAGE)} == {"sh", "python", "text", "yaml", "dockerfile"}


def test_its_tests_pass_also_in_a_container(tmp_path: Path) -> None:
    """At level 1, as the page says: the filter takes namespaces away and leaves Landlock."""
    doctor = run(sys.executable, LIKE_DOCKER, "clearkey", "doctor", folder=tmp_path).stdout
    assert "isolation level 1 (contained)" in doctor
    assert re.search(r"user namespace +no: EPERM", doctor)
    for name, text in blocks("python").items():
        (tmp_path / name).write_text(text)
    (tmp_path / "my_player.py").write_text(MY_PLAYER)
    failure = blocks("text")["failure"]
    (tmp_path / "test_failure.py").write_text(FAILING.format(call=failure.splitlines()[0].lstrip("> ")))
    command = ["pytest", "-p", "no:cacheprovider", "-W", "error"]
    ran = run(sys.executable, LIKE_DOCKER, *command, folder=tmp_path)
    assert "= 1 failed, 6 passed in " in ran.stdout, ran.stdout
    printed = re.sub(r"(?<=where  )\S+/", "", ran.stdout)
    assert failure in printed, "the page shows another failure than there is"


@pytest.fixture
def sample(tmp_path: Path) -> SmallSample:
    made = make_small_sample(tmp_path, Scheme.CBCS)
    made.path.rename(tmp_path / "encrypted.mp4")
    made.clear.rename(tmp_path / "clear.mp4")
    (tmp_path / "trusted.mp4").symlink_to("encrypted.mp4")
    (tmp_path / "keys.json").write_bytes(encode_jwk_set(made.keys))
    return made


def test_its_lines_run_in_a_shell(tmp_path: Path, sample: SmallSample) -> None:
    lines = [line for text in blocks("sh").values() for line in text.splitlines() if not line.startswith("docker ")]
    assert len(lines) == 6
    with LicenseServer(keys=sample.keys) as server:
        ran = run("sh", "-exc", "\n".join(lines), folder=tmp_path, LICENSE_URL=server.license_url, TOKEN="any")
    assert ran.returncode == 0, ran.stdout
    assert "all 60 frames are equal to those of clear.mp4" in ran.stdout
    assert "license_path: sealed" in ran.stdout


# ------------------------------------------------------------------------------------------------ the jobs
def parsed(text: str) -> object:
    """Read the YAML that the page uses: mappings, lists, plain and quoted scalars. Anything else raises."""
    lines = [(len(line) - len(line.lstrip(" ")), line.strip()) for line in text.splitlines() if line.strip()]
    value, rest = _node(lines)
    assert not rest, f"indented like nothing before it: {rest[0][1]}"
    return value


def _node(lines: list[tuple[int, str]]) -> tuple[object, list[tuple[int, str]]]:
    indent, first = lines[0]
    return _list(lines, indent) if first.startswith("- ") else _mapping(lines, indent)


def _list(lines: list[tuple[int, str]], indent: int) -> tuple[list[object], list[tuple[int, str]]]:
    found: list[object] = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        text = lines[0][1][2:]
        if re.match(r"[\w-]+:(\s|$)", text):  # a mapping that begins behind the dash
            value, lines = _mapping([(indent + 2, text), *lines[1:]], indent + 2)
        else:
            value, lines = _scalar(text), lines[1:]
        found.append(value)
    return found, lines


def _mapping(lines: list[tuple[int, str]], indent: int) -> tuple[dict[str, object], list[tuple[int, str]]]:
    found: dict[str, object] = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        match = re.fullmatch(r"([\w-]+):(?: (.+))?", lines[0][1])
        assert match, f"not `key: value`: {lines[0][1]}"
        name, text = match.groups()
        assert name not in found, f"{name} stands twice"
        lines = lines[1:]
        if text:
            found[name] = _scalar(text)
        else:
            assert lines, f"{name} has nothing"
            assert lines[0][0] > indent, f"{name} has nothing"
            found[name], lines = _node(lines)
    return found, lines


def _scalar(text: str) -> str:
    if text.startswith('"'):
        assert re.fullmatch(r'"[^"\\]*"', text), f"a quoted text that is not closed: {text}"
        return text[1:-1]
    assert not re.search(r": | #|^[&*!|>%@`{]", text), f"needs quotes: {text}"
    return text


def commands() -> Iterator[str]:
    """What the jobs have a shell do."""
    jobs = {title: parsed(text) for title, text in blocks("yaml").items()}
    steps = jobs[".github/workflows/playback.yml"]["jobs"]["playback"]["steps"]
    yield from (step["run"] for step in [*steps, *jobs["level 2"]] if "run" in step)
    yield from jobs[".gitlab-ci.yml"]["playback"]["script"]


def test_the_github_workflow_has_its_shape() -> None:
    workflow = parsed(blocks("yaml")[".github/workflows/playback.yml"])
    assert set(workflow) == {"name", "on", "jobs"}
    (job,) = workflow["jobs"].values()
    assert set(job) == {"runs-on", "timeout-minutes", "steps"}
    assert all(len({"uses", "run"} & set(step)) == 1 for step in job["steps"])
    assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == [
        "actions/checkout", "actions/setup-python"
    ]  # fmt: skip
    assert job["steps"][1]["with"] == {"python-version": "3.13"}, "unquoted, 3.10 would be the number 3.1"


def test_the_gitlab_job_has_its_shape() -> None:
    job = parsed(blocks("yaml")[".gitlab-ci.yml"])["playback"]
    assert set(job) == {"image", "script", "artifacts"}
    assert job["artifacts"] == {"when": "always", "reports": {"junit": "report.xml"}}
    assert "--junitxml=report.xml" in job["script"][-1]


def test_the_jobs_run_what_the_page_tries(tmp_path: Path) -> None:
    assert {command for command in commands() if not command.startswith(("pip ", "pytest "))} == {
        "clearkey doctor",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    }
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    for command in {command for command in commands() if command.startswith("pytest ")}:
        ran = run("sh", "-exc", command, folder=tmp_path)
        assert ran.returncode == 0, ran.stdout


def test_the_docker_lines_and_the_image_belong_together() -> None:
    verbs = ("FROM", "RUN", "WORKDIR", "COPY", "CMD")
    assert tuple(line.split()[0] for line in blocks("dockerfile")["Dockerfile"].splitlines()) == verbs
    lines = [line for text in blocks("sh").values() for line in text.splitlines() if line.startswith("docker ")]
    built, *runs = lines
    assert built == "docker build -t playback ."
    assert all(re.match(r"docker run --rm --network none (--security-opt \S+ )?playback\b", line) for line in runs)


@pytest.mark.parametrize(
    "broken", ["a: 1\n b: 2\n", "a:\n", "a: b: c\n", 'a: "b\n', "- a\n  - b\n", "a: 1\na: 2\n", "just text\n"]
)
def test_a_broken_job_is_found(broken: str) -> None:
    with pytest.raises(AssertionError):
        parsed(broken)
