"""The keys that verify tokens: which are taken, which of them is meant, and what is minted with their other half."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.errors import InvalidArgumentError
from license_server.decisions import KeyRequest
from license_server.issuing.entitlements import Entitlements, Grant
from license_server.issuing.token_keys import MAX_TOKENS_FILE, TokenError, parse_token_keys
from license_server.issuing.token_minting import TokenClaims, make_signing_key, read_signing_key
from license_server.problems import ProblemError
from tests.unit.license_server.issuing.desk import VIDEO, Desk, desk
from tests.unit.license_server.issuing.test_entitlements import JWKS, MAC, PUBLIC, b64, mac_with, token


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(tmp_path, monkeypatch, with_tokens=True) as made:
        yield made


def good(at: Desk, claims: dict | None = None, **more: object) -> str:
    return token({"exp": at.clock.now + 600, **(claims or {})}, **more)


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


def test_why_a_token_is_not_taken_is_what_the_error_says() -> None:
    with pytest.raises(TokenError, match="three parts") as refused:
        parse_token_keys(JWKS.encode()).verify("no token")
    assert refused.value.why == str(refused.value)


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


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps(PUBLIC), "{" * 5000],
                         ids=["empty", "list", "no members", "public", "deep"])  # fmt: skip
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
