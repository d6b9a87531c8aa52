"""How the server stands, from what it counts and writes down: one line of health, then the last hour."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from flask import Blueprint, render_template

from license_server.health import Health
from license_server.metrics import ACTIONS
from license_server.pages.admission import guarded
from license_server.store.audit import RowKind
from license_server.store.schema import HEAD, audit

__all__ = ["Hour", "add_overview", "hour_of", "percentile"]

_MINUTES: Final = 60
_MOST_TIMES: Final = 20_000  # rows that percentiles are taken of


@dataclass(frozen=True, slots=True)
class Hour:
    """Decisions of the last sixty minutes. Minutes are oldest first, and the last one is not over yet."""

    issued: tuple[int, ...]
    refused: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...]  # of refusals, most frequent first
    p50: float | None  # milliseconds
    p99: float | None

    @property
    def highest(self) -> int:
        """Of any minute."""
        return max(map(sum, zip(self.issued, self.refused, strict=True)))


def hour_of(engine: sa.Engine, now: float) -> Hour:
    """Count what the audit log holds of clients' requests in the hour before `now`."""
    minute = sa.cast(audit.c.at / 60, sa.Integer)
    first = int(now // 60) - _MINUTES + 1
    asked = (audit.c.at >= first * 60) & audit.c.action.in_(ACTIONS)  # what operators did is no decision
    counted = (
        sa.select(minute.label("minute"), audit.c.action, audit.c.code, sa.func.count().label("number"))
        .where(asked)
        .group_by(minute, audit.c.action, audit.c.code)
    )
    times = sa.select(audit.c.microseconds).where(asked).order_by(audit.c.id.desc())
    with engine.connect() as connection:
        rows = connection.execute(counted).all()
        taken = sorted(connection.execute(times.limit(_MOST_TIMES)).scalars())
    issued, refused, reasons = [0] * _MINUTES, [0] * _MINUTES, Counter[str]()
    for row in rows:
        place = min(max(int(row.minute) - first, 0), _MINUTES - 1)  # databases round differently
        if RowKind.of(row.action, row.code) is RowKind.ISSUED:
            issued[place] += row.number
        else:
            refused[place] += row.number
            reasons[row.code] += row.number
    return Hour(
        tuple(issued), tuple(refused), tuple(reasons.most_common()), percentile(taken, 50), percentile(taken, 99)
    )


def percentile(times: Sequence[int], percent: int) -> float | None:
    """Of sorted microseconds, in milliseconds: the nearest rank. None of nothing."""
    if not times:
        return None
    return times[max(0, -(-len(times) * percent // 100) - 1)] / 1000


def add_overview(blueprint: Blueprint, state: Health, *, is_recorded: bool) -> None:
    """Add the page, and the part of it that is asked for again."""

    def told() -> dict[str, object]:
        store, metrics = state.store, state.metrics
        totals = Counter[str]()
        for action, result, number in metrics.requests():
            totals[RowKind.of(action, result).value] += number
        return {
            "ready": state.ready(),
            "hour": hour_of(store.engine, time.time()) if is_recorded else None,
            "keys": store.keys.count(),
            "epoch": store.epoch.read(),
            "database": store.engine.dialect.name,
            "revision": HEAD,  # a store of another one is not opened
            "totals": totals,
            "dropped": metrics.dropped,
            "restarts": metrics.restarts,
        }

    @blueprint.get("/overview")
    @guarded
    def overview() -> str:
        return render_template("overview.html", **told())

    @blueprint.get("/overview/now")
    @guarded
    def overview_now() -> str:
        return render_template("overview_now.html", **told())
