"""What this worker trusts: it verifies for itself, offline, and says what came of it. Worker only.

The application hands over stored metadata and archives and is believed in nothing. The pinned root was read from the
worker's own package before the lock; a root that the application hands over makes everything it vouches for
test-signed. What is loaded stays loaded: a list that revokes it later ends the making of sessions in this process.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from drm.errors import RestartRequiredError, TrustError
from drm.hresult import HResult
from drm.protection import ComponentState, TrustReport
from drm.rights.enablers import EnablerActivate, EnableType
from drm.trust.archive import Component
from drm.trust.errors import (
    ComponentDamagedError,
    ComponentRevokedError,
    ListFormatError,
    MetadataError,
    TrustAbsentError,
)
from drm.trust.floor import Floor, verify_stored
from drm.trust.manifest import PLATFORM_API
from drm.trust.renewal import Renewals, RevocationReason, encode_renewals
from drm.trust.resolver import Resolved, Vouched, class_ids, resolve
from drm.trust.snapshot import StoredTrust, TrustSnapshot, unpack_snapshot
from drm.trust.state import TrustState, state_of
from drm.trust.verifier import VerifiedTrust

__all__ = ["ComponentTrust", "LoadedComponents"]

_EARLIEST: Final = 0.0  # seconds since the epoch
_LATEST: Final = 253_000_000_000.0


@dataclass(frozen=True, slots=True)
class LoadedComponents:
    """What the first snapshot came to."""

    components: tuple[Component, ...]
    refused: dict[UUID, TrustError]  # what is at hand or listed, and must not run: why, for whoever asks for it


@dataclass(frozen=True, slots=True)
class _Source:
    """One authority's metadata, verified."""

    trust: VerifiedTrust
    root: bytes | None  # that was handed over; None: this package's
    refreshed: datetime | None

    @property
    def is_pinned(self) -> bool:
        return self.root is None


class ComponentTrust:
    """The trust of one worker. `load` comes first; then any thread."""

    def __init__(self, pinned_root: bytes | None, *, takes_roots: bool = True) -> None:
        """Nothing is verified yet.

        `pinned_root`: what the package of this worker pins; None: it pins none, as a checkout does. `takes_roots`:
        whether a root that the application hands over counts; the service's workers take none but their own.
        """
        self._pinned_root = pinned_root
        self._takes_roots = takes_roots
        self._sources: tuple[_Source, ...] = ()
        self._chosen: tuple[tuple[Resolved, bool], ...] = ()  # and whether its source is a test
        self._seen = b""
        self._verify_ms = 0.0
        self._renewing = threading.Lock()

    def load(self, data: bytes) -> LoadedComponents:
        """Verify a snapshot and choose what runs: the highest version of each class id that is listed and not revoked.

        Raises:
            TrustError: the metadata does not verify, or what no session can do without must not run. It carries the
                enabler that puts this right, where one does.
        """
        began = time.perf_counter()
        snapshot = unpack_snapshot(data)
        sources = self._verified(snapshot)
        vouched = Vouched([source.trust for source in sources])
        blobs = {hashlib.sha256(archive).hexdigest(): archive for archive in snapshot.archives}
        chosen: list[tuple[Resolved, bool]] = []
        refused: dict[UUID, TrustError] = {}
        listed = [entry for entry in vouched.components if entry.api == PLATFORM_API]
        wanted = dict.fromkeys((*snapshot.needed, *(entry.class_id for entry in listed), *class_ids(blobs, listed)))
        for class_id in wanted:
            try:
                found = resolve(vouched, class_id, PLATFORM_API, blobs)
            except TrustError as error:
                refused[class_id] = error
            else:
                tested = not any(source.is_pinned and found.entry in source.trust.components for source in sources)
                chosen.append((found, tested))
        _refuse_without([refused[class_id] for class_id in snapshot.needed if class_id in refused])
        self._sources, self._chosen, self._seen = sources, tuple(chosen), hashlib.sha256(data).digest()
        self._verify_ms = (time.perf_counter() - began) * 1000
        return LoadedComponents(tuple(found.component for found, _ in chosen), refused)

    def renew(self, data: bytes) -> None:
        """Verify a later snapshot of the same authorities, and judge by it from now on.

        Raises:
            RestartRequiredError: it revokes what runs here (MF_E_PROCESS_RESTART_REQUIRED), or is of other authorities
                than those that vouched for that.
            TrustError: it does not verify, or is older than what was seen (RollbackError).
        """
        digest = hashlib.sha256(data).digest()
        with self._renewing:  # two sessions may ask at once
            if digest != self._seen:
                began = time.perf_counter()
                sources = self._verified(unpack_snapshot(data))
                _refuse_older(self._sources, sources)
                self._sources, self._seen = sources, digest
                self._verify_ms = (time.perf_counter() - began) * 1000
        if revoked := self._revoked():
            raise RestartRequiredError(
                "a component that runs in this process is revoked now",
                seen=revoked,
                remedy="end this worker, and make the session in a new one",
            )

    def state(self) -> TrustState:
        """What this worker's components are worth now: by the list of the pinned root, where there is one."""
        first = next((source for source in self._sources if source.is_pinned), self._sources[0])
        return state_of(
            first.trust,
            is_test_signed=not first.is_pinned or any(tested for _, tested in self._chosen),
            refreshed=first.refreshed,
            clock=datetime.now(UTC),
            revoked=self._revoked(),
        )

    def report(self) -> TrustReport:
        """What the protection report says of it."""
        state = self.state()
        return TrustReport(
            signed="test-signed" if state.is_test_signed else "trusted",
            revocation_list=state.revocation_list,
            freshness=state.freshness.value,
            components=tuple(_row(found, tested=tested) for found, tested in self._chosen),
            verify_ms=round(self._verify_ms, 2),
        )

    def _revoked(self) -> str:
        """The first component of this process that a list in force revokes, and why; empty: none."""
        vouched = Vouched([source.trust for source in self._sources])
        for found, _ in self._chosen:
            entry = found.entry
            revocation = vouched.find_revocation(entry.class_id, entry.version_key, entry.sha256, entry.key_ids)
            if revocation is not None:
                return f"{entry.name} v{entry.version}: {revocation.describe()}"
        return ""

    def _verified(self, snapshot: TrustSnapshot) -> tuple[_Source, ...]:
        if len({source.root for source in snapshot.sources}) != len(snapshot.sources):
            # Two moments of one authority: what the later one lists no more would be vouched for by the earlier one.
            raise TrustError("one authority's metadata is offered twice")
        try:
            return tuple(self._verify(source) for source in snapshot.sources)
        except ListFormatError:
            raise  # only a newer package can help
        except (MetadataError, TrustAbsentError) as error:
            error.enabler_activate = _list_enabler(error)
            raise

    def _verify(self, stored: StoredTrust) -> _Source:
        if stored.root is not None and not self._takes_roots and stored.root != self._pinned_root:
            raise TrustError(
                "the PMP service's workers take components that its own root vouches for, and no application's",
                maybe="components of your own, or an application that runs from its sources",
                remedy="leave them out; or have the service started with that root: clearkey pmp-service --root FILE",
            )
        is_own = stored.root is None or not self._takes_roots
        root = self._pinned_root if is_own else stored.root
        if root is None:
            raise TrustAbsentError(
                "this package pins no root, so nothing can be verified against it",
                maybe="clearkey runs from its sources, and no development authority signed them",
            )
        refreshed = stored.refreshed
        if refreshed is not None and not _EARLIEST <= refreshed <= _LATEST:
            refreshed = None
        moment = None if refreshed is None else datetime.fromtimestamp(refreshed, UTC)
        return _Source(verify_stored(root, stored.files, stored.floor), None if is_own else stored.root, moment)


