"""The report tells the truth where a layer is missing, and a level that is not to be had is refused by name."""

import json
import shutil

import pytest

from drm.protection import CONTAINED_LAYERS, WALL_LAYERS

PROBE = """
import json
from drm.launch.process import probe_worker
report = probe_worker()
print(json.dumps([report.level, report.layers, report.userns_owner]))
"""
DEMAND = """
import sys
from drm.launch.process import PMPProcess
with PMPProcess(demanded_level=LEVEL) as worker:
    said = worker.channel_socket.recv(1 << 16)
    error = worker.failure()
print(len(said), type(error).__name__, error.code, int(error.exit_code), error.seen)
"""


@pytest.fixture(scope="module")
def contained(account):
    """Under a filter like a container's: Landlock answers ENOSYS, unshare EPERM."""
    attacks = ["open_for_writing", "read_private_file", "connect_tcp", "make_unix_socket", "fork", "become_dumpable"]
    return account.attack("inside", [*attacks, "execute"], under="under_filter.py")


def test_without_landlock_and_namespaces_the_report_says_level_1_and_why(contained) -> None:
    assert contained["level"] == 1
    assert {name: contained["layers"][name] for name in WALL_LAYERS} == {
        "landlock": "no: ENOSYS",
        "user_namespace": "no: EPERM",
        "network_namespace": "no: EPERM",
        "ipc_namespace": "no: EPERM",
        "uts_namespace": "no: EPERM",
        "chroot": "no: EPERM",
    }
    assert {said for name, said in contained["layers"].items() if name not in WALL_LAYERS} == {"yes"}


def test_level_1_alone_refuses_files_sockets_and_programs(contained) -> None:
    told = contained["outcomes"]
    assert told["open_for_writing"] == told["read_private_file"] == "refused: EACCES"
    assert told["make_unix_socket"] == told["connect_tcp"] == "refused: EACCES"
    assert told["fork"] == told["become_dumpable"] == "refused: EPERM"
    assert told["execute"] == "killed by SIGSYS"


def test_a_tracer_from_before_the_start_makes_level_0(ordinary) -> None:
    found = ordinary.attack("inside", [], under="traced.py")
    assert found["level"] == 0
    layers = found["layers"]
    assert layers.pop("untraced").endswith("traces this one")
    assert {layers.get(name, "yes") for name in CONTAINED_LAYERS} == {"yes"}, (
        "everything else is there, so it is the tracer that counts"
    )


def test_inside_a_namespace_of_the_applications_own_account_it_is_level_0(ordinary_user) -> None:
    """What bubblewrap does: the account that made the namespace may trace whatever is exec'd in it."""
    if not shutil.which("unshare") or ordinary_user.run(["unshare", "-U", "-r", "true"], check=False).returncode:
        pytest.skip("unshare -U -r does not work here for an ordinary user")
    outside = json.loads(ordinary_user.run(PROBE).stdout)
    assert outside[0] >= 1
    level, layers, owner = json.loads(
        ordinary_user.run(["unshare", "-U", "-r", str(ordinary_user.python), "-c", PROBE]).stdout
    )
    assert (level, owner) == (0, "self")
    assert layers["userns_owner"].startswith("no: ")


def test_a_level_that_is_not_to_be_had_is_an_error_that_names_the_layer(ordinary_user) -> None:
    said = ordinary_user.run(DEMAND.replace("LEVEL", "3")).stdout.strip()
    assert said.startswith("0 IsolationError E-ISOLATION 9 ")
    assert said.endswith("code_not_writable no: the worker runs under the application's account")
    if not shutil.which("unshare") or ordinary_user.run(["unshare", "-U", "-r", "true"], check=False).returncode:
        pytest.skip("unshare -U -r does not work here for an ordinary user")
    run = ordinary_user.run(["unshare", "-U", "-r", str(ordinary_user.python), "-c", DEMAND.replace("LEVEL", "1")])
    assert run.stdout.strip() == (
        "0 IsolationError E-ISOLATION 9 userns_owner no: the application's account made the namespace of birth"
    )


def test_doctor_tells_an_ordinary_user_the_level(ordinary_user) -> None:
    run = ordinary_user.run([ordinary_user.python, "-m", "player.cli", "doctor", "--json"])
    told = json.loads(run.stdout)
    assert told["level"] >= 1
    assert told["host"]["account"] == "ordinary user"
    assert told["versions"]["av"]


def test_doctor_exits_with_9_where_level_1_is_not_to_be_had(ordinary_user) -> None:
    if not shutil.which("unshare") or ordinary_user.run(["unshare", "-U", "-r", "true"], check=False).returncode:
        pytest.skip("unshare -U -r does not work here for an ordinary user")
    command = ["unshare", "-U", "-r", str(ordinary_user.python), "-m", "player.cli", "doctor"]
    run = ordinary_user.run(command, check=False)
    assert run.returncode == 9
    assert "start the application outside it" in run.stdout
