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

from tuf.api.exceptions import DownloadHTTPError, LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Snapshot, Timestamp

from drm.app.components.generation import Generation, RefreshState, order_of
from drm.app.components.metadata import kept_metadata, refresh_metadata
from drm.app.components.replacements import Replacements
from drm.app.components.store import ComponentStore
from drm.app.components.translation import expired, translated_failures
from drm.app.components.writer import FLOOR, StoreWriter
from drm.app.http.urls import shown_url
from drm.errors import DRMError, TrustError, UpdateError, UpdateHttpError
from drm.trust.entry import Entry
from drm.trust.errors import MetadataError
from drm.trust.floor import Floor, parse_floor
from drm.trust.freshness import trusted_now
from drm.trust.manifest import PLATFORM_API
from drm.trust.verifier import VerifiedTrust, metadata_file, verify_trust

if TYPE_CHECKING:
    from tuf.ngclient.fetcher import FetcherInterface

__all__ = ["UpdateResult", "update_components"]

_RACE: Final = 1.0  # seconds until a publisher that was exchanging keys is done with it
_LARGEST_FLOOR: Final = 64 << 10  # bytes


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
        files = self._refreshed(writer, self._seed(writer, current, base))
        trust = self._judged(files, before)
        # Either remembers, where the other was lost.
        for floor in (parse_floor(writer.read(FLOOR, _LARGEST_FLOOR) or b""), Floor.of(before) if before else None):
            if floor is not None:
                floor.check(trust, is_new=True)
        state = RefreshState(self._now().timestamp(), self._shown_url)
        if current is not None and current.files == files:
            writer.note_refresh(current.number, state)
            self._raise_floor(writer, trust)
            self._progress(f"nothing new: revocation list {trust.revocations.version} is in force")
            return current.number, False, trust
        number = writer.install(files, state)
        # After it is shown: a floor above what is there keeps everything from running. A kill in between leaves one
        # that is too low, beside metadata that says more.
        self._raise_floor(writer, trust)
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
        try:
            with translated_failures(self._shown_url, self._now, self.server_date):
                taken = archives.take(self._fetch, writer)
        except (UpdateError, TrustError) as error:
            stuck = [refusal.what for refusal in archives.revoked().values()]
            if stuck:
                error.remedy = f"{', '.join(stuck)}, and does not run until its replacement is here: update again later"
            raise
        archives.settle(writer, before)
        return taken

    def _seed(self, writer: StoreWriter, current: Generation | None, base: Generation | None) -> dict[str, bytes]:
        """What the update begins with: the newest of what is known, and the roots of all, for older pins."""
        sources = [source.files for source in (base, current) if source]
        sources.append(kept_metadata(writer.refresh))  # the last of two that are as new: it is what led to the other
        seed: dict[str, bytes] = {}
        for files in sorted(sources, key=order_of):
            seed |= files
        if _is_other_snapshot(seed):
            # The client takes a stored snapshot for signatures alone, whatever the timestamp says of its hash; then it
            # would never ask for the whole one.
            del seed[metadata_file("snapshot")]
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
            return refresh_metadata(writer.refresh, seed, self._pinned, self._url, self._fetcher)
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
        moment = trusted_now(clock, None, before.issued if before else clock)
        for role, end in sorted(trust.expiries.items()):
            if end <= moment:
                raise expired(f"{role} was good until {end:%Y-%m-%d}", self._shown_url, clock, self.server_date())
        return trust

    def _verify(self, files: Mapping[str, bytes]) -> VerifiedTrust:
        if self._last is None or self._last[0] != files:
            self._last = files, verify_trust(self._pinned, files)
        return self._last[1]

    def _raise_floor(self, writer: StoreWriter, trust: VerifiedTrust) -> None:
        data = Floor.of(trust).encode()
        if writer.read(FLOOR, _LARGEST_FLOOR) != data:
            writer.write(FLOOR, data)

    def _fetch(self, entry: Entry) -> bytes:
        self._progress(f"downloading {entry.name} v{entry.version}, {entry.length} bytes")
        name = f"components/{entry.class_id}/{entry.sha256}.{entry.version}.zip"
        try:
            return self._fetcher.download_bytes(f"{self._url}/targets/{name}", entry.length)
        except DownloadHTTPError as error:
            raise UpdateHttpError.of_status(
                error.status_code,
                f"the update server lists {entry.name} v{entry.version}, and answered with status {error.status_code} "
                "when it was asked for the archive",
                where=self._shown_url,
                maybe="not all of what is published was put on the server",
                remedy="try again later, and tell whoever publishes there",
            ) from None


def _is_other_snapshot(files: Mapping[str, bytes]) -> bool:
    """Whether the snapshot is called what the timestamp names, and is not what it names. Nothing is verified."""
    try:
        named = Metadata[Timestamp].from_bytes(files[metadata_file("timestamp")]).signed.snapshot_meta
        data = files[metadata_file("snapshot")]
        if Metadata[Snapshot].from_bytes(data).signed.version != named.version:
            return False
        named.verify_length_and_hashes(data)
    except LengthOrHashMismatchError:
        return True
    except (RepositoryError, KeyError, AttributeError, ValueError, TypeError):
        return False
    return False
