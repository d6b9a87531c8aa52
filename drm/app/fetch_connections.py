"""The connections of a component fetcher: used again, and cut from another thread. Application only."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests

from drm.app.http.connections import InterruptibleAdapter
from drm.app.http.post import is_loopback

__all__ = ["FetchConnections"]


class FetchConnections:
    """One session of requests: no cookies, no redirects, no names and passwords from files, no compression."""

    def __init__(self) -> None:
        self.are_used = False  # by a thread beside the taker's
        self._is_worn = self._is_closed = False
        self._adapter = InterruptibleAdapter()
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(self, url: str, timeout: tuple[float, float], trust: str | bool) -> requests.Response:
        """Ask for `url`, and read the head. `timeout`: to connect, and between bytes. Raises what requests raises."""
        # A proxy has no business between two processes of one machine; elsewhere the user's environment counts.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        response = self._session.get(
            url,
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=timeout,
            auth=lambda request: request,  # or requests would look into ~/.netrc
            allow_redirects=False,
            stream=True,
            verify=trust,
        )
        self._is_worn = True
        return response

    def renew(self) -> bool:
        """Whether what was cut may have been an old connection, closed by the server as we asked (RFC 9112, 9.3.1).

        Then there are none any more, and it may be asked again.
        """
        was_worn, self._is_worn = self._is_worn, False
        self._session.close()
        return was_worn and not self._is_closed

    def close(self) -> None:
        """Cut what is open, from any thread."""
        self._is_closed = True
        self._adapter.interrupt()
        self._session.close()
