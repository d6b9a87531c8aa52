"""Each part of the lock-down by itself, in a process that then tries what the part is against, and beside it without.

In the worker one part hides another: what Landlock refuses, seccomp refuses first. Here each one stands alone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drm.lockdown import landlock, lockdown, seccomp

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "programs" / "locks.py"
FILE_RIGHTS = ("execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir",
               "make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate")  # fmt: skip
SINCE = {"connect": 4, "bind": 4, "abstract": 6, "signal": 6}  # ABI; an older one refuses the other two by other rights
REFUSED_BY = {"signal": "EPERM", "abstract": "EPERM"}  # all others: EACCES
INSIDE = ("no_new_privs", "not_dumpable", "no_core", "untraced", "parent_death", "no_capabilities", "seccomp",
          "open_refused", "socket_refused", "exec_memory_refused", "limits")  # fmt: skip


def ran(part: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), part, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=ROOT)


def told(part: str, *words: object) -> dict[str, Any]:
    run = ran(part, *words)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module", autouse=True)
def at_level_2() -> None:
    """Elsewhere the isolation tests say what is missing, and what is there all the same."""
    if os.geteuid() != 0:
        pytest.skip("only root can show each part of the lock-down by itself")
    try:
        landlock.abi_version()
    except OSError:
        pytest.skip("this machine gives no Landlock")
    if subprocess.run(["unshare", "-U", "-r", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")


# ------------------------------------------------------------------------------------------------ the fork
@pytest.mark.parametrize(("hide", "layer"), [("yes", "yes"), ("no", "no: dumpable when it was forked")])
def test_it_goes_on_in_a_child_of_the_same_parent(hide: str, layer: str) -> None:
    found = told("forked", hide)
    assert found == {
        "start": [layer, True], "is_same": False, "parent": os.getpid(), "dumpable": int(hide == "no"),
        "flag": [1, 2],
    }  # fmt: skip


def test_where_it_cannot_fork_it_says_so_and_goes_on() -> None:
    clone = seccomp.MACHINES[platform.machine()].number("clone")
    found = told("forked", "yes", f"{clone}={errno.EPERM}")
    assert found["start"] == ["no: EPERM", True]
    assert found["is_same"]
    assert found["dumpable"] == 0


# ------------------------------------------------------------------------------------------------ Landlock
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("file", "gone", "moved"):
        (tmp_path / name).write_text("x")
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    return tmp_path


@pytest.fixture
def reachable() -> Iterator[int]:
    """A port that somebody listens on, and an abstract name."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0clearkey-test-{os.getpid()}")
        abstract.listen()
        yield server.getsockname()[1]


def test_landlock_takes_every_right_and_without_it_each_is_there(folder: Path, reachable: int) -> None:
    locked = told("landlocked", folder, reachable, "yes")
    expected = {
        name: REFUSED_BY.get(name, "EACCES") if locked["abi"] >= SINCE.get(name, 1) else "done"
        for name in locked["told"]
    }
    assert locked["told"] == expected
    assert locked["told"].keys() == {*FILE_RIGHTS, "connect", "bind", "abstract", "signal"}
    free = told("landlocked", folder, reachable, "no")
    assert locked["abi"] == free["abi"] == landlock.abi_version()
    assert free["told"] == dict.fromkeys(locked["told"], "done")
    assert locked["spare"] <= 1, "the ruleset stays open"


def test_a_kernel_that_says_no_is_an_error_of_landlock(folder: Path) -> None:
    found = told("contained", "444=38")
    assert found["layers"]["landlock"] == "no: ENOSYS"
    assert found["abi"] == 0
    assert {name: found["layers"][name] for name in INSIDE} == dict.fromkeys(INSIDE, "yes")


