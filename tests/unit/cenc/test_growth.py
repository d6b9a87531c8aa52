"""One cipher over samples of growing size, of very many ranges and of several keys: its memory grows with them."""

from __future__ import annotations

from typing import Any

import pytest

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.encrypt import SampleEncrypter
from drm.cenc.engines import ENGINE_NAMES, engine
from drm.cenc.layout import Pattern
from drm.errors import InvalidArgumentError, KeyMissingError
from drm.keys import ContentKey, KeyId
from drm.media import KeyPart, SampleCrypto, Scheme, Subsample

KID, OTHER = KeyId(bytes(range(16))), KeyId(b"the other key id")
KEY, OTHER_KEY = bytes(range(1, 17)), b"and the other's."
IV = bytes(range(16))
CHAINED = [(Scheme.CBC1, (0, 0)), (Scheme.CBCS, (0, 0)), (Scheme.CBCS, (1, 9)), (Scheme.CENS, (2, 3))]
BUFFER = 64 << 10  # what an encrypter begins with


def bytes_of(size: int) -> bytes:
    return (bytes(at * 7 & 255 for at in range(256)) * (size // 256 + 1))[:size]


def opened(decrypter: SampleDecrypter, crypto: SampleCrypto, data: bytes) -> bytes:
    target = memoryview(bytearray(b"\xee" * len(data)))
    decrypter.decrypt_into(memoryview(data), crypto, target)
    return bytes(target)


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize(("scheme", "pattern"), CHAINED)
def test_every_size_as_it_grows(model: Any, name: str, scheme: Scheme, pattern: tuple[int, int]) -> None:
    decrypter = SampleDecrypter(ContentKey(KEY), engine=engine(name))
    for blocks in range(90):
        data = bytes_of(blocks * 16 + blocks % 16)
        crypto = SampleCrypto(KID, scheme, IV, (), *pattern)
        assert opened(decrypter, crypto, data) == model(KEY, crypto, data), blocks


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize(("scheme", "pattern"), CHAINED)
@pytest.mark.parametrize("count", [2, 3, 40])
def test_many_ranges_of_one_block(model: Any, name: str, scheme: Scheme, pattern: tuple[int, int], count: int) -> None:
    """A chain of its own for each takes as much room again for the IVs."""
    crypto = SampleCrypto(KID, scheme, IV, ((0, 16),) * count, *pattern)
    data = bytes_of(16 * count)
    decrypter = SampleDecrypter(ContentKey(KEY), engine=engine(name))
    assert opened(decrypter, crypto, data) == model(KEY, crypto, data)


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize(("scheme", "pattern"), CHAINED)
@pytest.mark.parametrize("subsamples", [False, True])
def test_sizes_at_which_the_memory_of_an_encrypter_grows(
    name: str, scheme: Scheme, pattern: tuple[int, int], subsamples: bool
) -> None:
    run, skip = pattern
    whole = BUFFER * (run + skip) // run if run else BUFFER  # of which the pattern selects as much as there is room
    encrypter = SampleEncrypter(ContentKey(KEY), engine=engine(name))
    decrypter = SampleDecrypter(ContentKey(KEY), engine=engine(name))
    step = 16 * max(1, run + skip)
    for size in (*range(whole - 4 * step, whole + 4 * step, step), 2 * whole, whole):
        parts = ((5, size), (1, 32)) if subsamples else ()
        crypto = SampleCrypto(KID, scheme, IV, parts, run, skip)
        clear = bytes_of(sum(map(sum, parts)) or size)
        sealed = memoryview(bytearray(len(clear)))
        encrypter.encrypt_into(memoryview(clear), crypto, sealed)
        assert opened(decrypter, crypto, bytes(sealed)) == clear, size


def test_a_short_last_run_is_encrypted_unless_a_dialect_says_otherwise() -> None:
    assert [Pattern(2, 3).selected(16 * blocks) for blocks in range(8)] == [0, 1, 2, 2, 2, 2, 3, 4]
    assert [Pattern(2, 3, True).selected(16 * blocks) for blocks in range(8)] == [0, 0, 2, 2, 2, 2, 2, 4]


# ------------------------------------------------------------------------------------------------ runs of samples
SHAPES: tuple[tuple[int, tuple[Subsample, ...]], ...] = (
    (100, ()), (60, ((7, 40), (3, 10))), (0, ()), (33, ((33, 0),)), (64, ((16, 48),)), (50, ((10, 0), (0, 0))),
    (90, ((5, 17), (0, 64), (4, 0))), (16, ()),
)  # fmt: skip


@pytest.mark.parametrize("name", ENGINE_NAMES)
@pytest.mark.parametrize("scheme", Scheme)
def test_a_run_of_samples_is_encrypted_as_each_by_itself(name: str, scheme: Scheme) -> None:
    pattern = Pattern(1, 1) if scheme in (Scheme.CENS, Scheme.CBCS) else Pattern(0, 0)
    sizes = [size for size, _ in SHAPES]
    begins = [3 + sum(sizes[:index]) for index in range(len(sizes))]
    ivs = [bytes([index + 1] * (8 if index % 2 else 16)) for index in range(len(sizes))]
    clear = bytes_of(3 + sum(sizes) + 5)
    run, single = memoryview(bytearray(clear)), memoryview(bytearray(clear))
    entries = [(iv, subsamples) for iv, (_, subsamples) in zip(ivs, SHAPES, strict=True)]
    SampleEncrypter(ContentKey(KEY), engine=engine(name)).encrypt_run(run, begins, sizes, entries, scheme, pattern)
    for begin, size, (iv, subsamples) in zip(begins, sizes, entries, strict=True):
        fresh = SampleEncrypter(ContentKey(KEY), engine=engine(name))
        fresh.encrypt(single[begin : begin + size], scheme, pattern, iv, subsamples)
    assert run == single
    assert run[:3] == clear[:3]
    assert run[-5:] == clear[-5:]
    for begin, size, (iv, subsamples) in zip(begins, sizes, entries, strict=True):
        crypto = SampleCrypto(KID, scheme, iv, subsamples, pattern.crypt, pattern.skip)
        decrypter = SampleDecrypter(ContentKey(KEY), engine=engine(name))
        assert opened(decrypter, crypto, bytes(run[begin : begin + size])) == clear[begin : begin + size]


@pytest.mark.parametrize("scheme", Scheme)
def test_samples_without_an_iv_of_their_own_have_the_constant_one(scheme: Scheme) -> None:
    for constant in (IV, IV[:8]):
        one, other = memoryview(bytearray(64)), memoryview(bytearray(64))
        encrypter = SampleEncrypter(ContentKey(KEY))
        encrypter.encrypt_run(one, (0, 32), (32, 32), ((b"", ()), (b"", ())), scheme, Pattern(0, 0), constant)
        for begin in (0, 32):
            encrypter.encrypt(other[begin : begin + 32], scheme, Pattern(0, 0), constant, ())
        assert one == other
        assert any(one[:16])


def test_a_run_whose_parts_differ_in_number_is_a_mistake_of_the_caller() -> None:
    data = memoryview(bytearray(64))
    with pytest.raises(ValueError, match="zip"):
        SampleEncrypter(ContentKey(KEY)).encrypt_run(data, (0, 32), (32, 32), ((IV, ()),), Scheme.CENC, Pattern(0, 0))


# ------------------------------------------------------------------------------------------------ several keys
SEVERAL = SampleCrypto(
    KID, Scheme.CENC, IV[:8], ((4, 20), (36, 0)), others=(KeyPart(OTHER, IV[8:], ((24, 16), (0, 20))),)
)


def sealed_by_both(clear: bytes) -> bytes:
    buffer = memoryview(bytearray(clear))
    for part, key in zip(SEVERAL.parts(), (KEY, OTHER_KEY), strict=True):
        SampleEncrypter(ContentKey(key)).encrypt_into(buffer, part, buffer)
    return bytes(buffer)


@pytest.mark.parametrize("in_place", [False, True])
def test_each_key_of_a_sample_opens_its_own_part(in_place: bool) -> None:
    clear = bytes_of(70)
    stored = sealed_by_both(clear)
    asked = []

    def found(key_id: KeyId) -> SampleDecrypter:
        asked.append(key_id)
        return SampleDecrypter(ContentKey({KID: KEY, OTHER: OTHER_KEY}[key_id]))

    source = memoryview(bytearray(stored))
    target = source if in_place else memoryview(bytearray(b"\xee" * 70))
    decrypt_sample(source, SEVERAL, target, found)
    assert bytes(target) == clear
    assert asked == [KID, OTHER]
    if not in_place:
        assert bytes(source) == stored


def test_a_sample_of_one_key_asks_for_that_one() -> None:
    crypto = SampleCrypto(KID, Scheme.CENC, IV)
    clear = bytes_of(40)
    buffer = memoryview(bytearray(clear))
    SampleEncrypter(ContentKey(KEY)).encrypt_into(buffer, crypto, buffer)
    asked = []

    def found(key_id: KeyId) -> SampleDecrypter:
        asked.append(key_id)
        return SampleDecrypter(ContentKey(KEY))

    decrypt_sample(buffer, crypto, buffer, found)
    assert (bytes(buffer), asked) == (clear, [KID])


def test_nothing_is_written_when_one_of_the_keys_is_missing() -> None:
    target = memoryview(bytearray(70))

    def found(key_id: KeyId) -> SampleDecrypter:
        if key_id == OTHER:
            raise KeyMissingError("not here")
        return SampleDecrypter(ContentKey(KEY))

    with pytest.raises(KeyMissingError):
        decrypt_sample(memoryview(bytes_of(70)), SEVERAL, target, found)
    assert not any(target)


def test_a_decrypter_of_one_key_refuses_a_sample_of_two() -> None:
    buffer = memoryview(bytearray(70))
    with pytest.raises(InvalidArgumentError, match="a sample of 2 keys"):
        SampleDecrypter(ContentKey(KEY)).decrypt_into(buffer, SEVERAL, buffer)
