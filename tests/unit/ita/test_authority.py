"""The Clear Key trust authority: what opens its decrypters, what closes them, and what it says of keys."""

from __future__ import annotations

import gc
import json

import msgspec
import pytest

from drm.app.sources import component_loader
from drm.cenc.engines import ENGINE_NAMES
from drm.class_ids import CLEARKEY_ITA
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    KeyMissingError,
    UnsupportedActionError,
)
from drm.hresult import HResult
from drm.keys import KeyId
from drm.license.clearkey import encode_jwk_set
from drm.media import SampleCrypto, Scheme
from drm.rights.enablers import EnableType, LicensePath
from drm.rights.policy import PLAIN_LICENSE_POLICY, Action
from tests.unit.ita.world import (
    CLEAR,
    KEYS,
    A,
    B,
    Environment,
    asked,
    authority,
    bind,
    decrypt,
    enabled,
    licensed,
    refused,
)


# ------------------------------------------------------------------------------------------------ the gate
@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_decrypter_works_between_bind_and_reset_and_never_again(engine: str) -> None:
    ita = licensed(A, environment=Environment(engine=engine))
    one, two = ita.get_decrypter(), ita.get_decrypter()
    assert one is not two
    assert refused(lambda: decrypt(one)) == HResult.MF_E_INVALIDREQUEST == 0xC00D36B2
    bind(ita)
    assert refused(lambda: decrypt(one)) == HResult.MF_E_INVALIDREQUEST  # access is bound, and its policy is not set
    one.policy_set(0)
    two.policy_set(0)
    assert decrypt(one) == decrypt(two) == CLEAR
    ita.reset()
    for decrypter in (one, two):
        assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED == 0xC00D36DE  # noqa: B023
        decrypter.policy_set(0)
        assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED  # noqa: B023
    bind(ita)
    for decrypter in (one, two):
        decrypter.policy_set(0)
        assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED  # noqa: B023
    assert decrypt(enabled(ita)) == CLEAR


def test_shutdown_ends_the_authority_and_its_decrypters() -> None:
    ita = licensed()
    old = enabled(ita)
    assert decrypt(old) == CLEAR
    ita.shutdown()
    ita.shutdown()
    assert refused(lambda: decrypt(old)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED
    calls = (lambda: bind(ita), lambda: ita.request_access(Action.PLAY), lambda: ita.get_policy(Action.PLAY),
             ita.get_decrypter, ita.reset)  # fmt: skip
    for call in calls:
        assert refused(call) == HResult.MF_E_SHUTDOWN
    assert ita.key_ids == ()


def test_keys_stay_as_long_as_one_stream_of_the_session_needs_them() -> None:
    environment = Environment()
    one = licensed(A, environment=environment)
    two = authority(environment, A)
    two.request_access(Action.PLAY)
    playing = enabled(two)
    one.shutdown()
    assert decrypt(playing) == CLEAR
    assert two.key_ids == (A,)
    two.shutdown()
    asked(authority(environment, A))  # wiped: asked for anew


def test_a_decrypter_keeps_its_authority_and_an_authority_that_nobody_holds_lets_go_of_its_keys() -> None:
    environment = Environment()
    decrypter = enabled(licensed(A, environment=environment))
    gc.collect()
    assert decrypt(decrypter) == CLEAR
    del decrypter
    gc.collect()
    asked(authority(environment, A))


def test_a_sample_of_another_kid_finds_no_key() -> None:
    ita = licensed()
    with pytest.raises(KeyMissingError) as missing:
        decrypt(enabled(ita), SampleCrypto(B, Scheme.CENC, bytes(8)))
    assert missing.value.kids == (str(B),)
    assert (missing.value.maybe, missing.value.hresult) == ("", HResult.MF_E_LICENSE_INCORRECT_RIGHTS)
    assert missing.value.remedy.startswith(f"--key {B}:KEY")


def test_a_sample_of_no_kid_says_so() -> None:
    nobody = KeyId(bytes(16))
    decrypter = enabled(licensed())
    with pytest.raises(KeyMissingError) as missing:
        decrypter.decrypt_into(
            memoryview(bytes(16)), SampleCrypto(nobody, Scheme.CENC, bytes(8)), memoryview(bytearray(16))
        )
    assert "no key id" in missing.value.maybe
    assert missing.value.hresult == HResult.MF_E_INVALID_KEY


# ------------------------------------------------------------------------------------------------ access
def test_access_is_refused_until_there_is_a_license_and_then_granted() -> None:
    ita = authority(None, A, B)
    activate = asked(ita)
    assert (activate.type, activate.key_ids) == (EnableType.LICENSE_ACQUISITION, (A, B))
    request = json.loads(activate.data)
    assert request == {"kids": [A.base64url, B.base64url], "type": "temporary"}
    ita.accept(activate, encode_jwk_set({A: KEYS[A], B: KEYS[B]}), LicensePath.CLEAR)
    assert ita.request_access(Action.PLAY) is None
    assert ita.get_policy(Action.PLAY).rules == PLAIN_LICENSE_POLICY
    assert ita.license_path is LicensePath.CLEAR


@pytest.mark.parametrize("has_license", [False, True])
def test_export_is_never_supported_and_offers_no_way(has_license: bool) -> None:
    ita = licensed() if has_license else authority()
    with pytest.raises(UnsupportedActionError) as error:
        ita.request_access(Action.EXPORT)
    assert error.value.hresult == HResult.MF_E_ITA_UNSUPPORTED_ACTION == 0xC00D717A
    assert not hasattr(error.value, "enabler_activate")
    assert refused(lambda: ita.get_policy(Action.EXPORT)) == HResult.MF_E_ITA_UNSUPPORTED_ACTION


def test_authorities_of_one_session_share_keys_and_those_of_another_do_not() -> None:
    here, there = Environment(), Environment()
    _held = licensed(A, environment=here)  # its end would let go of the keys
    assert authority(here, A).request_access(Action.PLAY) is None
    asked(authority(there, A))


def test_only_missing_keys_are_asked_for() -> None:
    environment = Environment()
    _held = licensed(A, environment=environment)
    assert asked(authority(environment, A, B)).key_ids == (B,)


@pytest.mark.parametrize(
    "init",
    [b"", b"[]", b"{", b"\xff", b"[" * 30_000,
     msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [str(A)] * 65}),
     b'{"track_id": 1, "scheme": "cenc", "key_ids": ["zz"]}'],
)  # fmt: skip
def test_initialization_data_that_cannot_be_read_is_refused(init: bytes) -> None:
    made = component_loader().create(CLEARKEY_ITA)
    made.set_environment(Environment())
    with pytest.raises(InvalidArgumentError):
        made.load(init)


def test_outside_of_an_environment_it_does_nothing() -> None:
    made = component_loader().create(CLEARKEY_ITA)
    made.load(b'{"track_id": 1, "scheme": "cenc", "key_ids": ["%s"]}' % str(A).encode())
    with pytest.raises(DRMError, match="environment"):
        made.request_access(Action.PLAY)
