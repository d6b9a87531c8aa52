"""Encrypting is decrypting the other way round, on every engine, and touches only what is protected."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.encrypt import SampleEncrypter
from drm.cenc.engines import ENGINE_NAMES, engine
from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme

KID = KeyId(bytes(16))
KEY = ContentKey(bytes.fromhex("00112233445566778899aabbccddee00"))


@settings(max_examples=200, deadline=None)
@given(
    scheme=st.sampled_from(Scheme),
    iv=st.one_of(st.binary(min_size=8, max_size=8), st.binary(min_size=16, max_size=16), st.just(b"\xff" * 16)),
    subsamples=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), max_size=4),
    pattern=st.one_of(st.just((0, 0)), st.tuples(st.integers(1, 15), st.integers(0, 15))),
    tail=st.integers(0, 300),
    names=st.tuples(st.sampled_from(ENGINE_NAMES), st.sampled_from(ENGINE_NAMES)),
    in_place=st.booleans(),
)
def test_what_one_engine_encrypts_the_other_decrypts(
    scheme: Scheme,
    iv: bytes,
    subsamples: list[tuple[int, int]],
    pattern: tuple[int, int],
    tail: int,
    names: tuple[str, str],
    in_place: bool,
) -> None:
    crypto = SampleCrypto(KID, scheme, iv, tuple(subsamples), *pattern)
    clear = bytes(i * 7 & 255 for i in range(sum(map(sum, subsamples)) + tail))
    sealed = memoryview(bytearray(clear if in_place else len(clear)))
    SampleEncrypter(KEY, engine=engine(names[0])).encrypt_into(
        sealed if in_place else memoryview(clear), crypto, sealed
    )
    at = 0
    for open_part, protected in subsamples:
        assert sealed[at : at + open_part] == clear[at : at + open_part]
        at += open_part + protected
    if subsamples:
        assert sealed[at:] == clear[at:]
    SampleDecrypter(KEY, engine=engine(names[1])).decrypt_into(sealed, crypto, sealed)
    assert bytes(sealed) == clear


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("subsamples", [(), ((5, 64),)])
def test_the_protected_part_does_not_stay_clear(scheme: Scheme, subsamples: tuple[tuple[int, int], ...]) -> None:
    clear = bytes(80)
    sealed = memoryview(bytearray(80))
    SampleEncrypter(KEY).encrypt_into(memoryview(clear), SampleCrypto(KID, scheme, bytes(16), subsamples), sealed)
    assert all(any(sealed[at : at + 16]) for at in range(5, 60, 16))


def test_wrong_sizes_are_refused() -> None:
    crypto = SampleCrypto(KID, Scheme.CENC, bytes(8), ((1, 100),))
    encrypter = SampleEncrypter(KEY)
    with pytest.raises(MalformedMediaError, match="cover 101"):
        encrypter.encrypt_into(memoryview(bytes(100)), crypto, memoryview(bytearray(100)))
    with pytest.raises(InvalidArgumentError, match="101 bytes, and 100"):
        encrypter.encrypt_into(memoryview(bytes(101)), crypto, memoryview(bytearray(100)))
