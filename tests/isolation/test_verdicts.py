"""The attack suite itself can fail: a hole is reported as done, and without a control nothing counts as refused."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from player.attacks.attack import judge
from player.attacks.tables import INSIDE, OUTSIDE

REACHES = [attack for attack in OUTSIDE if not attack.is_availability and "gdb" not in attack.name]
CALLS = [attack for attack in INSIDE if attack.expected.startswith("refused: E")]


@pytest.mark.parametrize(("origin", "attacks"), [("inside", CALLS), ("outside", REACHES)], ids=["inside", "outside"])
def test_a_worker_that_is_open_is_a_finding_in_every_row(ordinary, origin: str, attacks: list) -> None:
    """A worker that is not locked down is passed for one that is."""
    hole = ordinary.attack(origin, [attack.name for attack in attacks], protected=False)["outcomes"]
    rows = judge(attacks, origin, hole, hole, level=2, as_root=False)
    assert {row.verdict for row in rows} == {"done"}
    assert {row.verdict for row in judge(attacks, origin, hole, {}, level=2, as_root=False)} == {"done"}


@pytest.mark.parametrize(("origin", "attacks"), [("inside", CALLS), ("outside", REACHES)], ids=["inside", "outside"])
def test_what_is_refused_without_a_control_is_unproven(ordinary, origin: str, attacks: list) -> None:
    """The worker passed for its own control: everything was refused there, so nothing is proved."""
    refused = ordinary.attack(origin, [attack.name for attack in attacks])["outcomes"]
    rows = judge(attacks, origin, refused, refused, level=2, as_root=False)
    assert {row.verdict for row in rows} == {"unproven"}
    assert all(row.note.startswith("the control did not succeed: refused: E") for row in rows)


def test_another_refusal_than_the_expected_one_proves_nothing() -> None:
    attack = REACHES[0]
    (row,) = judge([attack], "outside", {attack.name: "refused: ESRCH"}, {attack.name: "done"}, level=2, as_root=False)
    assert (row.verdict, row.note) == ("unproven", "not what was expected: refused: ESRCH")


def test_a_hole_ends_the_command_with_9(ordinary) -> None:
    """In the very command: its workers are started without their lock-down, and say that they have it."""
    code = (
        "import sys\n"
        "import player.attacks.run as run\n"
        "asked = run._asked\n"
        "def hole(request, folder, attacker):\n"
        "    if request.origin == 'outside' and request.protected:\n"
        "        request.protected = False\n"
        "        answer = asked(request, folder, attacker)\n"
        "        answer.level = 1\n"
        "        return answer\n"
        "    return asked(request, folder, attacker)\n"
        "run._asked = hole\n"
        "from player.cli import main\n"
        "main(['doctor', '--attack', '--json'])\n"
    )
    run = ordinary.run("-c", code, check=False, timeout=110)
    assert run.returncode == 9, run.stderr
    said = json.loads(run.stdout)
    done = {row["name"] for row in said["rows"] if row["verdict"] == "done"}
    assert {attack.name for attack in REACHES} <= done
    assert {row["from"] for row in said["rows"] if row["verdict"] == "done"} == {"outside"}


def test_the_text_and_the_page_say_the_same(ordinary) -> None:
    page = ordinary.home / "attacks.html"
    run = ordinary.run("-m", "player.cli", "doctor", "--attack", "--level", 1, "--html", page, timeout=110)
    html = page.read_text()
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    for attack in (*INSIDE, *OUTSIDE):
        assert attack.name.replace("_", " ") in run.stdout
        assert f"<td>{attack.name.replace('_', ' ')}</td>" in html
    assert run.stdout.splitlines()[-2].split(";")[0] in html


def test_options_of_the_attack_alone_are_a_usage_error(ordinary) -> None:
    run = ordinary.run("-m", "player.cli", "doctor", "--level", 2, check=False)
    assert run.returncode == 2
    assert "belong to --attack" in run.stderr


def test_nothing_is_left_when_the_command_is_ended(tmp_path: Path) -> None:
    """In the middle of the attacks, without a word to the processes that it started."""
    request = {"origin": "inside", "protected": False, "names": ["open_for_writing", "wait"]}
    request["folder"] = str(tmp_path)
    command = [sys.executable, "-m", "player.attacks.application", json.dumps(request)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as application:
        children = Path(f"/proc/{application.pid}/task/{application.pid}/children")
        pids = until(lambda: [int(pid) for pid in children.read_text().split()])
        until((tmp_path / "notes.txt").exists)  # it has begun
        application.kill()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids))


def until(found):
    end = time.monotonic() + 30
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.01)
    assert value
    return value


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can show what root's worker withstands")
def test_root_can_attack_as_an_ordinary_user(ordinary) -> None:
    """The installed copy, which that user can run: nothing is unproven for being root's."""
    command = [ordinary.python, "-m", "player.cli", "doctor", "--attack", "--json", "--as-user", "nobody"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=110)
    said = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert said["attacker"] == "ordinary user"
    verdicts = {row["verdict"] for row in said["rows"] if row["name"] in {attack.name for attack in REACHES}}
    assert verdicts == {"refused"}
