"""The components at hand and what they are worth, as this process verifies it: by the code that a worker verifies with.

Offline. What is found here is for people and decides nothing: what runs is decided in the worker, from the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from drm.app.components.release import packaged_root
from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.errors import TrustError
from drm.trust.component_archive import unpack_archive
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError, TrustAbsentError
from drm.trust.floor import verify_stored
from drm.trust.manifest import DESCRIPTION, PLATFORM_API, ComponentDescription, parse_description
from drm.trust.resolver import Vouched, candidates, class_ids, resolve
from drm.trust.snapshot import StoredTrust
from drm.trust.state import state_of
from drm.trust.verifier import REVOCATIONS, VerifiedTrust

__all__ = ["AuthorityState", "ComponentRow", "Components", "look_at_components"]

_LATEST: Final = 253_000_000_000.0  # seconds since the epoch: within what a date can be


class ComponentRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One component: what would run of it, or why nothing does."""

    name: str
    version: str
    class_id: str
    sha256: str = ""  # of the archive
    signer: str = ""  # id of a key that signed the metadata which lists it
    state: str  # trusted, test-signed, revoked, damaged, not listed, missing or not verified
    reason: str = ""  # of a revocation
    update: str = ""  # a better version that the metadata at hand lists
    is_needed: bool  # whether no session is made without it

    @property
    def runs(self) -> bool:
        """Whether a worker runs it."""
        return self.state in ("trusted", "test-signed")


