"""Runs the tables: the worker's attacks and their controls, each set in an application of its own, and judges.

What attacks is a separate program (application.py), under this account or, when root asks for it, under another.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from drm.errors import InvalidArgumentError, IsolationError, PMPProcessDiedError, error_from_record
from drm.protection import ProtectionReport, require
from player.attacks.application import Answer, Request
from player.attacks.attack import Attack, Row, judge
from player.attacks.kernel import IS_X86
from player.attacks.tables import INSIDE, OUTSIDE, SERVICE

__all__ = ["Attacked", "Attacker", "run_attacks"]

_LIMIT: Final = 600.0  # seconds for one set of attacks; each attack has less


@dataclass(frozen=True, slots=True)
class Attacker:
    """The account that attacks."""

    uid: int  # of this process, unless root starts the attacks under another
    gid: int

    @classmethod
    def ourselves(cls) -> Attacker:
        """The account that runs this."""
        return cls(os.geteuid(), os.getegid())


class Attacked(msgspec.Struct, frozen=True, kw_only=True):
    """The table, and what was attacked."""

    level: int  # of the worker, as it probed itself
    attacker: str  # "root" or "ordinary user"
    service: str | None  # socket of the service that ran the worker
    alive: bool  # the worker outlived the attacks from outside, but for its end by SIGKILL
    rows: list[Row]

    def count(self, verdict: str) -> int:
        """How many rows have this verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def run_attacks(level: int, service: str | None, device_key: Path, attacker: Attacker) -> Attacked:
    """Attack a worker of one's own from inside and outside, or one of the service at `service` from outside.

    Args:
        level: what the worker must reach; one that does not is not attacked.
        service: socket of the PMP service; None: a worker of one's own.
        device_key: the service's; not looked at otherwise.
        attacker: who attacks.

    Raises:
        IsolationError: the level is not reached, or no attack was refused with a control that succeeded.
        PMPProcessDiedError: a worker ended before it could be attacked, or the attacks did not end.
        InvalidArgumentError: the attacker cannot run this clearkey.
    """
    rows: list[Row] = []
    outside = (*OUTSIDE, *SERVICE) if service else OUTSIDE
    answers = []
    for origin, attacks in (("inside", () if service else _on_this_machine(INSIDE)), ("outside", outside)):
        if attacks:
            answer, more = _judged(origin, attacks, level, service, device_key, attacker)  # type: ignore[arg-type]
            answers.append(answer)
            rows += more
    if not any(row.verdict in ("refused", "done") for row in rows):
        raise IsolationError(
            "no attack on the worker proves anything here: none of the controls succeeded",
            seen="; ".join(sorted({row.note for row in rows if row.note})),
            remedy="clearkey doctor --attack --json shows each of them",
        )
    return Attacked(
        level=answers[-1].level,
        attacker="root" if attacker.uid == 0 else "ordinary user",
        service=service,
        alive=answers[-1].alive,
        rows=rows,
    )


def _on_this_machine(attacks: tuple[Attack, ...]) -> tuple[Attack, ...]:
    return tuple(attack for attack in attacks if IS_X86 or not attack.x86_only)


def _judged(
    origin: Literal["inside", "outside"], attacks: tuple[Attack, ...], level: int, service: str | None,
    device_key: Path, attacker: Attacker,
) -> tuple[Answer, list[Row]]:  # fmt: skip
    names = tuple(attack.name for attack in attacks)

    def ask(*, protected: bool) -> Answer:
        folder = Path(tempfile.mkdtemp(prefix="clearkey-attack-"))
        try:
            os.chown(folder, attacker.uid, attacker.gid)
            request = Request(origin, protected, names, str(folder), level, service, str(device_key))
            return _asked(request, folder, attacker)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    control = ask(protected=False)
    answer = ask(protected=True)
    require(ProtectionReport(answer.level, answer.layers), level)
    rows = judge(attacks, origin, answer.outcomes, control.outcomes, level=answer.level, as_root=attacker.uid == 0)
    return answer, rows


def _asked(request: Request, folder: Path, attacker: Attacker) -> Answer:
    """Run the program that attacks. Nothing of it is left when this returns: its workers die with it."""
    command = [sys.executable, "-P", "-m", "player.attacks.application", msgspec.json.encode(request).decode()]
    environment = {
        "HOME": str(folder), "CLEARKEY_HOME": str(folder), "PATH": os.defpath, "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry),
    }  # fmt: skip
    other = attacker != Attacker.ourselves()
    account: dict[str, object] = {"user": attacker.uid, "group": attacker.gid, "extra_groups": []} if other else {}
    with (folder / "application.log").open("w+b") as log:
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - our own program
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=environment,
                start_new_session=True, **account,
            )  # fmt: skip
        except OSError as error:
            raise _cannot_run(attacker, str(error)) from None
        try:
            said, _ = process.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            raise PMPProcessDiedError(f"the attacks did not end within {_LIMIT:.0f} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        log.seek(0)
        last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    if process.returncode and other and not said:
        raise _cannot_run(attacker, "".join(last))
    try:
        answer = msgspec.json.decode(said, type=Answer)
    except msgspec.DecodeError:
        raise PMPProcessDiedError(
            "the program that attacks ended by itself", seen=f"status {process.returncode}: {''.join(last)}"
        ) from None
    if answer.error is not None:
        raise error_from_record(answer.error)
    return answer


def _cannot_run(attacker: Attacker, seen: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"user id {attacker.uid} cannot run this clearkey",
        seen=seen,
        maybe="Python or its libraries lie in a folder that this account cannot read",
        remedy="install clearkey where everybody can read it, or run this as that user",
    )
