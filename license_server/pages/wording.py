"""How values are shown: times, key ids, rules. Text out."""

from __future__ import annotations

import shlex
import time
from typing import Final

import msgspec
from markupsafe import Markup

from drm.readable import readable
from drm.rights.policy import Policy

__all__ = ["FILTERS", "ago", "moment", "named", "rules_of"]

_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def moment(at: float | None) -> str:
    """A point in time, UTC."""
    if at is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    except (ValueError, OverflowError, OSError):  # a claim of a token is any number
        return f"{at:.3g} s, which no calendar has,"


def ago(at: float | None) -> str:
    """How long ago that was, in one unit."""
    if at is None:
        return ""
    passed = max(0.0, time.time() - at)
    for seconds, unit in _STEPS:
        if passed >= seconds:
            return f"{int(passed // seconds)} {unit} ago"
    return "just now"


def rules_of(policy: Policy | None) -> str:
    """A policy in a line: what differs from the default."""
    if policy is None:
        return "default"
    rules = msgspec.to_builtins(policy)
    parts = []
    for name, value in rules.items():
        shown = ", ".join(value) if isinstance(value, list | tuple) else value
        if name == "tracks":
            shown = ", ".join(f"{kid}: {' and '.join(kinds) or 'none'}" for kid, kinds in value.items())
        if name in ("expires", "not_before"):
            shown = f"{moment(value)} UTC"
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return "; ".join(parts) or "play"


def named(text: str | None) -> Markup:
    """A name that somebody else gave, so that it turns round nothing beside it, whichever way it is written.

    Controls are told by their numbers; what is written from right to left stays within the element (HTML 4.5.25).
    """
    return Markup("<bdi>{}</bdi>").format(readable(text)) if text else Markup("–")  # noqa: RUF001


FILTERS: Final = {"moment": moment, "ago": ago, "named": named, "quoted": shlex.quote, "rules": rules_of}
