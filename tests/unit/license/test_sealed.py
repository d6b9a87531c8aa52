"""The sealed form: both halves together, and everything that a hostile application or server may try."""

import json
import subprocess
import sys

import pytest
from joserfc import jwe, jws
from joserfc.jwk import OctKey, OKPKey

from drm.errors import InvalidArgumentError, LicenseMalformedError
from drm.keys import ContentKey, KeyId
from drm.license import sealed
from drm.license.clearkey import b64url, decode_kid, encode_jwk_set
from drm.license.sealed import SealedRequest, make_registration, seal, verify_registration, verify_request
from drm.rights.policy import Action, Policy

DEVICE = bytes(range(32))
KID, OTHER = KeyId(b"k" * 16), KeyId(b"o" * 16)
KEY = ContentKey(b"K" * 16)
POLICY = Policy(actions=(Action.PLAY,), expires=2_000_000_000, min_level=1, sealed_only=True)
ALL = jwe.JWERegistry(
    algorithms=["ECDH-ES", "ECDH-ES+A128KW", "dir", "A256GCM", "A128CBC-HS256", "DEF"], strict_check_header=False
)


def a_request(*kids: KeyId) -> SealedRequest:
    return SealedRequest.make(DEVICE, kids or (KID,), {"level": 2, "layers": {"seccomp": True}}, {"ita": "ab" * 32})


def parts(token: str | bytes) -> list[bytes]:
    return (token.encode() if isinstance(token, str) else token).split(b".")


def decoded(part: bytes) -> dict:
    import base64

    return json.loads(base64.urlsafe_b64decode(part + b"=="))


def encoded(value: object) -> bytes:
    return b64url(json.dumps(value).encode()).encode()


def sealed_by_hand(request: SealedRequest, header: dict | None = None, **changes: object) -> bytes:
    """What another server, or a hostile one, may answer."""
    verified = verify_request(request.jws)
    members = {
        "policy": {"actions": ["play"]},
        "nonce": verified.nonce,
        "kids": [kid.base64url for kid in verified.kids],
        **changes,
    }
    keys = members.pop("with_keys", {KID: KEY})
    plain = encode_jwk_set(keys, **{name: value for name, value in members.items() if value is not None})
    head = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "jwk-set+json", **(header or {})}
    recipient = OKPKey.import_key(verified.recipient_jwk)
    key = OctKey.generate_key(256) if head["alg"] == "dir" else recipient
    return jwe.encrypt_compact(head, plain, key, registry=ALL).encode()


def test_a_license_makes_the_round_trip() -> None:
    request = a_request(KID, OTHER)
    verified = verify_request(request.jws)
    assert verified.kids == (KID, OTHER)
    assert verified.level == 2
    assert verified.report["layers"] == {"seccomp": True}
    assert verified.components == {"ita": "ab" * 32}
    answer = seal(verified, {KID: KEY, OTHER: ContentKey(b"2" * 16)}, POLICY)
    opened = request.open(answer)
    assert opened.keys == {KID: KEY, OTHER: ContentKey(b"2" * 16)}
    assert opened.policy == POLICY
    assert b"KKKK" not in answer
    assert "KKKK" not in repr(opened)


def test_the_device_id_is_the_rfc_7638_thumbprint() -> None:
    import hashlib

    verified = verify_request(a_request().jws)
    canonical = json.dumps(dict(sorted(verified.device_jwk.items())), separators=(",", ":")).encode()
    assert verified.device_id == b64url(hashlib.sha256(canonical).digest())
    assert verify_registration(make_registration(DEVICE)).device_id == verified.device_id


def test_an_answer_opens_once() -> None:
    request = a_request()
    answer = seal(verify_request(request.jws), {KID: KEY}, POLICY)
    request.open(answer)
    with pytest.raises(LicenseMalformedError, match="opens once"):
        request.open(answer)


def test_a_refused_answer_changes_nothing() -> None:
    request = a_request()
    answer = seal(verify_request(request.jws), {KID: KEY}, POLICY)
    with pytest.raises(LicenseMalformedError):
        request.open(answer[:-6] + b"AAAAAA")
    assert request.open(answer).keys == {KID: KEY}


def test_an_answer_for_somebody_else() -> None:
    with pytest.raises(LicenseMalformedError, match="another recipient"):
        a_request().open(seal(verify_request(a_request().jws), {KID: KEY}, POLICY))


def test_an_answer_for_somebody_else_that_does_not_say_so() -> None:
    with pytest.raises(LicenseMalformedError, match="does not open"):
        a_request().open(sealed_by_hand(a_request()))


