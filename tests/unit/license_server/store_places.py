"""Where stores lie in tests: a SQLite file, or a database of its own in a real PostgreSQL, reached through a socket.

One PostgreSQL serves all tests of a process; each store there is a copy of a database that was migrated once.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from license_server.store.keyring import Keyring, find_keyring
from license_server.store.opening import Store, migrate_store, open_store
from license_server.store.wrapping import Kek

__all__ = ["KEK", "KINDS", "Postgres", "StorePlace", "place_of"]

KEK = Kek(b"K" * 32)
KINDS = ("sqlite", "postgres")

_START = 20  # seconds
# Nothing needs to outlive the machine, and little room is taken: what is asked of it is that it is PostgreSQL.
_SETTINGS = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_wal_size=64MB", "max_connections=200")


class Postgres:
    """A running PostgreSQL that listens to nobody but through a socket in its own folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self._numbers = itertools.count()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Postgres]:
        """Start one for the length of a `with` block; skips the test where PostgreSQL is not installed."""
        found = shutil.which("initdb") or next(
            (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None
        )
        if found is None:
            pytest.skip("PostgreSQL is not installed")
        made = cls(Path(found).resolve().parent, Path(tempfile.mkdtemp(prefix="clearkey-pg-", dir="/tmp")))  # short
        made.folder.chmod(0o755)
        user: dict[str, int] = {}
        if os.getuid() == 0:  # PostgreSQL does not run as root
            user = {"user": 65534, "group": 65534}
            os.chown(made.folder, 65534, 65534)
        words = ["-A", "trust", "-U", "me", "-N", "-E", "UTF8", "--locale=C", "--no-instructions"]
        process = None
        try:
            subprocess.run(
                [made.programs / "initdb", "-D", made.data, *words],
                check=True, capture_output=True, cwd=made.folder, timeout=60, **user,
            )  # fmt: skip
            settings = [word for setting in _SETTINGS for word in ("-c", setting)]
            process = subprocess.Popen(
                [made.programs / "postgres", "-D", made.data, "-k", made.folder, "-h", "", *settings],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=made.folder, **user,
            )  # fmt: skip
            made._prepare(process)
            yield made
        finally:
            if process is not None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            shutil.rmtree(made.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """Where its files lie."""
        return self.folder / "data"

    def url(self, database: str) -> str:
        """How a store in one of its databases is named."""
        return f"postgresql://me@/{database}?host={self.folder}"

    @contextmanager
    def database(self, *, is_migrated: bool = True) -> Iterator[str]:
        """The URL of a new database, for the length of a `with` block: with the newest tables, or with none."""
        name = f"store{next(self._numbers)}"
        self.order(f"CREATE DATABASE {name} TEMPLATE {'migrated' if is_migrated else 'template0'}")
        try:
            yield self.url(name)
        finally:
            self.order(f"DROP DATABASE {name} WITH (FORCE)")

    def order(self, statement: str) -> None:
        """Tell it something that is said outside of transactions."""
        with psycopg.connect(f"host={self.folder} user=me dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)

    def _prepare(self, process: subprocess.Popen[bytes]) -> None:
        ends = time.monotonic() + _START
        while True:
            try:
                self.order("CREATE DATABASE migrated TEMPLATE template0")
            except psycopg.OperationalError:
                assert process.poll() is None, "PostgreSQL ended as soon as it was started"
                assert time.monotonic() < ends, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                break
        migrate_store(self.url("migrated"))


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store that tests may open, serve and name in commands. Its key-encryption key is `KEK`, in a file."""

    place: Path | str
    kek_file: Path
    postgres: Postgres | None = None

    @property
    def named(self) -> dict[str, Path | str]:
        """As `LicenseServer` takes it."""
        return {"store": self.place, "kek_file": self.kek_file}

    @property
    def words(self) -> tuple[str, ...]:
        """As commands take it."""
        return "--store", str(self.place), "--kek-file", str(self.kek_file)

    @property
    def keyring(self) -> Keyring:
        """The key-encryption keys that lie there now."""
        return find_keyring(None, self.kek_file)

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The store, for the length of a `with` block."""
        with open_store(self.place, self.keyring) as store:
            yield store

    def everything(self) -> bytes:
        """All that lies there: the bytes of every file of the store, or what PostgreSQL's own backup of it says."""
        files = b"".join(
            path.read_bytes() for path in self.kek_file.parent.iterdir() if path.name.startswith("keys.db")
        )
        if self.postgres is None:
            return files
        command = [self.postgres.programs / "pg_dump", "--inserts", "-d", str(self.place)]
        return files + subprocess.run(command, check=True, capture_output=True, timeout=30).stdout


@contextmanager
def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[StorePlace]:
    """A store of this kind, with its newest tables, for the length of a `with` block."""
    kek_file = folder / "keys.db.kek"
    kek_file.write_bytes(KEK.secret)
    if kind == "sqlite":
        yield StorePlace(folder / "keys.db", kek_file)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        yield StorePlace(url, kek_file, postgres)
