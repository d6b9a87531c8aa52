"""The peers that are here, and clips for them."""

from __future__ import annotations

import pytest

from tests.interop.peers.clips import Clips
from tests.interop.peers.programs import Program, find_programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    return find_programs(tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))