def _refuse_older(seen: tuple[_Source, ...], offered: tuple[_Source, ...]) -> None:
    """TUF's client workflow holds a client to what it has seen; so is a worker held, as long as it lives."""
    if [source.root for source in seen] != [source.root for source in offered]:
        # A root that the application made is not to speak for components that another one vouched for.
        raise RestartRequiredError(
            "other authorities are offered than those that vouched for what runs in this process",
            remedy="make the session in a new worker",
        )
    for old, new in zip(seen, offered, strict=True):
        Floor.of(old.trust).check(new.trust, is_new=True)


def _refuse_without(errors: list[TrustError]) -> None:
    """Raise the first of these, with the enabler that is for all of them."""
    if not errors:
        return
    renewable = [e for e in errors if isinstance(e, ComponentRevokedError | ComponentDamagedError)]
    first = next((e for e in renewable if isinstance(e, ComponentRevokedError)), errors[0])
    components = tuple(error.component for error in renewable if error.component is not None)
    if components:
        data = encode_renewals(Renewals(components=components))
        first.enabler_activate = EnablerActivate(EnableType.UPDATE_UNTRUSTED_COMPONENT, (), data)
    raise first


def _list_enabler(error: TrustError) -> EnablerActivate:
    absent = error.hresult == HResult.MF_E_GRL_ABSENT
    reason = RevocationReason.GRL_ABSENT if absent else RevocationReason.INVALID_GRL_SIGNATURE
    data = encode_renewals(Renewals(reason=reason | RevocationReason.GRL_LOAD_FAILED))
    return EnablerActivate(EnableType.UPDATE_REVOCATION_INFORMATION, (), data)


def _row(found: Resolved, *, tested: bool) -> ComponentState:
    entry = found.entry
    return ComponentState(
        name=entry.name,
        version=entry.version,
        class_id=str(entry.class_id),
        sha256=entry.sha256,
        signer=entry.key_ids[0] if entry.key_ids else "",
        state="test-signed" if tested else "trusted",
    )
