"""What an attack is, and how its outcome is judged beside that of its control. Application only, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

__all__ = ["DONE", "NO_CORE", "ROOT", "SIGSYS", "Attack", "Row", "Verdict", "judge"]

DONE: Final = "done"
SIGSYS: Final = "killed by SIGSYS"
NO_CORE: Final = "no core file"
POSSIBLE: Final = "possible: no confidentiality"
ROOT: Final = "root is not withstood"

Verdict = Literal["refused", "unproven", "possible", "done"]
"""`done` is a finding. `possible`: below level 3 an account may stop its own processes; nothing is read by that."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: what it would give, and how a worker's lock-down answers it."""

    name: str  # of the method that makes it
    gives: str  # what an attacker would have, in a sentence
    expected: str  # "refused: " and an errno's name, SIGSYS, or NO_CORE
    is_availability: bool = False  # it ends or hinders the worker, and reads nothing
    x86_only: bool = False  # no other machine has such a system call


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    origin: Literal["inside", "outside"] = msgspec.field(name="from")
    gives: str
    expected: str
    control: str  # what became of it on a process that is not protected
    outcome: str  # what became of it on the worker
    verdict: Verdict
    note: str = ""  # why it is unproven


def judge(
    attacks: Iterable[Attack],
    origin: Literal["inside", "outside"],
    outcomes: Mapping[str, str],
    controls: Mapping[str, str],
    *,
    level: int,
    as_root: bool,
) -> list[Row]:
    """Return one row for each attack. `level` is the worker's, `as_root` says who attacked.

    "refused" takes both: a control that was done, and exactly the refusal that is expected. That an attack was done on
    the worker counts whatever the control did.
    """
    rows = []
    for attack in attacks:
        outcome, control = (found.get(attack.name, "not tried") for found in (outcomes, controls))
        verdict, note = _verdict(attack, outcome, control, level, as_root=as_root and origin == "outside")
        rows.append(
            Row(
                name=attack.name,
                origin=origin,
                gives=attack.gives,
                expected=POSSIBLE if attack.is_availability and level < 3 else attack.expected,
                control=control,
                outcome=outcome,
                verdict=verdict,
                note=note,
            )
        )
    return rows


def _verdict(attack: Attack, outcome: str, control: str, level: int, *, as_root: bool) -> tuple[Verdict, str]:
    if outcome == DONE:
        if attack.is_availability and level < 3:
            return "possible", ""
        return ("unproven", ROOT) if as_root else ("done", "")
    if control != DONE:
        return "unproven", f"the control did not succeed: {control}"
    if outcome == attack.expected:
        return "refused", ""
    return "unproven", f"not what was expected: {outcome}"
