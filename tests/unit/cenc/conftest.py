"""A model of Common Encryption: block by block over raw AES, slow and plain, with nothing taken from drm.cenc."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from Crypto.Cipher import AES

from drm.media import SampleCrypto, Scheme

Model = Callable[..., bytes]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=False))


def _selected_blocks(start: int, end: int, crypt: int, skip: int, *, short_run_is_clear: bool) -> Iterator[int]:
    """Offsets of the encrypted whole blocks of one protected range, walked run by run."""
    if crypt == 0:
        crypt, skip = 1, 0
    runs = cycle([(crypt, True), (skip, False)])
    at = start
    while end - at >= 16:
        length, encrypted = next(runs)
        have = min(length, (end - at) // 16)
        if encrypted and not (short_run_is_clear and have < length):
            yield from range(at, at + have * 16, 16)
        at += have * 16


def _key_stream(aes: object, iv: bytes, *, carry: bool) -> Iterator[int]:
    upper, lower = int.from_bytes(iv[:8], "big"), int.from_bytes(iv[8:], "big")
    while True:
        yield from aes.encrypt(upper.to_bytes(8, "big") + lower.to_bytes(8, "big"))
        lower = (lower + 1) % 2**64
        if lower == 0 and carry:
            upper = (upper + 1) % 2**64


def _decrypt(
    key: bytes,
    crypto: SampleCrypto,
    data: bytes,
    *,
    short_run_is_clear: bool = False,
    carry: bool = False,
    cens_partial: bool = False,
) -> bytes:
    aes = AES.new(key, AES.MODE_ECB)
    out = bytearray(data)
    iv = crypto.iv.ljust(16, b"\0")
    ranges, at = [], 0
    for clear, protected in crypto.subsamples or ((0, len(data)),):
        ranges.append((at + clear, at + clear + protected))
        at += clear + protected
    pattern = (crypto.crypt_blocks, crypto.skip_blocks)
    stream = _key_stream(aes, iv, carry=carry)
    previous = iv
    for start, end in ranges:
        if crypto.scheme is Scheme.CENC:
            for i in range(start, end):
                out[i] ^= next(stream)
            continue
        if crypto.scheme is Scheme.CBCS:
            previous = iv
        crypt, skip = (0, 0) if crypto.scheme is Scheme.CBC1 else pattern
        for i in _selected_blocks(start, end, crypt, skip, short_run_is_clear=short_run_is_clear):
            block = data[i : i + 16]
            if crypto.scheme is Scheme.CENS:
                out[i : i + 16] = _xor(block, bytes(next(stream) for _ in range(16)))
            else:
                out[i : i + 16] = _xor(aes.decrypt(block), previous)
                previous = block
        tail = (end - start) // 16
        in_run = crypt == 0 or tail % (crypt + skip) < crypt
        if cens_partial and crypto.scheme is Scheme.CENS and not crypto.subsamples and in_run:
            for i in range(start + tail * 16, end):
                out[i] ^= next(stream)
    return bytes(out)


@pytest.fixture(scope="session")
def model() -> Model:
    """`model(key, crypto, data, ...)` gives the decrypted bytes."""
    return _decrypt
