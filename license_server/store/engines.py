"""How a database is reached: a SQLite file that is ours alone, or PostgreSQL by its URL. Nothing is read yet."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError

from drm.errors import StorageError

__all__ = ["engine_of", "is_url", "shown_place"]

_DATABASES: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_URL: Final = "postgresql://USER@HOST/NAME"


def is_url(place: object) -> bool:
    """Whether a store is named by the URL of a database, and not by a file."""
    return "://" in str(place)


def shown_place(place: Path | str) -> str:
    """The place as messages may show it: a URL can hold a password."""
    return sa.make_url(str(place)).render_as_string(hide_password=True) if is_url(place) else str(place)


def engine_of(place: Path | str) -> tuple[sa.Engine, bool]:
    """Return what connects to the store at `place`, and whether it is a file without content. Raises StorageError."""
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
        raise StorageError(
            f"the key store cannot be opened: {error.strerror}",
            where=str(path),
            remedy=f"ls -ld {path.parent} {path} shows whose they are: the server's account must read and write both",
        ) from None


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
            raise StorageError("this kind of database is not known", remedy=f"a path, or {_URL}")
        return sa.create_engine(
            url.set(drivername=_DATABASES[url.drivername]),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=8,
            # Whatever PGCLIENTENCODING and the database's own settings say: text is text, and whoever waited for a lock
            # sees what was committed before it got it (the audit log is read so).
            connect_args={"client_encoding": "utf8"},
            isolation_level="READ COMMITTED",
        )
    except ArgumentError:
        raise StorageError("the URL of the database cannot be read", remedy=_URL) from None
    except ModuleNotFoundError:
        raise StorageError(
            "what speaks to PostgreSQL is not installed", remedy="pip install 'clearkey[postgres]'"
        ) from None