# Linux: Documentation/userspace-api/landlock.rst and its history. Files: 13 at first, then refer, truncate, ioctl on
# devices; TCP bind and connect; abstract sockets and signals. ABI 7 brought logs, 8 the restriction of all threads.
RECORDED = {1: (0x1FFF, 0, 0), 2: (0x3FFF, 0, 0), 3: (0x7FFF, 0, 0), 4: (0x7FFF, 3, 0), 5: (0xFFFF, 3, 0),
            6: (0xFFFF, 3, 3), 7: (0xFFFF, 3, 3), 8: (0xFFFF, 3, 3)}  # fmt: skip


@pytest.mark.parametrize("abi", RECORDED)
def test_of_a_kernel_of_each_abi_every_recorded_right_is_asked_for(abi: int) -> None:
    """A kernel refuses a ruleset as soon as one of its rights is unknown to it, and one of no right at all."""
    recorded = RECORDED[abi]

    def takes(asked: landlock.Rights) -> bool:
        return any(asked) and not any(each & ~known for each, known in zip(asked, recorded, strict=True))

    assert landlock.rights(takes) == recorded
    assert not takes(landlock.Rights(*(each + 1 for each in recorded))), "there is no more to ask for"


def test_a_kernel_that_announces_scopes_and_has_none_is_asked_for_the_rest() -> None:
    assert landlock.rights(lambda asked: any(asked) and not asked.scopes) == (*[(1 << 64) - 1] * 2, 0)


def test_this_kernel_gives_what_is_recorded_of_its_abi() -> None:
    abi = landlock.abi_version()
    if abi not in RECORDED:
        pytest.skip("this machine gives no Landlock that is recorded yet")
    assert landlock.rights(landlock.kernel_takes) == RECORDED[abi]


