"""Decisions and deeds as they come: the audit log, newest last, for pages that ask again every second."""

from __future__ import annotations

from typing import Final

import msgspec
import sqlalchemy as sa
from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from drm.keys import KeyId
from drm.readable import readable
from license_server.pages.admission import guarded
from license_server.store.audit import LAST_ROW, AuditRow, RowKind, audit_rows
from license_server.store.opening import Store
from license_server.store.schema import audit

__all__ = ["add_events", "event_of", "latest_rows"]

_MOST: Final = 200  # in one answer


def latest_rows(engine: sa.Engine, most: int) -> list[AuditRow]:
    """The newest rows, oldest first."""
    with engine.connect() as connection:
        newest = connection.execute(sa.select(sa.func.max(audit.c.id))).scalar_one()
    return audit_rows(engine, after=max(0, (newest or 0) - most), most=most)


def event_of(row: AuditRow) -> dict[str, object]:
    """What pages show of a row: names are anybody's words, and scripts put them into a page as they are."""
    return {
        "id": row.id,
        "at": row.at,
        "kind": RowKind.of(row.action, row.code).value,
        "action": row.action,
        "client": readable(row.client),
        "status": row.status,
        "code": row.code,
        "kids": [str(KeyId.parse(kid)) for kid in row.kids.split()],
        "subject": readable(row.subject),
        "device": row.device_id,
        "ms": round(row.microseconds / 1000, 2),
    }


def add_events(blueprint: Blueprint, store: Store, *, is_recorded: bool) -> None:
    """Add the live list and what feeds it."""

    @blueprint.get("/licenses")
    @guarded
    def licenses() -> str:
        return render_template("licenses.html", is_recorded=is_recorded)

    @blueprint.get("/api/events")
    @guarded
    def events() -> AnyResponse:
        """Rows after the one whose id is `after`; the newest ones without it."""
        after = request.args.get("after", type=int)
        if after is not None and not 0 <= after <= LAST_ROW:
            raise BadRequest(f"`after` is a row of the audit log: 0 to {LAST_ROW}")
        rows = latest_rows(store.engine, _MOST) if after is None else audit_rows(store.engine, after=after, most=_MOST)
        body = msgspec.json.encode({"events": [event_of(row) for row in rows]})
        return Response(body, content_type="application/json")
