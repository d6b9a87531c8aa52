"""Update trusted components from a server: the body of a content enabler and of `components update`. Application only.

Nothing here decides what may run: that is verified where components are loaded, each time. What this file owes is that
an update leaves the old state or the new one, whatever the network, the disk or a kill does in between; and that a
revocation list is in force before anything that it makes necessary is asked for. Otherwise whoever keeps the
replacement back would keep what was revoked alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError

from drm.app.components.floor import FLOOR_FILE, Floor, parse_floor
from drm.app.components.generation import ROOTS, Generation, RefreshState
from drm.app.components.metadata import refresh_metadata
from drm.app.components.replacements import Replacements
from drm.app.components.store import ComponentStore
from drm.app.components.translation import expired, translated_failures
from drm.app.components.writer import StoreWriter
from drm.app.http.urls import shown_url
from drm.errors import DRMError, TrustError
from drm.trust.entry import Entry
from drm.trust.errors import MetadataError
from drm.trust.freshness import trusted_now
from drm.trust.manifest import PLATFORM_API
from drm.trust.verifier import VerifiedTrust, metadata_file, verify_trust

if TYPE_CHECKING:
    from tuf.ngclient.fetcher import FetcherInterface

__all__ = ["UpdateResult", "update_components"]

_RACE: Final = 1.0  # seconds until a publisher that was exchanging keys is done with it
_LARGEST_FLOOR: Final = 16 << 10  # bytes


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What an update came to."""

    generation: int  # the one that is current now
    changed: bool  # whether it is a new one
    trust: VerifiedTrust  # what it vouches for
    downloaded: tuple[Entry, ...]


def update_components(
    store: ComponentStore,
    pinned_root: bytes,
    repository_url: str,
    fetcher: FetcherInterface,
    *,
    base: Generation | None = None,
    present: Callable[[], Mapping[str, bytes]] = dict,
    replacements: bool = True,
    api: int = PLATFORM_API,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[str], None] | None = None,
    race_pause: float = _RACE,
) -> UpdateResult:
    """Take the server's metadata and revocation list, then the archives that are better than those at hand.

    Args:
        store: what is updated; other processes may read it meanwhile.
        pinned_root: the root that came with the package.
        repository_url: what holds `metadata/` and `targets/`.
        fetcher: python-tuf's way to the network.
        base: the metadata that came with the package; the update begins with the newer of it and the store's.
        present: gives the archives that came with the package, by sha256: those need no download.
        replacements: False: metadata and the revocation list alone.
        api: the platform API that archives must be made for.
        now: the clock that expiry is judged by.
        progress: called with a line of text for each step.
        race_pause: seconds until what looks like an exchange of keys under way is looked at again, once.

    Raises:
        UpdateError: the server, or the way to it, failed; see drm.errors. Whatever was installed before, a
            new revocation list too, stays so, here and below.
        TrustError: what it gave must not be taken; see drm.trust.errors.
        NotRenewableError: a component at hand is revoked, and nothing that is published takes its place.
        DiskFullError, StoreBusyError, StorageError: it cannot be stored.
    """
    update = _Update(store, pinned_root, repository_url, fetcher, now, progress or (lambda _line: None), race_pause)
    with translated_failures(shown_url(repository_url), now, update.server_date), store.writing() as writer:
        current = store.read()
        before = update.verified(current.files) if current is not None else None
        generation, changed, trust = update.take_metadata(writer, current, base, before)
        downloaded: tuple[Entry, ...] = ()
        if replacements:
            downloaded = update.take_archives(writer, trust, api, present(), before)
        return UpdateResult(generation, changed, trust, downloaded)


