"""Flask's own server, for looking at the views with a debugger: one process, the Flask application alone."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

from license_server.serving.tls import Certificate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["answering"]

logger = logging.getLogger(__name__)


@contextmanager
def answering(app: WSGIApplication, listener: socket.socket, certificate: Certificate | None) -> Iterator[None]:
    """Answer requests in threads, for the length of a `with` block."""
    host, port = listener.getsockname()[:2]
    server = make_server(
        host,
        port,
        _finishing(app),
        threaded=True,
        request_handler=_QuietHandler,
        fd=listener.fileno(),
        ssl_context=None if certificate is None else (str(certificate.chain), str(certificate.key)),
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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


def _finishing(app: WSGIApplication) -> WSGIApplication:
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
