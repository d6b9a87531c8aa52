"""What a store needs around it, looked at before the first row is: version, encoding, rights, and that it can write.

What is missing here would show itself later, in the middle of a license and in words that name something else. Each
refusal says what was found, and a command that goes on from there. Moments are stored as seconds since the epoch, so
neither a database's time zone nor a daylight saving time changes one; a clock that goes wrong is told of.
"""

from __future__ import annotations

import logging
import shlex
import sqlite3
import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from drm.errors import StorageError
from license_server.store.schema import metadata

__all__ = ["check_rights", "check_surroundings"]

_LEAST_SQLITE: Final = (3, 35, 0)  # RETURNING
_LEAST_POSTGRESQL: Final = 12_00_00  # older ones are maintained by nobody
_CLOCKS: Final = 60.0  # seconds that clocks may differ without a word
_NEEDED: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")

logger = logging.getLogger(__name__)


def check_surroundings(engine: sa.Engine, where: str) -> None:
    """Return if the database can be a store at all. Raises StorageError."""
    if engine.dialect.name == "sqlite":
        _check_file(engine, where)
    else:
        _check_server(engine, where)


def check_rights(engine: sa.Engine, where: str) -> None:
    """Return if this account may read and write every table that is there. Raises StorageError."""
    if engine.dialect.name == "sqlite":
        return  # who may write the file may write all of it
    with engine.connect() as connection:
        missing = [
            f"{right} on {table}"
            for table in metadata.tables
            for right in _NEEDED
            if not _asked(connection, "SELECT has_table_privilege(:table, :right)", table=table, right=right)
        ]
        if not _asked(connection, "SELECT has_sequence_privilege(pg_get_serial_sequence('audit', 'id'), 'USAGE')"):
            missing.append("USAGE on the sequence of audit")
        user = _asked(connection, "SELECT current_user")
    if missing:
        raise StorageError(
            f"the account {user} may not do with the key store what a license server does",
            where=where,
            seen=f"it lacks {', '.join(missing[:4])}{' and more' if len(missing) > 4 else ''}",
            remedy="as the owner of the tables: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO"
            f' "{user}"; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{user}"',
        )


# ------------------------------------------------------------------------------------------------ SQLite
def _check_file(engine: sa.Engine, where: str) -> None:
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        raise StorageError(
            "the SQLite of this Python is too old",
            seen=f"it is {sqlite3.sqlite_version}, and {'.'.join(map(str, _LEAST_SQLITE))} is needed",
            remedy="python3 -c 'import sqlite3; print(sqlite3.sqlite_version)' with a newer Python, or use PostgreSQL",
        )
    path = engine.url.database or ""
    try:
        with engine.connect() as connection:
            mode = _asked(connection, "PRAGMA journal_mode")
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            (waits,) = driver.execute("PRAGMA busy_timeout").fetchone()
            driver.execute("PRAGMA busy_timeout=0")
            try:
                driver.execute("BEGIN IMMEDIATE")  # takes the right to write, and writes nothing
                driver.rollback()
            finally:
                driver.execute(f"PRAGMA busy_timeout={waits:d}")
    except (OperationalError, sqlite3.OperationalError) as error:
        if "locked" in str(error):
            return  # somebody writes: so it can be written
        raise _not_writable(path, error) from None
    except DBAPIError:
        return  # no database at all: whoever reads it says that in better words
    if mode != "wal":
        raise StorageError(
            "the folder of the key store cannot hold SQLite's write-ahead log",
            where=where,
            seen=f"journal mode {mode}",
            maybe="it lies on a network file system, where several processes cannot share it",
            remedy="clearkey serve --store FILE on a disk of this machine, or a PostgreSQL",
        )


def _not_writable(path: str, error: Exception) -> StorageError:
    words = getattr(error, "orig", error)
    return StorageError(
        f"the key store cannot be written: {words}",
        where=path,
        maybe="its folder is another account's, or is mounted for reading alone: SQLite keeps a log beside the file",
        remedy=f"ls -ld {shlex.quote(path.rpartition('/')[0] or '.')} {shlex.quote(path)}*",
    )


# ------------------------------------------------------------------------------------------------ PostgreSQL
def _check_server(engine: sa.Engine, where: str) -> None:
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise _unreachable(engine.url, where, str(error.orig)) from None
    with connection:
        _check_version(connection, where)
        _check_encoding(connection, where)
        _check_writing(connection, where)
        differs = float(_asked(connection, "SELECT extract(epoch FROM clock_timestamp())")) - time.time()
    if abs(differs) > _CLOCKS:
        logger.warning(
            "the clock of the database's machine is %.0f seconds %s ours: one of both is wrong, and tokens and requests"
            " expire by ours; timedatectl shows it",
            abs(differs),
            "before" if differs > 0 else "behind",
        )


def _check_version(connection: sa.Connection, where: str) -> None:
    if int(_asked(connection, "SHOW server_version_num")) < _LEAST_POSTGRESQL:
        raise StorageError(
            "this PostgreSQL is too old",
            where=where,
            seen=f"it is {_asked(connection, 'SHOW server_version')}, and {_LEAST_POSTGRESQL // 10_000} is needed",
            remedy="pg_dump the database, and psql it into a newer server",
        )


def _check_encoding(connection: sa.Connection, where: str) -> None:
    encoding = _asked(connection, "SHOW server_encoding")
    if encoding != "UTF8":
        name = f"{connection.engine.url.database}-utf8"
        raise StorageError(
            f"the database has the encoding {encoding}, and names of contents are Unicode",
            where=where,
            remedy=f"createdb --encoding=UTF8 --template=template0 {shlex.quote(name)} with -h and -U of this"
            " server; name that one, and clearkey keys migrate makes its tables",
        )


def _check_writing(connection: sa.Connection, where: str) -> None:
    if _asked(connection, "SELECT pg_is_in_recovery()"):
        raise StorageError(
            "this PostgreSQL is a standby, which nobody can write",
            where=where,
            remedy="name the primary in the URL, or several hosts with ?target_session_attrs=read-write",
        )
    user = _asked(connection, "SELECT current_user")
    if _asked(connection, "SHOW transaction_read_only") == "on":
        name = connection.engine.url.database
        raise StorageError(
            "the database lets this account read alone",
            where=where,
            seen="default_transaction_read_only is on",
            remedy=f'ALTER DATABASE "{name}" SET default_transaction_read_only = off, or so for ROLE "{user}"',
        )
    if _asked(connection, "SELECT current_schema()") is None:
        raise StorageError(
            "none of the schemas in which this account looks is there",
            where=where,
            seen=f"search_path is {_asked(connection, 'SHOW search_path')}",
            remedy=f'ALTER ROLE "{user}" SET search_path = public, or CREATE SCHEMA with one of these names',
        )


def _unreachable(url: sa.URL, where: str, words: str) -> StorageError:
    said = " ".join(words.replace(url.password or "\0", "…").split())[:300]
    plain = str(sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query))
    if f'database "{url.database}" does not exist' in words:
        remedy = f"createdb --encoding=UTF8 --template=template0 {shlex.quote(url.database or '')}, on that server"
    else:
        remedy = f"psql {shlex.quote(plain)} -c '\\conninfo' shows whether it is reached from here"
    return StorageError(f"the database cannot be reached: {said}", where=where, remedy=remedy)


def _asked(connection: sa.Connection, question: str, **values: object) -> Any:  # noqa: ANN401 - as the database has it
    return connection.execute(sa.text(question), values).scalar_one()
