"""Tokens over real HTTP: each way in which one can be wrong, and that none of them leaves a trace in what is kept."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.issuing.token_keys import parse_token_keys
from license_server.process import LicenseServer
from tests.unit.license_server.store_places import StorePlace

VIDEO, AUDIO, UNKNOWN = KeyId(b"v" * 16), KeyId(b"a" * 16), KeyId(b"?" * 16)
KEYS = {VIDEO: ContentKey(b"V" * 16), AUDIO: ContentKey(b"A" * 16)}

SIGNER = Ed25519PrivateKey.generate()
PUBLIC = OKPKey.import_key(SIGNER).as_dict(private=False)
MAC = b"0123456789abcdef0123456789abcdef"
JWKS = json.dumps(
    {"keys": [{**PUBLIC, "kid": "ed"}, {"kty": "oct", "kid": "mac", "k": base64.urlsafe_b64encode(MAC).decode()[:43]}]}
)


def b64(data: bytes | dict) -> str:
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: dict | None = None, header: dict | None = None, sign: Callable[[bytes], bytes] = SIGNER.sign) -> str:
    claims = {"exp": int(time.time()) + 600, "aud": "clearkey", "kids": "*", **(claims or {})}
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = f"{b64({'alg': 'EdDSA', 'typ': 'JWT', 'kid': 'ed', **(header or {})})}.{b64(claims)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def mac_with(key: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(key, signed, hashlib.sha256)


def altered() -> str:
    head, _, signature = token({"kids": [b64(VIDEO.value)]}).split(".")
    return f"{head}.{b64({'exp': time.time() + 600, 'aud': 'clearkey', 'kids': '*'})}.{signature}"


@pytest.fixture(scope="module")
def server(module_place: StorePlace) -> Iterator[LicenseServer]:
    with LicenseServer(keys=KEYS, tokens=JWKS, audience="clearkey", workers=2, **module_place.named) as running:
        yield running


def ask(server: LicenseServer, text: str | None, *kids: KeyId, query: bool = False) -> requests.Response:
    body = msgspec.json.encode({"kids": [kid.base64url for kid in kids or (VIDEO,)]})
    headers = {} if text is None or query else {"Authorization": f"Bearer {text}"}
    url = f"{server.license_url}?token={text}" if query else server.license_url
    return requests.post(url, data=body, headers=headers | {"Origin": "http://page.example"}, timeout=5)


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        token,
        lambda: token(header={"alg": "Ed25519"}),
        lambda: token(header={"alg": "HS256", "kid": "mac"}, sign=mac_with(MAC)),
        lambda: token({"kids": [VIDEO.base64url]}),
        lambda: token({"aud": ["other", "clearkey"]}),
        lambda: token({"jti": "good for one"}),
        lambda: jwt.encode({"alg": "HS256", "kid": "mac"}, {"exp": time.time() + 60, "aud": "clearkey", "kids": "*"},
                           OctKey.import_key(MAC)),
    ],
    ids=["EdDSA", "Ed25519", "HS256", "one kid", "two audiences", "single use", "joserfc's own"],
)  # fmt: skip
def test_a_good_token_gets_a_license(server: LicenseServer, made: Callable[[], str], query: bool) -> None:
    text = made()
    if "good for one" in base64.urlsafe_b64decode(text.split(".")[1] + "==").decode():
        text = token({"jti": f"good for one {query}"})
    answer = ask(server, text, query=query)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["keys"]) == 1


BAD = {
    "none": ("token_missing", 401, lambda: None),
    "a wrong signature": ("token_invalid", 401, lambda: token(sign=Ed25519PrivateKey.generate().sign)),
    "altered claims": ("token_invalid", 401, altered),
    "alg none": ("token_invalid", 401, lambda: token(header={"alg": "none"}, sign=lambda _: b"")),
    "no signature": ("token_invalid", 401, lambda: token().rpartition(".")[0] + "."),
    # The classic: a MAC whose key is the public key that everybody has.
    "HS256 with the public key": (
        "token_invalid", 401,
        lambda: token(header={"alg": "HS256"}, sign=mac_with(SIGNER.public_key().public_bytes_raw()))),
    "EdDSA under the key for HS256": ("token_invalid", 401, lambda: token(header={"kid": "mac"})),
    "HS256 with another secret": (
        "token_invalid", 401, lambda: token(header={"alg": "HS256", "kid": "mac"}, sign=mac_with(b"x" * 32))),
    "an unknown key": ("token_invalid", 401, lambda: token(header={"kid": "other"})),
    "no kid with two keys": (
        "token_invalid", 401, lambda: token().replace(token().split(".")[0], b64({"alg": "EdDSA"}))),
    "a critical header": ("token_invalid", 401, lambda: token(header={"crit": ["exp"]})),
    "its own key": ("token_invalid", 401, lambda: token(header={"jwk": PUBLIC})),
    "another type": ("token_invalid", 401, lambda: token(header={"typ": "clearkey-request+jwt"})),
    "expired": ("token_expired", 401, lambda: token({"exp": int(time.time()) - 60})),
    "no exp": ("token_invalid", 401, lambda: token({"exp": None})),
    "exp as text": ("token_invalid", 401, lambda: token({"exp": "tomorrow"})),
    "not yet": ("token_invalid", 401, lambda: token({"nbf": int(time.time()) + 600})),
    "another audience": ("token_audience", 403, lambda: token({"aud": "other"})),
    "no audience": ("token_audience", 403, lambda: token({"aud": None})),
    "other kids": ("token_kids", 403, lambda: token({"kids": [AUDIO.base64url]})),
    "no kids": ("token_invalid", 401, lambda: token({"kids": None})),
    "empty kids": ("token_invalid", 401, lambda: token({"kids": []})),
    "a NUL in its subject": ("token_invalid", 401, lambda: token({"sub": "some\0body"})),
    "a NUL in its id": ("token_invalid", 401, lambda: token({"jti": "i\0d"})),
    "a policy that is not known": ("token_invalid", 401, lambda: token({"policy": {"watermark": True}})),
    "garbage": ("token_invalid", 401, lambda: "garbage"),
    "five parts": ("token_invalid", 401, lambda: "a.b.c.d.e"),
    "too long": ("token_invalid", 401, lambda: "x" * 9000),
}  # fmt: skip


@pytest.mark.parametrize(("code", "status", "made"), BAD.values(), ids=BAD)
def test_a_bad_token_gets_none(server: LicenseServer, code: str, status: int, made: Callable[[], str | None]) -> None:
    text = made()
    for _ in range(2):  # nothing of the first attempt helps the second
        answer = ask(server, text)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"
        assert ("WWW-Authenticate" in answer.headers) is (status == 401)
        assert KEYS[VIDEO].secret not in answer.content
    assert ask(server, token()).status_code == 200


def test_a_single_use_token_is_good_for_one_license_in_all_workers(server: LicenseServer) -> None:
    text = token({"jti": "once"})
    found = [ask(server, text) for _ in range(8)]  # each on a connection of its own, so both workers are asked
    assert sorted(answer.status_code for answer in found) == [200] + [403] * 7
    assert {answer.json().get("code") for answer in found} == {None, "token_replayed"}
    assert ask(server, token({"jti": "once", "kids": [VIDEO.base64url]})).json()["code"] == "token_replayed"


@pytest.mark.parametrize("expires", [4_102_444_800, 1e300], ids=["2100", "never"])
def test_a_single_use_token_may_expire_late(server: LicenseServer, expires: float) -> None:
    text = token({"jti": f"late {expires}", "exp": expires})
    assert [ask(server, text).status_code for _ in range(3)] == [200, 403, 403]


def test_a_refused_request_does_not_use_up_a_token(server: LicenseServer) -> None:
    text = token({"jti": "kept"})
    assert ask(server, text, UNKNOWN).json()["code"] == "key_unknown"
    assert ask(server, text).status_code == 200


def test_a_reusable_token_with_an_id_is_good_until_it_expires(server: LicenseServer) -> None:
    text = token({"jti": "again", "reusable": True})
    assert {ask(server, text).status_code for _ in range(4)} == {200}


def test_kids_that_are_not_covered_are_named_and_no_key_is_told_apart_from_none(server: LicenseServer) -> None:
    answer = ask(server, token({"kids": [VIDEO.base64url]}), VIDEO, AUDIO, UNKNOWN)
    assert answer.json()["code"] == "token_kids"
    assert answer.json()["kids"] == [AUDIO.base64url, UNKNOWN.base64url]


def test_the_rules_of_a_token_add_to_those_of_the_key(server: LicenseServer) -> None:
    for rules, code in (({"sealed_only": True}, "sealed_required"), ({"expires": 5}, "license_expired"),
                        (msgspec.to_builtins(Policy(rental=60)), "sealed_required")):  # fmt: skip
        assert ask(server, token({"policy": rules})).json()["code"] == code


def test_raw_keys_ask_for_a_token_too(server: LicenseServer) -> None:
    url = f"{server.url}/hls/key/{VIDEO.hex}"
    assert requests.get(url, timeout=5).json()["code"] == "token_missing"
    assert requests.get(f"{url}?token={token()}", timeout=5).content == KEYS[VIDEO].secret


def test_no_token_and_no_key_is_in_the_log(server: LicenseServer) -> None:
    texts = [token(), token({"kids": [AUDIO.base64url]}), altered()]
    for text in texts:
        for query in (False, True):
            ask(server, text, query=query)
    log = server.log()
    assert "issued" in log, "nothing is logged: the search would prove nothing"
    for text in texts:
        for part in text.split("."):
            assert part not in log
    for key in KEYS.values():
        for form in (key.secret.hex(), b64(key.secret), key.secret.decode()):
            assert form not in log


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('{"keys": []}', "no JWK Set"),
        ("[]", "no JWK Set"),
        ('{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}', "32 bytes"),
        ('{"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}', "not known"),
        (json.dumps({"keys": [{**PUBLIC, "alg": "HS256"}]}), "not known"),
        (json.dumps({"keys": [{**OKPKey.import_key(SIGNER).as_dict(private=True)}]}), "private"),
        (json.dumps({"keys": [PUBLIC, PUBLIC]}), "`kid` of its own"),
        (json.dumps({"keys": [{**PUBLIC, "x": "AAAA"}]}), "cannot be read"),
    ],
)
def test_verifying_keys_that_are_none(keys: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        parse_token_keys(keys.encode())
