"""Ids of objects that an application may name: one series for a worker, none used twice."""

from __future__ import annotations

import itertools

__all__ = ["ObjectIds"]


class ObjectIds:
    """Used by the control thread."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def take(self) -> int:
        """A new one."""
        return next(self._next)
