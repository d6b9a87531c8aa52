"""What happened, and how the server is."""

from __future__ import annotations

from typing import Final

from drm.keys import KeyId
from license_server.admin.messages import AuditEvent, AuditPage, AuditQuery, Status
from license_server.admin.route import AdminRequest, Route
from license_server.store.audit import audit_rows
from license_server.store.key_rows import CACHE_SECONDS

__all__ = ["OPERATION_ROUTES"]


def _events(request: AdminRequest, query: AuditQuery) -> AuditPage:
    rows = audit_rows(request.store.engine, after=query.after, most=query.limit)
    events = [
        AuditEvent(
            id=row.id,
            at=row.at,
            action=row.action,
            client=row.client,
            status=row.status,
            code=row.code,
            kids=[str(KeyId.parse(kid)) for kid in row.kids.split()],
            subject=row.subject,
            token_id=row.token_id,
            device_id=row.device_id,
            microseconds=row.microseconds,
        )
        for row in rows
    ]
    return AuditPage(events, rows[-1].id if rows else query.after)


def _status(request: AdminRequest) -> Status:
    rules, store = request.rules, request.store
    return Status(
        status=request.state.ready(),
        keys=store.keys.count(),
        epoch=store.epoch.read(),
        kek_ids=store.keys.kek_ids(),
        tokens_required=rules.tokens is not None,
        enrolled_devices_only=rules.devices.enrolled_only,
        audit=rules.audit.value,
        mints_tokens=rules.admin is not None and rules.admin.signing_key is not None,
        revocation_seconds=CACHE_SECONDS,
    )


OPERATION_ROUTES: Final = (
    Route(
        method="GET", path="/audit", name="list_audit_events", handle=_events, query=AuditQuery, answers=AuditPage,
        summary="List what was issued, refused and done, page by page.",
    ),
    Route(
        method="GET", path="/status", name="show_status", handle=_status, answers=Status,
        summary="Say how the server is.",
    ),
)  # fmt: skip
