"""What is around a store when it is opened: each thing that is wrong is told by name, with a command that mends it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from license_server.decisions import Decision
from license_server.pages.overview import hour_of
from license_server.store import surroundings
from license_server.store.audit import Audit, AuditMode, audit_rows
from license_server.store.keys import Place
from license_server.store.opening import migrate_store, open_store
from tests.unit.license_server.store_places import KEK, Postgres

KID, KEY = KeyId(b"k" * 16), ContentKey(b"Zq" * 8)
NOBODY = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
_numbers = itertools.count()


@contextmanager
def database(
    postgres: Postgres, how: str = "", *, settings: tuple[str, ...] = (), is_migrated: bool = True
) -> Iterator[str]:
    """The URL of a new database that is made `how`, with its own settings."""
    name = f"around{next(_numbers)}"
    postgres.order(f"CREATE DATABASE {name} TEMPLATE {'migrated' if is_migrated else 'template0'} {how}")
    try:
        for setting in settings:
            postgres.order(f"ALTER DATABASE {name} SET {setting}")
        yield postgres.url(name)
    finally:
        postgres.order(f"DROP DATABASE {name} WITH (FORCE)")


def refusal(place: str | Path) -> StorageError:
    """What is said of a store by whoever opens it, and by whoever makes its tables."""
    with pytest.raises(StorageError) as opened, open_store(place, KEK):
        pass
    return opened.value


def command(*words: object, **options: object) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "player.cli", *map(str, words)], check=False, capture_output=True, text=True, timeout=60,
        **options,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


# ------------------------------------------------------------------------------------------------ PostgreSQL
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.parametrize("verb", ["serve", "keys migrate", "keys list"])
def test_a_database_that_holds_no_unicode_is_refused_by_every_verb(
    encoding: str, verb: str, postgres: Postgres, tmp_path: Path
) -> None:
    (tmp_path / "kek").write_bytes(KEK.secret)
    with database(postgres, f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'", is_migrated=False) as url:
        kek = () if verb == "keys migrate" else ("--kek-file", tmp_path / "kek")
        code, said = command(*verb.split(), "--store", url, *kek)
    assert code == 3, said
    assert f"the database has the encoding {encoding}" in said
    assert "createdb --encoding=UTF8 --template=template0 around" in said
    assert "a fault in clearkey itself" not in said


def test_what_is_missing_of_a_server_is_named(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(postgres.url("nowhere"))
    assert "cannot be reached" in error.what
    assert "createdb --encoding=UTF8 --template=template0 nowhere" in error.remedy
    error = refusal(f"postgresql://stranger:SECRET@/migrated?host={postgres.folder}")
    assert "role" in error.what
    assert "psql 'postgresql://stranger@/migrated" in error.remedy
    assert "SECRET" not in error.render()
    error = refusal("postgresql://me:SECRET@127.0.0.1:1/x")
    assert "cannot be reached" in error.what
    assert "SECRET" not in error.render()
    monkeypatch.setattr(surroundings, "_LEAST_POSTGRESQL", 99_00_00)
    error = refusal(postgres.url("migrated"))
    assert "too old" in error.what
    assert "99 is needed" in error.seen


def test_a_database_that_is_for_reading_alone_is_refused_until_the_remedy_is_done(postgres: Postgres) -> None:
    with database(postgres, settings=("default_transaction_read_only = on",)) as url:
        error = refusal(url)
        assert "lets this account read alone" in error.what
        postgres.order(error.remedy.partition(",")[0])
        with open_store(url, KEK) as store:
            store.keys.add({KID: KEY})


def test_an_account_without_rights_is_refused_until_the_remedy_is_done(postgres: Postgres) -> None:
    postgres.order("DROP ROLE IF EXISTS guest")
    postgres.order("CREATE ROLE guest LOGIN")
    with database(postgres) as url:
        guest = url.replace("//me@", "//guest@")
        assert "cannot be read" in refusal(guest).what  # not even its version
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
            error = refusal(guest)
            assert "the account guest may not" in error.what
            assert "INSERT on content_keys" in error.seen
            for statement in error.remedy.partition(": ")[2].split("; "):
                owner.execute(statement)
        with open_store(guest, KEK) as store:
            store.keys.add({KID: KEY})
            Audit(store.engine, AuditMode.SYNC).record("license", "here", Decision(200, "", b""), 0.0, 0.0)
            assert len(audit_rows(store.engine)) == 1
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("DROP OWNED BY guest")
    with database(postgres, is_migrated=False) as url:
        with pytest.raises(StorageError, match="cannot be made or changed") as raised:
            migrate_store(url.replace("//me@", "//guest@"))
        assert "clearkey keys migrate with the account that owns" in raised.value.remedy
        migrate_store(url)
    postgres.order("DROP ROLE guest")


def test_a_schema_that_is_not_there_is_named(postgres: Postgres) -> None:
    with database(postgres, settings=("search_path = nothing_here",)) as url:
        error = refusal(url)
        assert "schemas" in error.what
        assert error.seen == "search_path is nothing_here"


def test_no_setting_of_time_language_or_isolation_changes_what_a_store_does(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    settings = (
        *(
            "timezone = 'Pacific/Kiritimati'",
            "datestyle = 'German, DMY'",
            "default_transaction_isolation = serializable",
        ),
        *("bytea_output = escape", "standard_conforming_strings = off", "intervalstyle = iso_8601"),
    )
    now = 1_800_000_000.25
    with database(postgres, settings=settings) as url, open_store(url, KEK) as store:
        store.keys.add({KID: KEY}, places={KID: Place("Überfilm \\ ' 電影", "HD", 0)})
        assert store.keys.get_many([KID])[KID].key == KEY
        assert store.keys.rows("Überfilm \\ ' 電影")[0].created_at == pytest.approx(time.time(), abs=60)
        audit = Audit(store.engine, AuditMode.SYNC)
        audit.record("license", "here", Decision(200, "", b"", "issued"), now, 0.001)
        assert [row.at for row in audit_rows(store.engine)] == [now]
        assert sum(hour_of(store.engine, now).issued) == 1
        with store.engine.connect() as connection:
            assert connection.execute(sa.text("SHOW transaction_isolation")).scalar_one() == "read committed"


def test_a_standby_is_told_from_its_primary(postgres: Postgres) -> None:
    folder = Path("/tmp") / f"clearkey-standby-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    if NOBODY:
        os.chown(folder, 65534, 65534)
    process = None
    try:
        copy = [
            postgres.programs / "pg_basebackup",
            "-h",
            postgres.folder,
            "-U",
            "me",
            "-D",
            folder / "data",
            "-R",
            "-X",
            "fetch",
        ]
        subprocess.run(copy, check=True, capture_output=True, cwd=folder, timeout=60, **NOBODY)
        process = subprocess.Popen(
            [postgres.programs / "postgres", "-D", folder / "data", "-k", folder, "-h", "",
             "-c", "max_connections=200"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **NOBODY,
        )  # fmt: skip
        url, ends = f"postgresql://me@/migrated?host={folder}", time.monotonic() + 30
        while "cannot be reached" in (error := refusal(url)).what and time.monotonic() < ends:
            time.sleep(0.1)
        assert "is a standby" in error.what
        assert "target_session_attrs=read-write" in error.remedy
    finally:
        if process is not None:
            process.terminate()
            process.wait(15)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_clock_that_is_wrong_is_told_of(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    with database(postgres) as url:
        with open_store(url, KEK):
            assert "clock" not in caplog.text
        monkeypatch.setattr(surroundings, "_CLOCKS", -1.0)
        with open_store(url, KEK):
            assert "the clock of the database's machine is 0 seconds" in caplog.text


# ------------------------------------------------------------------------------------------------ SQLite
_OPEN = """
import os, sys
import sqlalchemy as sa
from drm.errors import StorageError
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek
sa.create_engine("sqlite://").connect().close()  # all that is imported is: this account may not read the interpreter
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    with open_store(sys.argv[1], Kek(b"K" * 32)) as store:
        print("opened", store.keys.count())