class _Update:
    """One update."""

    def __init__(
        self,
        store: ComponentStore,
        pinned_root: bytes,
        repository_url: str,
        fetcher: FetcherInterface,
        now: Callable[[], datetime],
        progress: Callable[[str], None],
        race_pause: float,
    ) -> None:
        self._store = store
        self._pinned = pinned_root
        self._url = repository_url.rstrip("/")
        self._shown_url = shown_url(repository_url)
        self._fetcher = fetcher
        self._now = now
        self._progress = progress
        self._race_pause = race_pause
        self._last: tuple[Mapping[str, bytes], VerifiedTrust] | None = None  # mostly what came is what was there

    def server_date(self) -> datetime | None:
        """What the server said of the time, if the fetcher heard it."""
        date = getattr(self._fetcher, "server_date", None)
        return date if isinstance(date, datetime) else None

    def verified(self, files: Mapping[str, bytes]) -> VerifiedTrust | None:
        """What stored files vouch for; None: they are damaged, which an update heals."""
        with suppress(TrustError):
            return self._verify(files)
        return None

    def take_metadata(
        self, writer: StoreWriter, current: Generation | None, base: Generation | None, before: VerifiedTrust | None
    ) -> tuple[int, bool, VerifiedTrust]:
        """Install what the server has. Return the current generation's number, whether it is new, and its trust."""
        self._progress(f"asking {self._shown_url} what is trusted")
        files = self._refreshed(writer, self._seed(current, base))
        trust = self._judged(files, before)
        old_floor = parse_floor(writer.read(FLOOR_FILE, _LARGEST_FLOOR) or b"")
        if old_floor is None and before is not None:
            old_floor = Floor.of(before)
        if old_floor is not None:
            old_floor.check(trust)
        floor = Floor.of(trust)
        state = RefreshState(self._now().timestamp(), self._shown_url)
        if current is not None and current.files == files:
            self._raise_floor(writer, floor)
            writer.note_refresh(current.number, state)
            self._progress(f"nothing new: revocation list {trust.revocations.version} is in force")
            return current.number, False, trust
        draft = writer.stage(files, state)
        # Before it is shown: what was in force once must not be forgotten by a kill in between.
        self._raise_floor(writer, floor)
        number = writer.show(draft)
        self._progress(f"revocation list {trust.revocations.version} is in force")
        return number, True, trust

    def take_archives(
        self,
        writer: StoreWriter,
        trust: VerifiedTrust,
        api: int,
        bundled: Mapping[str, bytes],
        before: VerifiedTrust | None,
    ) -> tuple[Entry, ...]:
        """Download what is better than what is at hand; return it."""
        archives = Replacements(trust, api, self._store.archives(), bundled)
        wanted = tuple(archives.wanted())
        archives.take(wanted, self._fetch, writer)
        archives.settle(writer, before)
        return wanted

    def _seed(self, current: Generation | None, base: Generation | None) -> dict[str, bytes]:
        """What the update begins with: the newer source, and the roots of both, for packages that pin an older one."""
        newer, older = (base, current) if base and (not current or base.order > current.order) else (current, base)
        kept = {name: data for name, data in (older.files if older else {}).items() if name.startswith(f"{ROOTS}/")}
        seed = {**kept, **(newer.files if newer else {})}
        if self.verified(seed) is None:
            # The client takes a stored snapshot for signatures alone, whatever the timestamp says of its hash; then it
            # would never ask for the whole one.
            seed.pop(metadata_file("snapshot"), None)
        return seed

    def _refreshed(self, writer: StoreWriter, seed: Mapping[str, bytes]) -> dict[str, bytes]:
        try:
            return self._refresh(writer, seed)
        except (UnsignedMetadataError, LengthOrHashMismatchError):
            # The files of a repository are asked for one after the other, and it may have changed in between.
            time.sleep(self._race_pause)
            return self._refresh(writer, seed)

    def _refresh(self, writer: StoreWriter, seed: Mapping[str, bytes]) -> dict[str, bytes]:
        try:
            return refresh_metadata(writer.scratch(), seed, self._pinned, self._url, self._fetcher)
        except DRMError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            # Metadata of the wrong shape that was validly signed.
            raise RepositoryError(str(error)) from None

    def _judged(self, files: Mapping[str, bytes], before: VerifiedTrust | None) -> VerifiedTrust:
        """Verify what came as the worker will, and hold it against the clock, which the worker does not."""
        try:
            trust = self._verify(files)
        except MetadataError as error:
            error.where, error.remedy = self._shown_url, ""
            error.maybe = "it was published by mistake"
            raise
        clock = self._now()
        moment = trusted_now(clock, None, before.revocations.issued if before else clock)
        for role, end in sorted(trust.expiries.items()):
            if end <= moment:
                raise expired(f"{role} was good until {end:%Y-%m-%d}", self._shown_url, clock, self.server_date())
        return trust

    def _verify(self, files: Mapping[str, bytes]) -> VerifiedTrust:
        if self._last is None or self._last[0] != files:
            self._last = files, verify_trust(self._pinned, files)
        return self._last[1]

    def _raise_floor(self, writer: StoreWriter, floor: Floor) -> None:
        data = floor.encode()
        if writer.read(FLOOR_FILE, _LARGEST_FLOOR) != data:
            writer.write(FLOOR_FILE, data)

    def _fetch(self, entry: Entry) -> bytes:
        self._progress(f"downloading {entry.name} v{entry.version}, {entry.length} bytes")
        name = f"components/{entry.class_id}/{entry.sha256}.{entry.version}.zip"
        return self._fetcher.download_bytes(f"{self._url}/targets/{name}", entry.length)
