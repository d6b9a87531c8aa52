"""The PMP service as it is installed: code that root owns, workers under an account of their own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.isolation.ordinary_user import OrdinaryUser

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
