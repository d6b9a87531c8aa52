"""Who may be asked for what a manifest names, and which headers go along. Nothing that a manifest names is trusted.

A manifest from the network leads to http and https alone, never from https to http, and from a public address to public
ones alone. A local one leads to files below its own folder, and to the network only when that was allowed.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from drm.app.http.urls import shown_url
from drm.errors import InvalidArgumentError, MediaUnreachableError

__all__ = ["AddressGuard", "Origin", "Permissions", "manifest_url"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What the user allowed beside the manifest itself."""

    headers: Mapping[str, str] = field(default_factory=dict)  # for the manifest's origin alone
    cacert: str | None = None
    network: bool = False  # a local manifest may lead to URLs
    private: bool = False  # a public origin may lead to loopback and private addresses


def manifest_url(text: str) -> str:
    """The URL of a manifest that was given as a path or a URL."""
    if urlsplit(text).scheme.lower() in {"http", "https"}:
        return text
    path = text
    if text.lower().startswith("file:"):
        path = unquote(urlsplit(text).path)
    return Path(path).absolute().as_uri()


class Origin:
    """Where the manifest came from: what may be asked for beside it. Any thread."""

    def __init__(self, manifest: str, permissions: Permissions) -> None:
        """`manifest`: its URL, as it was asked for."""
        self._scheme, self._authority = _origin(manifest)
        self._permissions = permissions
        self._folder = _path(manifest).resolve().parent if self._scheme == "file" else None

    def headers_for(self, url: str) -> Mapping[str, str]:
        """The headers that may go with a request: they can hold a token."""
        return self._permissions.headers if _origin(url) == (self._scheme, self._authority) else {}

    def local_path(self, url: str) -> Path | None:
        """The file that `url` is, or None: it is asked for over the network.

        Raises:
            MediaUnreachableError: the manifest may not lead there.
        """
        scheme, _authority = _origin(url)
        if scheme == "file" and self._folder is not None:
            path = _path(url)
            if not path.resolve().is_relative_to(self._folder):
                raise MediaUnreachableError(
                    "the manifest leads to a file outside its own folder, which is not read",
                    where=str(path),
                    remedy="put its segments beside the manifest, or serve both and give the URL",
                )
            return path
        if scheme not in {"http", "https"}:
            raise MediaUnreachableError(
                f"the manifest leads to {scheme[:32] or 'nowhere'}:, which is not read", where=shown_url(url)[:200]
            )
        if self._folder is not None and not self._permissions.network:
            raise MediaUnreachableError(
                "the local manifest leads to the network, which was not allowed",
                where=shown_url(url),
                remedy="add --allow-network",
            )
        if self._scheme == "https" and scheme == "http":
            raise MediaUnreachableError("the manifest leads from https to http", where=shown_url(url))
        return None


class AddressGuard:
    """Holds that a public origin leads to no address of this machine or its network. Any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._is_public: bool | None = None  # of the first address that was connected to: the manifest's

    def __call__(self, address: str) -> None:
        """Take the address of a server. Raises MediaUnreachableError for one that is not allowed."""
        is_public = ipaddress.ip_address(address.partition("%")[0]).is_global
        with self._changing:
            if self._is_public is None:
                self._is_public = is_public
            if self._is_public and not is_public:
                raise MediaUnreachableError(
                    "a manifest of a public server leads to an address of this machine or its network",
                    seen=address,
                    remedy="add --allow-private if that is meant",
                )


def _origin(url: str) -> tuple[str, tuple[str, int | None]]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidArgumentError("this is no URL", seen=shown_url(url)[:100]) from None
    scheme = parts.scheme.lower()
    return scheme, ((parts.hostname or "").lower(), port or {"http": 80, "https": 443}.get(scheme))


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
