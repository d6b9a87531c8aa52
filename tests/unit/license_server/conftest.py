"""A store for each test that needs one: the same test on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.license_server.store_places import KINDS, Postgres, StorePlace, place_of


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole run, or for each process that takes part in it."""
    with Postgres.running() as running:
        yield running


@pytest.fixture(params=KINDS)
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorePlace]:
    """An empty store with the newest tables, in a file and in PostgreSQL."""
    with place_of(request.param, request, tmp_path) as place:
        yield place


@pytest.fixture(scope="module", params=KINDS)
def module_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorePlace]:
    """The same for the length of a module."""
    with place_of(request.param, request, tmp_path_factory.mktemp("store")) as place:
        yield place
