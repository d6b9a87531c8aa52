"""Tokens to the second and to the character, in this process; over HTTP they are tried in test_entitlements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.decisions import KeyRequest
from license_server.issuing import entitlements
from license_server.issuing.entitlements import Entitlements, Grant
from license_server.issuing.token_keys import parse_token_keys
from license_server.problems import ProblemError
from license_server.store.keys import Place
from tests.unit.license_server.issuing.desk import AUDIO, UNKNOWN, VIDEO, Desk, desk, problem
from tests.unit.license_server.issuing.test_entitlements import BAD, JWKS, token

LONGEST = 8192  # characters of a token


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(tmp_path, monkeypatch, with_tokens=True) as made:
        yield made


def good(at: Desk, claims: dict | None = None, **more: object) -> str:
    return token({"exp": at.clock.now + 600, **(claims or {})}, **more)


@pytest.mark.parametrize(("code", "status", "made"), BAD.values(), ids=BAD)
def test_a_bad_token_gets_none_and_is_told_why(
    at: Desk, monkeypatch: pytest.MonkeyPatch, code: str, status: int, made: Callable[[], str | None]
) -> None:
    import time

    at.clock.now = time.time()  # these are made by the wall clock
    for _ in range(2):
        decision = at.license(token=made() or "")
        assert (decision.status, decision.code) == (status, code)
        told = dict(decision.headers).get("WWW-Authenticate")
        words = None if status != 401 else "Bearer" if code == "token_missing" else 'Bearer error="invalid_token"'
        assert told == words
    assert at.license(token=token()).status == 200


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda at: good(at, header={"typ": "other"}), "`typ`"),
        (lambda at: good(at, header={"kid": "other"}), "`kid`"),
        (lambda at: good(at, header={"kid": "mac"}), "`alg`"),
        (lambda at: good(at, sign=lambda _: bytes(64)), "signature"),
        (lambda at: good(at) + ".x", "three parts"),
        (lambda at: good(at).replace(".", "~", 1), "three parts"),
        (lambda at: good(at) + "=", "header or parts"),
        (lambda at: good(at, header={"crit": []}), "header or parts"),
        (lambda at: good(at, {"nbf": at.clock.now + 6}), "nbf"),
        (lambda at: good(at, {"kids": None}), "neither"),
        (lambda at: good(at, {"kids": "some"}), "claims"),
    ],
)
def test_the_detail_says_which_rule_it_breaks(at: Desk, make: Callable[[Desk], str], words: str) -> None:
    decision = at.license(token=make(at))
    assert decision.code == "token_invalid"
    assert words in problem(decision)["detail"]


def test_the_types_of_a_token_are_told_in_any_case(at: Desk) -> None:
    for name in ("JWT", "jwt", "at+jwt", "AT+JWT"):
        assert at.license(token=good(at, header={"typ": name})).status == 200


# ------------------------------------------------------------------------------------------------ bounds
def of_length(at: Desk, length: int) -> str:
    made = (good(at, {"pad": "x" * count}) for count in range(5900, 6100))
    return next(text for text in made if len(text) == length)


def test_a_token_has_8192_characters_at_most(at: Desk) -> None:
    longest, longer = of_length(at, LONGEST), of_length(at, LONGEST + 1)
    assert at.license(token=longest).code == "issued"
    refused = at.license(token=longer)
    assert refused.code == "token_invalid"
    assert problem(refused)["detail"] == "it is longer than 8192 characters"
    query = KeyRequest(b'{"kids":["%b"]}' % VIDEO.base64url.encode(), query=f"token={longer}")
    assert at.service.license(query).code == "token_invalid"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"jti": "i" * 128}, "issued"),
        ({"jti": "i" * 129}, "token_invalid"),
        ({"jti": ""}, "token_invalid"),
        ({"sub": "s" * 256}, "issued"),
        ({"sub": "s" * 257}, "token_invalid"),
        ({"sub": ""}, "issued"),
        ({"kids": "*", "contents": ["c" * 128]}, "issued"),
        ({"kids": "*", "contents": ["c" * 129]}, "token_invalid"),
        ({"kids": "*", "contents": [""]}, "token_invalid"),
    ],
)
def test_claims_that_are_written_down_have_a_length(at: Desk, claims: dict, code: str) -> None:
    assert at.license(token=good(at, claims)).code == code


def test_the_moment_is_that_of_the_request_or_else_now(at: Desk) -> None:
    ask = KeyRequest(authorization=f"Bearer {good(at)}")
    entitled = at.office.entitlements
    with pytest.raises(ProblemError, match="expired"):
        entitled.admit(ask, at.clock.now + 605)
    assert entitled.admit(ask)
    at.clock.advance(605)
    with pytest.raises(ProblemError, match="expired"):
        entitled.admit(ask)
    at.clock.advance(-605)
    assert entitled.admit(ask), "one that has expired is looked at anew"


def test_a_grant_does_not_print_what_its_attempts_are_counted_by(at: Desk) -> None:
    grant = at.office.entitlements.admit(KeyRequest(authorization=f"Bearer {good(at)}"), at.clock.now)
    assert len(grant.limit_key) == 64
    assert grant.limit_key not in repr(grant)


def test_a_token_stands_in_one_of_two_places(at: Desk) -> None:
    text = good(at)
    body = b'{"kids":["%b"]}' % VIDEO.base64url.encode()

    def code(authorization: str = "", query: str = "") -> str:
        return at.service.license(KeyRequest(body, authorization, query)).code

    assert code(f"Bearer {text}") == code(f"bearer  {text} ") == code(query=f"token={text}") == "issued"
    assert code(query=f"a=b&token={text}&token=x") == "issued"
    assert code(f"Bearer {text}", "token=x") == "issued", "the header is asked first"
    assert code(f"Basic {text}") == code(f"{text}") == code(query=f"tokens={text}") == "token_missing"
    assert code(query="&".join(["a=b"] * 63 + [f"token={text}"])) == "issued"
    assert code(query="&".join(["a=b"] * 64 + [f"token={text}"])) == "token_missing"


@pytest.mark.parametrize(("seconds", "code"), [(604.9, "issued"), (605, "token_expired")])
@pytest.mark.parametrize("remembered", [False, True])
def test_a_token_ends_five_seconds_late(at: Desk, seconds: float, code: str, remembered: bool) -> None:
    text = good(at)
    if remembered:
        assert at.license(token=text).code == "issued"
    at.clock.advance(seconds)
    for _ in range(2):
        assert at.license(token=text).code == code


@pytest.mark.parametrize(("ahead", "code"), [(5, "issued"), (5.1, "token_invalid")])
def test_a_token_begins_five_seconds_early(at: Desk, ahead: float, code: str) -> None:
    assert at.license(token=good(at, {"nbf": at.clock.now + ahead})).code == code


def test_a_single_token_is_remembered_as_used_for_as_long_as_it_holds(at: Desk) -> None:
    text = good(at, {"jti": "once"})
    assert at.license(token=text).code == "issued"
    at.clock.advance(604)
    assert at.license(token=good(at, {"jti": "other"})).code == "issued"  # tidies away what is over
    again = at.license(token=text)
    assert (again.status, again.code) == (403, "token_replayed")


def test_a_token_is_used_up_by_a_sealed_license_too(at: Desk) -> None:
    at.register()
    text = good(at, {"jti": "once"})
    assert [at.sealed(token=text)[1].code for _ in range(2)] == ["sealed", "token_replayed"]


def test_what_the_operator_revokes_is_revoked_for_remembered_tokens(at: Desk) -> None:
    text = good(at, {"jti": "id", "reusable": True, "sub": "somebody"})
    found = at.license(token=text)
    assert (found.code, found.subject, found.token_id) == ("issued", "somebody", "id")
    at.store.tokens.revoke("id")
    at.clock.advance(1)
    assert (at.license(token=text).status, at.license(token=text).code) == (403, "token_revoked")


# ------------------------------------------------------------------------------------------------ what it covers
def test_kids_and_contents_of_a_token_add_up(at: Desk) -> None:
    other = KeyId(b"o" * 16)
    at.store.keys.add({other: ContentKey(b"O" * 16)}, places={other: Place("movie", "HD")})
    text = good(at, {"kids": [VIDEO.base64url], "contents": ["movie"]})
    assert at.license(VIDEO, other, token=text).code == "issued"
    assert at.license(VIDEO, token=text).code == "issued"
    both = at.license(VIDEO, AUDIO, UNKNOWN, token=text)
    assert (both.status, both.code) == (403, "token_kids")
    assert problem(both)["kids"] == [AUDIO.base64url, UNKNOWN.base64url]


def test_the_rules_of_a_token_are_added_to_those_of_each_key(at: Desk) -> None:
    at.store.keys.set_policy(VIDEO, Policy(hdcp=1))
    at.register()
    request, decision = at.sealed(VIDEO, AUDIO, token=good(at, {"policy": {"rental": 60}}))
    opened = request.open(decision.body)
    assert (opened.policy.hdcp, opened.policy.rental) == (1, 60)
    assert at.license(AUDIO, token=good(at, {"policy": {"rental": 60}})).code == "sealed_required"
    assert at.license(AUDIO, token=good(at, {"policy": {"expires": 5}})).code == "license_expired"


def test_a_grant_covers_what_it_names_and_no_content_without_a_name() -> None:
    assert Grant().covers(VIDEO, "")
    assert Grant(frozenset({VIDEO})).covers(VIDEO, "")
    assert not Grant(frozenset({VIDEO})).covers(AUDIO, "movie")
    assert Grant(frozenset(), frozenset({"movie"})).covers(AUDIO, "movie")
    assert not Grant(frozenset(), frozenset({"movie"})).covers(AUDIO, "other")
    assert not Grant(frozenset(), frozenset({""})).covers(AUDIO, "")


@pytest.mark.parametrize(
    ("audience", "told", "goes"),
    [("me", "me", True), ("me", ["you", "me"], True), ("me", "you", False), ("me", None, False), (None, None, True),
     (None, "you", False), ("me", [], False)],
)  # fmt: skip
def test_the_audience_of_a_token(at: Desk, audience: str | None, told: object, goes: bool) -> None:
    verifying = Entitlements(parse_token_keys(JWKS.encode()), at.store.tokens, audience=audience)
    ask = KeyRequest(authorization=f"Bearer {good(at, {'aud': told})}")
    if goes:
        assert verifying.admit(ask, at.clock.now).kids is None
        return
    with pytest.raises(ProblemError) as refused:
        verifying.admit(ask, at.clock.now)
    assert (refused.value.status, refused.value.code) == (403, "token_audience")


def test_tokens_are_remembered_and_the_oldest_are_forgotten(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entitlements, "_REMEMBERED", 3)
    texts = [good(at, {"sub": str(number)}) for number in range(4)]
    for text in texts:
        assert at.license(token=text).code == "issued"
    known = at.office.entitlements._known
    assert [grant.subject for grant in known.values()] == ["1", "2", "3"]
    single = good(at, {"jti": "once"})
    at.license(token=single)
    assert len(known) == 3, "a single-use token is looked at each time"
    at.clock.advance(700)
    at.license(token=texts[3])
    assert [grant.subject for grant in known.values()] == ["1", "2"], "one that has ended is forgotten"
