"""Open a key store: a database of the right version. A SQLite file is made if it is absent; PostgreSQL goes by URL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError, ProgrammingError

from drm.errors import StorageError
from license_server.store.contents import ContentStore
from license_server.store.devices import DeviceStore
from license_server.store.key_rows import CachedKeys, Epoch, KeyReader
from license_server.store.keyring import Keyring
from license_server.store.keys import KeyStore
from license_server.store.schema import HEAD
from license_server.store.tokens import TokenStore
from license_server.store.wrapping import Kek

__all__ = ["Store", "is_url", "migrate_store", "open_store"]

_DATABASES: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


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


def is_url(place: object) -> bool:
    """Whether a store is named by the URL of a database, and not by a file."""
    return "://" in str(place)


@contextmanager
def open_store(place: Path | str, keks: Kek | Keyring) -> Iterator[Store]:
    """Open the store at `place` for the length of a `with` block; a new file is made with the newest tables.

    Raises:
        StorageError: not a store, one of another version, or one whose keys are wrapped with another KEK.
    """
    engine, is_new = _engine(place)
    try:
        if is_new:
            _migrate(engine)
        _check_revision(engine, _shown(place))
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


def migrate_store(place: Path | str) -> str:
    """Bring the tables of a store to the version of this program, and return the one that they had.

    Raises StorageError. An empty database gets its first tables.
    """
    engine, _ = _engine(place)
    try:
        try:
            revisions = _revisions(engine, _shown(place))
        except StorageError as error:
            if sa.inspect(engine).get_table_names():
                raise error from None
            revisions = []
        _migrate(engine)
        _check_revision(engine, _shown(place))
        return ", ".join(revisions) or "none"
    finally:
        engine.dispose()


def _engine(place: Path | str) -> tuple[sa.Engine, bool]:
    if is_url(place):
        return _server_engine(str(place)), False
    path = Path(place)
    is_new = _create_private(path)
    return _file_engine(path), is_new


def _create_private(path: Path) -> bool:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return path.stat().st_size == 0
    except OSError as error:
        raise StorageError(f"the key store cannot be opened: {error.strerror}", where=str(path)) from None


def _file_engine(path: Path) -> sa.Engine:
    # Parameters stay out of error messages: they are rows.
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _server_engine(text: str) -> sa.Engine:
    try:
        url = sa.make_url(text)
        if url.drivername not in _DATABASES:
            raise StorageError("this kind of database is not known", remedy="a path, or postgresql://USER@HOST/NAME")
        return sa.create_engine(
            url.set(drivername=_DATABASES[url.drivername]), hide_parameters=True, pool_pre_ping=True, pool_size=8
        )
    except ArgumentError:
        raise StorageError("the URL of the database cannot be read", remedy="postgresql://USER@HOST/NAME") from None
    except ModuleNotFoundError:
        raise StorageError(
            "what speaks to PostgreSQL is not installed", remedy="pip install 'clearkey[postgres]'"
        ) from None


def _shown(place: Path | str) -> str:
    """The place as messages may show it: a URL can hold a password."""
    return sa.make_url(str(place)).render_as_string(hide_password=True) if is_url(place) else str(place)


def _migrate(engine: sa.Engine) -> None:
    from alembic import command, config  # noqa: PLC0415 - 100 ms that only a new store needs

    settings = config.Config()
    settings.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    settings.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


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
