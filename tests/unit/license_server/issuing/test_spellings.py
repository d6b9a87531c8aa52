"""One thing has one identity, however it is spelled: tokens, key ids, devices, contents and the ids of tokens."""

from __future__ import annotations

import base64
import itertools
import json
import string
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from drm.license.sealed import SealedRequest, make_registration, verify_registration
from license_server.decisions import KeyRequest
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.rate_limits import Limit, RateLimit
from license_server.issuing.service import LicenseService
from license_server.store.keys import Place
from license_server.store.names import canonical_name
from tests.unit.license_server.issuing.desk import DEVICE_KEY, VIDEO, Desk, desk
from tests.unit.license_server.issuing.test_entitlements import MAC, mac_with, token
from tests.unit.license_server.store_places import StorePlace

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
COMPOSED, APART = "Café Ωmega", "Cafe\u0301 \u2126mega"  # the same name for people, and in Unicode
LONGER = "\u0958" * 128  # in the form in which it is compared it has twice as many characters


def spellings(text: str) -> set[str]:
    """What a decoder that is not strict reads as the same bytes as base64url `text`."""
    bits = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    found = {text[:-1] + last for last in ALPHABET} | {text + "=" * pads for pads in range(1, 4)}
    found |= {text[:at] + extra + text[at:] for at in (1, 9) for extra in (" ", "\n", "*", "=", ".")}
    return {each for each in found if _loosely(each) == bits} - {text}


def _loosely(text: str) -> bytes:
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "==")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(tmp_path, monkeypatch, with_tokens=True, limit=RateLimit(Limit(8, 10))) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["EdDSA", "HS256"])
def test_a_token_in_another_spelling_is_not_a_token(kind: str, office: Desk) -> None:
    exp = {"exp": int(office.clock.now) + 600}
    text = token(exp) if kind == "EdDSA" else token(exp, {"alg": "HS256", "kid": "mac"}, mac_with(MAC))
    head, payload, signature = text.split(".")
    others = spellings(signature)
    assert len(others) >= 3
    assert office.license(token=text).code == "issued"
    for other in others:
        assert office.license(token=f"{head}.{payload}.{other}").code in {"token_invalid", "token_missing"}, other
    found = [office.license(token=spelled).code for spelled in itertools.islice(itertools.cycle([text, *others]), 200)]
    assert found.count("issued") <= 7, "a spelling had a limit of its own"


def test_a_key_id_is_one_key_in_every_notation(office: Desk) -> None:
    kid = VIDEO.base64url
    notations = {kid, f"{kid}==", kid.replace("-", "+").replace("_", "/"), *(kid[:-1] + last for last in ALPHABET)}
    same = [text for text in notations if _loosely(text)[:16] == VIDEO.value]
    assert len(same) >= 17
    body = msgspec.json.encode({"kids": same})
    good = token({"exp": int(office.clock.now) + 600, "kids": [VIDEO.base64url]})
    decision = office.service.license(KeyRequest(body, f"Bearer {good}", "", "here"))
    assert (decision.code, decision.kids) == ("issued", (VIDEO,))
    assert decision.body.count(b'"kid"') == 1


def test_a_device_is_one_device_however_its_key_is_spelled() -> None:
    seed = Ed25519PrivateKey.from_private_bytes(DEVICE_KEY)
    header, payload, _ = make_registration(DEVICE_KEY).decode().split(".")
    told = msgspec.json.decode(base64.urlsafe_b64decode(header + "=="))
    ids, x = set(), told["jwk"]["x"]
    for spelled in {x, *spellings(x)}:
        head = b64url(msgspec.json.encode({**told, "jwk": {**told["jwk"], "x": spelled}}))
        signed = f"{head}.{payload}"
        try:
            ids.add(verify_registration(f"{signed}.{b64url(seed.sign(signed.encode()))}".encode()).device_id)
        except InvalidArgumentError:
            continue
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("member", "value"), [("nonce", "\0" * 16), ("nonce", "é" * 16), ("iat", 10**400), ("iat", -1)]
)
def test_what_a_device_signs_is_bounded(member: str, value: object, store_place: StorePlace) -> None:
    """It is stored, and counted with."""
    seed = Ed25519PrivateKey.from_private_bytes(DEVICE_KEY)
    header, payload, _ = SealedRequest.make(DEVICE_KEY, [VIDEO], {}, {}).jws.split(".")
    told = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="))
    signed = f"{header}.{b64url(json.dumps({**told, member: value}).encode())}"
    pmp = f"{signed}.{b64url(seed.sign(signed.encode()))}"
    with store_place.opened() as store:
        store.keys.add({VIDEO: ContentKey(b"V" * 16)})
        service = LicenseService(IssuingContext(keys=store.licenses, devices=store.devices))
        assert service.register(KeyRequest(make_registration(DEVICE_KEY))).code == "registered"
        body = msgspec.json.encode({"kids": [VIDEO.base64url], "pmp": pmp})
        assert service.license(KeyRequest(body)).code == "request_malformed"


# ------------------------------------------------------------------------------------------------ names
def test_a_content_is_one_content_in_either_form_of_its_name(store_place: StorePlace) -> None:
    assert COMPOSED != APART
    assert canonical_name(APART) == COMPOSED
    kid = KeyId(b"n" * 16)
    with store_place.opened() as store:
        store.keys.add({kid: ContentKey(b"N" * 16)}, places={kid: Place(APART, "HD", 0)})
        assert [row.place.content for row in store.keys.rows(APART)] == [COMPOSED]
        assert store.keys.rows(COMPOSED) == store.keys.rows(APART)
        store.contents.revoke(APART)
        assert store.keys.get_many([kid])[kid].revoked == "content"
        store.contents.revoke(COMPOSED, restore=True)
        assert store.keys.get_many([kid])[kid].revoked == ""
        assert [row.content for row in store.contents.rows()] == [COMPOSED]
        assert [row.place.period for row in store.contents.next_period(APART)] == [1]
        with pytest.raises(InvalidArgumentError, match="128"):
            store.contents.revoke(LONGER)


def test_a_token_is_revoked_and_spent_in_either_form_of_its_id(office: Desk) -> None:
    exp = {"exp": int(office.clock.now) + 600}
    office.store.tokens.revoke(APART)
    assert office.license(token=token({**exp, "jti": COMPOSED, "reusable": True})).code == "token_revoked"
    office.store.tokens.revoke(COMPOSED, restore=True)
    office.clock.advance(2)
    assert office.license(token=token({**exp, "jti": APART})).code == "issued"
    assert office.license(token=token({**exp, "jti": COMPOSED})).code == "token_replayed"
    assert office.license(token=token({**exp, "jti": LONGER})).code == "token_invalid"


def test_a_token_covers_a_content_in_either_form_of_its_name(office: Desk) -> None:
    office.store.keys.add({VIDEO: ContentKey(b"V" * 16)}, places={VIDEO: Place(COMPOSED)})
    office.clock.advance(2)
    exp = {"exp": int(office.clock.now) + 600, "kids": None}
    assert office.license(token=token({**exp, "contents": [APART]})).code == "issued"
    assert office.license(token=token({**exp, "contents": ["Cafe Omega"]})).code == "token_kids"
