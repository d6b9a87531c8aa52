"""Open a key store: a database of the right version. A SQLite file is made if it is absent; PostgreSQL goes by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError

from drm.errors import StorageError
from license_server.store.audit import record_admin_action
from license_server.store.contents import ContentStore
from license_server.store.devices import DeviceStore
from license_server.store.engines import engine_of, is_url, shown_place
from license_server.store.key_rows import CachedKeys, Epoch, KeyReader
from license_server.store.keyring import Keyring
from license_server.store.keys import KeyStore
from license_server.store.schema import HEAD
from license_server.store.surroundings import check_rights, check_surroundings
from license_server.store.tokens import TokenStore
from license_server.store.wrapping import Kek

__all__ = ["Store", "migrate_store", "open_store"]


@dataclass(frozen=True, slots=True)
class Store:
    """All that one database holds. `licenses` is how keys are read for licenses: as they were `CACHE_SECONDS` ago."""

    engine: sa.Engine
    keys: KeyStore
    contents: ContentStore
    devices: DeviceStore
    tokens: TokenStore
    licenses: CachedKeys
    epoch: Epoch


@contextmanager
def open_store(place: Path | str, keks: Kek | Keyring) -> Iterator[Store]:
    """Open the store at `place` for the length of a `with` block; a new file is made with the newest tables.

    Raises:
        StorageError: not a store, one of another version, or one whose keys are wrapped with another KEK.
    """
    engine, is_new = engine_of(place)
    try:
        where = shown_place(place)
        check_surroundings(engine, where)
        if is_new:
            _migrate(engine, where)
        _check_revision(engine, where)
        check_rights(engine, where)
        keyring = keks if isinstance(keks, Keyring) else Keyring([keks])
        keys = KeyStore(engine, keyring)
        keys.check_kek()
        epoch = Epoch(engine)
        yield Store(
            engine,
            keys,
            ContentStore(engine, keys),
            DeviceStore(engine),
            TokenStore(engine, epoch),
            CachedKeys(KeyReader(engine, keyring), epoch),
            epoch,
        )
    finally:
        engine.dispose()


def migrate_store(place: Path | str, who: str = "") -> str:
    """Bring the tables of a store to the version of this program, and return the one that they had.

    `who` did it, as the audit log has it. Raises StorageError. An empty database gets its first tables.
    """
    engine, _ = engine_of(place)
    try:
        where = shown_place(place)
        check_surroundings(engine, where)
        try:
            revisions = _revisions(engine, where)
        except StorageError as error:
            if sa.inspect(engine).get_table_names():
                raise error from None
            revisions = []
        _migrate(engine, where)
        _check_revision(engine, where)
        if revisions and revisions != [HEAD]:
            record_admin_action(engine, "command", "migrated", who)
        return ", ".join(revisions) or "none"
    finally:
        engine.dispose()


def _migrate(engine: sa.Engine, where: str) -> None:
    from alembic import command, config  # noqa: PLC0415 - 100 ms that only a new store needs

    settings = config.Config()
    settings.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    settings.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
    except DatabaseError as error:  # all of it or nothing: both databases take DDL back with a transaction
        raise StorageError(
            f"the tables of the key store cannot be made or changed: {str(error.orig).partition(chr(10))[0]}",
            where=where,
            maybe="this account does not own them, or may not make any",
            remedy="clearkey keys migrate with the account that owns the database" if is_url(where) else "",
        ) from None


def _revisions(engine: sa.Engine, where: str) -> list[str]:
    try:
        with engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    except (OperationalError, ProgrammingError) as error:
        if not any(words in str(error.orig) for words in ("no such table", "does not exist")):
            raise StorageError(f"the key store cannot be read: {error.orig}", where=where) from None
        raise StorageError(
            "this database is not a key store",
            where=where,
            seen="it has no revision",
            remedy="clearkey keys migrate makes one of an empty database" if is_url(where) else "",
        ) from None
    except DatabaseError:
        raise StorageError("this file is not a key store", where=where, seen="it is not a SQLite database") from None


def _check_revision(engine: sa.Engine, where: str) -> None:
    revisions = _revisions(engine, where)
    if revisions != [HEAD]:
        raise StorageError(
            "the key store is of another version than this program",
            where=where,
            seen=f"revision {', '.join(map(str, revisions)) or 'none'}; this program reads {HEAD}",
            remedy="clearkey keys migrate, if it is an older one; if not, use the version of clearkey that made it",
        )
