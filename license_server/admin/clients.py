"""Tokens and devices: whose requests are taken."""

from __future__ import annotations

import time
from typing import Final

from drm.keys import KeyId
from license_server.admin.messages import (
    DeviceInfo,
    DeviceList,
    DeviceOrder,
    Minted,
    MintOrder,
    TokenList,
    TokenOrder,
)
from license_server.admin.route import AdminRequest, Route
from license_server.issuing.token_minting import TokenClaims
from license_server.problems import ProblemError

__all__ = ["CLIENT_ROUTES"]


# ------------------------------------------------------------------------------------------------ tokens
def _revoked(request: AdminRequest) -> TokenList:
    return TokenList(sorted(request.store.tokens.revoked()))


def _revoke_token(request: AdminRequest, body: TokenOrder) -> TokenList:
    request.store.tokens.revoke(body.token_id)
    request.record("token_revoked", token_id=body.token_id)
    return _revoked(request)


def _restore_token(request: AdminRequest, body: TokenOrder) -> TokenList:
    request.store.tokens.revoke(body.token_id, restore=True)
    request.record("token_restored", token_id=body.token_id)
    return _revoked(request)


def _mint(request: AdminRequest, body: MintOrder) -> Minted:
    key = request.rules.admin.signing_key if request.rules.admin is not None else None
    if key is None:
        raise ProblemError(
            409, "not_set_up", "this server has no key to sign tokens with: clearkey serve --admin-signing-key FILE"
        )
    now = int(time.time())
    kids = tuple(KeyId.parse(kid) for kid in body.kids)
    claims = TokenClaims(
        kids=kids,
        contents=tuple(body.contents),
        life=body.life,
        audience=body.audience or request.rules.audience,
        subject=body.subject,
        token_id=body.token_id,
        reusable=body.reusable,
        policy=body.policy,
    )
    token = key.mint(claims, now)
    request.record("token_minted", kids, token_id=body.token_id or "")
    return Minted(token, now + body.life)


# ------------------------------------------------------------------------------------------------ devices
def _devices(request: AdminRequest) -> DeviceList:
    return DeviceList(
        [
            DeviceInfo(
                row.device_id, row.registered_at, row.enrolled_at, row.last_seen, row.claimed_level, row.revoked_at
            )
            for row in request.store.devices.rows()
        ]
    )


def _enroll(request: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(request, request.store.devices.enrol(body.device), "device_enrolled")


def _revoke_device(request: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(request, request.store.devices.revoke(body.device), "device_revoked")


def _restore_device(request: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(request, request.store.devices.revoke(body.device, restore=True), "device_restored")


def _done(request: AdminRequest, device_id: str, code: str) -> DeviceInfo:
    request.record(code, device_id=device_id)
    return next(info for info in _devices(request).devices if info.device_id == device_id)


CLIENT_ROUTES: Final = (
    Route(
        method="GET", path="/tokens", name="list_revoked_tokens", handle=_revoked, answers=TokenList,
        summary="List the ids of revoked tokens.",
    ),
    Route(
        method="POST", path="/tokens/revoke", name="revoke_token", handle=_revoke_token, body=TokenOrder,
        answers=TokenList, summary="Take a token no more, by its id.",
    ),
    Route(
        method="POST", path="/tokens/restore", name="restore_token", handle=_restore_token, body=TokenOrder,
        answers=TokenList, summary="Take a revoked token again.",
    ),
    Route(
        method="POST", path="/tokens/mint", name="mint_token", handle=_mint, body=MintOrder, answers=Minted,
        status=201, refusals=(409,), summary="Sign a token for tests.",
    ),
    Route(
        method="GET", path="/devices", name="list_devices", handle=_devices, answers=DeviceList,
        summary="List the devices that registered.",
    ),
    Route(
        method="POST", path="/devices/enroll", name="enroll_device", handle=_enroll, body=DeviceOrder,
        answers=DeviceInfo, summary="Vouch for a device.",
    ),
    Route(
        method="POST", path="/devices/revoke", name="revoke_device", handle=_revoke_device, body=DeviceOrder,
        answers=DeviceInfo, summary="Give a device no license any more.",
    ),
    Route(
        method="POST", path="/devices/restore", name="restore_device", handle=_restore_device, body=DeviceOrder,
        answers=DeviceInfo, summary="Give a revoked device licenses again.",
    ),
)  # fmt: skip
