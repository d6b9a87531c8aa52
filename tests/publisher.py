"""A publisher of components and those who use them: an authority, its repository over HTTP, stores, marked components.

Every test that is about what a worker trusts begins here. The authority is real, founded once in a run and copied for
each test; so is the server, which is the license server's own part.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from flask import Flask, request
from werkzeug.serving import WSGIRequestHandler, make_server

from drm.app.components.generation import RefreshState
from drm.app.components.installed import component_folders
from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.app.rights.content_enabler import ContentEnabler
from drm.class_ids import BUILT_IN
from drm.errors import InvalidArgumentError, NoEventsAvailableError
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.lifetimes import Lifetimes
from drm.trust.authority.published import archive_file, root_bytes, stored_files
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.entry import facts_of, target_path
from drm.trust.manifest import DESCRIPTION, parse_description
from drm.trust.revocations import Reason, Revocation
from drm.trust.snapshot import StoredTrust, TrustSnapshot
from drm.trust.verifier import COMPONENTS
from license_server.web.updates import updates
from sample_content.clip import Clip, make_clip

MARKED = UUID("66666666-0000-0000-0000-000000000001")  # of the components that say what ran
UNLISTED = UUID("66666666-0000-0000-0000-000000000002")
LIMIT = 20.0  # seconds

_PART = '''"""A component of a test: it says which of its kind were imported in this process, by their marks."""

import sys

from drm.errors import InvalidArgumentError

sys.ran = [*getattr(sys, "ran", ()), {mark!r}]


class Part:
    def load(self, stream):
        raise InvalidArgumentError(" ".join(sys.ran))
'''


def write_marked(
    folder: Path, *, name: str = "marked", class_id: UUID = MARKED, version: str = "1.0.0", mark: str = ""
) -> Path:
    """Write a component that says its mark to whoever has it load something."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).write_text(
        f'name = "{name}"\nclass_id = "{class_id}"\nversion = "{version}"\napi = 1\n'
        f'entry_point = "drm.components.{name}.part:Part"\nrequires = ["drm"]\n'
    )
    (folder / "__init__.py").touch()
    (folder / "part.py").write_text(_PART.format(mark=mark or f"{name}-{version}"))
    return folder


def ran(host: object, class_id: UUID = MARKED) -> list[str]:
    """The marks of what was imported in the worker behind `host`, which has a marked component of this class id."""
    with pytest.raises(InvalidArgumentError) as said:
        host.create_object(class_id, b"{}")  # type: ignore[attr-defined]
    return said.value.what.split()


def of_built_in(name: str, folder: Path, version: str) -> Path:
    """Copy a component of this checkout, under another version."""
    (source,) = (path for path in component_folders() if path.name == name)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    described = (folder / DESCRIPTION).read_text()
    assert 'version = "1.0.0"' in described
    (folder / DESCRIPTION).write_text(described.replace('version = "1.0.0"', f'version = "{version}"'))
    return folder