@pytest.mark.parametrize("part", range(5))
def test_every_part_is_authenticated(part: int) -> None:
    request = a_request()
    pieces = parts(sealed_by_hand(request))
    for position in range(0, len(pieces[part]), 7):
        altered = bytearray(pieces[part])
        altered[position] = ord("A") if altered[position] != ord("A") else ord("B")
        spoilt = b".".join([*pieces[:part], bytes(altered), *pieces[part + 1 :]])
        with pytest.raises(LicenseMalformedError):
            request.open(spoilt)
    if part == 1:  # empty in ECDH-ES: something put there
        with pytest.raises(LicenseMalformedError):
            request.open(b".".join([pieces[0], b"AAAA", *pieces[2:]]))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"alg": "dir"}, "sealed with 'dir'"),
        ({"alg": "ECDH-ES+A128KW"}, "sealed with 'ECDH-ES[+]A128KW'"),
        ({"enc": "A128CBC-HS256"}, "'A128CBC-HS256'"),
        ({"zip": "DEF"}, "zip"),
        ({"crit": ["cty"]}, "crit"),
        ({"apu": "AAAA"}, "apu"),
        ({"cty": "json"}, "holds 'json'"),
        ({"kid": "someone"}, "another recipient"),
    ],
)
def test_other_ways_to_encrypt_are_refused_by_name(header: dict, words: str) -> None:
    request = a_request()
    with pytest.raises(LicenseMalformedError, match=words):
        request.open(sealed_by_hand(request, header))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": "AAAAAAAAAAAAAAAAAAAAAA"}, "nonce is not ours"),
        ({"nonce": None}, "policy, nonce and kids"),
        ({"policy": None}, "policy, nonce and kids"),
        ({"kids": []}, "not those asked"),
        ({"kids": [OTHER.base64url]}, "not those asked"),
        ({"kids": ["!"]}, "policy, nonce and kids"),
        ({"policy": {"actions": ["play"], "watermark": True}}, "cannot be enforced"),
        ({"policy": {"actions": ["fly"]}}, "cannot be enforced"),
        ({"with_keys": {KID: KEY, OTHER: KEY}}, "not asked for"),
    ],
)
def test_what_is_inside_must_answer_this_request(changes: dict, words: str) -> None:
    request = a_request()
    with pytest.raises(LicenseMalformedError, match=words) as raised:
        request.open(sealed_by_hand(request, **changes))
    assert "KKKK" not in raised.value.render()
    assert b64url(b"K" * 16) not in raised.value.render()


def test_the_answer_by_hand_is_otherwise_good() -> None:
    request = a_request()
    assert request.open(sealed_by_hand(request)).keys == {KID: KEY}


NOT_SEALED = {
    "plain JWK Set": (encode_jwk_set({KID: KEY}), "not sealed"),
    "alg none": (encoded({"alg": "none"}) + b"." + encoded({"keys": []}) + b".", "not a compact JWE"),
    "alg none in five parts": (encoded({"alg": "none", "enc": "none"}) + b"....", "sealed with 'none'"),
    "empty": (b"", "not a compact JWE"),
    "HTML": (b"<html>....", "header"),
    "not base64": (b"\xff.\xff.\xff.\xff.\xff", "header"),
    "header a list": (encoded([]) + b"....", "header"),
    "header deep": (b64url(b"[" * 40_000).encode() + b"....", "header"),
    "no header": (b"....", "header"),
    "too long": (b"A" * 70_000, "more than"),
}


@pytest.mark.parametrize("name", NOT_SEALED)
def test_what_is_no_sealed_license(name: str) -> None:
    body, words = NOT_SEALED[name]
    with pytest.raises(LicenseMalformedError) as raised:
        a_request().open(body)
    assert words in raised.value.render()
    assert b64url(b"K" * 16) not in raised.value.render()


