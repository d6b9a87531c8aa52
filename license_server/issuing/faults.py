"""Answers that are wrong on purpose, to see what a player makes of them: `/license?fault=NAME,NAME`.

Only a server that was started with --faults knows them. They are applied in the order in which they are named.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from license_server.decisions import Decision
from license_server.problems import PROBLEM_TYPE, ProblemError

__all__ = ["FAULTS", "Faults"]

_MOST_SECONDS: Final = 30.0
_MOST_NAMED: Final = 8
_MOST_FIELDS: Final = 64  # members of a query

_Keys = list[dict[str, Any]]


class Faults:
    """Spoils answers as their requests ask for it."""

    def spoil(self, query: str, decision: Decision) -> Decision:
        """Return the decision with the faults that `query` names."""
        try:
            named = ",".join(parse_qs(query, max_num_fields=_MOST_FIELDS).get("fault", ()))
        except ValueError:  # more members than a page sends: none of them is read
            return decision
        for name in filter(None, named.split(",")[:_MOST_NAMED]):
            decision = _spoilt(name, decision)
        return decision


def _spoilt(name: str, decision: Decision) -> Decision:
    if match := re.fullmatch(r"(delay|slow-body)(?:-(\d{1,2}(?:\.\d{1,3})?))?", name):
        seconds = min(float(match[2] or 1), _MOST_SECONDS)
        if match[1] == "slow-body":
            return msgspec.structs.replace(decision, pause=seconds)
        time.sleep(seconds)
        return decision
    if match := re.fullmatch(r"status-([45]\d\d)", name):
        return _problem(decision, int(match[1]), "server_error", "this status was asked for")
    if name == "html":
        page = b"<!DOCTYPE html><title>Sign in</title><p>This is not a license.\n"
        return msgspec.structs.replace(decision, status=200, media_type="text/html; charset=utf-8", body=page)
    if name == "no-cors":
        return msgspec.structs.replace(decision, cors=False)
    if name == "expired":
        return _problem(decision, 403, "license_expired", "this answer was asked for")
    if name in _OF_KEYS:
        return _with_keys(decision, _OF_KEYS[name])
    return _problem(decision, 400, "request_malformed", f"there is no such fault; there are {', '.join(FAULTS)}")


def _problem(decision: Decision, status: int, code: str, detail: str) -> Decision:
    problem = ProblemError(status, code, detail, kids=decision.kids)
    return msgspec.structs.replace(decision, status=status, media_type=PROBLEM_TYPE, body=problem.body(), code=code)


def _with_keys(decision: Decision, change: Callable[[_Keys], _Keys]) -> Decision:
    """Change the keys of a plain license; what is sealed or refused has none that can be changed."""
    if decision.status != 200 or decision.media_type != "application/json":
        return decision
    whole = msgspec.json.decode(decision.body)
    whole["keys"] = change(whole["keys"])
    return msgspec.structs.replace(decision, body=msgspec.json.encode(whole))


def _turned(text: str) -> str:
    # Another value of the same length; the last character stays, since its lower bits must be zero.
    return "".join("B" if letter == "A" else "A" for letter in text[:-1]) + text[-1]


def _padded(jwk: dict[str, Any]) -> dict[str, Any]:
    return jwk | {name: jwk[name].replace("-", "+").replace("_", "/") + "==" for name in ("kid", "k")}


_OF_KEYS: Final[dict[str, Callable[[_Keys], _Keys]]] = {
    "wrong-kid": lambda keys: [jwk | {"kid": _turned(jwk["kid"])} for jwk in keys],
    "wrong-key": lambda keys: [jwk | {"k": _turned(jwk["k"])} for jwk in keys],
    "missing-key": lambda keys: keys[:-1],
    "empty": lambda _keys: [],
    "padded": lambda keys: [_padded(jwk) for jwk in keys],
    "swapped": lambda keys: [jwk | {"kid": jwk["k"], "k": jwk["kid"]} for jwk in keys],
}

FAULTS: Final = ("delay", "slow-body", "status-NNN", "html", "no-cors", "expired", *_OF_KEYS)
"""Their names. `delay` and `slow-body` take seconds, as in delay-2.5."""
