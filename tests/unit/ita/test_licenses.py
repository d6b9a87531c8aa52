"""Which licenses the authority believes, plain and sealed, how long they last, and that none is ever repeated."""

from __future__ import annotations

import base64
import json
import logging
import time
import traceback

import pytest

from drm.errors import (
    DRMError,
    IndividualizationRequiredError,
    InvalidArgumentError,
    KeyMissingError,
    LicenseError,
    LicenseExpiredError,
    LicenseMalformedError,
    LicenseRequiredError,
    OutputNotAllowedError,
)
from drm.keys import KeyId
from drm.license.clearkey import encode_jwk_set
from drm.license.sealed import seal, verify_registration, verify_request
from drm.rights.enablers import EnableType, LicensePath
from drm.rights.policy import PLAIN_LICENSE_POLICY, Action, Policy
from tests.clocks import HeldClock
from tests.unit.ita.world import (
    CLEAR,
    KEYS,
    SECRETS,
    A,
    B,
    C,
    Environment,
    asked,
    authority,
    decrypt,
    enabled,
)


# ------------------------------------------------------------------------------------------------ plain licenses
@pytest.mark.parametrize(
    ("answer", "error", "kids"),
    [
        (encode_jwk_set({}), KeyMissingError, (A, B)),
        (encode_jwk_set({C: KEYS[C]}), KeyMissingError, (A, B)),
        (encode_jwk_set({A: KEYS[A]}), KeyMissingError, (B,)),
        (encode_jwk_set({A: KEYS[A], B.byte_reversed: KEYS[B]}), None, ()),
        (b"", LicenseMalformedError, ()),
        (b"<html>", LicenseMalformedError, ()),
        (b'{"keys": [{"kty": "oct", "kid": "x", "k": "y"}]}', LicenseMalformedError, ()),
        (b'{"keys": 5}', LicenseMalformedError, ()),
        (b"[" * 50_000, LicenseMalformedError, ()),
    ],
    ids=["empty", "another", "a part", "same bytes reversed", "nothing", "html", "no usable key", "no list", "nested"],
)
def test_plain_answers(answer: bytes, error: type[DRMError] | None, kids: tuple[KeyId, ...]) -> None:
    ita = authority(None, A, B)
    activate = asked(ita)
    if error is None:  # all bytes of B are one: reversed it is the same key id
        ita.accept(activate, answer, LicensePath.CLEAR)
        return
    with pytest.raises(error) as raised:
        ita.accept(activate, answer, LicensePath.CLEAR)
    assert raised.value.kids == tuple(str(kid) for kid in kids)
    assert ita.key_ids == ()  # what was refused changes nothing
    with pytest.raises(LicenseRequiredError):
        ita.request_access(Action.PLAY)


def test_a_reversed_kid_is_named_as_the_likely_mistake() -> None:
    kid = KeyId(bytes(range(16)))
    ita = authority(None, kid)
    with pytest.raises(KeyMissingError) as raised:
        ita.accept(asked(ita), encode_jwk_set({kid.byte_reversed: KEYS[A]}), LicensePath.LOCAL)
    assert f"guid-le:{kid.byte_reversed}" in raised.value.maybe


@pytest.mark.parametrize(
    ("path", "brought", "seen", "remedy"),
    [
        (LicensePath.LOCAL, {C: KEYS[C]}, f"keys were given for {C}", f"--key {A}:KEY"),
        (LicensePath.LOCAL, {}, "keys were given for no KID at all", f"--key {A}:KEY"),
        (LicensePath.CLEAR, {C: KEYS[C]}, f"the license has {C}", "have the license server issue this KID"),
        (LicensePath.CLEAR, {}, "the license has no KID at all", "have the license server issue this KID"),
    ],
)
def test_what_came_instead_and_what_to_do_is_said(path: LicensePath, brought: dict, seen: str, remedy: str) -> None:
    ita = authority(None, A)
    with pytest.raises(KeyMissingError) as raised:
        ita.accept(asked(ita), encode_jwk_set(brought), path)
    assert (raised.value.seen, raised.value.maybe) == (seen, "")
    assert raised.value.remedy.startswith(remedy)


def test_a_license_that_nobody_asked_for_is_refused() -> None:
    ita = authority()
    activate = asked(ita)
    with pytest.raises(InvalidArgumentError):
        authority().accept(activate, encode_jwk_set(KEYS), LicensePath.CLEAR)
    ita.accept(activate, encode_jwk_set(KEYS), LicensePath.CLEAR)
    with pytest.raises(InvalidArgumentError):
        ita.accept(activate, encode_jwk_set(KEYS), LicensePath.CLEAR)


# ------------------------------------------------------------------------------------------------ sealed licenses
def sealing(level: int = 1) -> tuple[object, object, str]:
    """An authority with a device key, its enabler, and what the server gets."""
    ita = authority(Environment(level, bytes(range(32))), A, B)
    activate = asked(ita)
    return ita, activate, json.loads(activate.data)["pmp"]


def test_a_sealed_license_brings_its_policy() -> None:
    ita, activate, token = sealing()
    request = verify_request(token)
    assert (request.kids, request.level, request.components) == ((A, B), 1, {"ita": "00"})
    policy = Policy(actions=(Action.PLAY,), expires=int(time.time()) + 60)
    ita.accept(activate, seal(request, {A: KEYS[A], B: KEYS[B]}, policy), LicensePath.SEALED)
    assert ita.license_path is LicensePath.SEALED
    assert ita.get_policy(Action.PLAY).rules == policy
    ita.request_access(Action.PLAY)
    with pytest.raises(OutputNotAllowedError):
        ita.request_access(Action.SNAPSHOT)


