"""A film whose key is random and stands in no file, and an application that stands still to be searched."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from tests.isolation.memory_search import forms


@dataclass
class CanaryFilm:
    folder: Path
    keys: dict[KeyId, ContentKey]  # picture and sound, and what a rotating film goes on under
    needles: dict[str, bytes]  # forms of each key
    pieces: dict[str, bytes]  # of clear samples

    @property
    def path(self) -> str:
        return str(self.folder / "film.mp4")

    @property
    def rotating(self) -> str:
        return str(self.folder / "rotating.mp4")

    @property
    def first_keys(self) -> dict[KeyId, ContentKey]:
        """Those that a source names before playback."""
        return dict(list(self.keys.items())[:2])

    @property
    def plain_keys(self) -> dict[str, str]:
        return {kid.base64url: b64url(key.secret) for kid, key in self.keys.items()}

    @property
    def words(self) -> str:
        """The keys as programs take them that hold what they should not."""
        return " ".join(f"{kid.hex}:{key.secret.hex()}" for kid, key in self.keys.items()) + "\n"


def make_film(account, name: str) -> CanaryFilm:
    """Made by a process of its own, which tells us the keys and writes them nowhere."""
    folder = account.home / name
    made = account.application("canary_make.py", folder)
    keys = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in made["keys"].items()}
    needles = {
        f"{form} of key {number}": needle
        for number, key in enumerate(keys.values())
        for form, needle in forms(key.secret).items()
    }
    pieces = {f"sample {number}": bytes.fromhex(piece) for number, piece in enumerate(made["clear"])}
    assert len(keys) == 3
    assert len(pieces) > 10
    return CanaryFilm(folder, keys, needles, pieces)


@contextlib.contextmanager
def application(account, program: str, *words: str) -> Iterator[subprocess.Popen]:
    argv = [str(account.python), str(account.programs / program), *words]
    if account.user is not None:
        process = account.user.popen(argv, stdin=subprocess.PIPE)
    else:
        environment = {"HOME": str(account.home), "PATH": os.defpath, "LANG": "C.UTF-8"}
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def stands(process: subprocess.Popen, keys: str = "") -> Iterator[dict]:
    """Each stand of the application, which goes on when the loop does; where it wants keys, it gets them."""
    while line := process.stdout.readline():
        told = json.loads(line)
        yield told
        process.stdin.write(keys if told["stand"] == "wants-keys" else "\n")
        process.stdin.flush()
    assert process.wait(10) == 0
