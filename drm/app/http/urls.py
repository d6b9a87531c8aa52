"""URLs as they may be shown, and whom a request to one may trust. Application only."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from drm.errors import InvalidArgumentError

__all__ = ["is_loopback", "shown_url", "trusted"]


def shown_url(url: str) -> str:
    """Return `url` as it may be shown: a query or a user part can hold a token."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(not a URL)"
    return SplitResult(parts.scheme, host, parts.path, "...=..." if parts.query else "", "").geturl()


def is_loopback(host: str) -> bool:
    """Whether this is a name of this very machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusted(cacert: str | None) -> str | bool:
    """Return what requests calls `verify`. Raises InvalidArgumentError: the file of CA certificates cannot be read."""
    if cacert is None:
        return True
    try:
        with open(cacert, "rb"):  # noqa: PTH123 - only to name the file that cannot be read
            return cacert
    except OSError as error:
        raise InvalidArgumentError(f"the CA file cannot be read: {error.strerror}", where=cacert) from None
