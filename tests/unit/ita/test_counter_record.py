"""A counter of AES-CTR opens one sample, for one decoder: whatever its IV's form, in every session of the process."""

from __future__ import annotations

import pytest

from drm.cenc.dialect import Dialect
from drm.errors import OutputNotAllowedError
from drm.keys import KeyId
from drm.media import SampleCrypto, Scheme
from drm.rights.policy import Action, Policy
from ita import counter_record
from ita.counter_record import CounterRecord
from tests.unit.ita.test_policies import sealing, world
from tests.unit.ita.world import A, bind

KID = KeyId(b"a key id, again!")
DATA = memoryview(bytes(range(160)))  # ten blocks
HALF = (7).to_bytes(8)


def long(low: int, upper: bytes = HALF) -> bytes:
    return upper + low.to_bytes(8)


def crypto(iv: bytes, **more: object) -> SampleCrypto:
    return SampleCrypto(KID, more.pop("scheme", Scheme.CENC), iv, **more)


def takes(record: CounterRecord, told: SampleCrypto, data: memoryview = DATA, decoder: str = "h264") -> bool:
    try:
        record.take(KID, told, data, decoder)
    except OutputNotAllowedError:
        return False
    return True


@pytest.mark.parametrize("iv", [HALF, long(0), long(5)], ids=["8", "16", "16-inside"])
def test_the_same_sample_comes_again_and_no_other(iv: bytes) -> None:
    record = CounterRecord()
    assert takes(record, crypto(iv))
    assert takes(record, crypto(iv)), "after a seek"
    assert not takes(record, crypto(iv), memoryview(bytes([1, *DATA[1:]]))), "another bit"
    assert not takes(record, crypto(iv), DATA[:150]), "a part of it"
    assert not takes(record, crypto(iv, subsamples=((1, 159),))), "other subsamples"
    assert not takes(record, crypto(iv), decoder="flac")
    assert takes(record, crypto(iv)), "what was refused has changed nothing"
    record.take(A, crypto(iv), DATA[:20], "flac")  # another key has counters of its own


def test_ivs_that_count_on_are_as_good_as_ever() -> None:
    record = CounterRecord()
    assert all(takes(record, crypto((1 << 32 | n).to_bytes(8)), DATA[n:]) for n in range(50))
    assert all(takes(record, crypto(long(10 * n)), DATA) for n in range(1, 50))
    assert all(takes(record, crypto(long(10 * n)), DATA) for n in range(1, 50))


@pytest.mark.parametrize("low", [1, 5, 9, (1 << 64) - 3])
def test_no_other_iv_reaches_into_a_samples_counters(low: int) -> None:
    """Ten counters from 0 on: another begins among them, or wraps into them."""
    record = CounterRecord()
    assert takes(record, crypto(long(0)))
    assert not takes(record, crypto(long(low)))
    assert takes(record, crypto(long(10))), "behind them"


def test_the_two_forms_of_one_iv_are_one() -> None:
    for first, second in ((HALF, long(3)), (HALF, long(0)), (long(3), HALF), (long(0), HALF)):
        record = CounterRecord()
        assert takes(record, crypto(first))
        assert not takes(record, crypto(second))


def test_the_other_reading_of_the_carry_reaches_nothing_either() -> None:
    record = CounterRecord()
    assert takes(record, crypto(long(0, (8).to_bytes(8))))
    assert not takes(record, crypto(long((1 << 64) - 2)))


def test_patterns_count_what_they_encrypt() -> None:
    record = CounterRecord()
    pattern = {"scheme": Scheme.CENS, "crypt_blocks": 1, "skip_blocks": 9}
    assert takes(record, crypto(long(0), **pattern))
    assert takes(record, crypto(long(1), **pattern)), "of ten blocks one"
    assert not takes(record, crypto(long(1), **pattern | {"skip_blocks": 8}))
    tail = frozenset({Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED})
    record.take(KID, crypto(long(50), scheme=Scheme.CENS), DATA[:24], "h264", tail)
    with pytest.raises(OutputNotAllowedError):
        record.take(KID, crypto(long(51), scheme=Scheme.CENS), DATA[:16], "h264", tail)


