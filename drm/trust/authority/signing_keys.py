"""Signing keys: PKCS#8 files, encrypted in all but a developer's own authority, named by key id and found by key id.

Which key signs for which role stands in root and targets metadata and nowhere else; a file's name says only which key
it holds, so that no crash between two renames can make a key sign for the wrong role. Each file may have a passphrase
of its own; one that opened a key is tried on the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from drm.errors import InvalidArgumentError, PassphraseError, StorageError
from drm.whole_file import write_whole

__all__ = ["SHORTEST_PASSPHRASE", "KeyFolders", "NewKey", "refuse_work_tree"]

SHORTEST_PASSPHRASE: Final = 8  # characters
_LARGEST: Final = 64 << 10  # bytes of a key file


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made and is not kept yet."""

    public: SSlibKey
    pem: bytes = field(repr=False)


class KeyFolders:
    """The folder where new keys go, and others (a mounted stick) where keys may lie as well."""

    def __init__(
        self,
        folder: Path,
        passphrase: Callable[[str], str],
        elsewhere: Sequence[Path] = (),
        *,
        encrypted: bool = True,
    ) -> None:
        """`passphrase` is asked with words for a key, when no answer so far opens it; several answers are lines of one.

        It is not asked at all when keys are not `encrypted`. New keys get the first answer.
        """
        self._folder = folder
        self._encrypted = encrypted
        self._elsewhere = tuple(elsewhere)
        self._ask = passphrase
        self._passphrases: list[bytes] = []
        self._signers: dict[str, CryptoSigner] = {}

    def make(self) -> NewKey:
        """Make an Ed25519 key. Raises PassphraseError."""
        private = Ed25519PrivateKey.generate()
        if self._encrypted and not self._passphrases:
            self._learn("new keys")
        return NewKey(SSlibKey.from_crypto(private.public_key()), self._pem(private, self._passphrases[:1]))

    def change_passphrase(self, key_id: str, called: str, passphrase: str) -> Path:
        """Encrypt a key's file with another passphrase, and return where it is. The key stays what it is.

        Raises:
            PassphraseError: nothing opens it, or the new passphrase is too short.
            StorageError: there is no such file, others can read it, or it cannot be written.
        """
        path = self._find(key_id)
        if path is None:
            raise StorageError(f"the signing key {key_id} is not here", remedy="name its folder with --keys")
        private = self._open(path, called)
        write_whole(path, self._pem(private, [_checked(passphrase)]), 0o600, only_writer=True)
        return path

    def keep(self, key: NewKey) -> None:
        """Write a new key's file, readable by its owner alone. Raises InvalidArgumentError in a git work tree.

        Keys that are not encrypted protect nothing, and AuthorityHome.create tells git to pass over them.
        """
        if self._encrypted:
            refuse_work_tree(self._folder)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(self._path(key.public.keyid), key.pem, 0o600, only_writer=True)

    def forget(self, key_id: str) -> None:
        """Remove the file of a key that never came into use."""
        self._path(key_id).unlink(missing_ok=True)

    def has(self, key_id: str) -> bool:
        """Whether the key's file is here."""
        return self._find(key_id) is not None

    def held(self) -> list[str]:
        """The ids of all keys in the own folder."""
        return sorted(path.stem for path in self._folder.glob("*.pem")) if self._folder.is_dir() else []

    def signer(self, key: Key) -> CryptoSigner | None:
        """Return what signs with `key`, or None when its file is not here.

        Raises:
            PassphraseError: the passphrase does not open it.
            StorageError: others can read the file, or it holds another key.
        """
        path = self._find(key.keyid)
        if path is None:
            return None
        if key.keyid not in self._signers:
            self._signers[key.keyid] = self._load(path, key)
        return self._signers[key.keyid]

    def _load(self, path: Path, key: Key) -> CryptoSigner:
        private = self._open(path, f"the key {key.keyid[:12]}")
        try:
            assert isinstance(key, SSlibKey)
            return CryptoSigner(private, key)
        except (AssertionError, ValueError):  # KeyMismatchError is a ValueError
            raise StorageError(f"{path} holds another key than its name says") from None

    def _open(self, path: Path, called: str) -> PrivateKeyTypes:
        if path.stat().st_mode & 0o077:
            raise StorageError(
                f"others can read the signing key {path}", remedy=f"chmod 600 {path}, and rotate what it signs"
            )
        with path.open("rb") as file:
            data = file.read(_LARGEST)
        if not self._encrypted:
            return self._decrypted(path, data, None)
        tried = 0
        while True:
            for secret in self._passphrases[tried:]:
                with suppress(PassphraseError):
                    return self._decrypted(path, data, secret)
            tried = len(self._passphrases)
            self._learn(called)
            if len(self._passphrases) == tried:  # the same answer as before
                raise PassphraseError(f"the passphrase does not open the signing key {path}")

    def _decrypted(self, path: Path, data: bytes, secret: bytes | None) -> PrivateKeyTypes:
        try:
            return load_pem_private_key(data, secret)
        except TypeError:
            wrong = "not encrypted" if self._encrypted else "encrypted, in a developer's own authority"
            raise StorageError(f"the signing key {path} is {wrong}") from None
        except ValueError:
            if not self._encrypted:
                raise StorageError(f"the signing key {path} cannot be read") from None
            raise PassphraseError(f"the passphrase does not open the signing key {path}") from None

    def _learn(self, called: str) -> None:
        for said in self._ask(called).splitlines() or [""]:
            secret = _checked(said)
            if secret not in self._passphrases:
                self._passphrases.append(secret)

    @staticmethod
    def _pem(private: PrivateKeyTypes, secrets: Sequence[bytes]) -> bytes:
        encryption = BestAvailableEncryption(secrets[0]) if secrets else NoEncryption()
        return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def _find(self, key_id: str) -> Path | None:
        places = (self._path(key_id), *(folder / f"{key_id}.pem" for folder in self._elsewhere))
        return next((path for path in places if path.is_file()), None)

    def _path(self, key_id: str) -> Path:
        return self._folder / f"{key_id}.pem"


def _checked(passphrase: str) -> bytes:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise PassphraseError(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
    return passphrase.encode()


def refuse_work_tree(folder: Path) -> None:
    """Return if `folder` lies in no git work tree, where a key would sooner or later be committed.

    Raises:
        InvalidArgumentError: it does.
    """
    place = folder.resolve()
    for parent in (place, *place.parents):
        if (parent / ".git").exists():
            raise InvalidArgumentError(
                f"signing keys are not kept in a git work tree, and {folder} lies in that of {parent}",
                remedy="name another folder with --authority",
            )
