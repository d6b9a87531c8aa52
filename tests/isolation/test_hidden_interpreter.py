"""An interpreter that users can run and not read: a worker of it is hidden from the first instruction on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.isolation.test_start_window import attacked

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that root owns")

INSTALL = """
import sys
from pathlib import Path
from drm.launch.interpreter import install_interpreter
install_interpreter(Path(sys.argv[1]))
"""
PROBE = """
import json
from drm.launch.process import probe_worker, worker_command
report = probe_worker()
print(json.dumps([report.level, report.start_window.dumpable, report.start_window.text(), report.layers]))
"""
LAUNCHES = 4


@pytest.fixture(scope="module")
def hidden(ordinary) -> Path:
    """Installed by root's run of the very Python that the ordinary user has."""
    path = ordinary.home.parent / "hidden" / "python3"
    subprocess.run([ordinary.python, "-c", INSTALL, path], check=True, cwd="/")
    return path


def probed(ordinary, path: Path | None, *, check: bool = True):
    environment = {} if path is None else {"CLEARKEY_WORKER_PYTHON": str(path)}
    return ordinary.user.run(PROBE, env=environment, check=check)


def test_a_worker_of_it_could_not_be_written_into_and_has_the_same_level(ordinary, hidden: Path) -> None:
    usual = json.loads(probed(ordinary, None).stdout)
    level, dumpable, text, layers = json.loads(probed(ordinary, hidden).stdout)
    assert usual[1]
    assert not dumpable
    assert text.startswith("closed: this account cannot read the interpreter")
    assert (level, layers) == (usual[0], usual[3])


def test_the_account_runs_it_and_cannot_read_it(ordinary, hidden: Path) -> None:
    code = f"import subprocess\nprint(subprocess.call([{str(hidden)!r}, '-c', '']))\nopen({str(hidden)!r})"
    ran = ordinary.user.run(code, check=False)
    assert ran.stdout == "0\n"
    assert "PermissionError" in ran.stderr


def test_nobody_reaches_what_is_executed(ordinary, hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window attack: without the copy, the same attacker gets hold of most of them (test_start_window.py)."""
    film = ordinary.application("canary_make.py", ordinary.home / "window")
    popen = ordinary.user.popen
    monkeypatch.setattr(
        ordinary.user, "popen", lambda argv, **more: popen(argv, env={"CLEARKEY_WORKER_PYTHON": str(hidden)}, **more)
    )
    told = attacked(ordinary, film, LAUNCHES)
    assert told["reached"] == 0
    assert told["found"] == []


@pytest.mark.parametrize("spoil", ["readable", "another", "of somebody else's", "gone"])
def test_one_that_is_not_what_it_should_be_is_refused_by_name(ordinary, hidden: Path, spoil: str) -> None:
    path = hidden.parent.parent / spoil.replace(" ", "-") / "python3"
    path.parent.mkdir()
    shutil.copy(hidden.parent / "pyvenv.cfg", path.parent)
    if spoil != "gone":
        shutil.copy2(hidden, path)
    if spoil == "readable":
        path.chmod(0o555)
    if spoil == "another":
        os.utime(path, (1, 1))
    if spoil == "of somebody else's":
        os.chown(path, 1000, 1000)
    ran = probed(ordinary, path, check=False)
    assert "CLEARKEY_WORKER_PYTHON names no interpreter for workers" in ran.stderr