def test_a_sample_without_a_protected_block_takes_nothing() -> None:
    record = CounterRecord()
    assert takes(record, crypto(HALF, subsamples=((160, 0),)))
    assert takes(record, crypto(HALF))


def test_what_is_remembered_is_bounded_and_no_less_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_record, "REMEMBERED", 3000)  # far beyond the table's first size
    record = CounterRecord()
    for n in range(6500):
        assert takes(record, crypto(n.to_bytes(8)))
    assert not any(takes(record, crypto(n.to_bytes(8)), DATA[1:]) for n in range(3500, 6500)), "the last 3000"
    assert takes(record, crypto(bytes(8)), DATA[1:]), "the first was forgotten"


# ------------------------------------------------------------------------------------------------ in its place
ONE = memoryview(b"sixteen letters!")


def opened(actions: tuple[Action, ...], decoder: str = "h264"):
    environment = world()
    ita, bring = sealing(environment, A)
    bring(Policy(actions=actions))
    ita.get_policy(Action.PLAY)
    bind(ita)
    ita._gate.decoder = decoder
    decrypter = ita.get_decrypter()
    decrypter.policy_set(0)

    def decrypt(iv: bytes, stored: memoryview = ONE, scheme: Scheme = Scheme.CENC) -> None:
        decrypter.decrypt_into(stored, SampleCrypto(A, scheme, iv), memoryview(bytearray(len(stored))))

    return ita, decrypter, decrypt


def test_another_session_of_the_worker_gets_around_nothing() -> None:
    first, second = opened((Action.PLAY,)), opened((Action.PLAY,))
    first[2](b"sessions")
    second[2](b"sessions")
    with pytest.raises(OutputNotAllowedError, match="IV of KID"):
        second[2](b"sessions", memoryview(b"Sixteen letters!"))
    third = opened((Action.PLAY, Action.EXTRACT))
    third[2](b"sessions", memoryview(b"Sixteen letters!"))


def test_cbc_takes_no_counters() -> None:
    _ita, _decrypter, decrypt = opened((Action.PLAY,))
    for stored in (ONE, memoryview(b"Sixteen letters!")):
        decrypt(bytes(16), stored, Scheme.CBCS)


def test_a_rehearsal_notes_the_keys_of_its_stream_and_not_those_that_it_tries() -> None:
    ita, decrypter, decrypt = opened((Action.PLAY,))
    decrypter.is_rehearsal = True
    ita.wants = lambda _key_id: False
    decrypt(b"swapped?")
    decrypt(b"swapped?", memoryview(b"Sixteen letters!"))
    ita.wants = lambda _key_id: True
    decrypt(b"rehearse")
    with pytest.raises(OutputNotAllowedError):
        decrypt(b"rehearse", memoryview(b"Sixteen letters!"))


@pytest.mark.parametrize("decoder", ["", "prores", "rawvideo"])
def test_nothing_is_decrypted_for_a_decoder_that_is_not_listed(decoder: str) -> None:
    with pytest.raises(OutputNotAllowedError):
        opened((Action.PLAY,), decoder)[2](b"unlisted")
    opened((Action.PLAY, Action.EXTRACT), decoder)[2](b"unlisted")


def test_refusals_of_a_decoder_end_a_license_that_lends_nothing() -> None:
    ita, _decrypter, decrypt = opened((Action.PLAY,))
    for _ in range(15):
        ita.decoder_refused((A, A))
    decrypt(b"refusals")
    ita.decoder_refused((A,))
    with pytest.raises(OutputNotAllowedError, match="16 times"):
        decrypt(b"refusals")
    with pytest.raises(OutputNotAllowedError):
        ita.request_access(Action.PLAY)
    lending = opened((Action.PLAY, Action.EXTRACT))
    for _ in range(20):
        lending[0].decoder_refused((A,))
    lending[2](b"refusals")
