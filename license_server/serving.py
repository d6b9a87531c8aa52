"""Run the license server in this process, until a signal or the end of the parent."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.policy import Policy
from license_server.app import ServerRules, create_app
from license_server.store import Store, open_store
from license_server.wrapping import Kek, find_kek

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["DEFAULT_PORT", "Settings", "serve"]

DEFAULT_PORT: Final = 8700

_STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_PARENT_CHECK: Final = 0.2  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to serve, and where."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0: a free one
    store: Path | None = None  # None: a temporary one, under a key-encryption key that only this process knows
    kek_file: Path | None = None
    keys: Mapping[KeyId, ContentKey] = field(default_factory=dict)  # put into the store at the start
    policies: Mapping[KeyId, Policy] = field(default_factory=dict)
    rules: ServerRules = field(default_factory=ServerRules)
    parent: int | None = None  # process id: end when it does


def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code: 0, or 130. Call it from the main thread.

    `announce` is called with the URL once requests are answered.

    Raises:
        InvalidArgumentError: the host or port cannot be had.
        StorageError: the store cannot be opened.
    """
    # Blocked before any thread starts, and taken by sigwait: no handler runs in the middle of anything.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with _store(settings) as store, _bound(settings.host, settings.port) as listener:
        store.keys.add(settings.keys)
        for kid, policy in settings.policies.items():
            store.keys.set_policy(kid, policy)
        if settings.parent is not None:
            threading.Thread(target=_end_with, args=(settings.parent,), daemon=True).start()
        with _answering(create_app(store, settings.rules), listener):
            if not ip_address(listener.getsockname()[0]).is_loopback:
                logger.warning("players in pages need https here: browsers offer EME over http on their own host alone")
            announce(_url(listener))
            caught = signal.sigwait(_STOP)
    return 0 if caught == signal.SIGTERM else 130


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    if settings.store is not None:
        with open_store(settings.store, find_kek(settings.store, settings.kek_file)) as store:
            yield store
        return
    folder = Path(tempfile.mkdtemp(prefix="clearkey-store-"))
    try:
        with open_store(folder / "keys.db", Kek(token_bytes(32), "in memory")) as store:
            yield store
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidArgumentError(f"{host[:128]!r} is no host to listen on", seen=error.strerror or "") from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except OSError as error:
            raise InvalidArgumentError(
                f"the license server cannot listen on {host} port {port}: {error.strerror}",
                maybe="another license server runs there already",
                remedy="--port 0 takes a free port",
            ) from None
        yield listener


class _QuietHandler(WSGIRequestHandler):
    """Writes no access log: a query can hold a token. The application logs its decisions itself."""

    timeout = 30  # seconds without a byte, then the connection is closed

    def version_string(self) -> str:
        """Name the server, not the versions of what it is built of."""
        return "clearkey"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002, ARG002 - werkzeug's signature
        """Log without the request line."""
        logger.debug("%s from a client", type)


def _finishing(app: Flask) -> WSGIApplication:
    """End the answer before werkzeug reads the rest of a refused body: it waits for the client, which waits for us."""

    def finishing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        whole = app(environ, start_response)
        try:
            yield b""  # sends the headers, also where there is no body
            yield from whole
            with suppress(OSError):  # the client may be gone
                environ["werkzeug.socket"].shutdown(socket.SHUT_WR)
        finally:
            if isinstance(whole, ClosingIterator):
                whole.close()

    return finishing


@contextmanager
def _answering(app: Flask, listener: socket.socket) -> Iterator[None]:
    host, port = listener.getsockname()[:2]
    server = make_server(
        host, port, _finishing(app), threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _end_with(parent: int) -> None:
    # Not PR_SET_PDEATHSIG: that is tied to the thread that started us, which may end long before its process.
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    sys.stderr.flush()
    os._exit(1)
