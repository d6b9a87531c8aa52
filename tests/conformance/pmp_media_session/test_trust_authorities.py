"""Trust authorities by themselves: the Clear Key authority out of its verified bytes, in this process.

What the session makes of them in a locked worker is in test_trusted_outputs.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    KeyMissingError,
    LicenseRequiredError,
    MalformedMediaError,
    NotProtectedError,
    PolicyChangedError,
    SessionError,
    UnsupportedActionError,
)
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.media import SampleCrypto, Scheme
from drm.rights.enablers import LicensePath
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_schema import Connector, OutputAttribute, OutputSchema, Schema
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action, Policy
from tests.unit.ita.test_policies import sealing, world
from tests.unit.ita.world import CLEAR, KEYS, A, asked, authority, bind, decrypt, enabled, licensed

NO_KEY_ID = KeyId(bytes(16))


def number(call: Callable[[], object]) -> int:
    with pytest.raises(DRMError) as raised:
        call()
    return raised.value.hresult


# ------------------------------------------------------------------------------------------------ the input's side
def test_mf_105_each_decrypter_is_another_and_disabled_until_its_policy_is_set() -> None:
    ita = licensed()
    one, two = ita.get_decrypter(), ita.get_decrypter()
    assert one is not two
    assert number(lambda: decrypt(one)) == number(lambda: decrypt(two)) == 0xC00D36B2
    one.policy_set(0)  # of no use before access is bound
    assert number(lambda: decrypt(one)) == HResult.MF_E_INVALIDREQUEST
    bind(ita)
    one.policy_set(0)
    assert decrypt(one) == CLEAR
    assert number(lambda: decrypt(two)) == HResult.MF_E_INVALIDREQUEST


def test_mf_106_a_clear_stream_has_no_decrypter() -> None:
    ita = authority()
    ita.load(b'{"track_id": 1, "scheme": "", "key_ids": []}')
    with pytest.raises(NotProtectedError) as clear:
        ita.get_decrypter()
    assert clear.value.hresult == 0xC00D3E9A
    assert ita.request_access(Action.PLAY) is None


def test_mf_107_access_without_a_license_asks_for_one_and_copy_is_no_action() -> None:
    ita = authority()
    with pytest.raises(LicenseRequiredError) as required:
        ita.request_access(Action.PLAY)
    assert required.value.hresult == 0xC00D0BBE
    activate = required.value.enabler_activate
    assert activate is not None
    for has_license in (False, True):
        for action in (Action.COPY, Action.EXPORT):
            with pytest.raises(UnsupportedActionError) as refused:
                ita.request_access(action)
            assert refused.value.hresult == 0xC00D717A
            assert not hasattr(refused.value, "enabler_activate")
            assert number(lambda: ita.get_policy(action)) == 0xC00D717A  # noqa: B023
        if not has_license:
            ita.accept(activate, encode_jwk_set({A: KEYS[A]}), LicensePath.CLEAR)
            assert ita.request_access(Action.PLAY) is None


@pytest.mark.parametrize("action", [Action.EXTRACT, Action.NO])
def test_mf_107_extract_and_no_are_granted_and_lead_to_no_decryption(action: Action) -> None:
    ita = licensed()
    assert authority().request_access(action) is None
    assert number(lambda: decrypt(enabled(ita, action))) == HResult.MF_E_INVALIDREQUEST
    screen = (OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, tuple(Schema))
    assert number(lambda: ita.get_policy(action).generate_required_schemas(*screen)) == HResult.MF_E_POLICY_UNSUPPORTED


@pytest.mark.parametrize("method", ["bind_access", "update_access"])
def test_mf_109_access_is_bound_with_version_0_and_actions_of_ours_only(method: str) -> None:
    ita = licensed()
    call, decrypter = getattr(ita, method), ita.get_decrypter()
    with pytest.raises(InvalidArgumentError) as version:
        call(_params(Action.PLAY, version=1))
    assert version.value.hresult == 0x80070057
    with pytest.raises(SessionError) as action:
        call(_params(Action.COPY))
    assert action.value.hresult == HResult.MF_E_UNEXPECTED == 0xC00D36BB
    decrypter.policy_set(0)
    assert number(lambda: decrypt(decrypter)) == HResult.MF_E_INVALIDREQUEST
    call(_params(Action.PLAY))
    decrypter.policy_set(0)
    assert decrypt(decrypter) == CLEAR


def _params(action: Action, version: int = 0):
    from drm.rights.authorities import AccessParameters

    return AccessParameters(((action, b""),), version)


def test_mf_111_after_shutdown_all_is_refused_and_old_decrypters_are_dead() -> None:
    ita = licensed()
    old = enabled(ita)
    ita.shutdown()
    calls = [lambda: ita.request_access(Action.PLAY), lambda: ita.get_policy(Action.PLAY), lambda: bind(ita),
             lambda: ita.update_access(_params(Action.PLAY)), ita.get_decrypter, ita.reset]  # fmt: skip
    assert {number(call) for call in calls} == {0xC00D3E85}
    assert number(lambda: decrypt(old)) == 0xC00D36DE
    old.policy_set(0)
    assert number(lambda: decrypt(old)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED


def test_mf_111_a_reset_kills_the_decrypters_that_there_are_and_no_later_one() -> None:
    ita = licensed()
    old = enabled(ita)
    ita.reset()
    later = enabled(ita)
    old.policy_set(0)
    assert number(lambda: decrypt(old)) == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED
    assert decrypt(later) == CLEAR


def test_mf_113_one_originator_for_all_policies_and_schemas_of_an_authority() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    other, again = sealing(environment, A)
    bring(Policy(hdcp=1))
    screen = (OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, [Schema.HDCP_WITH_TYPE_ENFORCEMENT])
    first = ita.get_policy(Action.PLAY)
    decrypter = enabled(ita)
    again(Policy(hdcp=2))
    with pytest.raises(PolicyChangedError) as changed:
        decrypt(decrypter)
    policies = [first, *changed.value.policies, ita.get_policy(Action.SNAPSHOT)]
    schemas = [schema for policy in policies for schema in policy.generate_required_schemas(*screen)]
    assert [schema.configuration_data for schema in schemas] == [1, 2, 2]
    assert {each.originator_id for each in (*policies, *schemas)} == {first.originator_id}
    assert other.get_policy(Action.PLAY).originator_id != first.originator_id


# ------------------------------------------------------------------------------------------------ the output's side
def test_mf_114_hdcp_of_type_1_on_plain_hdcp_is_refused_and_of_any_version_is_one_schema() -> None:
    screen = (OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, [Schema.HDCP])
    one, two = (OutputPolicy(Action.PLAY, Policy(hdcp=n), uuid.uuid4()) for n in (1, 2))
    assert number(lambda: two.generate_required_schemas(*screen)) == 0xC00D7159
    (schema,) = one.generate_required_schemas(*screen)
    assert (schema.schema_type, schema.configuration_data) == (Schema.HDCP, 1)


@pytest.mark.parametrize("fails", [False, True])
def test_mf_119_a_best_effort_that_fails_is_ignored_and_the_fail_over_applied(fails: bool) -> None:
    originator = uuid.uuid4()

    class Both:
        def generate_required_schemas(self, *_output: object) -> list[OutputSchema]:
            return [
                OutputSchema(Schema.CGMSA, 1, originator, best_effort=True),
                OutputSchema(Schema.ACP, 1, originator, fail_over=True),
            ]

    supported = [Schema.ACP] if fails else [Schema.ACP, Schema.CGMSA]
    output = OutputTrust(Action.PLAY, OutputAttribute.VIDEO, Connector.SVIDEO, supported)
    output.set_policy([Both()])
    assert [schema.schema_type for schema in output.applied] == [Schema.ACP if fails else Schema.CGMSA]


# ------------------------------------------------------------------------------------------------ samples
def test_mf_123_a_map_of_subsamples_that_does_not_fit_is_refused_and_a_short_one_leaves_the_rest_clear() -> None:
    decrypter = enabled(licensed())

    def with_map(*subsamples: tuple[int, int]) -> bytes:
        return decrypt(decrypter, SampleCrypto(A, Scheme.CENC, bytes(8), subsamples))

    for wrong in ([(0, 0)], [(8, 8), (0, 0)], [(1, 16)], [(17, 0)]):
        with pytest.raises(MalformedMediaError) as error:
            with_map(*wrong)
        assert error.value.hresult == 0xC00D36BE
    assert with_map((0, 16)) == CLEAR
    short = with_map((0, 7))
    assert short[:7] == CLEAR[:7]
    assert short[7:] != CLEAR[7:]  # left as it was stored: here it is encrypted all the same


@pytest.mark.parametrize(
    ("scheme", "crypt", "skip", "status"),
    [
        (Scheme.CENC, 1, 0, 0xC00D36CB),
        (Scheme.CBC1, 1, 0, 0xC00D36CB),
        (Scheme.CENC, 0, 9, 0xC00D36CB),
        (Scheme.CBCS, 0, 9, 0xC00D36CB),
        (Scheme.CENS, 0, 9, 0xC00D36CB),
        (Scheme.CBCS, 10, 0, 0),
        (Scheme.CBCS, 1, 0, 0),
        (Scheme.CBCS, 1, 9, 0),
        (Scheme.CBCS, 0, 0, 0),
    ],
)
def test_mf_124_a_pattern_of_one_number_is_refused_where_it_means_nothing(
    scheme: Scheme, crypt: int, skip: int, status: int
) -> None:
    """Microsoft's component refuses every pattern of which one half is 0.

    Ruling: `skip` 0 under a pattern scheme plays. ISO/IEC 23001-7, clause 9.6, lets it be 0, which means every block;
    real files of other packagers have cbcs with 10:0 and 1:0 (the vectors of this project hold some). `crypt` 0 with
    a `skip`, and a pattern under a scheme without patterns, mean nothing anywhere, and are refused.
    """
    decrypter = enabled(licensed())
    source, target = memoryview(bytes(32)), memoryview(bytearray(32))

    def run() -> None:
        decrypter.decrypt_into(source, SampleCrypto(A, scheme, bytes(16), (), crypt, skip), target)

    if status:
        assert number(run) == status
    else:
        run()


def test_mf_124_without_any_key_id_there_is_no_key() -> None:
    """A sample of ours always names one. That of no key is the null id, unless somebody holds a key for just that."""
    decrypter = enabled(licensed())
    sample = memoryview(bytes(16)), SampleCrypto(NO_KEY_ID, Scheme.CENC, bytes(8)), memoryview(bytearray(16))
    with pytest.raises(KeyMissingError) as missing:
        decrypter.decrypt_into(*sample)
    assert missing.value.hresult == 0xC00D36E2
    ita = authority(None, NO_KEY_ID)
    ita.accept(asked(ita), encode_jwk_set({NO_KEY_ID: ContentKey(bytes(16))}), LicensePath.LOCAL)
    enabled(ita).decrypt_into(*sample)


def test_mf_124_aes_ctr_is_the_scheme_of_what_names_none(own_vectors: Path) -> None:
    """WebM names no scheme. (An MP4 that names none breaks ISO/IEC 23001-7, clause 4.1, and its reader refuses it.)"""
    (film, *_) = sorted((own_vectors / "generated").glob("*.webm"))
    with FileByteStream(film) as stream:
        source = open_source(stream)
        tracks = [each.track.track_id for each in source.streams() if each.is_protected]
        source.select(tracks)
        samples = iter(lambda: source.next_sample(tracks[0]), None)
        crypto = next(sample.crypto for sample in samples if sample.crypto)
    assert crypto.scheme is Scheme.CENC
    assert not crypto.scheme.is_cbc
    assert (crypto.crypt_blocks, crypto.skip_blocks) == (0, 0)
