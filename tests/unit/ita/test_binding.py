"""What is bound and what is not: actions, versions, clear streams, and an authority outside of any environment."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from drm.app.sources import component_loader
from drm.class_ids import CLEARKEY_ITA
from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, NotProtectedError, SessionError
from drm.hresult import HResult
from drm.license.clearkey import encode_jwk_set
from drm.media import SampleCrypto, Scheme
from drm.rights.authorities import AccessParameters
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.rights.policy import Action
from tests.unit.ita.world import (
    CLEAR,
    KEYS,
    A,
    Environment,
    asked,
    authority,
    bind,
    decrypt,
    enabled,
    licensed,
    refused,
)


def loaded(stream: bytes, environment: Environment | None = None) -> object:
    made = component_loader().create(CLEARKEY_ITA)
    made.set_environment(environment or Environment())
    made.load(stream)
    return made


# ------------------------------------------------------------------------------------------------ the stream
def test_a_clear_stream_needs_nothing_and_has_no_decrypter() -> None:
    ita = loaded(b'{"track_id": 1, "scheme": "", "key_ids": []}')
    ita.request_access(Action.PLAY)
    assert ita.get_policy(Action.PLAY).rules is None
    with pytest.raises(NotProtectedError) as clear:
        ita.get_decrypter()
    assert clear.value.hresult == HResult.MF_E_NOT_PROTECTED


def test_a_protected_stream_may_name_no_key_id_until_its_samples_do() -> None:
    ita = loaded(b'{"track_id": 1, "scheme": "cenc", "key_ids": []}')
    ita.request_access(Action.PLAY)
    assert ita.get_decrypter() is not None
    assert ita.require((A,)) is True
    assert asked(ita).key_ids == (A,)


@pytest.mark.parametrize("stream", [{"scheme": "cenc"}, {}])
def test_a_stream_of_which_half_is_told_is_refused(stream: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        loaded(msgspec.json.encode({"track_id": 1, **stream}))


def test_key_ids_are_wanted_each_once_and_members_that_are_not_known_are_passed_over() -> None:
    named = {"track_id": 1, "scheme": "", "key_ids": [str(A), A.hex], "pssh": ["AAAA"], "more": 7}
    assert asked(loaded(msgspec.json.encode(named))).key_ids == (A,)


# ------------------------------------------------------------------------------------------------ binding
def test_parameters_of_another_version_are_refused_and_change_nothing() -> None:
    ita = licensed()
    decrypter = enabled(ita)
    with pytest.raises(InvalidArgumentError, match="version 1, not 0"):
        bind(ita, Action.NO, version=1)
    assert decrypt(decrypter) == CLEAR


@pytest.mark.parametrize("action", [Action.EXPORT, Action.COPY])
def test_an_action_that_is_never_allowed_cannot_be_bound(action: Action) -> None:
    ita = licensed()
    with pytest.raises(SessionError, match=f"'{action.value}' cannot be bound") as unexpected:
        bind(ita, Action.PLAY, action)
    assert unexpected.value.hresult == HResult.MF_E_UNEXPECTED
    decrypter = ita.get_decrypter()
    decrypter.policy_set(0)
    with pytest.raises(InvalidRequestError):
        decrypt(decrypter)


@pytest.mark.parametrize("actions", [(Action.NO,), (Action.EXTRACT,), ()])
def test_actions_that_lead_to_no_decryption_open_nothing_and_close_what_was_open(actions: tuple[Action, ...]) -> None:
    ita = licensed()
    decrypter = enabled(ita)
    ita.bind_access(AccessParameters(tuple((action, b"") for action in actions), 0))
    assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_INVALIDREQUEST
    decrypter.policy_set(0)
    assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_INVALIDREQUEST
    bind(ita)
    assert decrypt(decrypter) == CLEAR


def test_access_is_bound_anew_when_outputs_change_in_number() -> None:
    ita = licensed()
    decrypter = enabled(ita)
    ita.update_access(AccessParameters(((Action.NO, b""),), 0))
    assert refused(lambda: decrypt(decrypter)) == HResult.MF_E_INVALIDREQUEST
    ita.update_access(AccessParameters(((Action.PLAY, b""), (Action.PLAY, b""), (Action.NO, b"")), 0))
    assert decrypt(decrypter) == CLEAR
    assert ita._gate.actions == (Action.PLAY,), "each action once, and only those that decrypt"


def test_actions_that_come_to_nothing_are_granted_without_a_license() -> None:
    ita = authority()
    for action in (Action.EXTRACT, Action.NO):
        ita.request_access(action)
    assert ita.get_policy(Action.NO).rules is None


def test_another_enabler_brings_no_license() -> None:
    ita = authority()
    activate = asked(ita)
    other = EnablerActivate(EnableType.INDIVIDUALIZATION, activate.key_ids, activate.data)
    with pytest.raises(InvalidArgumentError, match="no license was asked for"):
        ita.accept(other, encode_jwk_set(KEYS), LicensePath.CLEAR)
    ita.accept(activate, encode_jwk_set(KEYS), LicensePath.CLEAR)


def test_individualization_needs_a_device_key_and_says_what_it_is_for() -> None:
    environment = Environment(2, bytes(range(32)))
    ita = authority(environment, A)
    ita.needs_individualization()
    with pytest.raises(DRMError, match="does not know this device") as wanted:
        ita.request_access(Action.PLAY)
    assert wanted.value.enabler_activate.key_ids == (A,)
    payload = wanted.value.enabler_activate.data.decode().split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (told["report"], told["components"]) == ({"level": 2}, {"ita": "00"})


# ------------------------------------------------------------------------------------------------ outside
def test_outside_of_an_environment_it_can_be_reset_and_shut_down_and_gives_no_decrypter() -> None:
    made = component_loader().create(CLEARKEY_ITA)
    made.load(msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [str(A)]}))
    bind(made)
    made.reset()
    with pytest.raises(DRMError, match="outside of a protected environment"):
        made.get_decrypter()
    made.shutdown()
    assert refused(made.reset) == HResult.MF_E_SHUTDOWN
    assert made.key_ids == ()


# ------------------------------------------------------------------------------------------------ the decrypter
NOTHING = memoryview(bytes(16))


def opened(scheme: Scheme, **crypto: object) -> bytes:
    decrypter = enabled(licensed())
    target = memoryview(bytearray(16))
    decrypter.decrypt_into(NOTHING, SampleCrypto(A, scheme, bytes(16), **crypto), target)
    return bytes(target)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(("crypt", "skip"), [(0, 0), (1, 0), (0, 1), (1, 1), (9, 1), (5, 5)])
def test_half_a_pattern_is_refused_but_for_every_block_of_a_pattern_scheme(
    scheme: Scheme, crypt: int, skip: int
) -> None:
    is_patterned = scheme in (Scheme.CENS, Scheme.CBCS)
    if bool(crypt) == bool(skip) or (crypt and is_patterned):
        assert opened(scheme, crypt_blocks=crypt, skip_blocks=skip) != bytes(16)
        return
    with pytest.raises(DRMError, match=f"a pattern of {crypt} encrypted and {skip} clear blocks under scheme") as bad:
        opened(scheme, crypt_blocks=crypt, skip_blocks=skip)
    assert bad.value.hresult == HResult.MF_E_INVALID_STREAM_DATA


@pytest.mark.parametrize("subsamples", [((0, 0),), ((0, 16), (0, 0)), ((16, 0), (0, 0))])
def test_a_subsample_of_no_bytes_is_refused(subsamples: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(DRMError, match="no bytes at all") as bad:
        opened(Scheme.CENC, subsamples=subsamples)
    assert bad.value.hresult == HResult.MF_E_INVALID_FILE_FORMAT


def test_subsamples_with_one_part_of_no_bytes_are_usual() -> None:
    assert opened(Scheme.CENC, subsamples=((16, 0),)) == bytes(16)
    assert opened(Scheme.CENC, subsamples=((0, 16),)) != bytes(16)