@functools.cache
def in_memory() -> Path:
    """A folder for this run, in memory where there is one: an authority waits for its disk at every step."""
    shared = "/dev/shm"
    folder = Path(tempfile.mkdtemp(prefix="publishers-", dir=shared if os.access(shared, os.W_OK) else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _home(folder: Path, now: Callable[[], datetime]) -> AuthorityHome:
    return AuthorityHome(folder, lambda _key: "", encrypted=False, now=now)


@functools.cache
def _founded(days_ago: float) -> Path:
    """An authority that published the built-in components so many days ago: list 1."""
    then = datetime.now(UTC) - timedelta(days=days_ago)
    home = _home(in_memory() / f"founded-{days_ago}", lambda: then)
    create_authority(home)
    publish(home, component_folders())
    return home.folder


@functools.cache
def short_film() -> Path:
    """A clip with a picture, in the clear, for whoever encrypts it."""
    path = in_memory() / "clear.mp4"
    make_clip(path, Clip(width=160, height=90, frames=30, gop=15))
    return path


class Publisher:
    """One authority. A URL while `serving` is entered."""

    url = ""

    def __init__(self, *, days_ago: float = 0, another: bool = False) -> None:
        """`another`: with keys of its own; else every publisher of a run has the same."""
        self.folder = Path(tempfile.mkdtemp(dir=in_memory()))
        self.now = datetime.now(UTC) - timedelta(days=days_ago)
        self.asked: list[str] = []
        self.home = _home(self.folder / "authority", lambda: self.now)
        if another:
            create_authority(self.home)
            publish(self.home, component_folders())
        else:
            shutil.copytree(_founded(days_ago), self.home.folder, symlinks=True)

    @property
    def root(self) -> bytes:
        return root_bytes(self.home.trees.shown, 1)

    @property
    def component_key(self) -> str:
        """Id of the key that signs the list of archives."""
        (key_id,) = self.home.trust().key_ids[COMPONENTS]
        return key_id

    # ------------------------------------------------------------------ what it publishes

    def publish(self, *folders: Path) -> None:
        publish(self.home, folders)

    def publish_marked(self, version: str = "1.0.0", **more: str) -> None:
        self.publish(write_marked(self.folder / f"marked-{version}", version=version, **more))

    def publish_built_in(self, name: str, version: str) -> None:
        self.publish(of_built_in(name, self.folder / f"{name}-{version}", version))

    def revoke(self, **matchers: object) -> None:
        revoke(self.home, Revocation(id="-", reason=Reason.FLAW, text="reads too far", **matchers))  # type: ignore[arg-type]

    def sha256(self, class_id: UUID, version: str = "1.0.0") -> str:
        """Of a listed archive."""
        found = (e for e in self.home.trust().components if (e.class_id, e.version) == (class_id, version))
        return next(found).sha256

    def sign(self, change: Callable[[StagedRepository], None], **days: int) -> dict[str, bytes]:
        """Sign what no tool of ours would publish, and return the metadata, which is newer than what is published.

        `days` are lifetimes of roles.
        """
        trees = self.home.trees
        tree = trees.stage(trees.number() + 1, lambda path: True)
        lifetimes = Lifetimes(self.home.lifetimes.days | days)
        repository = StagedRepository(tree, self.home.keys, lifetimes, self.home.now)
        change(repository)
        repository.finish()
        return stored_files(tree)

    def sign_archive(self, data: bytes, described: bytes) -> dict[str, bytes]:
        """Sign a list on which `data` is an archive of the component that is described so."""
        manifest = parse_description(described, "a test")

        def change(repository: StagedRepository) -> None:
            with repository.edit_targets(COMPONENTS) as listed:
                place = target_path(manifest.class_id, manifest.version)
                repository.add_archive(place, data, msgspec.to_builtins(facts_of(manifest)), listed)

        return self.sign(change)

    # ------------------------------------------------------------------ what others have of it

    def files(self) -> dict[str, bytes]:
        """The metadata that is published now, as it is stored."""
        return stored_files(self.home.trees.shown)

    def archives(self) -> list[bytes]:
        """The archives that are published now."""
        tree = self.home.trees.shown.resolve()
        return [archive_file(tree, entry).read_bytes() for entry in self.home.trust().components]

    def snapshot(
        self,
        files: Mapping[str, bytes] | None = None,
        more: Sequence[bytes] = (),
        needed: Collection[UUID] = BUILT_IN,
    ) -> TrustSnapshot:
        """What an application hands to a worker that has all of it."""
        source = StoredTrust(dict(files or self.files()), self.root, self.now.timestamp())
        return TrustSnapshot((source,), (*self.archives(), *more), tuple(needed))

    def user(self, *, empty: bool = False, **more: object) -> User:
        """Somebody with a store of his own, which has what is published now, or nothing."""
        made = User(self, Path(tempfile.mkdtemp(dir=self.folder)) / "store", **more)
        if not empty:
            made.install()
        return made

    @contextlib.contextmanager
    def serving(self) -> Iterator[Publisher]:
        """Serve what is published at each moment, on a free port of this machine."""
        app = Flask("repository", static_folder=None)
        app.before_request(lambda: self.asked.append(request.path))
        app.register_blueprint(updates(self.home.trees.shown))
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/components"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_words: object) -> None:
        pass


class User:
    """One application's store, and how it says what it trusts."""

    def __init__(self, publisher: Publisher, store: Path, *, repository: str | None = None) -> None:
        self.publisher = publisher
        url = publisher.url if repository is None else repository
        self.trust = ComponentTrust(root=publisher.root, store=store, repository=url)
        self.store = store

    def supply(self) -> ComponentSupply:
        return ComponentSupply(self.trust)

    def install(self, files: Mapping[str, bytes] | None = None) -> None:
        """Write what is published now into the store, or other metadata; an update would look at the clock first."""
        with self.supply().store.writing() as writer:
            for data in self.publisher.archives():
                writer.put_blob(hashlib.sha256(data).hexdigest(), data)
            writer.install(files or self.publisher.files(), RefreshState(self.publisher.now.timestamp()))

    def put(self, data: bytes) -> Path:
        """Put an archive among the others, whoever lists it; return where it lies."""
        sha256 = hashlib.sha256(data).hexdigest()
        with self.supply().store.writing() as writer:
            writer.put_blob(sha256, data)
        return self.store / "blobs" / sha256


def completed(enabler: ContentEnabler) -> tuple[list[str], MediaEvent]:
    """Let an enabler do its work by itself; return what it said on the way, and how it ended, once."""
    enabler.automatic_enable()
    texts: list[str] = []
    while (event := enabler.get_event(timeout=LIMIT)).type == E.ENABLER_PROGRESS:
        texts.append(str(event.values["text"]))
    assert event.type == E.ENABLER_COMPLETED
    with pytest.raises(NoEventsAvailableError):
        enabler.get_event(timeout=0.1)
    return texts, event
