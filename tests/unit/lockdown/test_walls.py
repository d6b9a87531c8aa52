"""Landlock, capabilities and namespaces, each without the others: what it refuses, and what nothing else does."""

from __future__ import annotations

import errno
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.lockdown import landlock, namespaces
from tests.unit.lockdown.locks import INSIDE, at_level_2, told

__all__ = ["at_level_2"]
pytestmark = pytest.mark.usefixtures("at_level_2")

FILE_RIGHTS = ("execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir",
               "make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate")  # fmt: skip
SINCE = {"connect": 4, "bind": 4, "abstract": 6, "signal": 6}  # ABI; an older one refuses the other two by other rights
REFUSED_BY = {"signal": "EPERM", "abstract": "EPERM"}  # all others: EACCES


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
    assert found["layers"] == dict.fromkeys(namespaces.LAYERS, "yes")
    assert found["new"] == ["user", "net", "ipc", "uts"]
    assert found["cwd"] == "/"
    assert found["seen"] == {"proc": "ENOENT", "here": "done", "cwd": "done"}
    assert found["files"] == ["0", "1", "2"], "the root is the list of its own descriptors"


def test_namespaces_that_cannot_be_had_are_layers_that_say_why() -> None:
    unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    layers = told("contained", f"{unshare}={errno.EPERM}")["layers"]
    names = namespaces.LAYERS
    assert {name: layers[name] for name in names} == dict.fromkeys(names, "no: EPERM")
    assert layers["landlock"] == "yes"


def test_a_root_that_cannot_be_changed_is_one_layer_that_says_why() -> None:
    chroot = {"x86_64": 161, "aarch64": 51}[platform.machine()]
    layers = told("contained", f"{chroot}={errno.EACCES}")["layers"]
    assert layers["chroot"] == "no: EACCES"
    assert {layers[name] for name in namespaces.LAYERS[:-1]} == {"yes"}


def test_whose_namespace_it_was_born_in() -> None:
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        assert told("born_initial") == {"owner": "initial"}
    assert told("in_a_namespace_of", "self") == {"owner": "self"}
    assert told("in_a_namespace_of", "other") == {"owner": "other"}
    assert told("in_a_namespace_of", "unmapped") == {"owner": "self"}, "it may be anybody, so it counts as our own"


@pytest.mark.parametrize(("flag", "layer"), [(0x10000000, "user_namespace"), (0x40000000, "network_namespace"),
                                             (0x08000000, "ipc_namespace"), (0x04000000, "uts_namespace")])  # fmt: skip
def test_a_namespace_that_our_code_leaves_out_lowers_the_report(flag: int, layer: str) -> None:
    """As root, who needs no user namespace for the others."""
    layers = told("without_namespace", flag)["layers"]
    assert layers[layer] == "no: unchanged"
    assert {layers[name] for name in namespaces.LAYERS if name != layer} == {"yes"}
