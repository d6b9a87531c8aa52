"""Sessions of both kinds that know a sink which speaks by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.app import (
    PMPServer,
    SessionConfiguration,
    WorkerConfiguration,
    create_media_session,
    create_pmp_media_session,
    create_pmp_server,
)
from tests.conformance.mfcreatemediasession.world import Stage

COMPONENTS = (Path(__file__).parent / "components" / "speaking_sink",)


@pytest.fixture(scope="module")
def speaking_worker() -> Iterator[PMPServer]:
    with create_pmp_server(WorkerConfiguration(components=COMPONENTS)) as server:
        yield server


@pytest.fixture(params=["local", "pmp"])
def stage(request: pytest.FixtureRequest, clear: Path) -> Iterator[Callable[..., Stage]]:
    """Makes sessions of one kind, from keywords for their attributes."""
    made: list[Stage] = []

    def make(**words: object) -> Stage:
        if request.param == "local":
            session: object = create_media_session(SessionConfiguration(components=COMPONENTS, **words))  # type: ignore[arg-type]
        else:
            server: PMPServer = request.getfixturevalue("speaking_worker")
            session = create_pmp_media_session(configuration=SessionConfiguration(server_context=server, **words))  # type: ignore[arg-type]
        made.append(Stage(session, clear))
        return made[-1]

    yield make
    for each in made:
        each.close()
