"""The fast engine: OpenSSL's AES through `cryptography`, with contexts that live as long as the key is used.

Per sample it costs one `reset_nonce` and one `update_into` for each protected range, straight from source to target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR

from drm.cenc.engines import BLOCK, Cipher, Engine
from drm.keys import ContentKey

__all__ = ["ENGINE"]

_ZEROS: Final = bytes(8)
_LOW_END: Final = 1 << 64  # one past the last value of the counting half


class _CryptographyCipher:
    def __init__(self, key: ContentKey) -> None:
        self._aes = AES(key.secret)
        self._ctr: CipherContext | None = None
        self._cbc: CipherContext | None = None
        self._encrypting: CipherContext | None = None
        self._last = 0  # the block that `_encrypting` wrote last, as a number

    def ctr(self, counter: bytes, pieces: Iterable[tuple[memoryview, memoryview]]) -> None:
        stream = self._ctr
        if stream is None:
            stream = self._ctr = ciphers.Cipher(self._aes, CTR(counter)).encryptor()
        else:
            stream.reset_nonce(counter)
        if counter[8:] != _ZEROS:
            # OpenSSL carries into the upper half, so a key stream that passes the wrap is made in two parts.
            pieces = self._up_to_the_wrap(stream, counter, pieces)
        for source, target in pieces:
            stream.update_into(source, target)

    def ctr_ranges(self, data: memoryview, rows: Iterable[tuple[bytes, int, int]]) -> None:
        stream = self._ctr
        if stream is None:
            stream = self._ctr = ciphers.Cipher(self._aes, CTR(bytes(BLOCK))).encryptor()
        restart, update = stream.reset_nonce, stream.update_into
        for counter, begin, end in rows:
            part = data[begin:end]
            if counter[8:] == _ZEROS:  # it cannot wrap
                restart(counter)
                update(part, part)
            else:
                self.ctr(counter, ((part, part),))

    def _up_to_the_wrap(
        self, stream: CipherContext, counter: bytes, pieces: Iterable[tuple[memoryview, memoryview]]
    ) -> Iterable[tuple[memoryview, memoryview]]:
        left = (_LOW_END - int.from_bytes(counter[8:], "big")) * BLOCK
        for source, target in pieces:
            if len(source) <= left:
                left -= len(source)
                yield source, target
                continue
            yield source[:left], target[:left]
            stream.reset_nonce(counter[:8] + _ZEROS)
            yield source[left:], target[left:]
            left = _LOW_END * BLOCK

    def cbc_decrypt(self, data: memoryview, size: int) -> None:
        chain = self._cbc
        if chain is None:
            chain = self._cbc = ciphers.Cipher(self._aes, CBC(bytes(BLOCK))).decryptor()
        # The context's own IV only spoils the block of the first IV; it never needs to be set.
        chain.update_into(data[:size], data)

    def cbc_encrypt(self, data: memoryview, size: int) -> None:
        if size <= BLOCK:
            return
        # A new context for each chain would cost more than a small chain itself. One that goes on adds the block that
        # it wrote last where the IV belongs: so that is taken out of the first block beforehand, and the IV put in.
        first = _number(data[:BLOCK]) ^ self._last ^ _number(data[BLOCK : 2 * BLOCK])
        data[BLOCK : 2 * BLOCK] = first.to_bytes(BLOCK, "big")
        chain = self._encrypting
        if chain is None:
            chain = self._encrypting = ciphers.Cipher(self._aes, CBC(bytes(BLOCK))).encryptor()
        chain.update_into(data[BLOCK:size], data[BLOCK:])
        self._last = _number(data[size - BLOCK : size])


def _number(block: memoryview) -> int:
    return int.from_bytes(block, "big")


class _CryptographyEngine:
    name = "cryptography"

    def cipher(self, key: ContentKey) -> Cipher:
        return _CryptographyCipher(key)


ENGINE: Final[Engine] = _CryptographyEngine()
"""The engine."""
