"""How long a key is in memory: it is wiped when another takes its place and when the last stream that needs it ends."""

from __future__ import annotations

import gc

import msgspec
import pytest

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.rights.enablers import LicensePath
from drm.rights.policy import Action
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
    licensed,
)

WIPED = ContentKey(bytes(16))


def held(ita: object, kid: KeyId) -> ContentKey:
    """The very key that is on the ring, not a copy."""
    return ita._ring.entry(kid).key


def test_a_key_that_another_takes_the_place_of_is_wiped_and_the_new_one_is_not() -> None:
    environment = Environment()
    ita = licensed(A, environment=environment)
    again = authority(environment, A, B)
    old = held(ita, A)
    again.accept(asked(again), encode_jwk_set({A: KEYS[A], B: KEYS[B]}), LicensePath.CLEAR)
    new = held(ita, A)
    assert new is not old
    assert old == WIPED
    assert new == KEYS[A]
    assert decrypt(enabled(ita)) == CLEAR


def test_a_decrypter_goes_on_with_the_new_key_and_not_with_the_cipher_of_the_old() -> None:
    environment = Environment()
    ita, again = authority(environment, A), authority(environment, A, B)
    ita.accept(asked(ita), encode_jwk_set({A: KEYS[C]}), LicensePath.CLEAR)
    decrypter = enabled(ita)
    assert decrypt(decrypter) != CLEAR
    again.accept(asked(again), encode_jwk_set({A: KEYS[A], B: KEYS[B]}), LicensePath.CLEAR)
    assert decrypt(decrypter) == CLEAR


def test_the_cipher_of_a_key_is_made_once(clock: HeldClock) -> None:
    ita = licensed(A)
    decrypter = enabled(ita)
    ciphers = []
    for _ in range(3):
        clock.advance(2)  # the license is looked at again each time
        assert decrypt(decrypter) == CLEAR
        ciphers.append(decrypter._ciphers[A][1])
    assert ciphers[0] is ciphers[1] is ciphers[2]


def test_a_key_that_comes_again_as_the_same_object_is_not_wiped() -> None:
    ita = licensed(A)
    ring, key = ita._ring, held(ita, A)
    before = ring.generation
    ring.add({A: key}, ring.entry(A).license)
    assert key == KEYS[A]
    assert ring.generation == before + 1, "decrypters would not look at the new license"


@pytest.mark.parametrize("end", ["shutdown", "nobody holds it"])
def test_keys_are_wiped_with_the_last_stream_that_needs_them(end: str) -> None:
    environment = Environment()
    one, two = licensed(A, B, environment=environment), authority(environment, B, C)
    first, second = held(one, A), held(one, B)
    before = one._ring.generation
    ring = one._ring
    if end == "shutdown":
        one.shutdown()
    else:
        one = None
        gc.collect()
    assert (first, second) == (WIPED, KEYS[B])
    assert two.key_ids == (B,)
    assert ring.generation > before
    two.shutdown()
    assert second == WIPED
    assert ring.key_ids() == ()


def test_who_has_let_go_holds_and_wipes_nothing_more() -> None:
    environment = Environment()
    one, two = licensed(A, environment=environment), authority(environment, A)
    one.shutdown()
    generation = one._ring.generation
    one._ring.let_go(one._holder)
    one._ring.want(one._holder, (B,))
    assert one._ring.generation == generation
    two.shutdown()
    assert one._ring.key_ids() == ()
    asked(authority(environment, A))


def test_a_reset_keeps_the_keys_for_what_is_bound_afterwards() -> None:
    ita = licensed(A)
    key = held(ita, A)
    ita.reset()
    assert key == KEYS[A]
    assert ita.key_ids == (A,)
    assert decrypt(enabled(ita)) == CLEAR


def test_what_was_tested_with_is_no_key_of_zeros() -> None:
    """Otherwise a key that is not wiped would look wiped."""
    assert all(any(secret) for secret in SECRETS.values())


# ------------------------------------------------------------------------------------------------ which keys
@pytest.mark.parametrize("path", [LicensePath.LOCAL, LicensePath.CLEAR])
def test_a_stream_whose_key_is_there_already_tells_how_that_key_came(path: LicensePath) -> None:
    environment = Environment()
    ita = authority(environment, A)
    ita.accept(asked(ita), encode_jwk_set({A: KEYS[A]}), path)
    other = authority(environment, A)
    assert other.license_path is LicensePath.NONE
    other.request_access(Action.PLAY)
    assert other.license_path is path


def test_key_ids_that_samples_name_are_wanted_each_once_and_in_order() -> None:
    environment = Environment()
    ita = licensed(A, environment=environment)
    assert ita.require((B, A, C)) is True
    assert ita.require((C,)) is False
    assert asked(ita).key_ids == (B, C)
    other = licensed(B, C, environment=environment)
    other.shutdown()
    assert ita.key_ids == (A, B, C), "keys that rotated in stay, too"


@pytest.mark.parametrize(("count", "goes"), [(64, True), (65, False)])
def test_a_stream_names_64_key_ids_at_most(count: int, goes: bool) -> None:
    ita = authority()
    named = [str(KeyId(number.to_bytes(16, "big"))) for number in range(1, count + 1)]
    data = msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": named})
    if goes:
        ita.load(data)
        assert len(asked(ita).key_ids) == 64
    else:
        with pytest.raises(InvalidArgumentError, match="names 65 key ids, more than 64"):
            ita.load(data)


def test_samples_of_a_stream_name_4096_key_ids_at_most() -> None:
    ita = authority(None, A)
    rotated = [KeyId(number.to_bytes(16, "big")) for number in range(1, 4096)]
    assert ita.require(rotated) is True
    assert ita.require(rotated) is False
    with pytest.raises(InvalidArgumentError, match="more than 4096"):
        ita.require([KeyId(b"\xff" * 16)])
