"""Believe what the proxy in front says of the URL that was asked for, where `--trust-proxy` says that there is one.

TLS ends at the proxy, so the request that arrives is plain http; the absolute URLs that are written into manifests and
pages have to be those that clients ask. Without a proxy anybody could send these headers: it is not the default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["TrustedProxy", "asked_for"]

_LONGEST: Final = 4096  # characters of a header; a longer one is passed over
_ELEMENT: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^",])++')  # of Forwarded (RFC 7239, 4)
_PAIR: Final = re.compile(r'\s*([A-Za-z]++)=("(?:[^"\\]|\\.)*+"|[^\s";,]++)\s*(?:;|$)')
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class TrustedProxy:
    """A WSGI application (PEP 3333) in front of another. Safe for several threads."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does for the URL that the client asked for."""
        scheme, host = asked_for(
            environ.get("HTTP_FORWARDED", ""),
            environ.get("HTTP_X_FORWARDED_PROTO", ""),
            environ.get("HTTP_X_FORWARDED_HOST", ""),
        )
        if scheme:
            environ["wsgi.url_scheme"] = scheme
        if host:
            environ["HTTP_HOST"] = host
        return self._application(environ, start_response)


def asked_for(forwarded: str, proto: str, host: str) -> tuple[str, str]:
    """Scheme and host of the client's request; empty for what is not said, or not in a form that has one meaning.

    `forwarded` is RFC 7239's header, which wins; `proto` and `host` are X-Forwarded-Proto and -Host. Of several values
    the last counts: the nearest proxy wrote it, and those before came with the request.
    """
    if 0 < len(forwarded) <= _LONGEST:
        elements = _ELEMENT.findall(forwarded)
        told = {name.lower(): _plain(value) for name, value in _PAIR.findall(elements[-1] if elements else "")}
        proto, host = told.get("proto", ""), told.get("host", "")
    proto, host = (value[-_LONGEST:].rpartition(",")[2].strip() for value in (proto, host))
    scheme = proto.lower() if proto.lower() in {"http", "https"} else ""
    return scheme, host if _HOST.fullmatch(host) else ""


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
