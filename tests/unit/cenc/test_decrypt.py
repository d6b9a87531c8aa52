"""Samples decrypted by each engine, against a model that walks block by block."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.dialect import Dialect
from drm.cenc.engines import ENGINE_NAMES, engine
from drm.errors import InvalidArgumentError, InvalidRequestError, MalformedMediaError
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme

KID = KeyId(bytes(range(16)))
KEYS = [bytes(16), bytes([0, *range(1, 15), 0]), bytes.fromhex("000102030405060708090a0b0c0d0e0f")]
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def decrypted(
    name: str, key: bytes, crypto: SampleCrypto, data: bytes, *, in_place: bool = False, dialects: Any = frozenset()
) -> bytes:
    decrypter = SampleDecrypter(ContentKey(key), engine=engine(name), dialects=dialects)
    if in_place:
        buffer = memoryview(bytearray(data))
        decrypter.decrypt_into(buffer, crypto, buffer)
        return bytes(buffer)
    target = memoryview(bytearray(b"\xee" * len(data)))
    decrypter.decrypt_into(memoryview(data), crypto, target)
    return bytes(target)


@st.composite
def samples(draw: st.DrawFn) -> tuple[SampleCrypto, bytes]:
    scheme = draw(st.sampled_from(Scheme))
    upper = draw(st.binary(min_size=8, max_size=8))
    near_wrap = st.integers(1, 12).map(lambda back: (2**64 - back).to_bytes(8, "big"))
    lower = draw(st.one_of(st.just(b""), st.binary(min_size=8, max_size=8), near_wrap))
    subsamples = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 400)), max_size=4))
    tail = draw(st.integers(0, 90))
    size = sum(map(sum, subsamples)) + tail if subsamples else draw(st.integers(0, 600))
    crypt, skip = 0, 0
    if scheme in (Scheme.CENS, Scheme.CBCS):
        crypt, skip = draw(st.one_of(st.just((0, 0)), st.tuples(st.integers(1, 15), st.integers(0, 15))))
    seed = draw(st.binary(min_size=1, max_size=32))
    data = (seed * (size // len(seed) + 1))[:size]
    return SampleCrypto(KID, scheme, upper + lower, tuple(subsamples), crypt, skip), data


@pytest.mark.parametrize("name", ENGINE_NAMES)
@BOUNDED
@given(sample=samples(), key=st.sampled_from(KEYS), in_place=st.booleans())
@example(
    sample=(SampleCrypto(KID, Scheme.CENC, b"\xff" * 16, ((3, 21), (0, 200))), bytes(240)), key=KEYS[1], in_place=True
)
@example(
    sample=(SampleCrypto(KID, Scheme.CENC, b"\xff" * 15 + b"\xfe", ((5, 40), (1, 60))), bytes(106)),
    key=KEYS[2],
    in_place=False,
)
@example(
    sample=(SampleCrypto(KID, Scheme.CENS, b"\xff" * 15 + b"\xfd", ((1, 160), (9, 333)), 2, 3), bytes(503)),
    key=KEYS[2],
    in_place=False,
)
@example(
    sample=(SampleCrypto(KID, Scheme.CBCS, bytes(16), ((1, 16 * 12), (9, 333)), 1, 9), bytes(550)),
    key=KEYS[2],
    in_place=True,
)
def test_every_engine_decrypts_what_the_model_decrypts(
    model: Any, name: str, sample: tuple[SampleCrypto, bytes], key: bytes, in_place: bool
) -> None:
    crypto, data = sample
    assert decrypted(name, key, crypto, data, in_place=in_place) == model(key, crypto, data)


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize(
    ("dialect", "argument"),
    [
        (Dialect.SHORT_RUN_IS_CLEAR, "short_run_is_clear"),
        (Dialect.CTR_128_BIT_CARRY, "carry"),
        (Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED, "cens_partial"),
    ],
)
@BOUNDED
@given(sample=samples())
@example(sample=(SampleCrypto(KID, Scheme.CENC, b"\xff" * 16, ((3, 21), (0, 200))), bytes(240)))
@example(sample=(SampleCrypto(KID, Scheme.CENC, b"\xff" * 16, ((3, 221),)), bytes(240)))
@example(sample=(SampleCrypto(KID, Scheme.CENS, b"\xff" * 8 + b"\0" * 8), b"x" * 77))
@example(sample=(SampleCrypto(KID, Scheme.CENS, b"\xff" * 8 + b"\0" * 8, (), 1, 2), b"x" * 50))
@example(sample=(SampleCrypto(KID, Scheme.CENS, b"\xff" * 8 + b"\0" * 8, (), 1, 2), b"x" * 24))
@example(sample=(SampleCrypto(KID, Scheme.CBCS, bytes(16), ((1, 16 * 12), (9, 333)), 5, 5), bytes(550)))
@example(sample=(SampleCrypto(KID, Scheme.CBCS, bytes(16), ((0, 16 * 14),), 10, 0), bytes(224)))
def test_every_dialect_reads_as_its_model(
    model: Any, name: str, dialect: Dialect, argument: str, sample: tuple[SampleCrypto, bytes]
) -> None:
    crypto, data = sample
    expected = model(KEYS[2], crypto, data, **{argument: True})
    assert decrypted(name, KEYS[2], crypto, data, dialects=frozenset({dialect})) == expected


def test_dialects_are_not_the_default() -> None:
    """Each switch changes the outcome of the sample that it is about; an ignored switch would pass the models."""
    cases = {
        Dialect.SHORT_RUN_IS_CLEAR: SampleCrypto(KID, Scheme.CBCS, bytes(16), ((0, 16 * 12),), 5, 5),
        Dialect.CTR_128_BIT_CARRY: SampleCrypto(KID, Scheme.CENC, b"\0" * 8 + b"\xff" * 8),
        Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED: SampleCrypto(KID, Scheme.CENS, bytes(16)),
    }
    for dialect, crypto in cases.items():
        data = bytes(199)
        plain = decrypted("cryptography", KEYS[2], crypto, data)
        assert decrypted("cryptography", KEYS[2], crypto, data, dialects=frozenset({dialect})) != plain


# NIST SP 800-38A, F.5.1 (CTR) and F.2.1 (CBC), AES-128.
NIST_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
NIST_CLEAR = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST_CTR = bytes.fromhex(
    "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
    "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
)
NIST_CBC = bytes.fromhex(
    "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
    "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
)
NIST_COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
NIST_IV = bytes(range(16))


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize(
    ("scheme", "iv", "sealed"),
    [
        (Scheme.CENC, NIST_COUNTER, NIST_CTR),
        (Scheme.CENS, NIST_COUNTER, NIST_CTR),
        (Scheme.CBC1, NIST_IV, NIST_CBC),
        (Scheme.CBCS, NIST_IV, NIST_CBC),
    ],
)
def test_known_answers_of_nist(name: str, scheme: Scheme, iv: bytes, sealed: bytes) -> None:
    assert decrypted(name, NIST_KEY, SampleCrypto(KID, scheme, iv), sealed) == NIST_CLEAR


def test_one_decrypter_serves_sample_after_sample(model: Any) -> None:
    """State left over from one sample (counter, chain, scratch bytes) must not reach the next."""
    decrypter = SampleDecrypter(ContentKey(KEYS[2]))
    for turn in range(40):
        scheme = list(Scheme)[turn % 4]
        crypto = SampleCrypto(KID, scheme, bytes([turn] * (8 if turn % 3 else 16)), ((7, 500 - 11 * turn), (2, 33)))
        data = bytes((i * turn) & 255 for i in range(600))
        target = memoryview(bytearray(600))
        decrypter.decrypt_into(memoryview(data), crypto, target)
        assert bytes(target) == model(KEYS[2], crypto, data)


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("count", [255, 256, 257, 1000])
def test_a_sample_may_have_very_many_subsamples(model: Any, name: str, scheme: Scheme, count: int) -> None:
    pattern = (1, 1) if scheme in (Scheme.CENS, Scheme.CBCS) else (0, 0)
    crypto = SampleCrypto(
        KID, scheme, bytes(range(8, 24)), tuple((at % 3, 1 + at % 70) for at in range(count)), *pattern
    )
    data = bytes(at * 7 & 255 for at in range(sum(map(sum, crypto.subsamples)) + 5))
    assert decrypted(name, KEYS[2], crypto, data) == model(KEYS[2], crypto, data)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subsamples": ((10, 91),)}, "cover 101 bytes, and the sample has 100"),
        ({"subsamples": ((10, 20), (60, 11))}, "cover 101 bytes"),
        ({"subsamples": ((-10, 20),)}, "-10 clear"),
        ({"subsamples": ((30, -20),)}, "-20 protected"),
        ({"iv": b""}, "IV of 0 bytes"),
        ({"iv": bytes(12)}, "IV of 12 bytes"),
        ({"iv": bytes(17)}, "IV of 17 bytes"),
    ],
)
def test_unsound_encryption_data_is_refused(scheme: Scheme, change: dict[str, Any], words: str) -> None:
    crypto = SampleCrypto(KID, scheme, **({"iv": bytes(16)} | change))
    with pytest.raises(MalformedMediaError, match=words):
        decrypted("cryptography", KEYS[0], crypto, bytes(100))


@pytest.mark.parametrize("pattern", [(0, 9), (-1, 0), (1, -9), (16, 0), (1, 16)])
@pytest.mark.parametrize("scheme", [Scheme.CENS, Scheme.CBCS])
def test_a_pattern_that_tenc_cannot_hold_is_refused(scheme: Scheme, pattern: tuple[int, int]) -> None:
    with pytest.raises(MalformedMediaError, match="a pattern of"):
        decrypted("cryptography", KEYS[0], SampleCrypto(KID, scheme, bytes(16), (), *pattern), bytes(100))


@pytest.mark.parametrize("other", [0, 99, 101])
def test_a_target_of_another_length_is_refused(other: int) -> None:
    decrypter = SampleDecrypter(ContentKey(KEYS[0]))
    with pytest.raises(InvalidArgumentError, match="100 bytes"):
        decrypter.decrypt_into(
            memoryview(bytes(100)), SampleCrypto(KID, Scheme.CENC, bytes(8)), memoryview(bytearray(other))
        )


def test_a_wiped_decrypter_decrypts_nothing_and_keeps_nothing() -> None:
    decrypter = SampleDecrypter(ContentKey(NIST_KEY))
    target = memoryview(bytearray(64))
    decrypter.decrypt_into(memoryview(NIST_CBC), SampleCrypto(KID, Scheme.CBCS, NIST_IV), target)
    assert NIST_CLEAR[16:32] in bytes(decrypter._scratch)
    decrypter.wipe()
    assert not any(decrypter._scratch)
    with pytest.raises(InvalidRequestError, match="wiped"):
        decrypter.decrypt_into(target, SampleCrypto(KID, Scheme.CBCS, NIST_IV), target)
