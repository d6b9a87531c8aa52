"""The PMP service as it is installed: code that root owns, workers under an account of their own."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.isolation.ordinary_user import OrdinaryUser

VECTOR = Path(__file__).parents[1] / "data" / "vectors" / "generated" / "pk_cenc_iv8_v.mp4"
KEY = "10000000100010001000100000000001:3a2a1b68dd2bd9b2eeb25e84c4776668"  # of it
SERVICE_UID = 64001


class PMPService:
    """A running service, and where it listens."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.socket = folder / "pmp.sock"
        self.device_key = folder / "state" / "device.key"
        self.process = process

    @property
    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in children for pid in path.read_text().split()]


@contextmanager
def running_service(user: OrdinaryUser, folder: Path, *words: object) -> Iterator[PMPService]:
    """Start the service as root would, and end it."""
    folder.chmod(0o755)
    command = user.python.parent / "clearkey"
    process = subprocess.Popen(
        [user.python, "-I", command, "pmp-service", "--socket", folder / "pmp.sock", "--state", folder / "state",
         "--user", str(SERVICE_UID), *map(str, words)],
        stderr=subprocess.PIPE, text=True, env={"PATH": os.defpath}, cwd="/",
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("PMP service on "), said + process.stderr.read()
        yield PMPService(folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def run_clearkey(user: OrdinaryUser, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return user.run([str(user.python), str(user.python.parent / "clearkey"), *map(str, words)], check=check)


@pytest.fixture(scope="module")
def root(ordinary_user: OrdinaryUser) -> Path:
    """The root that vouches for the components of the copy that is installed: the user's own development authority."""
    run_clearkey(ordinary_user, "doctor")
    (found,) = ordinary_user.home.glob(".local/share/clearkey/trust/development/*/repository/metadata/1.root.json")
    path = ordinary_user.home.parent / "root.json"
    shutil.copy(found, path)
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def service(ordinary_user: OrdinaryUser, root: Path) -> Iterator[PMPService]:
    folder = Path(tempfile.mkdtemp(prefix="service-", dir=ordinary_user.home.parent))
    with running_service(ordinary_user, folder, "--root", root, "--workers-per-user", 3) as running:
        yield running


@pytest.fixture(scope="module")
def film(ordinary_user: OrdinaryUser) -> Path:
    path = ordinary_user.home.parent / "film.mp4"
    shutil.copy(VECTOR, path)
    path.chmod(0o644)
    return path
