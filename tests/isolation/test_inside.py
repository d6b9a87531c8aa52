"""Attacks from inside the locked worker: each fails there, and each succeeds in a process that is not locked."""

import platform
import signal
import subprocess
from pathlib import Path

import pytest

# what a locked process may do no more, and how it is refused
REFUSED = {
    "open_for_writing": "EACCES",
    "read_private_file": "EACCES",
    "read_password_file": "EACCES",
    "open_own_memory": "EACCES",
    "list_root": "EACCES",
    "stat_path": "EACCES",
    "list_descriptors_of_parent": "EACCES",
    "change_folder": "EPERM",
    "use_inherited_descriptor": "EBADF",
    "make_inet_socket": "EACCES",
    "make_unix_socket": "EACCES",
    "connect_tcp": "EACCES",
    "make_socket_pair": "EPERM",
    "fork": "EPERM",
    "spawn": "EPERM",
    "signal_parent": "EPERM",
    "limit_parent": "EPERM",
    "map_executable": "EPERM",
    "make_executable": "EPERM",
    "become_dumpable": "EPERM",
    "add_filter": "EPERM",
    "import_late": "ENOENT",
}

# what ends a locked process at once; the value is how the control ends
FATAL = {
    "execute": 7,
    "trace_parent": 0,
    "read_memory_of_parent": 0,
    "unshare": 0,
    "connect_by_number": 0,
    "fork_by_number": 0,
    "take_descriptor_of_parent": 0,
    "make_ring": 0,
    "call_x32": 0,
}


@pytest.fixture(scope="module")
def locked(account):
    return account.application("launch.py", "locked", ",".join(REFUSED))


@pytest.fixture(scope="module")
def unlocked(account):
    return account.application("launch.py", "open", ",".join(REFUSED))


def test_the_worker_reaches_level_2(locked) -> None:
    layers = locked["told"]["report"]["layers"]
    if subprocess.run(["unshare", "-U", "-r", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")
    if layers["landlock"] in ("no: ENOSYS", "no: EOPNOTSUPP"):
        pytest.skip("this machine gives no Landlock")
    assert locked["told"]["report"]["layers"] == dict.fromkeys(locked["told"]["report"]["layers"], "yes")
    assert locked["told"]["report"]["level"] == 2


def test_the_worker_reaches_level_1(locked) -> None:
    """Otherwise the tests below would prove less than they say."""
    assert locked["told"]["report"]["level"] >= 1, locked["told"]["report"]


@pytest.mark.parametrize("attack", REFUSED)
def test_an_attack_from_the_inside_is_refused(locked, unlocked, attack: str) -> None:
    assert unlocked["told"][attack] == "done", "the control must succeed, or nothing is proved"
    assert locked["told"][attack] == f"refused: {REFUSED[attack]}"


def test_a_refused_attack_leaves_the_worker_alive(locked) -> None:
    assert locked["ended"] == 0, locked["stderr"]


@pytest.mark.parametrize("attack", FATAL)
def test_an_attack_that_nothing_excuses_ends_the_worker(account, attack: str) -> None:
    if attack in ("call_x32", "fork_by_number") and platform.machine() != "x86_64":
        pytest.skip("only x86-64 has this system call")
    control = account.application("launch.py", "open", attack)
    if control["told"].get(attack) == "refused: EPERM":
        pytest.skip("this machine itself refuses that to everybody: there is no control")
    assert (control["ended"], control["stderr"]) == (FATAL[attack], "")
    assert account.application("launch.py", "locked", attack)["ended"] == -signal.SIGSYS


def test_a_crash_leaves_no_core(account) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("kernel.core_pattern sends cores to a program: the control has none to find")
    control = account.application("launch.py", "open", "crash")
    if not control["cores"]:
        pytest.skip("no core file is left here even by an unprotected process (core_pattern or hard limit)")
    crashed = account.application("launch.py", "locked", "crash")
    assert crashed["ended"] == -signal.SIGSEGV
    assert crashed["cores"] == []


def test_threads_still_start(account) -> None:
    """Decoders need them; a filter that refuses clone outright would pass every attack test."""
    assert account.application("launch.py", "locked", "start_thread")["told"]["start_thread"] == "done"
