"""Attacks on the worker by its own application, under an ordinary account: what root does is not withstood."""

import pytest

ATTACKS = {
    "read_maps": "EACCES",
    "read_memory_file": "EACCES",
    "read_environment": "EACCES",
    "list_descriptors": "EACCES",
    "read_registers": "EACCES",
    "attach": "EPERM",
    "seize": "EPERM",
    "read_memory": "EPERM",
    "write_memory": "EPERM",
    "take_descriptor": "EPERM",
}


@pytest.fixture(scope="module")
def on_worker(ordinary):
    return ordinary.application("outside.py", "protected")


@pytest.fixture(scope="module")
def on_control(ordinary):
    return ordinary.application("outside.py", "unprotected")


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_application_cannot_reach_into_its_worker(on_worker, on_control, attack: str) -> None:
    if on_control["outcomes"][attack] == "refused: EPERM":
        pytest.skip("this machine itself refuses that to everybody: there is no control")
    assert on_control["outcomes"][attack] == "done", "the control must succeed, or nothing is proved"
    assert on_worker["outcomes"][attack] == f"refused: {ATTACKS[attack]}"


def test_the_attacks_leave_the_worker_alive(on_worker) -> None:
    assert on_worker["alive"]


def test_the_attacker_is_an_ordinary_user(ordinary) -> None:
    assert ordinary.user.run("import os; print(os.geteuid())").stdout.strip() != "0"
