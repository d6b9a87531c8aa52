"""Each part of the lock-down by itself, in a process that then tries what the part is against, and beside it without.

In the worker one part hides another: what Landlock refuses, seccomp refuses first. Here each one stands alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform

import pytest

from drm.lockdown import landlock, lockdown, namespaces, seccomp
from tests.unit.lockdown.locks import INSIDE, at_level_2, ran, told

__all__ = ["at_level_2"]
pytestmark = pytest.mark.usefixtures("at_level_2")


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
    names = {*INSIDE, "closed_fds", "userns_owner", "landlock", *namespaces.LAYERS}
    assert found["layers"] == dict.fromkeys(names, "yes")
    assert found["told"] == {"open": "EACCES", "socket": "EACCES", "fork": "EPERM", "executable": "EPERM"}
    assert found["abi"] == landlock.abi_version()
    assert found["threads"] == 1
    assert found["early"].keys() == names - {"closed_fds", "userns_owner"}, (
        "each layer is told, also before it is tried"
    )
    early = {name for name, said in found["early"].items() if said == "yes"}
    assert early <= {"untraced", "no_core"}
    not_asked = ("landlock", *namespaces.LAYERS)
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


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("not_dumpable", "no: dumpable"),
        ("no_new_privs", "no: not set"),
        ("parent_death", "no: the parent's death is not signalled"),
        ("closed_fds", "no: 1 stay open"),
        ("limits", "no: RLIMIT_DATA has no end"),
        ("chroot", "no: /proc is still there"),
        ("no_capabilities", "no: CapEff 0"),
        ("seccomp", "no: no filter"),
        ("no_core", "no: a core file has room"),
    ],
)
def test_a_step_that_our_code_leaves_out_lowers_the_report(step: str, said: str) -> None:
    """All other layers are there, but for those that rest on it; Landlock is, since root needs no promise for it."""
    found = told("without_step", step)
    if step == "no_core" and found["hard"] == 0:
        pytest.skip("this machine gives no core files to anybody")
    layers = found["layers"]
    assert layers.pop(step).startswith(said)
    rest = {name for name, told_of in layers.items() if told_of != "yes"}
    assert rest == {
        "no_new_privs": {"seccomp", "socket_refused", "exec_memory_refused", "not_dumpable"},
        "seccomp": {"not_dumpable", "socket_refused", "exec_memory_refused"},
    }.get(step, set()), rest


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
