"""A repository, its server, and `clearkey components update` as its client, by the conformance suite's own protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.tuf.repository import Repository, serving

PROGRAM = Path(__file__).with_name("client.py")


class Client:
    """The command, with a store of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.kept = folder / "metadata"
        self.kept.mkdir()
        self._pin, self._url = folder / "pin.json", url
        self.said = ""

    def start(self, pin: bytes) -> None:
        """Give it the root that it begins with."""
        self._pin.write_bytes(pin)
        assert self._run("init", self._pin) == 0

    def refresh(self) -> bool:
        """Update; whether that was good."""
        return self._run("--metadata-url", f"{self._url}metadata/", "refresh") == 0

    def versions(self) -> dict[str, int]:
        """What it remembers as verified."""
        found = {path.stem: json.loads(path.read_bytes()) for path in self.kept.glob("*.json")}
        return {role: document["signed"]["version"] for role, document in sorted(found.items())}

    def _run(self, *words: str | Path) -> int:
        command = [sys.executable, PROGRAM, "--metadata-dir", self.kept, *words]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        self.said = ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.returncode


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def client(repository: Repository, tmp_path: Path) -> Iterator[Client]:
    """One that has never updated."""
    with serving(repository) as url:
        made = Client(tmp_path, url)
        made.start(repository.pin)
        yield made


@pytest.fixture
def updated(client: Client) -> Client:
    """One that has updated once: version 1 of everything."""
    assert client.refresh(), client.said
    return client
