"""One browser, one license server and one web site for each file of tests here."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from license_server.process import LicenseServer
from tests.browser import players
from tests.browser.chromium import chromium
from tests.browser.site import PAGES, site
from tests.interop.command import Command


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


@pytest.fixture(scope="module")
def films_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def site_url(films_folder: Path) -> Iterator[str]:
    folders = {"pages": PAGES, "films": films_folder, "vendored": players.VENDORED, "players": players.CACHE}
    with site(folders) as url:
        yield url


@pytest.fixture
def page(browser):
    """A page of a context of its own: no cookie and no cache of another test."""
    context = browser.new_context()
    context.set_default_timeout(40_000)  # a busy machine is slow, and no test waits that long otherwise
    yield context.new_page()
    context.close()


class Ledger:
    """What the license server wrote down, read from its database."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._seen = 0

    def new(self, wanted: int = 1) -> list[tuple[str, int, str, list[str]]]:
        """Action, status, code and KIDs of each request since the last call; waits till `wanted` KIDs were asked."""
        ends = time.monotonic() + 3
        while True:
            with sqlite3.connect(self._store) as database:
                rows = database.execute(
                    "SELECT id, action, status, code, kids FROM audit WHERE id > ? ORDER BY id", (self._seen,)
                ).fetchall()
            database.close()
            if sum(len(row[4].split()) for row in rows) >= wanted or time.monotonic() > ends:
                break
            time.sleep(0.05)
        self._seen = max((row[0] for row in rows), default=self._seen)
        return [(action, status, code, kids.split()) for _, action, status, code, kids in rows]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "keys.db"


@pytest.fixture(scope="module")
def ledger(store: Path) -> Ledger:
    return Ledger(store)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, store: Path) -> Iterator[LicenseServer]:
    """A server with the keys that the module's `KEYS` are."""
    with LicenseServer(keys=request.module.KEYS, store=store) as started:
        yield started
