"""`clearkey doctor --attack`: has a worker attacked, and shows the table as text, JSON or a page."""

from __future__ import annotations

import os
import pwd
import textwrap
from importlib import resources
from pathlib import Path

import click
import jinja2
import msgspec

from drm.app.service_process import service_of
from drm.errors import ExitCode, InvalidArgumentError
from drm.protection import Level
from drm.whole_file import write_whole
from player.attacks.attack import ROOT, Row
from player.attacks.run import Attacked, Attacker, run_attacks
from player.json_output import encode_json
from player.verbs.doctor.report import machine

__all__ = ["attack"]

_ORIGINS = {
    "inside": "from inside a worker that hostile media has taken over",
    "outside": "from outside, by the worker's application or another process of its account",
}


def attack(
    level: int | None, service: str | None, state: Path, html: Path | None, as_user: str | None, *, as_json: bool
) -> int:
    """Attack and show; return the exit code: 9 if an attack was done. Raises as `run_attacks` does."""
    attacker = _attacker(as_user)
    demanded = level or (Level.SERVICE if service else Level.CONTAINED)
    found = run_attacks(demanded, service_of(service, demanded), state / "device.key", attacker)
    if html is not None:
        write_whole(html, _as_page(found).encode())
    if as_json:
        counts = {verdict: found.count(verdict) for verdict in ("refused", "possible", "unproven", "done")}
        more = {"label": Level(found.level).label, "verdicts": counts, "host": machine()}
        click.echo(encode_json(msgspec.to_builtins(found) | more, indent=2))
    else:
        click.echo(_as_text(found))
    return ExitCode.ISOLATION if found.count("done") or not found.alive else ExitCode.GOOD


def _attacker(name: str | None) -> Attacker:
    if name is None:
        return Attacker.ourselves()
    try:
        account = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise InvalidArgumentError(f"there is no account {name}", remedy="--as-user nobody") from None
    if os.geteuid() != 0 and account.pw_uid != os.geteuid():
        raise InvalidArgumentError(f"only root can attack as {name}", remedy="leave --as-user out")
    return Attacker(account.pw_uid, account.pw_gid)


def _as_text(found: Attacked) -> str:
    lines = [_title(found)]
    for origin, rows in _by_origin(found):
        lines += ["", _ORIGINS[origin]]
        lines.append(f"  {'attack':<28}{'on an unprotected process':<27}{'on the worker':<21}verdict")
        for row in rows:
            note = f" ({row.note})" if row.note else ""
            lines.append(f"  {row.name.replace('_', ' '):<28}{row.control:<27}{row.outcome:<21}{row.verdict}{note}")
    lines += ["", _summary(found)]
    lines += textwrap.wrap(_limits(found), 120)
    return "\n".join(lines)


def _by_origin(found: Attacked) -> list[tuple[str, list[Row]]]:
    both = ((origin, [row for row in found.rows if row.origin == origin]) for origin in _ORIGINS)
    return [(origin, rows) for origin, rows in both if rows]


def _title(found: Attacked) -> str:
    whose = f"of the service at {found.service}" if found.service else "of this account"
    return (
        f"attacks on a worker {whose}, isolation level {found.level} ({Level(found.level).label}), by {found.attacker}"
    )


def _summary(found: Attacked) -> str:
    said = [f"{found.count('refused')} refused"]
    if possible := found.count("possible"):
        said.append(f"{possible} possible, which end or hinder the worker and read nothing (refused at level 3)")
    if unproven := found.count("unproven"):
        said.append(f"{unproven} unproven")
    said.append(f"{found.count('done')} done")
    died = "" if found.alive else "; the worker did not outlive them"
    return "; ".join(said) + died


def _limits(found: Attacked) -> str:
    if any(row.note == ROOT for row in found.rows):
        return (
            "Root is not withstood: what it did from outside says nothing of an ordinary account. Run this as an "
            "ordinary user, or with --as-user NAME."
        )
    return "A refusal counts where the same attack, on a process that is not protected, was done."


def _as_page(found: Attacked) -> str:
    source = resources.files("player.verbs.doctor").joinpath("attack.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(
        title=_title(found),
        tables=[(_ORIGINS[origin], rows) for origin, rows in _by_origin(found)],
        summary=_summary(found),
        limits=_limits(found),
        host=machine(),
    )