# The right, as a bit of its kind; what can be done again without it.
ALONE = {
    **{name: ("files", 1 << bit) for bit, name in enumerate(FILE_RIGHTS)},
    "bind": ("net", 1), "connect": ("net", 2), "abstract": ("scopes", 1), "signal": ("scopes", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_each_right_of_landlock_alone_is_what_refuses_its_attack(folder: Path, reachable: int, name: str) -> None:
    kind, bit = ALONE[name]
    # A program is opened for reading as well; that reading alone starts none is what the case `read_file` shows.
    bit |= ALONE["read_file"][1] if name == "execute" else 0
    words = [bit if kind == each else 0 for each in landlock.Rights._fields]
    found = told("landlocked", folder, reachable, "yes", *words)
    if found["abi"] < SINCE.get(name, 1):
        pytest.skip("this kernel is older")
    # Moving a file to another folder is refused by every ruleset unless the right is given: there is no doing without.
    again = {"refer": set(), "execute": {"execute", "read_file"}}.get(name, {name})
    assert {each for each, said in found["told"].items() if said == "done"} == again
    assert found["left"] == (bit if kind == "files" else 0)


@pytest.mark.parametrize("name", [*ALONE, "ioctl_dev"])
def test_a_right_that_our_code_leaves_out_lowers_the_report(name: str) -> None:
    kind, bit = ALONE.get(name, ("files", 1 << 15))
    if not getattr(landlock.rights(landlock.kernel_takes), kind) & bit:
        pytest.skip("this kernel is older")
    layers = told("reported", *(bit if kind == each else 0 for each in landlock.Rights._fields), "yes")["layers"]
    said = {"bind": "TCP is bound", "connect": "TCP is connected", "abstract": "an abstract socket is reached",
            "signal": "another process is signalled"}  # fmt: skip
    assert layers.pop("landlock") == f"no: {said.get(name, f'file rights {bit:#x} are left')}"
    assert set(layers.values()) == {"yes"}


def test_a_ruleset_that_is_not_entered_lowers_the_report() -> None:
    assert told("reported", 0, 0, 0, "no")["layers"]["landlock"].startswith("no: a folder is listed, TCP is bound")


def test_capabilities_alone_are_what_root_can_do_less() -> None:
    """Without namespaces, Landlock and seccomp; the machine may keep some of them from root already."""
    free, dropped = told("uncapable", "no")["told"], told("uncapable", "yes")["told"]
    assert free["chroot"] == free["setuid"] == "done"
    assert dropped == dict.fromkeys(free, "EPERM")


# ------------------------------------------------------------------------------------------------ namespaces
def test_namespaces_of_its_own_and_nothing_of_the_machine(reachable: int) -> None:
    """Alone: without Landlock and seccomp. What is reached without them, the tests of Landlock show."""
    found = told("own_namespaces", reachable)
    assert found["reached"] == {"connect": "ENETUNREACH", "abstract": "ECONNREFUSED", "bind": "done", "signal": "done"}
    assert found["layers"] == dict.fromkeys(("user_namespace", "network_namespace", "chroot"), "yes")
    assert found["new"] == ["user", "net", "ipc", "uts"]
    assert found["cwd"] == "/"
    assert found["seen"] == {"proc": "ENOENT", "here": "done", "cwd": "done"}
    assert found["files"] == ["0", "1", "2"], "the root is the list of its own descriptors"


def test_namespaces_that_cannot_be_had_are_three_layers_that_say_why() -> None:
    unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    layers = told("contained", f"{unshare}={errno.EPERM}")["layers"]
    names = ("user_namespace", "network_namespace", "chroot")
    assert {name: layers[name] for name in names} == dict.fromkeys(names, "no: EPERM")
    assert layers["landlock"] == "yes"


def test_a_root_that_cannot_be_changed_is_one_layer_that_says_why() -> None:
    chroot = {"x86_64": 161, "aarch64": 51}[platform.machine()]
    layers = told("contained", f"{chroot}={errno.EACCES}")["layers"]
    assert layers["chroot"] == "no: EACCES"
    assert (layers["user_namespace"], layers["network_namespace"]) == ("yes", "yes")


def test_whose_namespace_it_was_born_in() -> None:
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        assert told("born_initial") == {"owner": "initial"}
    assert told("in_a_namespace_of", "self") == {"owner": "self"}
    assert told("in_a_namespace_of", "other") == {"owner": "other"}
    assert told("in_a_namespace_of", "unmapped") == {"owner": "self"}, "it may be anybody, so it counts as our own"


# ------------------------------------------------------------------------------------------------ hide
def test_hidden_from_other_processes_before_anything_is_imported() -> None:
    found = told("hidden", "hide")
    assert found == {
        "said": {"closed_fds": "yes", "userns_owner": "yes"},
        "owner": found["owner"],
        "dumpable": 0,
        "death": 9,
        "no_new_privs": "1",
        "core": True,
        "not_yet": [0, "", 0],
        "open": {
            "kept": "done",
            "stranger": "EBADF",
            "input": "done",
            "output": "done",
            "errors": "done",
            "status": "done",
        },
    }
    assert found["owner"] in ("initial", "other")


def test_an_unprotected_worker_is_tied_to_its_parent_and_holds_no_strangers_file() -> None:
    found = told("hidden", "tie")
    assert (found["dumpable"], found["death"], found["no_new_privs"]) == (1, 9, "0")
    assert found["open"]["stranger"] == "EBADF"


def test_without_its_parent_it_ends_and_says_nothing() -> None:
    run = ran("orphaned")
    assert (run.returncode, run.stdout) == (0, "")


# ------------------------------------------------------------------------------------------------ the whole
def test_locked_every_layer_holds_and_before_it_none_does() -> None:
    found = told("locked")
    names = {*INSIDE, "closed_fds", "userns_owner", "landlock", "user_namespace", "network_namespace", "chroot"}
    assert found["layers"] == dict.fromkeys(names, "yes")
    assert found["told"] == {"open": "EACCES", "socket": "EACCES", "fork": "EPERM", "executable": "EPERM"}
    assert found["abi"] == landlock.abi_version()
    assert found["threads"] == 1
    assert found["early"].keys() == names - {"closed_fds", "userns_owner"}, (
        "each layer is told, also before it is tried"
    )
    early = {name for name, said in found["early"].items() if said == "yes"}
    assert early <= {"untraced", "no_core"}
    not_asked = ("landlock", "user_namespace", "network_namespace", "chroot")
    assert {name: found["early"][name] for name in not_asked} == dict.fromkeys(not_asked, "no: not asked for")


def test_the_filter_that_is_told_is_the_one_without_a_process_id() -> None:
    machine = seccomp.MACHINES[platform.machine()]
    assert told("locked")["sha256"] == hashlib.sha256(seccomp.assemble(machine, 0)).hexdigest()


def test_a_machine_without_a_table_has_no_filter() -> None:
    found = told("on_another_machine")
    said = f"no: no table of system calls for {found['machine']}"
    assert (found["layers"]["seccomp"], found["sha256"]) == (said, "")
    assert found["layers"]["landlock"] == "yes"


def test_a_thread_that_does_not_take_the_filter_is_told() -> None:
    found = told("with_a_thread_of_another_filter")
    assert found["layers"]["seccomp"].startswith("no: thread ")
    assert found["layers"]["seccomp"].endswith(" did not take the filter")
    assert found["sha256"] == ""


def test_what_nobody_holds_any_more_ends_before_the_namespaces_are_entered() -> None:
    """Codecs that were tried out leave thread pools behind, and unshare needs a single thread."""
    found = told("with_a_forgotten_pool")
    assert (found["before"], found["threads"]) == (2, 1)
    assert found["layers"]["user_namespace"] == "yes"


def test_a_second_thread_is_filtered_too_and_namespaces_are_not_to_be_had() -> None:
    found = told("with_another_thread")
    assert found["threads"] == 2
    assert found["other"]["socket"] == "EACCES"
    assert found["other"]["open"] == "EACCES"
    assert found["layers"]["user_namespace"] == "no: EINVAL"
    assert found["layers"]["seccomp"] == "yes"


@pytest.mark.parametrize(
    ("name", "numbers", "layer"),
    [("prctl", (157, 167), "not_dumpable"), ("capset", (126, 91), "no_capabilities")],
)
def test_a_step_that_fails_is_told_and_the_others_are_taken(name: str, numbers: tuple[int, int], layer: str) -> None:
    number = numbers[0 if platform.machine() == "x86_64" else 1]
    layers = told("contained", f"{number}={errno.ENOSYS}")["layers"]
    assert layers[layer] == "no: ENOSYS", name
    assert layers["landlock"] in ("yes", "no: EPERM"), "without no_new_privs root may, and others may not"
    assert layers["seccomp"] == "yes"


# ------------------------------------------------------------------------------------------------ probes
def test_in_an_ordinary_process_the_probes_say_what_is_missing() -> None:
    found = told("unlocked")
    layers = found["layers"]
    assert layers["open_refused"] == layers["socket_refused"] == "no: it was done"
    assert found["landlock"] == (
        "no: a folder is listed, TCP is bound, TCP is connected, an abstract socket is reached, "
        "another process is signalled"
    )
    assert layers["exec_memory_refused"] == "no: it was done"
    assert layers["no_new_privs"] == "no: not set"
    assert layers["not_dumpable"] == "no: dumpable"
    assert layers["no_core"] == ("yes" if found["hard"] == 0 else "no: a core file has room")
    assert layers["untraced"] == "yes"
    assert layers["parent_death"] == "no: the parent's death is not signalled"
    assert layers["no_capabilities"].startswith("no: CapEff 0")
    assert layers["seccomp"] == "no: no filter"
    assert (found["tracer"], found["threads"]) == (0, 1)


def test_what_can_be_undone_does_not_count() -> None:
    assert told("dumpable_again")["layers"]["not_dumpable"] == "no: it can be undone"


def test_a_tracer_is_told_by_its_number() -> None:
    found = told("traced")
    if found["tracer"] == 0:
        pytest.skip("this machine lets no process trace another")
    assert found["tracer"] == found["child"]
    assert found["layers"]["untraced"] == f"no: process {found['child']} traces this one"


def test_the_numbers_of_the_kernels_headers_that_no_library_gives() -> None:
    assert lockdown._SECCOMP == {"x86_64": 317, "aarch64": 277}
