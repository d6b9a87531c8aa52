"""What the tests of playback share: the command, the samples, and the vectors."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sample_content.maker import SampleFile, make_samples
from tests.interop.command import Command, write_keys
from tests.interop.vectors import Vector, has_all_files, read_vector


@pytest.fixture(scope="session")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SampleFile]:
    """Every generated sample, by name, made once."""
    return {sample.name: sample for sample in make_samples(tmp_path_factory.mktemp("samples"))}


@pytest.fixture
def vector(request: pytest.FixtureRequest, own_vectors: Path) -> Callable[[str], Vector]:
    """A vector by name: from this repository, or from the folder that CLEARKEY_VECTORS names."""

    def find(name: str) -> Vector:
        if has_all_files(own_vectors, name):
            return read_vector(own_vectors, name)
        return read_vector(request.getfixturevalue("vectors_folder"), name)

    return find


@pytest.fixture
def keys_of(tmp_path: Path) -> Callable[[Vector], Path]:
    """A keys file for a vector."""
    return lambda vector: write_keys(tmp_path / f"{vector.name}.keys", vector.keys)
