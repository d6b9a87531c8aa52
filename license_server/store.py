"""Open a key store: a SQLite database of the right version, made if it is new."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, OperationalError

from drm.errors import StorageError
from license_server.device_store import DeviceStore
from license_server.key_store import KeyStore
from license_server.schema import HEAD
from license_server.wrapping import Kek

__all__ = ["Store", "open_store"]


@dataclass(frozen=True, slots=True)
class Store:
    """Keys and devices of one database."""

    keys: KeyStore
    devices: DeviceStore


@contextmanager
def open_store(path: Path, kek: Kek) -> Iterator[Store]:
    """Open the store at `path` for the length of a `with` block; a new one is made with the newest tables.

    Raises:
        StorageError: not a store, one of another version, or one whose keys are wrapped with another KEK.
    """
    is_new = _create_private(path)
    engine = _engine(path)
    try:
        if is_new:
            _migrate(engine)
        _check_revision(engine, path)
        keys = KeyStore(engine, kek)
        keys.check_kek()
        yield Store(keys, DeviceStore(engine))
    finally:
        engine.dispose()


def _create_private(path: Path) -> bool:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return path.stat().st_size == 0
    except OSError as error:
        raise StorageError(f"the key store cannot be opened: {error.strerror}", where=str(path)) from None


def _engine(path: Path) -> sa.Engine:
    # Parameters stay out of error messages: they are rows.
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _migrate(engine: sa.Engine) -> None:
    from alembic import command, config  # noqa: PLC0415 - 100 ms that only a new store needs

    settings = config.Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def _check_revision(engine: sa.Engine, path: Path) -> None:
    try:
        with engine.connect() as connection:
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
    except OperationalError as error:
        if "no such table" not in str(error.orig):
            raise StorageError(f"the key store cannot be read: {error.orig}", where=str(path)) from None
        raise StorageError("this database is not a key store", where=str(path), seen="it has no revision") from None
    except DatabaseError:
        raise StorageError(
            "this file is not a key store", where=str(path), seen="it is not a SQLite database"
        ) from None
    if found != [HEAD]:
        raise StorageError(
            "the key store is of another version than this program",
            where=str(path),
            seen=f"revision {', '.join(map(str, found)) or 'none'}; this program reads {HEAD}",
            remedy="use the version of clearkey that made it, or export its keys there and import them here",
        )
