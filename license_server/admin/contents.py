"""Contents: revoked, given rules, and brought into their next crypto period."""

from __future__ import annotations

from typing import Final

from license_server.admin.keys import key_info
from license_server.admin.messages import ContentInfo, ContentList, ContentOrder, ContentPolicy, KeyList, RotateOrder
from license_server.admin.route import AdminRequest, Route
from license_server.store.names import canonical_name, check_track

__all__ = ["CONTENT_ROUTES"]


def _list(request: AdminRequest) -> ContentList:
    return ContentList(
        [ContentInfo(row.content, row.policy, row.created_at, row.revoked_at) for row in request.store.contents.rows()]
    )


def _revoke(request: AdminRequest, body: ContentOrder) -> ContentInfo:
    request.store.contents.revoke(body.content)
    request.record("content_revoked", content=body.content)
    return _info(request, body.content)


def _restore(request: AdminRequest, body: ContentOrder) -> ContentInfo:
    request.store.contents.revoke(body.content, restore=True)
    request.record("content_restored", content=body.content)
    return _info(request, body.content)


def _set_policy(request: AdminRequest, body: ContentPolicy) -> ContentInfo:
    request.store.contents.set_policy(body.content, body.policy)
    request.record("content_policy_set", content=body.content)
    return _info(request, body.content)


def _rotate(request: AdminRequest, body: RotateOrder) -> KeyList:
    for track in body.tracks:
        check_track(track)
    rows = request.store.contents.next_period(body.content, body.tracks)
    request.record("content_rotated", [row.kid for row in rows], content=body.content)
    return KeyList([key_info(row) for row in rows])


def _info(request: AdminRequest, content: str) -> ContentInfo:
    return next(info for info in _list(request).contents if info.content == canonical_name(content))


CONTENT_ROUTES: Final = (
    Route(
        method="GET", path="/contents", name="list_contents", handle=_list, answers=ContentList,
        summary="List the contents that have rules of their own or were revoked.",
    ),
    Route(
        method="POST", path="/contents/revoke", name="revoke_content", handle=_revoke, body=ContentOrder,
        answers=ContentInfo, summary="Issue no key of a content any more.",
    ),
    Route(
        method="POST", path="/contents/restore", name="restore_content", handle=_restore, body=ContentOrder,
        answers=ContentInfo, summary="Issue the keys of a content again.",
    ),
    Route(
        method="PUT", path="/contents/policy", name="set_content_policy", handle=_set_policy, body=ContentPolicy,
        answers=ContentInfo, summary="Set rules for all keys of a content.",
    ),
    Route(
        method="POST", path="/contents/rotate", name="rotate_content", handle=_rotate, body=RotateOrder,
        answers=KeyList, status=201, refusals=(404,), summary="Make the keys of a content's next crypto period.",
    ),
)  # fmt: skip