def signed(payload: object, header: dict | None = None, key: OKPKey | None = None) -> str:
    key = key or OKPKey.generate_key("Ed25519")
    public = {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x")}
    head = {"alg": "Ed25519", "typ": "clearkey-request+jwt", "jwk": public, **(header or {})}
    if head["alg"] == "none":
        return f"{encoded(head).decode()}.{encoded(payload).decode()}."
    registry = jws.JWSRegistry(algorithms=["Ed25519", "HS256", "none"], strict_check_header=False)
    signer = OctKey.generate_key(256) if head["alg"] == "HS256" else key
    return jws.serialize_compact(head, json.dumps(payload), signer, registry=registry)


def a_payload(**changes: object) -> dict:
    whole = {
        "recipient": OKPKey.generate_key("X25519").as_dict(private=False),
        "kids": [KID.base64url],
        "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
        "iat": 1_800_000_000,
        "report": {},
        "components": {},
        **changes,
    }
    whole["recipient"] = {k: v for k, v in whole["recipient"].items() if k in {"kty", "crv", "x", "d"}}
    return whole


SMALL_ORDER = {"kty": "OKP", "crv": "X25519", "x": b64url(bytes(32))}
PRIVATE = OKPKey.generate_key("Ed25519").as_dict(private=True)


def test_the_request_by_hand_is_otherwise_good() -> None:
    assert verify_request(signed(a_payload())).kids == (KID,)


@pytest.mark.parametrize(
    ("payload", "header", "words"),
    [
        (a_payload(), {"alg": "none"}, "signed with 'none'"),
        (a_payload(), {"alg": "HS256"}, "signed with 'HS256'"),
        (a_payload(), {"typ": "clearkey-registration+jwt"}, "of type"),
        (a_payload(), {"typ": "JWT"}, "of type"),
        (a_payload(), {"crit": ["typ"]}, "crit"),
        (a_payload(), {"b64": False, "crit": ["b64"]}, "header"),
        (a_payload(), {"kid": "x"}, "kid"),
        (a_payload(), {"jwk": {k: PRIVATE[k] for k in ("kty", "crv", "x", "d")}}, "header"),
        (a_payload(), {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url(b"x" * 32)}}, "signature|not a usable"),
        (a_payload(), {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}, "not a usable"),
        (a_payload(recipient=SMALL_ORDER), {}, "not a usable"),
        (a_payload(recipient=OKPKey.generate_key("Ed25519").as_dict(private=False)), {}, "not 'OKP' 'X25519'"),
        (a_payload(kids=[]), {}, "0 key ids"),
        (a_payload(kids=["!"]), {}, "kid"),
        (a_payload(nonce="A"), {}, "nonce"),
        (a_payload(nonce="A" * 65), {}, "nonce"),
        (a_payload(iat="now"), {}, "lacks something"),
        (a_payload(report=[]), {}, "lacks something"),
        ([], {}, "lacks something"),
    ],
)  # fmt: skip
def test_requests_that_a_server_refuses(payload: object, header: dict, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        verify_request(signed(payload, header))


def test_a_request_by_the_old_name_of_the_algorithm() -> None:
    key = OKPKey.generate_key("Ed25519")
    head = encoded({"alg": "EdDSA", "typ": "clearkey-request+jwt", "jwk": {
        name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x")}})  # fmt: skip
    content = head + b"." + encoded(a_payload())
    token = content + b"." + b64url(key.private_key.sign(content)).encode()
    assert verify_request(token.decode()).kids == (KID,)


@pytest.mark.parametrize("part", range(3))
def test_every_part_of_a_request_is_signed(part: int) -> None:
    pieces = parts(a_request().jws)
    altered = bytearray(pieces[part])
    altered[len(altered) // 2] ^= 1
    with pytest.raises(InvalidArgumentError):
        verify_request(b".".join([*pieces[:part], bytes(altered), *pieces[part + 1 :]]).decode("latin-1"))


def test_a_registration_is_no_request_and_a_request_no_registration() -> None:
    with pytest.raises(InvalidArgumentError, match="of type"):
        verify_request(make_registration(DEVICE).decode())
    with pytest.raises(InvalidArgumentError, match="of type"):
        verify_registration(a_request().jws.encode())


@pytest.mark.parametrize("level", [True, -1, 4, "2", None, 2.0])
def test_a_level_that_is_none_counts_as_zero(level: object) -> None:
    assert verify_request(signed(a_payload(report={"level": level}))).level == 0


def test_two_requests_share_nothing() -> None:
    one, other = (verify_request(a_request().jws) for _ in range(2))
    assert one.nonce != other.nonce
    assert one.recipient_jwk != other.recipient_jwk
    assert decode_kid(one.kids[0].base64url) == KID


def test_after_warming_up_nothing_is_imported_any_more() -> None:
    # In the locked worker a late import fails: good answers and every kind of bad one must do without.
    probe = """
import sys
from drm.license.sealed import SealedRequest, seal, verify_request, warm_up, make_registration
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from drm.errors import DRMError
warm_up()
before = set(sys.modules)
kid = KeyId(b"k" * 16)
request = SealedRequest.make(b"d" * 32, [kid], {"level": 1}, {})
answer = seal(verify_request(request.jws), {kid: ContentKey(b"K" * 16)}, Policy())
for bad in (b"", b"{}", b"a.b.c.d.e", b"eyJhbGciOiJkaXIifQ....", answer[:40], answer[:-9] + b"AAAAAAAAA", b"\\xff...."):
    try:
        request.open(bad)
    except DRMError as error:
        error.render()
    else:
        raise SystemExit("opened")
request.open(answer)
make_registration(b"d" * 32)
late = set(sys.modules) - before
forbidden = {"requests", "urllib3", "ssl", "flask", "http.client", "asyncio", "multiprocessing", "pickle", "numpy"}
print(sorted(late), sorted(forbidden & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout == "[] []\n"


def test_the_media_type() -> None:
    assert sealed.MEDIA_TYPE == "application/jose"
