"""An authority of one's own, components to publish, and a real TUF client that reads files instead of HTTP."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from uuid import UUID

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from drm.app.components.store import ComponentStore
from drm.app.components.updater import UpdateResult, update_components
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.floor import verify_stored
from drm.trust.resolver import resolve
from drm.trust.verifier import VerifiedTrust

PASSPHRASE = "correct horse battery"
CLASS = "0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111"


class Clock:
    """The time that an authority reads."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


def write_component(folder: Path, *, version: str = "1.0.0", name: str = "null-sink", class_id: str = CLASS) -> Path:
    package = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "component.toml").write_text(
        f'name = "{name}"\nclass_id = "{class_id}"\nversion = "{version}"\napi = 1\n'
        f'entry_point = "drm.components.{package}.sink:Sink"\n'
    )
    (folder / "sink.py").write_text(f"VERSION = {version!r}\n\n\nclass Sink: ...\n")
    return folder


class _Files(FetcherInterface):
    """The published tree as a server would give it; each request looks at what is shown at that moment."""

    def __init__(self, shown: Path) -> None:
        self.shown = shown
        self.before: Callable[[str], None] = lambda path: None

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = urlparse(url).path.lstrip("/")
        self.before(path)
        try:
            yield (self.shown / path).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError("not found", 404) from None


class Client:
    """python-tuf's own client over a folder of its own."""

    def __init__(self, folder: Path, shown: Path, pinned_root: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.root, self.fetcher = folder, pinned_root, _Files(shown)

    def update(self) -> Updater:
        updater = Updater(
            str(self.folder), "http://x/metadata/", str(self.folder), "http://x/targets/", self.fetcher,
            bootstrap=self.root,
        )  # fmt: skip
        updater.refresh()
        return updater

    def has(self, version: str, class_id: str = CLASS) -> bool:
        """Whether an update finds this version, and its archive is the one that is listed."""
        updater = self.update()
        target = updater.get_targetinfo(f"components/{class_id}/{version}.zip")
        if target is None:
            return False
        updater.download_target(target, str(self.folder / "archive"))
        return True

    def list_version(self) -> int:
        updater = self.update()
        target = updater.get_targetinfo("revocations.json")
        assert target is not None
        path = updater.download_target(target, str(self.folder / "list"))
        from drm.trust.revocations import parse_revocations

        return parse_revocations(Path(path).read_bytes()).version


class Server(_Files):
    """The published tree, or what somebody between here and there makes of it."""

    def __init__(self, shown: Path) -> None:
        super().__init__(shown)
        self.asked: list[str] = []
        self.instead: dict[str, bytes | Exception | Iterator[bytes]] = {}  # by the end of the path

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked.append(urlparse(url).path)
        for end, what in self.instead.items():
            if self.asked[-1].endswith(end):
                if isinstance(what, Exception):
                    raise what
                yield from [what] if isinstance(what, bytes) else what
                return
        yield from super()._fetch(url)

    @property
    def archives(self) -> list[str]:
        """The archives that were asked for."""
        return [path for path in self.asked if path.endswith(".zip")]


class Installation:
    """A store, its server, and a look at it as a process has that starts now: nothing but what lies on disk."""

    def __init__(self, folder: Path, shown: Path, pinned_root: bytes) -> None:
        self.store = ComponentStore(folder)
        self.pinned_root = pinned_root
        self.server = Server(shown)

    def update(self, **more: Any) -> UpdateResult:
        return update_components(self.store, self.pinned_root, "http://x/", self.server, **{"race_pause": 0.0, **more})

    def trust(self) -> VerifiedTrust:
        floor = self.store.floor()
        generation = self.store.read()
        return verify_stored(self.pinned_root, generation.files if generation else {}, floor)

    def version(self, class_id: str = CLASS) -> str:
        """The version that a new worker would run. Raises TrustError as it would."""
        return resolve(self.trust(), UUID(class_id), 1, self.store.archives()).entry.version

    @property
    def current(self) -> Path:
        """The folder of the generation in force."""
        return max((self.store.folder / "generations").iterdir(), key=lambda path: int(path.name))

    def is_tidy(self) -> bool:
        return not any((self.store.folder / "tmp").iterdir())


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: an authority waits for its disk dozens of times in every change."""
    shared = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def founded(memory: Path) -> Path:
    """A new authority, to copy: making nine encrypted keys takes its time by design."""
    create_authority(AuthorityHome(memory / "founded", lambda _key: PASSPHRASE))
    return memory / "founded"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path, clock: Clock, founded: Path) -> AuthorityHome:
    shutil.copytree(founded, tmp_path / "authority", symlinks=True)
    return AuthorityHome(tmp_path / "authority", lambda _key: PASSPHRASE, now=clock)


@pytest.fixture
def component(tmp_path: Path) -> Callable[..., Path]:
    def make(version: str = "1.0.0", **more: str) -> Path:
        return write_component(tmp_path / f"source-{more.get('name', '')}-{version}", version=version, **more)

    return make


@pytest.fixture
def client(tmp_path: Path, home: AuthorityHome) -> Client:
    return Client(tmp_path / "client", home.trees.shown, (home.trees.shown / "metadata/1.root.json").read_bytes())


@pytest.fixture
def installation(tmp_path: Path, home: AuthorityHome) -> Installation:
    """A store that was never written to."""
    pinned = (home.trees.shown / "metadata/1.root.json").read_bytes()
    return Installation(tmp_path / "store", home.trees.shown, pinned)


@pytest.fixture
def http_server(home: AuthorityHome) -> Iterator[str]:
    """The URL of a real server of what is published."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=os.fspath(home.trees.shown)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
