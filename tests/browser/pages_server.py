"""`clearkey serve` with pages, a film and an administrator, as a person starts it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.browser.films import Film
from tests.interop.command import Command

PASSWORD = "correct horse battery"
FILM = Film("h264", "cenc", take="pages")


@dataclass(frozen=True)
class Running:
    """Where it is, and what it printed beside that."""

    url: str
    said: str
    catalogue: Path


@contextlib.contextmanager
def pages_server(clearkey: Command, folder: Path, *options: object, license_host: str = "") -> Iterator[Running]:
    """Serve the keys of `FILM` from a new store in `folder`, and the film itself.

    The server takes a free port, which the film's manifest has to name: the film is packaged when the server runs.
    """
    catalogue = folder / "catalogue"
    catalogue.mkdir()
    keys = folder / "keys.txt"
    keys.write_text("".join(f"{kid}:{key.secret.hex()}\n" for kid, key in FILM.keys.values()))
    (folder / "password").write_text(f"{PASSWORD}\n")
    words = ("serve", "--port", 0, "--store", folder / "keys.db", "--keys-file", keys, "--catalogue", catalogue)
    process = clearkey.start(*words, *options)
    said: list[str] = []
    heard = threading.Event()

    def listen() -> None:
        for line in process.stderr:
            said.append(line)
            if line.startswith("pages: "):
                heard.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        url = process.stdout.readline().removeprefix("license server: ").strip()
        assert url, "".join(said)
        assert heard.wait(10), "it did not say where its pages are"
        named = url.replace("127.0.0.1", license_host) if license_host else url
        FILM.make(clearkey, catalogue, f"{named}/license")
        yield Running(url, "".join(said), catalogue)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        listener.join(5)
        process.stdout.close()
        process.stderr.close()
