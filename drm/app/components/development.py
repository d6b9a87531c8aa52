"""Vouches for components as they lie on this machine: a checkout's, and those that a developer adds. Application only.

The local development authority signs what it is given, without being asked, so that the worker verifies an edited
source as it verifies a release; what it vouches for is test-signed. Signing is imported when there is something to
sign: a session whose components have not changed costs the reading of one file.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from drm.errors import StorageError
from drm.trust.authority.one_writer import one_writer
from drm.trust.snapshot import StoredTrust
from drm.whole_file import write_whole

__all__ = ["DevelopmentAuthority"]

_VOUCHED: Final = "vouched"
_LOCK: Final = "vouching"
_DIGEST: Final = hashlib.sha256().digest_size


class _Vouched(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="vouched-1"):
    """What the authority last said, so that it need not be asked again."""

    tree: str  # what its link `repository` held then
    renew: float  # when some of it will have spent half of its life, seconds since the epoch
    known: frozenset[str]  # sha256 of the archives that it lists, or that it was asked for and had revoked
    trust: StoredTrust


class DevelopmentAuthority:
    """The authority in a folder of the user's data, made when it is first needed."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        """`folder` is the authority's own, one for each place where components lie; `now` gives the time."""
        self._folder = folder
        self._now = now

    def vouch(self, archives: Collection[bytes]) -> StoredTrust:
        """Return metadata that lists every one of `archives`, and the root to verify it with, which nobody pinned.

        What is not signed yet is signed now, in the place of another content of its version. What this authority has
        revoked is not listed: the worker finds it on the revocation list. Several processes may ask at once.

        Raises:
            TrustError: an archive is unsound.
            AuthorityError: two archives are one version of a component.
            StorageError: the folder cannot be written to.
        """
        digests = frozenset(hashlib.sha256(data).hexdigest() for data in archives)
        said = self._said(digests)
        if said is not None:
            return said
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            with one_writer(self._folder / _LOCK):
                return self._said(digests) or self._sign(archives)
        except OSError as error:
            raise StorageError(
                f"the development authority, which signs the components of this copy, cannot write: {error}",
                where=str(self._folder),
                remedy="set XDG_DATA_HOME or CLEARKEY_HOME to a folder that you can write to",
            ) from None

    def _said(self, digests: frozenset[str]) -> StoredTrust | None:
        """Return what was said last, if it covers these archives and is what the authority says still.

        No lock: the file is there whole or not at all.
        """
        try:
            data = (self._folder / _VOUCHED).read_bytes()
            tree = os.readlink(self._folder / "repository")  # noqa: PTH115 - compared as it is written
        except OSError:
            return None
        body = data[_DIGEST:]
        if hashlib.sha256(body).digest() != data[:_DIGEST]:
            return None  # damaged: it is made again from what the authority published
        try:
            said = msgspec.msgpack.decode(body, type=_Vouched)
        except msgspec.DecodeError:
            return None  # of another version of this package
        if said.tree == tree and digests <= said.known and self._now() < said.renew:
            return said.trust
        return None

    def _sign(self, archives: Collection[bytes]) -> StoredTrust:
        from drm.trust.authority.self_signing import sign_all  # noqa: PLC0415 - costs 100 ms, and is seldom needed

        signed = sign_all(self._folder, archives, spare={_LOCK}, now=lambda: datetime.fromtimestamp(self._now(), UTC))
        trust = StoredTrust(signed.files, signed.root)
        said = _Vouched(signed.tree, signed.renew.timestamp(), signed.listed | signed.revoked, trust)
        body = msgspec.msgpack.encode(said, order="deterministic")
        write_whole(self._folder / _VOUCHED, hashlib.sha256(body).digest() + body, 0o600, only_writer=True)
        return trust
