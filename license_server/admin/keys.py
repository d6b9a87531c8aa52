"""Keys: listed, made, imported, revoked, given rules, and, written down and confirmed, exported."""

from __future__ import annotations

from typing import Final

import msgspec

from drm.errors import InvalidArgumentError
from drm.keyfile.formats import parse_keys_file
from drm.keys import KeyId
from drm.license.clearkey import encode_jwk_set
from license_server.admin.messages import (
    ExportOrder,
    GenerateOrder,
    Imported,
    ImportOrder,
    KeyInfo,
    KeyList,
    KeyPage,
    KeyPolicy,
    KeyQuery,
    KeySet,
    PolicyOrder,
)
from license_server.admin.route import AdminRequest, Route
from license_server.problems import ProblemError
from license_server.store.exports import export_keys
from license_server.store.keys import KeyRow, Place
from license_server.store.names import check_content, check_track

__all__ = ["KEY_ROUTES", "key_info"]


def key_info(row: KeyRow) -> KeyInfo:
    """A row as it is answered."""
    return KeyInfo(
        kid=str(row.kid),
        content=row.place.content,
        track=row.place.track,
        period=row.place.period,
        policy=row.policy,
        kek_id=row.kek_id,
        check_value=row.check_value,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _list(request: AdminRequest, query: KeyQuery) -> KeyPage:
    after = None if query.after is None else KeyId.parse(query.after)
    rows = request.store.keys.rows(query.content, after=after, most=query.limit + 1)
    shown = rows[: query.limit]
    return KeyPage([key_info(row) for row in shown], str(shown[-1].kid) if len(rows) > query.limit else None)


def _show(request: AdminRequest, kid: str) -> KeyInfo:
    return key_info(request.store.keys.row(KeyId.parse(kid)))


def _generate(request: AdminRequest, body: GenerateOrder) -> KeyList:
    if body.content is not None:
        check_content(body.content)
    elif body.tracks:
        raise InvalidArgumentError("a track belongs to a content", remedy="name it with `content`")
    if body.tracks and body.count != 1:
        raise InvalidArgumentError("there is one key for each track, so `count` and `tracks` do not go together")
    if len(set(body.tracks)) < len(body.tracks):
        raise InvalidArgumentError("a track is named twice")
    for track in body.tracks:
        check_track(track)
    places = [Place(body.content, track) for track in body.tracks] or [Place(body.content)] * body.count
    kids = request.store.keys.make(places)
    request.record("keys_generated", kids, content=body.content or "")
    return KeyList([key_info(request.store.keys.row(kid)) for kid in kids])


def _import(request: AdminRequest, body: ImportOrder) -> Imported:
    keys = parse_keys_file(msgspec.json.encode({"keys": body.keys}))  # the reader of every keys file
    places = {}
    if body.content is not None:
        check_content(body.content)
        if body.track is not None:
            check_track(body.track)
        places = dict.fromkeys(keys, Place(body.content, body.track, body.period))
    elif body.track is not None or body.period is not None:
        raise InvalidArgumentError("a track or period belongs to a content", remedy="name it with `content`")
    try:
        new = request.store.keys.add(keys, replace=body.replace, places=places)
    except InvalidArgumentError as error:
        raise ProblemError(
            409, "key_differs", f"{error.what}; `replace` overwrites them", kids=map(KeyId.parse, error.kids)
        ) from None
    request.record("keys_imported", keys, content=body.content or "")
    return Imported(new, len(keys) - new)


def _export(request: AdminRequest, body: ExportOrder) -> bytes:
    if bool(body.kids) == bool(body.content):
        raise InvalidArgumentError("either `kids` or a `content` says which keys leave the store")
    kids = [KeyId.parse(kid) for kid in body.kids]
    return encode_jwk_set(export_keys(request.store, kids, body.content, request.who, request.client))


def _revoke(request: AdminRequest, kid: str) -> KeyInfo:
    return _set_revoked(request, kid, restore=False)


def _restore(request: AdminRequest, kid: str) -> KeyInfo:
    return _set_revoked(request, kid, restore=True)


def _set_revoked(request: AdminRequest, kid: str, *, restore: bool) -> KeyInfo:
    key_id = KeyId.parse(kid)
    request.store.keys.revoke(key_id, restore=restore)
    request.record("key_restored" if restore else "key_revoked", [key_id])
    return key_info(request.store.keys.row(key_id))


def _policy(request: AdminRequest, kid: str) -> KeyPolicy:
    key_id = KeyId.parse(kid)
    row = request.store.keys.row(key_id)
    return KeyPolicy(str(key_id), row.policy, request.store.keys.effective_policy(key_id))


def _set_policy(request: AdminRequest, kid: str, body: PolicyOrder) -> KeyPolicy:
    key_id = KeyId.parse(kid)
    request.store.keys.set_policy(key_id, body.policy)
    request.record("key_policy_set", [key_id])
    return _policy(request, kid)


KEY_ROUTES: Final = (
    Route(
        method="GET", path="/keys", name="list_keys", handle=_list, query=KeyQuery, answers=KeyPage,
        summary="List keys, page by page; never the keys themselves.",
    ),
    Route(
        method="POST", path="/keys", name="generate_keys", handle=_generate, body=GenerateOrder, answers=KeyList,
        status=201, summary="Make random keys under random key ids.",
    ),
    Route(
        method="POST", path="/keys/import", name="import_keys", handle=_import, body=ImportOrder, answers=Imported,
        refusals=(409,),
        summary="Store the keys of a JWK Set: all of them or none.",
    ),
    Route(
        method="POST", path="/keys/export", name="export_keys", handle=_export, body=ExportOrder, answers=KeySet,
        confirm="export", refusals=(404,),
        summary="Take keys out of the store, unwrapped. The only answer that holds a key.",
    ),
    Route(
        method="GET", path="/keys/{kid}", name="show_key", handle=_show, answers=KeyInfo,
        summary="Show what is known of a key; never the key itself.",
    ),
    Route(
        method="POST", path="/keys/{kid}/revoke", name="revoke_key", handle=_revoke, answers=KeyInfo,
        summary="Issue a key no more.",
    ),
    Route(
        method="POST", path="/keys/{kid}/restore", name="restore_key", handle=_restore, answers=KeyInfo,
        summary="Issue a revoked key again.",
    ),
    Route(
        method="GET", path="/keys/{kid}/policy", name="show_key_policy", handle=_policy, answers=KeyPolicy,
        summary="Show the rules under which a key is issued.",
    ),
    Route(
        method="PUT", path="/keys/{kid}/policy", name="set_key_policy", handle=_set_policy, body=PolicyOrder,
        answers=KeyPolicy, summary="Set the rules of a key's own.",
    ),
)  # fmt: skip
