"""The program that attacks: an application of its own, so that whatever hangs in it can be ended.

    python -m player.attacks.application REQUEST

REQUEST is a JSON object, and so is what it prints (see `Request` and `Answer`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import msgspec

from drm.errors import DRMError, ErrorRecord
from player.attacks.inside import attack_from_inside
from player.attacks.outside import attack_from_outside, attack_service, attack_unprotected

__all__ = ["Answer", "Request", "main"]


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What to attack, and how."""

    origin: Literal["inside", "outside"]
    protected: bool  # False: the control
    names: tuple[str, ...]
    folder: str  # an empty one of this account
    level: int = 1  # below it a protected worker is not attacked but refused
    service: str | None = None  # socket of the service whose worker is attacked, from outside
    device_key: str = ""  # path of the service's


class Answer(msgspec.Struct):
    """What became of it."""

    outcomes: dict[str, str] = {}
    level: int = 0  # of the worker, by its own report
    layers: dict[str, str] = {}
    alive: bool = True  # after attacks from outside, but for `kill`
    error: ErrorRecord | None = None  # why nothing was attacked


def main() -> None:
    """Attack once."""
    request = msgspec.json.decode(sys.argv[1], type=Request)
    try:
        answer = _attack(request)
    except DRMError as error:
        answer = Answer(error=error.to_record())
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def _attack(request: Request) -> Answer:
    names, folder = request.names, Path(request.folder)
    if request.origin == "inside":
        outcomes, inside = attack_from_inside(names, folder, locked=request.protected)
        return Answer(outcomes) if inside is None else Answer(outcomes, inside.level, inside.layers)
    if not request.protected:
        outcomes, alive = attack_unprotected(names, folder)
        return Answer(outcomes, alive=alive)
    if request.service is None:
        outcomes, alive, report = attack_from_outside(names, folder, request.level)
    else:
        outcomes, alive, report = attack_service(
            names, folder, request.level, request.service, Path(request.device_key)
        )
    return Answer(outcomes, report.level, report.layers, alive)


if __name__ == "__main__":
    main()
