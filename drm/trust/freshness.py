"""How old trust may look: a state of the session that a license can judge, never a reason of its own to stop.

Pure; the clock is an argument.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

__all__ = ["GRACE", "Freshness", "freshness", "trusted_now"]

GRACE: Final = timedelta(days=14)  # how long expired metadata is called stale, before it is called expired


class Freshness(enum.Enum):
    """Of the revocation list and the metadata that carries it."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


def trusted_now(clock: datetime, refreshed: datetime | None, issued: datetime) -> datetime:
    """Return the time to judge by: a clock that was set back cannot make what had expired good again.

    `refreshed` is when metadata was last taken from a server (None: never), `issued` what its publisher signed.
    """
    return max(clock, issued, refreshed or issued)


def freshness(expiries: Iterable[datetime], now: datetime) -> Freshness:
    """Return the state at `now` of metadata with these expiries; the earliest decides."""
    earliest = min(expiries)
    if now < earliest:
        return Freshness.FRESH
    return Freshness.STALE if now - earliest < GRACE else Freshness.EXPIRED
