"""Attacks from inside the locked worker: each fails there, and each succeeds in a process that is not locked."""

import platform
import subprocess
from pathlib import Path

import pytest

from player.attacks.attack import NO_CORE, SIGSYS
from player.attacks.tables import INSIDE

CALLS = [attack.name for attack in INSIDE if attack.expected != NO_CORE]


@pytest.fixture(scope="module")
def layers(account) -> dict[str, str]:
    return account.attack("inside", [])["layers"]


def test_the_worker_reaches_level_2(account, layers) -> None:
    if subprocess.run(["unshare", "-U", "-r", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")
    if layers["landlock"] in ("no: ENOSYS", "no: EOPNOTSUPP"):
        pytest.skip("this machine gives no Landlock")
    assert layers == dict.fromkeys(layers, "yes")
    assert account.attack("inside", [])["level"] == 2


def test_the_worker_reaches_level_1(table) -> None:
    """Otherwise the tests below would prove less than they say."""
    assert table["level"] >= 1


@pytest.mark.parametrize("attack", CALLS)
def test_an_attack_from_the_inside_is_refused(table, attack: str) -> None:
    if attack in ("call_x32", "fork_by_number") and platform.machine() != "x86_64":
        pytest.skip("only x86-64 has this system call")
    row = table["by_name"][attack]
    if row["control"] == "refused: EPERM":
        pytest.skip("this machine itself refuses that to everybody: there is no control")
    assert row["control"] == "done", "the control must succeed, or nothing is proved"
    assert (row["outcome"], row["verdict"]) == (row["expected"], "refused")


def test_calls_and_ends_are_both_there() -> None:
    """The table itself: what a lock-down answers with an error, and what it answers with the end of the process."""
    ends = {attack.name for attack in INSIDE if attack.expected == SIGSYS}
    assert {"execute", "trace_parent", "read_memory_of_parent", "unshare", "connect_by_number"} <= ends
    errors = {attack.name for attack in INSIDE if attack.expected.startswith("refused: E")}
    assert {"open_for_writing", "connect_tcp", "fork", "map_executable", "become_dumpable", "add_filter"} <= errors
    assert len(errors | ends | {"crash"}) == len(INSIDE) == 37


def test_refused_attacks_leave_the_worker_alive(account) -> None:
    """One process makes them all, and the last word is its own."""
    names = [attack.name for attack in INSIDE if attack.expected.startswith("refused: E")]
    told = account.attack("inside", [*names, "start_thread"])["outcomes"]
    assert told.pop("start_thread") == "done", "decoders need threads: a filter that refuses them would refuse too much"
    assert {said.partition(":")[0] for said in told.values()} == {"refused"}


def test_a_crash_leaves_no_core(table) -> None:
    row = table["by_name"]["crash"]
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("kernel.core_pattern sends cores to a program: the control has none to find")
    if row["control"] == NO_CORE:
        pytest.skip("no core file is left here even by an unprotected process (core_pattern or hard limit)")
    assert (row["control"], row["outcome"], row["verdict"]) == ("done", NO_CORE, "refused")
