"""Who may ask for a content's keys: packagers sign their requests, with AES or RSA, as Shaka Packager does.

AES: the SHA-1 of the request, padded as in PKCS #7 and encrypted with AES-CBC under the signer's key and IV. RSA:
RSASSA-PSS over SHA-1 with a salt of 20 bytes. Both are Shaka Packager's choice. A request can be sent again by whoever
reads it, and the answer holds keys in clear: the address belongs behind TLS.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from drm.errors import KeysFileError

__all__ = ["MAX_SIGNERS_FILE", "AesSigner", "RsaSigner", "Signer", "parse_signers"]

MAX_SIGNERS_FILE: Final = 1 << 20  # bytes

_LEAST_RSA: Final = 2048  # bits
_SALT: Final = 20  # bytes


class Signer(Protocol):
    """Tells the requests of one packager from all others."""

    def has_signed(self, request: bytes, signature: bytes) -> bool:
        """Whether `signature` is this signer's for exactly these bytes."""


class AesSigner:
    """`--aes_signing_key` and `--aes_signing_iv`. Prints as its kind alone."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        """Raises ValueError for sizes that AES does not have."""
        if len(iv) != 16:
            raise ValueError(f"an IV has 16 bytes, not {len(iv)}")
        self._cipher = Cipher(AES(key), CBC(iv))

    def has_signed(self, request: bytes, signature: bytes) -> bool:
        """See `Signer`."""
        padder = padding.PKCS7(128).padder()
        digest = hashlib.sha1(request).digest()  # noqa: S324 - Shaka Packager's choice
        encryptor = self._cipher.encryptor()
        expected = encryptor.update(padder.update(digest) + padder.finalize()) + encryptor.finalize()
        return hmac.compare_digest(expected, signature)


class RsaSigner:
    """The public half of `--rsa_signing_key_path`."""

    def __init__(self, public_key: rsa.RSAPublicKey) -> None:
        """Raises ValueError for a key that is too short."""
        if public_key.key_size < _LEAST_RSA:
            raise ValueError(f"an RSA key of {public_key.key_size} bits, less than {_LEAST_RSA}")
        self._key = public_key

    def has_signed(self, request: bytes, signature: bytes) -> bool:
        """See `Signer`."""
        sha1 = hashes.SHA1()  # noqa: S303 - as above
        try:
            self._key.verify(signature, request, PSS(MGF1(sha1), _SALT), sha1)
        except InvalidSignature:
            return False
        return True


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    aes_key: str = ""  # hex
    aes_iv: str = ""
    rsa_public_key: str = ""  # PEM


def parse_signers(data: bytes) -> dict[str, Signer]:
    """Read `{"NAME": {"aes_key": HEX, "aes_iv": HEX}, "OTHER": {"rsa_public_key": PEM}}`.

    Raises:
        KeysFileError: it cannot be read; the message names the signer, and repeats no key.
    """
    if len(data) > MAX_SIGNERS_FILE:
        raise KeysFileError(f"a file of signers has at most {MAX_SIGNERS_FILE} bytes")
    try:
        entries: Mapping[str, _Entry] = msgspec.json.decode(data, type=dict[str, _Entry])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = re.sub(r"`[^`]*`", "…", str(error)) if isinstance(error, msgspec.DecodeError) else "not JSON in UTF-8"
        raise KeysFileError("the file of signers cannot be read", seen=reason) from None
    return {name: _signer(name, entry) for name, entry in entries.items()}


def _signer(name: str, entry: _Entry) -> Signer:
    is_aes, is_rsa = bool(entry.aes_key or entry.aes_iv), bool(entry.rsa_public_key)
    try:
        if not name or is_aes == is_rsa:
            raise ValueError("it has neither, or both, of aes_key with aes_iv and rsa_public_key")
        if is_aes:
            return AesSigner(_hex(entry.aes_key, "aes_key"), _hex(entry.aes_iv, "aes_iv"))
        key = load_pem_public_key(entry.rsa_public_key.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("rsa_public_key is of another kind")  # noqa: TRY004 - a value of a file
        return RsaSigner(key)
    except ValueError as error:
        remedy = "give aes_key (32 or 64 hex digits) with aes_iv (32), or rsa_public_key as PEM"
        raise KeysFileError(f"signer {name!r}: {_short(error)}", remedy=remedy) from None


def _hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{what} is not hex") from None  # the text itself is a secret


def _short(error: ValueError) -> str:
    text = str(error).partition("\n")[0]
    return text if len(text) < 100 else "its key cannot be read"
