"""A new root as a file that is carried to where the root keys are, and back: they never touch a networked machine.

`prepare` writes what is to be signed, `countersign` adds signatures where keys are, as often as there are holders, and
`accept` publishes it where the other keys are. Nothing in the file is secret, and nothing in it is believed: what
becomes of it is verified as a client does it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from drm.errors import AuthorityError, InvalidArgumentError, SigningKeyMissingError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.signing_keys import KeyFolders
from drm.trust.authority.staged_repository import DELEGATED

__all__ = ["MAX_REQUEST", "accept", "countersign", "prepare"]

MAX_REQUEST = 1 << 20  # bytes


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="root-request-1"):
    role: str  # whose keys are exchanged; "root": nothing but the root's end changes
    roots: tuple[str, ...]  # the published one, and those that are to follow it


def prepare(home: AuthorityHome, role: str) -> bytes:
    """Return the request for new keys of `role`, which are made here; for "root": for a root with a later end.

    Raises:
        InvalidArgumentError: root does not list the keys of that role.
        PassphraseError: the new keys cannot be encrypted.
    """
    if role in DELEGATED:
        raise InvalidArgumentError(
            f"the keys of {role} are listed by targets and not by root",
            remedy=f"run `clearkey authority rotate {role}`",
        )
    with home.writing(("request", role)):
        repository = home.reading()
        published = Metadata[Root].from_bytes(repository.root_bytes())
        end = (home.now() + home.lifetimes.of("root")).replace(microsecond=0)
        old = list(published.signed.roles[role].keyids) if role in published.signed.roles else []
        if role == "root":
            later = [_next(published, end, lambda _root: None)]
        elif not old:
            raise InvalidArgumentError(f"there is no role {role!r}")
        else:
            made = [home.keys.make() for _ in old]
            for key in made:
                home.keys.keep(key)
            both = _next(published, end, lambda root: _add(root, role, [key.public for key in made]))
            later = [both, _next(both, end, lambda root: _drop(root, role, old))]
        request = _Request(role, tuple(md.to_bytes().decode() for md in (published, *later)))
        return countersign(msgspec.json.encode(request), home.keys)[0]


def countersign(data: bytes, keys: KeyFolders) -> tuple[bytes, list[str]]:
    """Return the request with the signatures of the root keys that are here, and what it changes, in lines.

    Raises:
        InvalidArgumentError: it is no request.
        PassphraseError, StorageError: a key cannot be opened.
    """
    request, roots = _read(data)
    published, *later = roots
    lines = []
    before = published.signed
    for md in later:
        for key_id in published.signed.roles["root"].keyids:
            signer = keys.signer(published.signed.get_key(key_id))
            if signer is not None:
                md.sign(signer, append=True)
        lines += _changes(before, md.signed)
        signed = sum(key_id in md.signatures for key_id in published.signed.roles["root"].keyids)
        lines.append(f"root {md.signed.version}: {signed} of {published.signed.roles['root'].threshold} signatures")
        before = md.signed
    return msgspec.json.encode(_Request(request.role, tuple(md.to_bytes().decode() for md in roots))), lines


def accept(home: AuthorityHome, data: bytes) -> list[int]:
    """Publish the roots of a signed request and what they make necessary; return their numbers.

    Raises:
        InvalidArgumentError: it is no request.
        AuthorityError: it was made for another root than the one that is published now.
        SigningKeyMissingError: too few root keys signed it, or the keys that sign what follows are not here.
        PassphraseError: these cannot be opened.
    """
    request, roots = _read(data)
    published, *later = roots
    numbers = [md.signed.version for md in later]
    command = ("accept", request.role, *map(str, numbers))
    with home.writing(command) as is_done:
        if is_done:
            return numbers
        here = Metadata[Root].from_bytes(home.reading().root_bytes())
        if here.signed_bytes != published.signed_bytes:
            raise AuthorityError(
                f"this follows root {published.signed.version}, and another is published: root {here.signed.version}",
                remedy="prepare it anew: `clearkey authority root-request`",
            )
        _check_signed(published, later)
        with home.change(command) as staged:
            role = request.role
            if role != "root":
                leaving = published.signed.roles[role].keyids
                staged.also_sign[role] = [published.signed.get_key(key_id) for key_id in leaving]
            for md in later:
                staged.put_root(md)
            if role == "targets":
                staged.renew(role)
            staged.finish(renew_snapshot=role == "snapshot")
    return numbers


def _next(md: Metadata[Root], end: datetime, change: Callable[[Root], None]) -> Metadata[Root]:
    root = Metadata[Root].from_bytes(md.to_bytes()).signed  # a copy that shares nothing
    root.version += 1
    root.expires = end
    change(root)
    return Metadata(root)


def _add(root: Root, role: str, keys: list[Key]) -> None:
    for key in keys:
        root.add_key(key, role)


def _drop(root: Root, role: str, key_ids: list[str]) -> None:
    for key_id in key_ids:
        root.revoke_key(key_id, role)


def _changes(before: Root, after: Root) -> list[str]:
    lines = []
    for role in after.roles:
        old, new = before.roles[role], after.roles[role]
        lines += [f"root {after.version}: {role} gets the key {key}" for key in new.keyids if key not in old.keyids]
        lines += [f"root {after.version}: {role} loses the key {key}" for key in old.keyids if key not in new.keyids]
        if old.threshold != new.threshold:
            lines.append(f"root {after.version}: {new.threshold} keys sign for {role}, and {old.threshold} did")
    return [*lines, f"root {after.version}: good until {after.expires:%Y-%m-%d}"]


def _check_signed(published: Metadata[Root], later: list[Metadata[Root]]) -> None:
    before = published.signed
    for md in later:
        try:
            for signer in (before, md.signed):
                signer.verify_delegate("root", md.signed_bytes, md.signatures)
        except RepositoryError as error:
            raise SigningKeyMissingError(
                f"root {md.signed.version} is not signed by as many root keys as it must be",
                seen=str(error),
                remedy="have another holder of a root key sign the file: `clearkey authority countersign FILE`",
            ) from None
        before = md.signed


def _version(md: Metadata[Root]) -> int:
    if md.signed.type != Root.type:
        raise ValueError(f"it holds {md.signed.type}")
    return md.signed.version


def _read(data: bytes) -> tuple[_Request, list[Metadata[Root]]]:
    try:
        if len(data) > MAX_REQUEST:
            raise ValueError(f"it has more than {MAX_REQUEST} bytes")
        request = msgspec.json.decode(data, type=_Request)
        roots = [Metadata[Root].from_bytes(text.encode()) for text in request.roots]
        numbers = [_version(md) for md in roots]
        if len(roots) not in (2, 3) or numbers != list(range(numbers[0], numbers[0] + len(roots))):
            raise ValueError("its roots do not follow one another")
        if request.role not in roots[0].signed.roles:
            raise ValueError(f"root knows no role {request.role[:40]!r}")
    except (msgspec.DecodeError, RepositoryError, ValueError, IndexError, RecursionError) as error:
        raise InvalidArgumentError(
            "this is no request for a new root",
            seen=str(error)[:200],
            remedy="make one with `clearkey authority root-request`",
        ) from None
    return request, roots
