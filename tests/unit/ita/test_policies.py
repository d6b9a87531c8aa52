"""Rules in the worker while media plays: changes of policy, clocks of licenses, the environment, samples that lie."""

from __future__ import annotations

import msgspec
import pytest

from drm.errors import IsolationError, LicenseExpiredError, LicenseRequiredError, PolicyChangedError
from drm.license.clearkey import encode_jwk_set
from drm.license.sealed import seal, verify_request
from drm.media import SampleCrypto, Scheme
from drm.rights.enablers import LicensePath
from drm.rights.policy import Action, Policy
from tests.clocks import HeldClock
from tests.unit.ita.world import (
    CLEAR,
    CRYPTO,
    KEYS,
    A,
    B,
    C,
    Environment,
    asked,
    authority,
    bind,
    decrypt,
    enabled,
)


def sealing(environment: Environment, *kids: object) -> tuple[object, object]:
    """An authority that asked for a license, and what brings it one under these rules."""
    ita = authority(environment, *kids)
    activate = asked(ita)
    request = verify_request(msgspec.json.decode(activate.data)["pmp"])

    def bring(policy: Policy) -> None:
        ita.accept(activate, seal(request, {kid: KEYS[kid] for kid in request.kids}, policy), LicensePath.SEALED)

    return ita, bring


def world() -> Environment:
    return Environment(1, bytes(range(32)))


def halted(decrypter: object, crypto: SampleCrypto = CRYPTO) -> tuple:
    with pytest.raises(PolicyChangedError) as changed:
        decrypt(decrypter, crypto)
    return changed.value.policies


# ------------------------------------------------------------------------------------------------ changes
def test_a_policy_that_changes_nothing_has_the_number_0() -> None:
    """MF_POLICY_ID. Any other is that of a change, and would be taken for the answer to it."""
    ita, bring = sealing(world(), A)
    bring(Policy())
    assert ita.get_policy(Action.PLAY).policy_id == 0


def test_a_stricter_license_halts_until_each_policy_is_set_and_a_looser_one_does_not() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    _, again = sealing(environment, A)
    _, looser = sealing(environment, A)
    both = (Action.PLAY, Action.SNAPSHOT)
    bring(Policy(actions=both, hdcp=1))
    decrypter = enabled(ita, *both)
    assert decrypt(decrypter) == CLEAR
    again(Policy(actions=both, hdcp=2))
    policies = halted(decrypter)
    assert [(p.action, p.rules.hdcp) for p in policies] == [(Action.PLAY, 2), (Action.SNAPSHOT, 2)]
    assert len({p.policy_id for p in policies} - {0}) == 2
    decrypter.policy_set(0)
    decrypter.policy_set(999_999)
    assert halted(decrypter) == policies, "the same change, not another"
    decrypter.policy_set(policies[0].policy_id)
    assert halted(decrypter) == policies[1:]
    decrypter.policy_set(policies[1].policy_id)
    assert decrypt(decrypter) == CLEAR
    looser(Policy(actions=both))
    assert decrypt(decrypter) == CLEAR


def test_a_policy_that_is_no_part_of_a_halt_changes_nothing() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    bring(Policy(hdcp=1))
    decrypter = enabled(ita)
    decrypter.policy_set(999_999)
    assert decrypt(decrypter) == CLEAR, "what outputs apply is what they were told"


def test_every_decrypter_is_told_for_itself() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    _, again = sealing(environment, A)
    bring(Policy())
    one, two = enabled(ita), enabled(ita)
    again(Policy(digital_only=1))
    (change,) = halted(one)
    one.policy_set(change.policy_id)
    assert decrypt(one) == CLEAR
    halted(two)


def test_a_rehearsal_halts_for_nothing() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    _, again = sealing(environment, A)
    bring(Policy())
    decrypter = enabled(ita)
    decrypter.is_rehearsal = True
    again(Policy(hdcp=2))
    assert decrypt(decrypter) == CLEAR


def test_a_stream_of_several_keys_asks_for_the_strictest_at_once() -> None:
    environment = world()
    _, one = sealing(environment, A)
    _, two = sealing(environment, B)
    one(Policy(hdcp=2))
    two(Policy(cgms_a=5))
    ita = authority(environment, A, B)
    rules = ita.get_policy(Action.PLAY).rules
    assert (rules.hdcp, rules.cgms_a) == (2, 5)
    decrypter = enabled(ita)
    for kid in (A, B, A):
        assert decrypt(decrypter, SampleCrypto(kid, Scheme.CENC, bytes(8))) == CLEAR


def test_policies_of_one_authority_share_an_originator_and_others_do_not() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    other, again = sealing(environment, A)
    bring(Policy(hdcp=1))
    first = ita.get_policy(Action.PLAY)
    decrypter = enabled(ita)
    again(Policy(hdcp=2))
    (change,) = halted(decrypter)
    assert first.originator_id == change.originator_id == ita.get_policy(Action.SNAPSHOT).originator_id
    assert other.get_policy(Action.PLAY).originator_id != first.originator_id


def test_nothing_is_asked_before_a_key_is_bound_and_the_first_license_is_a_change() -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    assert ita.get_policy(Action.PLAY).rules is None
    decrypter = enabled(ita)
    bring(Policy(hdcp=1))
    (change,) = halted(decrypter)
    decrypter.policy_set(change.policy_id)
    assert decrypt(decrypter) == CLEAR


