"""Run the license server, until a signal or the end of the parent."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.issuing.rate_limits import RateLimit
from license_server.metrics import Counters, Metrics
from license_server.rules import ServerRules
from license_server.serving.assembly import assembled
from license_server.serving.debug_server import answering
from license_server.serving.listening import bound, is_loopback, url_of
from license_server.serving.tls import Certificate
from license_server.store.audit import record_admin_action
from license_server.store.engines import is_url
from license_server.store.keyring import Keyring, find_keyring
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek
from license_server.web.updates import updates

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["DEFAULT_PORT", "Settings", "serve"]

DEFAULT_PORT: Final = 8700

_STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_PARENT_CHECK: Final = 0.2  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to serve, and where."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0: a free one
    store: Path | str | None = None  # None: a temporary one, under a key-encryption key that is in memory alone
    kek_file: Path | None = None
    keys: Mapping[KeyId, ContentKey] = field(default_factory=dict)  # put into the store at the start
    policies: Mapping[KeyId, Policy] = field(default_factory=dict)
    rules: ServerRules = field(default_factory=ServerRules)
    parent: int | None = None  # process id: end when it does
    workers: int = 1
    certificate: Certificate | None = None  # None: plain http
    is_debug: bool = False  # Flask's own server in this process
    front: Callable[[WSGIApplication], WSGIApplication] = lambda app: app  # what answers in a worker


def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code: 0, or 130. Call it from the main thread.

    `announce` is called with the URL once requests are answered.

    Raises:
        InvalidArgumentError: the host or port cannot be had, or a rule cannot be kept.
        StorageError: the store cannot be opened.
        LicenseServerUnreachableError: workers do not start, or end as soon as they start.
    """
    # Blocked before any thread or process starts, and taken by sigwait: no handler runs in the middle of anything.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    _check(settings.rules)
    sockets = 1 if settings.is_debug else settings.workers
    with _place(settings) as (place, keyring), bound(settings.host, settings.port, sockets) as listeners:
        listener = listeners[0]
        with open_store(place, keyring) as store:
            if store.keys.add(settings.keys):
                record_admin_action(store.engine, "command", "keys_imported", "serve", settings.keys)
            for kid, policy in settings.policies.items():
                store.keys.set_policy(kid, policy)
                record_admin_action(store.engine, "command", "key_policy_set", "serve", [kid])
        secure = settings.certificate is not None
        if not secure and not is_loopback(listener):
            logger.warning(
                "EME needs HTTPS: browsers offer it over plain http on their own machine alone, so pages elsewhere"
                " cannot play from here; --tls serves https"
            )
        url = url_of(listener, "https" if secure else "http")
        serving = _debugging if settings.is_debug else _working
        caught = serving(settings, place, keyring, listeners, lambda: announce(url))
    return 0 if caught == signal.SIGTERM else 130


def _working(
    settings: Settings, place: Path | str, keyring: Keyring, listeners: list[socket.socket], say: Callable[[], None]
) -> signal.Signals:
    from license_server.serving.main_process import MainProcess  # noqa: PLC0415 - what --debug does not need
    from license_server.serving.worker import Work  # noqa: PLC0415

    counters = Counters(settings.workers)

    @contextmanager
    def application(number: int) -> Iterator[WSGIApplication]:
        metrics = counters.part(number)
        with open_store(place, keyring) as store, assembled(store, settings.rules, metrics) as app:
            yield settings.front(app)

    work = Work(application, listeners, settings.certificate)
    return MainProcess(settings.workers, work, say, counters.part(0).count_restart, settings.parent).serve()


def _debugging(
    settings: Settings, place: Path | str, keyring: Keyring, listeners: list[socket.socket], say: Callable[[], None]
) -> signal.Signals:
    metrics: Metrics = Counters(0).part(0)
    with open_store(place, keyring) as store, assembled(store, settings.rules, metrics) as app:
        if settings.parent is not None:
            threading.Thread(target=_end_with, args=(settings.parent,), daemon=True).start()
        with answering(app, listeners[0], settings.certificate):
            say()
            return signal.Signals(signal.sigwait(_STOP_SIGNALS))


def _check(rules: ServerRules) -> None:
    """Say what is wrong with the rules here, and not in each worker. Raises InvalidArgumentError."""
    if rules.components is not None:
        updates(rules.components)
    if rules.limit is not None:
        RateLimit(rules.limit)


@contextmanager
def _place(settings: Settings) -> Iterator[tuple[Path | str, Keyring]]:
    if settings.store is not None:
        path = None if is_url(settings.store) else Path(settings.store)
        yield settings.store, find_keyring(path, settings.kek_file)
        return
    folder = Path(tempfile.mkdtemp(prefix="clearkey-store-"))
    try:
        yield folder / "keys.db", Keyring([Kek(token_bytes(32), "in memory")])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)
