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
def _revoked(desk: AdminRequest) -> TokenList:
    return TokenList(sorted(desk.store.tokens.revoked()))


def _revoke_token(desk: AdminRequest, body: TokenOrder) -> TokenList:
    desk.store.tokens.revoke(body.token_id)
    desk.record("token_revoked", token_id=body.token_id)
    return _revoked(desk)


def _restore_token(desk: AdminRequest, body: TokenOrder) -> TokenList:
    desk.store.tokens.revoke(body.token_id, restore=True)
    desk.record("token_restored", token_id=body.token_id)
    return _revoked(desk)


def _mint(desk: AdminRequest, body: MintOrder) -> Minted:
    key = desk.rules.admin.signing_key if desk.rules.admin is not None else None
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
        audience=body.audience or desk.rules.audience,
        subject=body.subject,
        token_id=body.token_id,
        reusable=body.reusable,
        policy=body.policy,
    )
    token = key.mint(claims, now)
    desk.record("token_minted", kids, token_id=body.token_id or "")
    return Minted(token, now + body.life)


# ------------------------------------------------------------------------------------------------ devices
def _devices(desk: AdminRequest) -> DeviceList:
    return DeviceList(
        [
            DeviceInfo(
                row.device_id, row.registered_at, row.enrolled_at, row.last_seen, row.claimed_level, row.revoked_at
            )
            for row in desk.store.devices.rows()
        ]
    )


def _enroll(desk: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(desk, desk.store.devices.enrol(body.device), "device_enrolled")


def _revoke_device(desk: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(desk, desk.store.devices.revoke(body.device), "device_revoked")


def _restore_device(desk: AdminRequest, body: DeviceOrder) -> DeviceInfo:
    return _done(desk, desk.store.devices.revoke(body.device, restore=True), "device_restored")


def _done(desk: AdminRequest, device_id: str, code: str) -> DeviceInfo:
    desk.record(code, device_id=device_id)
    return next(info for info in _devices(desk).devices if info.device_id == device_id)


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
        status=201, summary="Sign a token for tests.",
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
