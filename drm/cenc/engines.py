"""AES-128 engines behind one face: `cryptography` is fast, `pycryptodome` is the reference and the fallback.

An engine is imported when it is chosen and not before: a one-shot command pays for no library that it does not use,
and a locked-down worker holds none that nobody asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Final, Protocol

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey

__all__ = ["BLOCK", "ENGINE_NAMES", "SPARE", "Cipher", "Engine", "engine"]

BLOCK: Final = 16
"""Bytes in an AES block."""

SPARE: Final = 15
"""Bytes that a buffer for CBC must have behind its data: OpenSSL's rule for any block mode."""


class Cipher(Protocol):
    """AES-128 under one key. One thread at a time. The memory of its contexts holds the key until it is dropped."""

    def ctr(self, counter: bytes, pieces: Iterable[tuple[memoryview, memoryview]]) -> None:
        """Run one key stream over `pieces` of (source, target), of equal lengths, without a break between them.

        `counter` is the first counter block. Its lower eight bytes count and wrap; nothing carries into the upper
        eight. A source may be its own target; otherwise the two do not overlap.
        """

    def ctr_ranges(self, data: memoryview, rows: Iterable[tuple[bytes, int, int]]) -> None:
        """Run a key stream of its own, in place, over each range of `data`: `rows` are counter, begin and end."""

    def cbc_decrypt(self, data: memoryview, size: int) -> None:
        """Decrypt whole blocks in place: `data[:16]` is the IV, `data[16:size]` the chain.

        The IV's block is undefined afterwards. So several chains, each behind its own IV block, are decrypted by
        one call. `data` has at least `size + SPARE` bytes; what lies behind `size` is undefined afterwards.
        """

    def cbc_encrypt(self, data: memoryview, size: int) -> None:
        """Encrypt one chain in place: `data[:16]` is the IV and stays, `data[16:size]` are whole blocks.

        `data` has at least `size + SPARE` bytes; what lies behind `size` is undefined afterwards.
        """


class Engine(Protocol):
    """Makes ciphers."""

    @property
    def name(self) -> str:
        """What `engine` calls it."""

    def cipher(self, key: ContentKey) -> Cipher:
        """Return a cipher with a copy of `key`: wiping the key later does not reach it."""


_MODULES: Final = {
    "cryptography": "drm.cenc.cryptography_engine",
    "pycryptodome": "drm.cenc.pycryptodome_engine",
}

ENGINE_NAMES: Final = tuple(_MODULES)
"""The engines by name, the preferred one first."""


def engine(name: str | None = None) -> Engine:
    """Return the engine called `name`; without a name the first that can be imported.

    Raises:
        InvalidArgumentError: no engine has this name, or its library is not installed.
    """
    if name is not None and name not in _MODULES:
        raise InvalidArgumentError(f"there is no engine {name[:32]!r}", remedy=f"one of: {', '.join(ENGINE_NAMES)}")
    wanted = ENGINE_NAMES if name is None else (name,)
    for candidate in wanted:
        try:
            module = importlib.import_module(_MODULES[candidate])
        except ModuleNotFoundError:
            continue
        made: Engine = module.ENGINE
        return made
    raise InvalidArgumentError(
        f"the library of engine {' or '.join(wanted)} is not installed", remedy=f"pip install {wanted[0]}"
    )
