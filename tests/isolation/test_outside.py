"""Attacks on the worker by its own application, under an ordinary account; and that what root does is not withstood."""

import shutil

import pytest

from player.attacks.attack import ROOT
from player.attacks.tables import OUTSIDE

AVAILABILITY = {attack.name for attack in OUTSIDE if attack.is_availability}


@pytest.mark.parametrize("attack", [attack.name for attack in OUTSIDE if not attack.is_availability])
def test_the_application_cannot_reach_into_its_worker(account, table, attack: str) -> None:
    row = table["by_name"][attack]
    if row["control"] == "refused: EPERM":
        pytest.skip("this machine itself refuses that to everybody: there is no control")
    if "gdb" in attack and not shutil.which("gdb"):
        assert row["verdict"] == "unproven"
        pytest.skip("this machine gives no gdb")
    assert row["control"] == "done", "the control must succeed, or nothing is proved"
    if account.user is None:
        assert (row["verdict"], row["note"]) == ("unproven", ROOT)
    else:
        assert (row["outcome"], row["verdict"]) == (row["expected"], "refused")


def test_below_level_3_an_account_may_stop_its_own_worker(table) -> None:
    rows = {name: table["by_name"][name] for name in AVAILABILITY}
    assert set(rows) == {"limit", "set_affinity", "set_priority", "stop", "kill"}
    assert {(row["outcome"], row["verdict"]) for row in rows.values()} == {("done", "possible")}


def test_the_attacks_leave_the_worker_alive(table) -> None:
    assert table["alive"]
    assert table["exit_code"] == 0
    assert table["verdicts"]["done"] == 0


def test_the_attacker_is_who_it_says(account, table) -> None:
    uid = account.run("-c", "import os; print(os.geteuid())").stdout.strip()
    assert (table["attacker"] == "root") == (uid == "0") == (account.user is None)