def test_a_sealed_license_without_every_key_is_told() -> None:
    ita, activate, token = sealing()
    with pytest.raises(KeyMissingError) as raised:
        ita.accept(activate, seal(verify_request(token), {B: KEYS[B]}, Policy()), LicensePath.SEALED)
    assert raised.value.kids == (str(A),)


def test_plain_said_to_be_sealed_and_sealed_said_to_be_plain_are_refused() -> None:
    for claim in (LicensePath.SEALED, LicensePath.CLEAR, LicensePath.LOCAL, LicensePath.NONE):
        ita, activate, token = sealing()
        is_sealed = claim is not LicensePath.SEALED
        plain = encode_jwk_set({A: KEYS[A], B: KEYS[B]})
        answer = seal(verify_request(token), {A: KEYS[A], B: KEYS[B]}, Policy()) if is_sealed else plain
        with pytest.raises(LicenseMalformedError):
            ita.accept(activate, answer, claim)
        assert ita.key_ids == ()


@pytest.mark.parametrize("claim", LicensePath)
def test_sealed_is_never_believed_from_the_word_alone(claim: LicensePath) -> None:
    """Without a device key nothing can be sealed: whatever is claimed, the report says otherwise."""
    ita = authority()
    ita.accept(asked(ita), encode_jwk_set({A: KEYS[A]}), claim)
    assert ita.license_path is (LicensePath.LOCAL if claim is LicensePath.LOCAL else LicensePath.CLEAR)
    assert ita.get_policy(Action.PLAY).rules == PLAIN_LICENSE_POLICY


def test_a_sealed_license_opens_for_its_own_request_alone() -> None:
    one, activate, token = sealing()
    answer = seal(verify_request(token), {A: KEYS[A], B: KEYS[B]}, Policy())
    two, other, _ = sealing()
    with pytest.raises(LicenseMalformedError):
        two.accept(other, answer, LicensePath.SEALED)
    again = asked(one)  # a new request makes the old one void
    with pytest.raises(LicenseMalformedError):
        one.accept(again, answer, LicensePath.SEALED)
    spoilt = answer[:-6] + (b"AAAAAA" if answer[-6:] != b"AAAAAA" else b"BBBBBB")
    three, activate, _ = sealing()
    with pytest.raises(LicenseError):
        three.accept(activate, spoilt, LicensePath.SEALED)


def test_individualization_is_asked_for_only_when_the_server_wants_it() -> None:
    ita, _, _ = sealing()
    ita.needs_individualization()
    with pytest.raises(IndividualizationRequiredError) as required:
        ita.request_access(Action.PLAY)
    activate = required.value.enabler_activate
    assert activate.type is EnableType.INDIVIDUALIZATION
    assert verify_registration(activate.data).level == 1
    ita.individualized()
    asked(ita)


def test_a_worker_without_device_key_cannot_be_individualized() -> None:
    ita = authority()
    ita.needs_individualization()
    asked(ita)


# ------------------------------------------------------------------------------------------------ policy in time
def test_decryption_stops_when_the_license_ends(clock: HeldClock) -> None:
    ita, activate, token = sealing()
    policy = Policy(expires=int(clock.now) + 60)
    ita.accept(activate, seal(verify_request(token), {A: KEYS[A], B: KEYS[B]}, policy), LicensePath.SEALED)
    ita.request_access(Action.PLAY)
    decrypter = enabled(ita)
    assert decrypt(decrypter) == CLEAR
    clock.advance(59)
    assert decrypt(decrypter) == CLEAR
    clock.advance(1)
    with pytest.raises(LicenseExpiredError):
        decrypt(decrypter)
    with pytest.raises(LicenseRequiredError) as required:  # and another one is to be had
        ita.request_access(Action.PLAY)
    assert required.value.enabler_activate.key_ids == (A, B)


# ------------------------------------------------------------------------------------------------ secrets
def forms(secret: bytes) -> set[str]:
    return {secret.hex(), secret.hex().upper(), secret.decode(), repr(secret), base64.b64encode(secret).decode(),
            base64.urlsafe_b64encode(secret).rstrip(b"=").decode(), str(list(secret)), repr(secret[:6])}  # fmt: skip


def test_keys_are_in_no_text_that_anything_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    def note(thing: object) -> None:
        texts.extend((repr(thing), str(thing), repr(getattr(thing, "__dict__", ""))))

    for claim in LicensePath:
        ita, activate, token = sealing()
        request = verify_request(token)
        good = {A: KEYS[A], B: KEYS[B]}
        answers = [
            encode_jwk_set(good), encode_jwk_set({A: KEYS[A]}), encode_jwk_set(good)[:-2], encode_jwk_set(good) + b"x",
            encode_jwk_set(good).replace(b"oct", b"okp"), seal(request, {A: KEYS[A]}, Policy()),
            seal(request, KEYS, Policy()), seal(request, good, Policy()),
        ]  # fmt: skip
        for answer in answers:
            try:
                ita.accept(asked(ita) if activate is None else activate, answer, claim)
                break
            except DRMError as error:
                activate = None
                note(error)
                texts += [error.render(), repr(error.to_record()), "".join(traceback.format_exception(error))]
        note(ita)
        note(ita._ring)
        texts.append(repr(ita._ring._entries))
        for entry in [entry for held in ita._ring._entries.values() for entry in held]:
            note(entry)
            note(entry.key)
        if not ita._ring.missing((A,)):
            decrypter = enabled(ita)
            decrypt(decrypter)
            note(decrypter)
            texts.append(repr(decrypter._ciphers))
    texts += [record.getMessage() for record in caplog.records]
    said = "\n".join(texts)
    assert len(texts) > 50
    for secret in SECRETS.values():
        for form in forms(secret):
            assert form not in said