except StorageError as error:
    print(error.render())
"""


@pytest.fixture
def others() -> Iterator[Path]:
    """A store in a folder that an ordinary account reaches."""
    folder = Path("/tmp") / f"clearkey-rights-{os.getpid()}-{next(_numbers)}"
    folder.mkdir(mode=0o755)
    with open_store(folder / "keys.db", KEK) as store:
        store.keys.add({KID: KEY})
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def opened_by_others(path: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", _OPEN, path], check=False, capture_output=True, text=True, timeout=30)
    return ran.stdout + ran.stderr


def test_a_file_or_folder_that_cannot_be_written_is_named(others: Path) -> None:
    store = others / "keys.db"
    store.chmod(0o444)
    said = opened_by_others(store)
    assert "the key store cannot be opened: Permission denied" in said
    assert f"ls -ld {others} {store}" in said
    store.chmod(0o666)
    others.chmod(0o555)
    said = opened_by_others(store)
    assert "the key store cannot be written" in said, said
    assert f"ls -ld {others} {store}" in said
    assert "Traceback" not in said
    others.chmod(0o777)
    assert opened_by_others(store).strip() == "opened 1"


def test_a_file_system_without_a_shared_log_is_named(tmp_path: Path) -> None:
    """A way of locking by which SQLite holds no write-ahead log, as on file systems of a network."""
    engine = sa.create_engine(f"sqlite:///file:{tmp_path}/keys.db?vfs=unix-dotfile&uri=true")
    with pytest.raises(StorageError, match="write-ahead log") as raised:
        surroundings.check_surroundings(engine, "there")
    assert raised.value.seen == "journal mode delete"
    engine.dispose()


def test_an_old_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_LEAST_SQLITE", (99, 0, 0))
    assert "the SQLite of this Python is too old" in refusal(tmp_path / "keys.db").what


def test_a_store_that_somebody_writes_is_opened_all_the_same(tmp_path: Path) -> None:
    with open_store(tmp_path / "keys.db", KEK) as store, store.engine.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        surroundings.check_surroundings(store.engine, "there")
        with open_store(tmp_path / "keys.db", KEK) as another:
            assert another.keys.count() == 0
        writer.rollback()


def test_what_is_no_store_is_still_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and longer than a header of one has to be" * 20)
    assert "not a key store" in refusal(tmp_path / "text").what
    assert "Is a directory" in refusal(tmp_path).what
