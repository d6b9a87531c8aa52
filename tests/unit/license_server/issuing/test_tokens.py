"""Tokens to the second and to the character, in this process; over HTTP they are tried in test_entitlements."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.decisions import KeyRequest
from license_server.issuing import entitlements
from license_server.issuing.entitlements import Entitlements, Grant
from license_server.issuing.token_keys import MAX_TOKENS_FILE, parse_token_keys
from license_server.issuing.token_minting import TokenClaims, make_signing_key, read_signing_key
from license_server.problems import ProblemError
from license_server.store.keys import Place
from tests.unit.license_server.issuing.desk import AUDIO, UNKNOWN, VIDEO, Desk, desk, problem
from tests.unit.license_server.issuing.test_entitlements import BAD, JWKS, MAC, PUBLIC, b64, mac_with, token

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


# ------------------------------------------------------------------------------------------------ verifying keys
def test_without_a_kid_the_only_key_is_meant(at: Desk) -> None:
    alone = json.dumps({"keys": [PUBLIC]}).encode()
    verifying = Entitlements(parse_token_keys(alone), at.store.tokens)
    for header in ({"kid": None}, {"kid": ""}):
        text = good(at, {"aud": None}, header=header)
        assert verifying.admit(KeyRequest(authorization=f"Bearer {text}"), at.clock.now)
    with pytest.raises(ProblemError):
        verifying.admit(KeyRequest(authorization=f"Bearer {good(at, {'aud': None})}"), at.clock.now)


def test_both_names_of_the_algorithm_and_no_other(at: Desk) -> None:
    for alg in ("EdDSA", "Ed25519"):
        assert at.license(token=good(at, header={"alg": alg})).code == "issued"
    assert at.license(token=good(at, header={"alg": "HS256", "kid": "mac"}, sign=mac_with(MAC))).code == "issued"
    assert at.license(token=good(at, header={"alg": "HS512", "kid": "mac"}, sign=mac_with(MAC))).code == "token_invalid"


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_of_verifying_keys_has_a_size(more: int) -> None:
    data = JWKS.encode() + b" " * (MAX_TOKENS_FILE - len(JWKS) + more)
    if more:
        with pytest.raises(InvalidArgumentError, match="at most 1048576 bytes"):
            parse_token_keys(data)
    else:
        parse_token_keys(data)


@pytest.mark.parametrize(
    ("jwk", "goes"),
    [
        ({**PUBLIC, "alg": "EdDSA"}, True),
        ({**PUBLIC, "alg": "Ed25519"}, True),
        ({**PUBLIC, "alg": "ES256"}, False),
        ({**PUBLIC, "crv": "Ed448"}, False),
        ({"kty": "oct", "k": b64(bytes(32)), "alg": "HS256"}, True),
        ({"kty": "oct", "k": b64(bytes(32)), "alg": "HS512"}, False),
        ({"kty": "oct", "k": b64(bytes(32))}, True),
        ({"kty": "oct", "k": b64(bytes(31))}, False),
        ({"kty": "oct"}, False),
        ({"kty": "OKP"}, False),
        ("text", False),
        ({**PUBLIC, "kid": 7}, False),
    ],
)  # fmt: skip
def test_which_verifying_keys_are_taken(jwk: object, goes: bool) -> None:
    data = json.dumps({"keys": [jwk]}).encode()
    if goes:
        parse_token_keys(data)
        return
    with pytest.raises(InvalidArgumentError) as refused:
        parse_token_keys(data)
    assert refused.value.where == "key 1 of `keys`"


def test_which_of_several_keys_is_wrong_is_said() -> None:
    for second in ({**PUBLIC, "kid": "a"}, {**PUBLIC}):
        data = json.dumps({"keys": [{**PUBLIC, "kid": "a"}, second]}).encode()
        with pytest.raises(InvalidArgumentError, match="`kid` of its own") as refused:
            parse_token_keys(data)
        assert refused.value.where == "key 2 of `keys`"


# ------------------------------------------------------------------------------------------------ minting
def test_what_is_minted_is_taken_and_says_what_was_told(at: Desk, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    key = make_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert repr(key) == "<SigningKey>"
    again = read_signing_key(path)
    assert again.public() == key.public()
    assert set(key.public()) == {"kty", "crv", "x", "kid", "alg"}
    verifying = Entitlements(parse_token_keys(json.dumps({"keys": [key.public()]}).encode()), at.store.tokens)
    now = int(at.clock.now)

    def grant(claims: TokenClaims, later: float = 0) -> Grant:
        text = again.mint(claims, now)
        return verifying.admit(KeyRequest(authorization=f"Bearer {text}"), now + later)

    everything = grant(TokenClaims())
    assert (everything.kids, everything.contents, everything.subject) == (None, frozenset(), "")
    assert (everything.expires, everything.is_single) == (now + 3605, False)
    narrow = grant(TokenClaims(kids=(VIDEO,), contents=("movie",), subject="s", token_id="t", life=60))
    assert (narrow.kids, narrow.contents) == (frozenset({VIDEO}), frozenset({"movie"}))
    assert (narrow.subject, narrow.token_id, narrow.is_single, narrow.expires) == ("s", "t", True, now + 65)
    only = grant(TokenClaims(contents=("movie",), token_id="u", reusable=True))
    assert (only.kids, only.is_single) == (frozenset(), False)
    told = json.loads(base64.urlsafe_b64decode(again.mint(TokenClaims(), now).split(".")[1] + "=="))
    assert told == {"iat": now, "exp": now + 3600, "kids": "*"}


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps(PUBLIC), "{" * 5000])
def test_what_is_no_signing_key_is_refused_by_its_place_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    with pytest.raises(InvalidArgumentError, match="no private Ed25519") as refused:
        read_signing_key(path)
    assert refused.value.where == str(path)


def test_a_signing_key_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    key = make_signing_key(path)
    with pytest.raises(FileExistsError):
        make_signing_key(path)
    assert read_signing_key(path).public() == key.public()
