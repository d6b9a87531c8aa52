"""Who gets which keys: the one function behind every way by which a license is asked for.

It knows nothing of HTTP but a status, and nothing of databases but what `KeySource` and `DeviceSource` say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.license import sealed
from drm.license.clearkey import LicenseRequest, encode_jwk_set, parse_license_request
from drm.rights.policy import Policy
from license_server.decisions import (
    Decision,
    DeviceRules,
    DeviceSource,
    HeldKey,
    KeyRequest,
    KeySource,
    RequestFacts,
    refusal,
)
from license_server.issuing.entitlements import OPEN, Entitlements, Grant
from license_server.issuing.rate_limits import RateLimit
from license_server.issuing.registration import check_fresh, check_known
from license_server.policies import combine, permit_plain, permit_sealed
from license_server.problems import ProblemError

__all__ = ["IssuingContext", "issue", "issue_raw", "raw_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingContext:
    """What a decision is taken with."""

    keys: KeySource
    devices: DeviceSource
    rules: DeviceRules = field(default_factory=DeviceRules)
    entitlements: Entitlements | None = None  # None: nobody needs a token
    limit: RateLimit | None = None


def issue(ask: KeyRequest, office: IssuingContext, now: float) -> Decision:
    """Decide over one license request: EME Clear Key's JSON, with or without our member `pmp`.

    https://www.w3.org/TR/encrypted-media-2/#clear-key-request-format
    `now` is in seconds since the epoch. Never raises for what a client sent: a refusal is a decision too.
    """
    asked = RequestFacts()
    try:
        grant = _admit(ask, asked, office, now)
        request = _parse(ask.body, asked)
        if request.pmp is None:
            return _issue_plain(ask, asked, grant, office, now)
        return _issue_sealed(request.pmp, ask, asked, grant, office, now)
    except ProblemError as problem:
        return refusal(problem, asked)


def issue_raw(kid: str, ask: KeyRequest, office: IssuingContext, now: float) -> Decision:
    """Decide over one key as an HLS player fetches it: its 16 bytes, or a refusal.

    RFC 8216 4.3.2.4 (KEYFORMAT "identity"). It is a plain license: rules that need a worker refuse it.
    """
    asked = RequestFacts()
    try:
        grant = _admit(ask, asked, office, now)
        try:
            asked.kids = (KeyId.parse(kid),)
        except InvalidArgumentError:
            raise ProblemError(400, "request_malformed", "the path names no key id of 16 bytes") from None
        held = _permitted(ask, asked, grant, office, now)
        return _issued(asked, "application/octet-stream", raw_key(held[asked.kids[0]].key), "issued")
    except ProblemError as problem:
        return refusal(problem, asked)


def raw_key(key: ContentKey) -> bytes:
    """Return the 16 bytes of a key whose release was permitted and is written down by the caller."""
    return key.secret


def _admit(ask: KeyRequest, asked: RequestFacts, office: IssuingContext, now: float) -> Grant:
    if office.entitlements is None:
        return OPEN
    grant = office.entitlements.admit(ask, now)
    asked.subject, asked.token_id = grant.subject, grant.token_id
    return grant


def _parse(body: bytes, asked: RequestFacts) -> LicenseRequest:
    try:
        body.decode()  # RFC 8259 8.1, also in the members that nobody reads
    except UnicodeDecodeError:
        raise ProblemError(400, "request_malformed", "the request is not UTF-8") from None
    try:
        request = parse_license_request(body)
        asked.kids = request.key_ids
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", ". ".join(filter(None, (error.what, error.remedy)))) from None
    if request.type != "temporary":
        # EME compares the type with the session's: another type must not be answered as if it were this one.
        raise ProblemError(400, "type_not_offered", "Clear Key knows licenses of type temporary here, and no others")
    return request


def _issue_plain(ask: KeyRequest, asked: RequestFacts, grant: Grant, office: IssuingContext, now: float) -> Decision:
    held = _permitted(ask, asked, grant, office, now)
    body = encode_jwk_set({kid: held[kid].key for kid in asked.kids})
    return _issued(asked, "application/json", body, "issued")


def _permitted(
    ask: KeyRequest, asked: RequestFacts, grant: Grant, office: IssuingContext, now: float
) -> Mapping[KeyId, HeldKey]:
    held = _held(ask, asked, grant, office)
    permit_plain(_policies(held, grant), now)
    if office.entitlements is not None:
        office.entitlements.spend(grant)  # last, so that a refused request does not use up the token
    return held


def _issue_sealed(
    token: str, ask: KeyRequest, asked: RequestFacts, grant: Grant, office: IssuingContext, now: float
) -> Decision:
    rules, devices = office.rules, office.devices
    try:
        request = sealed.verify_request(token)
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", f"`pmp`: {error.what}") from None
    asked.device_id = request.device_id
    if set(request.kids) != set(asked.kids):
        raise ProblemError(400, "request_malformed", "`pmp` is signed over other key ids than `kids`")
    check_fresh(request, rules, now)
    enrolled = check_known(request, devices, rules)
    asked.level = f"{request.level} {'enrolled' if enrolled else 'self-asserted'}"
    held = _held(ask, asked, grant, office)
    policies = _policies(held, grant)
    permit_sealed(policies, now, level=request.level, enrolled=enrolled)
    # Last, so that a refused request costs no place among the remembered nonces.
    if not devices.spend(request, now, 2 * rules.freshness):
        raise ProblemError(403, "request_replayed", "a request with this nonce was answered before; make a new one")
    if office.entitlements is not None:
        office.entitlements.spend(grant)
    body = sealed.seal(request, {kid: held[kid].key for kid in asked.kids}, combine(policies.values()))
    return _issued(asked, sealed.MEDIA_TYPE, body, "sealed")


def _held(ask: KeyRequest, asked: RequestFacts, grant: Grant, office: IssuingContext) -> Mapping[KeyId, HeldKey]:
    """The keys of `asked.kids`, each of them held, covered by the grant and not revoked. Raises ProblemError."""
    kids = asked.kids
    held = office.keys.get_many(kids)
    if office.limit is not None:
        first = held.get(kids[0])
        office.limit.count(grant.limit_key or ask.client, first.content if first else "")
    is_usual = [kid in held and not held[kid].revoked and grant.covers(kid, held[kid].content) for kid in kids]
    if all(is_usual):
        return held
    barred = [kid for kid in kids if not grant.covers(kid, held[kid].content if kid in held else "")]
    if barred:
        raise ProblemError(403, "token_kids", "the token does not cover these key ids", kids=barred)
    unknown = [kid for kid in kids if kid not in held]
    if unknown:
        raise ProblemError(
            404, "key_unknown", f"no key is held for {len(unknown)} of the {len(kids)} key ids asked for", kids=unknown
        )
    for what in ("key", "content"):
        revoked = [kid for kid in kids if held[kid].revoked == what]
        if revoked:
            raise ProblemError(403, f"{what}_revoked", f"the {what} was revoked by the operator", kids=revoked)
    raise AssertionError("a key is refused, and nothing says why")


def _policies(held: Mapping[KeyId, HeldKey], grant: Grant) -> Mapping[KeyId, Policy]:
    if grant.policy is None:
        return {kid: found.policy for kid, found in held.items()}
    return {kid: combine((found.policy, grant.policy)) for kid, found in held.items()}


def _issued(asked: RequestFacts, media_type: str, body: bytes, code: str) -> Decision:
    return Decision(
        200, media_type, body, code, asked.kids, asked.device_id, asked.level, asked.subject, asked.token_id
    )
