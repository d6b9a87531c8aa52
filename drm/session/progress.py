"""How far the sessions of this process have come: a number that rises with each sample that is worked on.

Whoever watches a process sees by it whether the time that it computes leads anywhere. It counts nothing exactly.
"""

from __future__ import annotations

__all__ = ["note", "steps"]

steps = 0
"""Samples so far, of all sessions."""


def note() -> None:
    """One more sample. Any thread; two at once may count as one."""
    global steps  # noqa: PLW0603 - a fact of the process
    steps += 1
