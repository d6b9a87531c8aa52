"""Which form of license a server is asked for: learnt by a request that asks for no key. Application only.

Other people's servers know EME's Clear Key and no more, so that a request with a member of ours gives them what they
did not ask for, and some refuse it. A server says in its answer to OPTIONS that it takes the sealed form. Whoever can
alter that answer could have keys sent in plain, so an origin that once offered the sealed form is held to it.
"""

from __future__ import annotations

import enum
import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from drm.app.http.post import USUAL_LIMITS, Limits, ask_options
from drm.app.http.urls import is_loopback, shown_url
from drm.errors import LicenseRefusedError, StorageError
from drm.hresult import HResult
from drm.launch.device_key import home_folder
from drm.license.clearkey import SEALED_FORM
from drm.whole_file import write_whole

__all__ = ["LicenseForm", "SealedServers", "offers_sealed"]

_FOLDER: Final = "sealed-servers"
_PORTS: Final = {"http": 80, "https": 443}


class LicenseForm(enum.StrEnum):
    """What a license server is sent."""

    AUTO = "auto"  # the sealed form where the server says that it takes it, the plain one elsewhere
    SEALED = "sealed"  # this form or none
    PLAIN = "plain"  # EME's two members alone: `kids` and `type`


class SealedServers:
    """The origins that once offered the sealed form: a file each, in the user's data folder.

    Origins of this machine are not among them: a port of it is one server today and another tomorrow.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` need not exist; None: the user's data folder."""
        self._folder = (home_folder() if folder is None else folder) / _FOLDER

    def holds(self, url: str) -> bool:
        """Whether the origin of `url` offered the sealed form before. Raises StorageError: it cannot be told."""
        place = self._place(url)
        if place is None:
            return False
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StorageError(
                f"it cannot be told whether this license server offered the sealed form before: {error.strerror}",
                where=str(self._folder),
                remedy="make the folder readable, or set CLEARKEY_HOME to one that is",
            ) from None
        return True

    def remember(self, url: str) -> bool:
        """Hold the origin of `url` to what it offers. False: it could not be written down."""
        place = self._place(url)
        if place is None:
            return True
        try:
            if not place.exists():
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(place, f"{_origin(url)}\n".encode(), 0o600)
        except OSError:
            return False
        return True

    def _place(self, url: str) -> Path | None:
        if is_loopback(urlsplit(url).hostname or ""):
            return None
        return self._folder / hashlib.sha256(_origin(url).encode()).hexdigest()[:32]


def offers_sealed(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    cancel: threading.Event | None = None,
    limits: Limits = USUAL_LIMITS,
    remembered: SealedServers | None = None,
) -> bool:
    """Ask the server, by OPTIONS, whether it takes the sealed form. Any answer that does not say so is a no.

    Raises:
        LicenseRefusedError: it offered the sealed form before, and does not say so now.
        StorageError: what is remembered cannot be read.
        LicenseServerUnreachableError, InvalidArgumentError, LicenseError: as drm.app.http.post.post.
    """
    remembered = remembered or SealedServers()
    answer = ask_options(url, headers=headers, cacert=cacert, cancel=cancel, limits=limits)
    if SEALED_FORM in answer.forms:
        remembered.remember(url)
        return True
    if remembered.holds(url):
        raise LicenseRefusedError(
            "the license server offered sealed licenses before, and does not now: nothing was asked",
            where=shown_url(url),
            seen=f"OPTIONS is answered with status {answer.status}, and not with the forms of license",
            maybe="another server answers there now, or something on the way takes the header out",
            remedy="--plain takes plain licenses all the same, whose keys pass through the network and this program",
            hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS,
        )
    return False


def _origin(url: str) -> str:
    """RFC 6454, section 4."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{parts.port or _PORTS.get(parts.scheme, 0)}"
