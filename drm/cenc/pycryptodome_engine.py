"""The reference engine: pycryptodome, a new cipher object for every key stream and chain.

Plain rather than fast: the tests hold the other engine against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from Crypto.Cipher import AES

from drm.cenc.engines import BLOCK, Cipher, Engine
from drm.keys import ContentKey

__all__ = ["ENGINE"]


class _PycryptodomeCipher:
    def __init__(self, key: ContentKey) -> None:
        self._key = key.secret

    def ctr(self, counter: bytes, pieces: Iterable[tuple[memoryview, memoryview]]) -> None:
        # With an eight-byte nonce the counter has eight bytes, and wraps within them.
        stream = AES.new(self._key, AES.MODE_CTR, nonce=counter[:8], initial_value=counter[8:])
        for source, target in pieces:
            stream.encrypt(source, output=target)

    def ctr_ranges(self, data: memoryview, rows: Iterable[tuple[bytes, int, int]]) -> None:
        for counter, begin, end in rows:
            self.ctr(counter, ((data[begin:end], data[begin:end]),))

    def cbc_decrypt(self, data: memoryview, size: int) -> None:
        AES.new(self._key, AES.MODE_CBC, iv=data[:BLOCK]).decrypt(data[BLOCK:size], output=data[BLOCK:size])

    def cbc_encrypt(self, data: memoryview, size: int) -> None:
        AES.new(self._key, AES.MODE_CBC, iv=data[:BLOCK]).encrypt(data[BLOCK:size], output=data[BLOCK:size])


class _PycryptodomeEngine:
    name = "pycryptodome"

    def cipher(self, key: ContentKey) -> Cipher:
        return _PycryptodomeCipher(key)


ENGINE: Final[Engine] = _PycryptodomeEngine()
"""The engine."""