class AuthorityState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one authority says, or why it is not believed."""

    origin: str  # where its metadata lie
    root: str  # whose root it was verified against
    is_pinned: bool  # whether that is the root of the package
    versions: dict[str, int] = {}
    revocation_list: int = 0
    issued: datetime | None = None
    signed: datetime | None = None  # when its publisher last signed that it is the newest
    freshness: str = ""
    expires: datetime | None = None  # when it stops being fresh
    confirmed: datetime | None = None  # when a server last confirmed it, by this machine's own note
    revoked: tuple[str, ...] = ()  # the list's entries, a line each


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    rows: tuple[ComponentRow, ...]
    authorities: tuple[AuthorityState, ...]
    faults: tuple[TrustError, ...]  # what is not as it must be, whether a session needs it or not

    @property
    def signed(self) -> str:
        """What a worker would call itself; empty: it would not start."""
        if not self.rows or any(row.is_needed and not row.runs for row in self.rows):
            return ""
        return "trusted" if all(row.state != "test-signed" for row in self.rows) else "test-signed"


def look_at_components(trust: ComponentTrust) -> Components:
    """Gather what is at hand and verify all of it.

    Raises:
        StorageError: the store cannot be looked into, or a development authority cannot be kept.
        OSError: a component's file cannot be read.
    """
    supply = ComponentSupply(trust)
    snapshot = supply.snapshot()
    pinned = packaged_root()
    has_root = trust.root is not None or pinned is not None
    sources: list[tuple[VerifiedTrust, bool]] = []
    authorities: list[AuthorityState] = []
    faults: list[TrustError] = []
    for index, stored in enumerate(snapshot.sources):
        origin = _stored_origin(supply) if has_root and index == 0 else "development authority of this copy"
        root = stored.root if stored.root is not None else pinned
        try:
            if root is None:
                raise TrustAbsentError("this package pins no root, so nothing can be verified against it")
            verified = verify_stored(root, stored.files, stored.floor)
        except TrustError as error:
            error.where = error.where or origin
            faults.append(error)
            authorities.append(AuthorityState(origin=origin, root=_root_id(root), is_pinned=stored.root is None))
            continue
        sources.append((verified, stored.root is None))
        authorities.append(_authority(origin, root, stored, verified))
    blobs = {hashlib.sha256(data).hexdigest(): data for data in snapshot.archives}
    stored_archives = supply.store.archives()
    rows, refused = _rows(sources, blobs, stored_archives, snapshot.needed, is_whole=not faults)
    damaged = [_damaged_file(name) for name, data in stored_archives.items() if _sha256(data) != name]
    return Components(rows=rows, authorities=tuple(authorities), faults=(*faults, *refused, *damaged))


def _stored_origin(supply: ComponentSupply) -> str:
    current = supply.current()
    if current is None:
        return f"nothing is stored in {supply.store.folder} yet"
    if current.number == 0:
        return "bundle of this package"
    return f"store generation {current.number}, {supply.store.folder}"


def _authority(origin: str, root: bytes, stored: StoredTrust, trust: VerifiedTrust) -> AuthorityState:
    refreshed = None
    if stored.refreshed is not None and 0 <= stored.refreshed <= _LATEST:
        refreshed = datetime.fromtimestamp(stored.refreshed, UTC)
    state = state_of(trust, is_test_signed=stored.root is not None, refreshed=refreshed, clock=datetime.now(UTC))
    return AuthorityState(
        origin=origin,
        root=_root_id(root),
        is_pinned=stored.root is None,
        versions=dict(trust.versions),
        revocation_list=trust.revocations.version,
        issued=trust.revocations.issued,
        signed=trust.issued,
        freshness=state.freshness.value,
        expires=min(trust.expiries[role] for role in ("timestamp", "snapshot", REVOCATIONS)),
        confirmed=refreshed,
        revoked=tuple(entry.describe() for entry in trust.revocations.entries),
    )


def _rows(
    sources: list[tuple[VerifiedTrust, bool]],
    blobs: Mapping[str, bytes],
    claimed: Container[str],
    needed: tuple[UUID, ...],
    *,
    is_whole: bool,
) -> tuple[tuple[ComponentRow, ...], list[TrustError]]:
    """One row for each class id, and what is wrong.

    `claimed` are the sha256 that stored archives claim; `is_whole` says that every authority's word was verified.
    """
    vouched = Vouched([trust for trust, _ in sources])
    listed = [entry for entry in vouched.components if entry.api == PLATFORM_API]
    known = dict.fromkeys((*needed, *(entry.class_id for entry in listed), *class_ids(blobs, listed)))
    at_hand = _descriptions(blobs)
    rows: list[ComponentRow] = []
    faults: list[TrustError] = []
    for class_id in known:
        is_needed = class_id in needed
        try:
            found = resolve(vouched, class_id, PLATFORM_API, blobs)
        except TrustError as error:
            if not is_needed and class_id not in at_hand and _is_elsewhere(error, claimed):
                continue  # listed, and never fetched
            rows.append(_refused(error, class_id, at_hand.get(class_id), is_needed=is_needed, is_whole=is_whole))
            if is_whole:  # else one fault, that of the metadata, says it all
                faults.append(error)
            continue
        entry = found.entry
        is_pinned = any(pinned and entry in trust.components for trust, pinned in sources)
        best = candidates(vouched, class_id, PLATFORM_API)[0]
        rows.append(
            ComponentRow(
                name=entry.name,
                version=entry.version,
                class_id=str(class_id),
                sha256=entry.sha256,
                signer=entry.key_ids[0] if entry.key_ids else "",
                state="trusted" if is_pinned else "test-signed",
                update=best.version if best.version_key > entry.version_key else "",
                is_needed=is_needed,
            )
        )
    return tuple(sorted(rows, key=lambda row: (not row.is_needed, row.name, row.class_id))), faults


def _refused(
    error: TrustError, class_id: UUID, at_hand: ComponentDescription | None, *, is_needed: bool, is_whole: bool
) -> ComponentRow:
    said = error.component if isinstance(error, ComponentRevokedError | ComponentDamagedError) else None
    is_revoked = isinstance(error, ComponentRevokedError)
    if is_revoked:
        state = "revoked"
    elif said is not None:
        state = "damaged"
    elif at_hand is not None:
        state = "not listed" if is_whole else "not verified"
    else:
        state = "missing"
    return ComponentRow(
        name=said.name if said else at_hand.name if at_hand else "",
        version=said.version if said else at_hand.version if at_hand else "",
        class_id=str(class_id),
        sha256=said.header_hash if said else "",
        signer=said.public_key_hash if said else "",
        state=state,
        reason=said.text if said and is_revoked else "",
        update=said.replacement if said and is_revoked else "",
        is_needed=is_needed,
    )


def _is_elsewhere(error: TrustError, claimed: Container[str]) -> bool:
    """Whether nothing of that archive is here, not even a damaged copy."""
    wanted = error.component if isinstance(error, ComponentDamagedError) else None
    return wanted is None or wanted.header_hash not in claimed


def _descriptions(blobs: Mapping[str, bytes]) -> dict[UUID, ComponentDescription]:
    """What the archives at hand call themselves: a name to show, and nothing that is believed."""
    found: dict[UUID, ComponentDescription] = {}
    for sha256, data in blobs.items():
        with suppress(TrustError, KeyError):
            described = parse_description(unpack_archive(data)[DESCRIPTION], sha256)
            found[described.class_id] = described
    return found


def _damaged_file(name: str) -> TrustError:
    return ComponentDamagedError(
        "a stored archive is not what its name says",
        where=f"blobs/{name}",
        maybe="the disk, or somebody, changed it",
        remedy="run `clearkey components update`",
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _root_id(root: bytes | None) -> str:
    return hashlib.sha256(root).hexdigest() if root is not None else ""
