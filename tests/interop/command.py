"""The `clearkey` command as a user runs it: a process of its own, a home of its own, a time limit on everything."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set

LIMIT = 40.0  # seconds; every command of these tests takes one or two


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err


class Command:
    """Runs `clearkey` with `home` as the place of the device key and the key store."""

    def __init__(self, home: Path) -> None:
        beside = Path(sys.executable).with_name("clearkey")
        self.path = str(beside) if beside.exists() else shutil.which("clearkey")
        assert self.path, "the command `clearkey` is not installed"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CLEARKEY_")}
        self.environment |= {"CLEARKEY_HOME": str(home), "COLUMNS": "120"}

    def __call__(self, *words: object, timeout: float = LIMIT, **options) -> Ran:
        """Run it to its end; an end that does not come is a failure of the test."""
        options.setdefault("stdin", subprocess.DEVNULL)
        began = time.monotonic()
        done = subprocess.run([self.path, *map(str, words)], check=False, capture_output=True, text=True,
                              timeout=timeout, env=self.environment, **options)  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def start(self, *words: object, **options) -> subprocess.Popen:
        """Start it in a process group of its own, as a shell does. The caller ends it."""
        return subprocess.Popen([self.path, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment, start_new_session=True,
                                **options)  # fmt: skip


# What a first session of a home says, and a key on the command line: no part of what went wrong.
REMARKS = ("note: a key on the command line", "made a development authority in ")


def without_remarks(text: str) -> list[str]:
    """The lines of standard error that are about what was asked for."""
    return [line for line in text.splitlines() if not line.startswith(REMARKS)]


def is_one_paragraph(ran: Ran) -> bool:
    """One error for a person: `error: …  [E-…]`, then indented lines; no traceback, nothing before or after it."""
    lines = without_remarks(ran.err)
    return (
        bool(lines)
        and lines[0].startswith("error: ")
        and "[E-" in lines[0]
        and all(line.startswith("  ") and line.strip() for line in lines[1:])
        and "Traceback" not in ran.said
    )


def frames(text: str) -> dict[str, list[str]]:
    """Read framemd5 lines: kind of the stream and its place among those, as `video 1`, to its hashes in order."""
    names: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#media_type "):
            index, kind = line.removeprefix("#media_type ").split(": ")
            names[index] = f"{kind} {sum(name.startswith(kind) for name in names.values()) + 1}"
            found[names[index]] = []
        elif line and not line.startswith("#"):
            index, *_, digest = (part.strip() for part in line.split(","))
            found[names[index]].append(digest)
    return found


def write_keys(path: Path, pairs: Iterable[tuple[str, str]]) -> Path:
    """Write a keys file of lines KID:KEY."""
    path.write_text("".join(f"{kid}:{key}\n" for kid, key in pairs), encoding="utf-8")
    return path


def write_jwk_set(path: Path, keys: dict[KeyId, ContentKey]) -> Path:
    """Write a keys file that is a JWK Set."""
    path.write_bytes(encode_jwk_set(keys))
    return path


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pid: int, seconds: float) -> bool:
    """Wait for the end of a process that need not be a child of ours."""
    ends = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < ends:
        time.sleep(0.005)
    return not is_running(pid)


def descendants(pid: int) -> dict[int, str]:
    """The running processes below `pid`, each with its command line."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            waiting.append(child)
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def end(process: subprocess.Popen) -> None:
    """Make sure that nothing of it is left, whatever the test came to."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
