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


def issue(ask: KeyRequest, context: IssuingContext, now: float) -> Decision:
    """Decide over one license request: EME Clear Key's JSON, with or without our member `pmp`.

    https://www.w3.org/TR/encrypted-media-2/#clear-key-request-format
    `now` is in seconds since the epoch. Never raises for what a client sent: a refusal is a decision too.
    """
    facts = RequestFacts()
    try:
        grant = _admit(ask, facts, context, now)
        request = _parse(ask.body, facts)
        if request.pmp is None:
            return _issue_plain(ask, facts, grant, context, now)
        return _issue_sealed(request.pmp, ask, facts, grant, context, now)
    except ProblemError as problem:
        return refusal(problem, facts)


def issue_raw(kid: str, ask: KeyRequest, context: IssuingContext, now: float) -> Decision:
    """Decide over one key as an HLS player fetches it: its 16 bytes, or a refusal.

    RFC 8216 4.3.2.4 (KEYFORMAT "identity"). It is a plain license: rules that need a worker refuse it.
    """
    facts = RequestFacts()
    try:
        grant = _admit(ask, facts, context, now)
        try:
            facts.kids = (KeyId.parse(kid),)
        except InvalidArgumentError:
            raise ProblemError(400, "request_malformed", "the path names no key id of 16 bytes") from None
        held = _permitted(ask, facts, grant, context, now)
        return _issued(facts, "application/octet-stream", raw_key(held[facts.kids[0]].key), "issued")
    except ProblemError as problem:
        return refusal(problem, facts)


def raw_key(key: ContentKey) -> bytes:
    """Return the 16 bytes of a key whose release was permitted and is written down by the caller."""
    return key.secret


def _admit(ask: KeyRequest, facts: RequestFacts, context: IssuingContext, now: float) -> Grant:
    if context.entitlements is None:
        return OPEN
    grant = context.entitlements.admit(ask, now)
    facts.subject, facts.token_id = grant.subject, grant.token_id
    return grant


def _parse(body: bytes, facts: RequestFacts) -> LicenseRequest:
    try:
        body.decode()  # RFC 8259 8.1, also in the members that nobody reads
    except UnicodeDecodeError:
        raise ProblemError(400, "request_malformed", "the request is not UTF-8") from None
    try:
        request = parse_license_request(body)
        facts.kids = request.key_ids
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", ". ".join(filter(None, (error.what, error.remedy)))) from None
    if request.type != "temporary":
        # EME compares the type with the session's: another type must not be answered as if it were this one.
        raise ProblemError(400, "type_not_offered", "Clear Key knows licenses of type temporary here, and no others")
    return request


def _issue_plain(ask: KeyRequest, facts: RequestFacts, grant: Grant, context: IssuingContext, now: float) -> Decision:
    held = _permitted(ask, facts, grant, context, now)
    body = encode_jwk_set({kid: held[kid].key for kid in facts.kids})
    return _issued(facts, "application/json", body, "issued")


def _permitted(
    ask: KeyRequest, facts: RequestFacts, grant: Grant, context: IssuingContext, now: float
) -> Mapping[KeyId, HeldKey]:
    held = _held(ask, facts, grant, context)
    permit_plain(_policies(held, grant), now)
    if context.entitlements is not None:
        context.entitlements.spend(grant)  # last, so that a refused request does not use up the token
    return held


def _issue_sealed(
    token: str, ask: KeyRequest, facts: RequestFacts, grant: Grant, context: IssuingContext, now: float
) -> Decision:
    rules, devices = context.rules, context.devices
    try:
        request = sealed.verify_request(token)
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", f"`pmp`: {error.what}") from None
    facts.device_id = request.device_id
    if set(request.kids) != set(facts.kids):
        raise ProblemError(400, "request_malformed", "`pmp` is signed over other key ids than `kids`")
    check_fresh(request, rules, now)
    enrolled = check_known(request, devices, rules)
    facts.level = f"{request.level} {'enrolled' if enrolled else 'self-asserted'}"
    held = _held(ask, facts, grant, context)
    policies = _policies(held, grant)
    permit_sealed(policies, now, level=request.level, enrolled=enrolled)
    # Last, so that a refused request costs no place among the remembered nonces.
    if not devices.spend(request, now, 2 * rules.freshness):
        raise ProblemError(403, "request_replayed", "a request with this nonce was answered before; make a new one")
    if context.entitlements is not None:
        context.entitlements.spend(grant)
    body = sealed.seal(request, {kid: held[kid].key for kid in facts.kids}, combine(policies.values()))
    return _issued(facts, sealed.MEDIA_TYPE, body, "sealed")


def _held(ask: KeyRequest, facts: RequestFacts, grant: Grant, context: IssuingContext) -> Mapping[KeyId, HeldKey]:
    """The keys of `asked.kids`, each of them held, covered by the grant and not revoked. Raises ProblemError."""
    kids = facts.kids
    held = context.keys.get_many(kids)
    is_usual = all([kid in held and not held[kid].revoked and grant.covers(kid, held[kid].content) for kid in kids])  # noqa: C419 - as in permit_plain
    if context.limit is not None:
        first = held.get(kids[0])
        # Only what would be issued is a key that was not asked for before: guessing is an attempt each time.
        context.limit.count(grant.limit_key or ask.client, first.content if first else "", kids if is_usual else ())
    if is_usual:
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
        return {kid: key.policy for kid, key in held.items()}
    return {kid: combine((key.policy, grant.policy)) for kid, key in held.items()}


def _issued(facts: RequestFacts, media_type: str, body: bytes, code: str) -> Decision:
    return Decision(
        200, media_type, body, code, facts.kids, facts.device_id, facts.level, facts.subject, facts.token_id
    )