# ------------------------------------------------------------------------------------------------ clocks
@pytest.mark.parametrize("rule", ["play_duration", "rental"])
def test_a_licenses_clock_runs_out_and_no_other_topology_sets_it_back(clock: HeldClock, rule: str) -> None:
    environment = world()
    ita, bring = sealing(environment, A)
    bring(Policy(**{rule: 100}))
    if rule == "rental":
        clock.advance(40)  # counts from the moment at which the license came
    decrypter = enabled(ita)
    assert decrypt(decrypter) == CLEAR
    clock.advance(59 if rule == "rental" else 99)
    assert decrypt(decrypter) == CLEAR
    assert authority(environment, A).request_access(Action.PLAY) is None
    clock.advance(1)
    with pytest.raises(LicenseExpiredError, match="100 s"):
        decrypt(decrypter)
    second = authority(environment, A)
    with pytest.raises(LicenseRequiredError):
        second.request_access(Action.PLAY)
    bind(second)
    again = second.get_decrypter()
    again.policy_set(0)
    with pytest.raises(LicenseExpiredError):
        decrypt(again)


def test_a_license_that_comes_when_it_is_over_is_told_and_not_asked_for_again_at_once(clock: HeldClock) -> None:
    ita, bring = sealing(world(), A)
    bring(Policy(expires=int(clock.now) - 1))
    with pytest.raises(LicenseExpiredError, match="expired"):
        ita.request_access(Action.PLAY)
    with pytest.raises(LicenseRequiredError):  # but by whoever comes next
        ita.request_access(Action.PLAY)


def test_a_license_is_renewed_so_long_before_its_end(clock: HeldClock) -> None:
    ita, bring = sealing(world(), A)
    bring(Policy(rental=100, renew_before=20))
    assert ita.request_access(Action.PLAY) is None
    clock.advance(79)
    assert ita.renewal((A,)) is None
    clock.advance(1)
    wanted = ita.renewal((A,))
    assert wanted.key_ids == (A,)
    request = verify_request(msgspec.json.decode(wanted.data)["pmp"])
    short = seal(request, {A: KEYS[A]}, Policy(rental=20, renew_before=20))
    ita.accept(wanted, short, LicensePath.SEALED)
    assert ita.renewal((A,)) is None, "one that came as late as that is used to its end"
    clock.advance(19)
    assert ita.request_access(Action.PLAY) is None
    clock.advance(1)
    with pytest.raises(LicenseRequiredError):
        ita.request_access(Action.PLAY)


def test_a_play_duration_begins_with_what_is_played(clock: HeldClock) -> None:
    ita, bring = sealing(world(), A)
    bring(Policy(play_duration=100))
    rehearsal = enabled(ita)
    rehearsal.is_rehearsal = True
    decrypt(rehearsal)
    clock.advance(101)
    played = enabled(ita)
    assert decrypt(played) == CLEAR
    clock.advance(99)
    assert decrypt(played) == CLEAR
    clock.advance(1)
    with pytest.raises(LicenseExpiredError):
        decrypt(played)


def test_a_license_is_looked_at_again_each_second_and_not_with_every_sample(clock: HeldClock) -> None:
    ita, bring = sealing(world(), A)
    bring(Policy(rental=10))
    clock.advance(9.5)
    decrypter = enabled(ita)
    assert decrypt(decrypter) == CLEAR  # looked at: for a second it holds
    clock.advance(0.9)
    assert decrypt(decrypter) == CLEAR
    clock.advance(0.1)
    with pytest.raises(LicenseExpiredError):
        decrypt(decrypter)


# ------------------------------------------------------------------------------------------------ environment
def test_the_environment_is_looked_at_with_the_first_sample_and_every_5000th() -> None:
    environment = Environment()
    looks, traced = [], []

    def report() -> dict[str, object]:
        looks.append(1)
        if traced:
            raise IsolationError("process 1 traces the PMP worker")
        return {}

    environment.report = report
    ita = authority(environment)
    ita.accept(asked(ita), encode_jwk_set({A: KEYS[A]}), LicensePath.CLEAR)
    decrypter = enabled(ita)
    before = len(looks)
    crypto = SampleCrypto(A, Scheme.CENC, bytes(8), ((0, 16),))
    stored, target = memoryview(bytes(16)), memoryview(bytearray(16))
    for _ in range(5000):
        decrypter.decrypt_into(stored, crypto, target)
    assert len(looks) == before + 1
    traced.append(1)
    with pytest.raises(IsolationError):
        decrypter.decrypt_into(stored, crypto, target)
    with pytest.raises(IsolationError):  # and stays so
        decrypter.decrypt_into(stored, crypto, target)


def test_other_keys_of_a_license_stay_out_of_it() -> None:
    """A key that no stream of the session wants is wiped with the last of them."""
    environment = Environment()
    ita = authority(environment, A)
    ita.accept(asked(ita), encode_jwk_set({A: KEYS[A], C: KEYS[C]}), LicensePath.CLEAR)
    other = authority(environment, B)
    ita.shutdown()
    assert other.key_ids == ()
