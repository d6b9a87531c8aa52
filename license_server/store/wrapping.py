"""Keys at rest: wrapped with AES-256-GCM under a key-encryption key (KEK) that the database never holds.

The KID is associated data, so a wrapped key moved to another KID's row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drm.errors import StorageError
from drm.keys import ContentKey, KeyId

__all__ = ["KEK_VARIABLE", "Kek", "find_kek", "kek_path", "make_kek", "read_kek"]

KEK_VARIABLE: Final = "CLEARKEY_KEK"

_KEK_SIZE: Final = 32  # bytes
_NONCE_SIZE: Final = 12  # bytes, NIST SP 800-38D 8.2
_LABEL: Final = b"clearkey content key 1 "
_FORMS: Final = "32 bytes, or their 64 hex digits, or their 43 characters of base64url"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kek:
    """A key-encryption key. `id` names it in each row and tells nothing of it."""

    secret: bytes = field(repr=False)
    source: str = "given"
    _cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cipher", AESGCM(self.secret))  # made once: it costs more than a key that it opens

    @property
    def id(self) -> str:
        """Sixteen hex digits."""
        return hashlib.sha256(b"clearkey kek id " + self.secret).hexdigest()[:16]

    def wrap(self, kid: KeyId, key: ContentKey) -> bytes:
        """Return nonce and ciphertext."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, key.secret, _LABEL + kid.value)

    def unwrap(self, kid: KeyId, wrapped: bytes) -> ContentKey:
        """Return the key. Raises StorageError: another KEK, another KID's row, or an altered one."""
        try:
            return ContentKey(self._cipher.decrypt(wrapped[:_NONCE_SIZE], wrapped[_NONCE_SIZE:], _LABEL + kid.value))
        except (InvalidTag, ValueError):
            raise StorageError(
                f"the stored key of KID {kid} does not unwrap",
                maybe="the row was altered, or it was wrapped with another key-encryption key",
                kids=(str(kid),),
            ) from None


def find_kek(store: Path | None, kek_file: Path | None) -> Kek:
    """Return the KEK of `store`: from `kek_file`, from the environment, or from a file beside the store.

    The last one is made if it is absent, unless the store is no file here. Raises StorageError for one that cannot be
    read.
    """
    if kek_file is not None:
        return read_kek(kek_file)
    if text := os.environ.get(KEK_VARIABLE):
        return Kek(_decoded(text.encode(), KEK_VARIABLE), f"from {KEK_VARIABLE}")
    if store is None:
        raise StorageError(
            "no key-encryption key is named for the database",
            remedy=f"name one with --kek-file or {KEK_VARIABLE}: head -c 32 /dev/urandom > FILE makes it",
        )
    beside = _beside(store)
    made = not beside.exists()
    if made:
        if store.exists() and store.stat().st_size:
            raise StorageError(
                "the key store is there, and the key-encryption key beside it is gone",
                where=str(beside),
                remedy=f"put the file back, or name the right key with --kek-file or {KEK_VARIABLE}",
            )
        make_kek(beside)
    logger.log(
        logging.WARNING if made else logging.INFO,
        "the key-encryption key lies beside the store (%s): good for a try-out, and it protects nothing; "
        "keep it elsewhere and name it with --kek-file or %s",
        beside,
        KEK_VARIABLE,
    )
    return Kek(_read(beside), "beside the store")


def kek_path(store: Path | None, kek_file: Path | None) -> Path | None:
    """The file that `find_kek` reads; None: it is in the environment."""
    if kek_file is not None:
        return kek_file
    return None if os.environ.get(KEK_VARIABLE) or store is None else _beside(store)


def read_kek(path: Path) -> Kek:
    """Return the KEK in a file. Raises StorageError."""
    return Kek(_read(path), f"from {path}")


def _beside(store: Path) -> Path:
    return store.with_name(store.name + ".kek")


def make_kek(path: Path) -> None:
    """Write a new KEK to `path`; one that is there stays. Raises StorageError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEK_SIZE))
        try:
            path.hardlink_to(draft)  # whole or not at all, and not over the one of a process that was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise StorageError(f"no key-encryption key can be made: {error.strerror}", where=str(path)) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _decoded(file.read(1024), str(path))
    except OSError as error:
        raise StorageError(f"the key-encryption key cannot be read: {error.strerror}", where=str(path)) from None


def _decoded(data: bytes, where: str) -> bytes:
    if len(data) == _KEK_SIZE:
        return data
    text = data.strip()
    try:
        if re.fullmatch(rb"[0-9a-fA-F]{64}", text):
            return bytes.fromhex(text.decode())
        if re.fullmatch(rb"[A-Za-z0-9+/_-]{43}=?", text):
            return base64.urlsafe_b64decode(text.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_") + b"=")
    except (binascii.Error, ValueError):
        pass
    raise StorageError(
        "this is not a key-encryption key", where=where, seen=f"{len(data)} bytes", remedy=f"give {_FORMS}"
    )
