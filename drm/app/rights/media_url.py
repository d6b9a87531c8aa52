"""Where the media themselves say that licenses are to be had. Application only.

Anybody can write a URL into a file: nothing is sent there. It is there to be shown to a person who knows better.
"""

from __future__ import annotations

from typing import Final

from drm.component import MediaSource
from drm.errors import MediaError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import read_contents
from drm.rights.enablers import EnableURL, URLTrustStatus

__all__ = ["url_in_media"]

_LONGEST: Final = 2048  # characters
_BOXES: Final = 64  # that are looked into


def url_in_media(source: MediaSource | None) -> EnableURL | None:
    """Return the URL that the source names, or None.

    A source of the application's own may say it in `enable_url`, with its trust status: of a manifest, for instance.
    For one over a file it is looked for in the `pssh` boxes (the LA_URL of a PlayReady header), and is untrusted.
    """
    told = getattr(source, "enable_url", None)
    if isinstance(told, EnableURL):
        return told
    for box in tuple(getattr(source, "pssh", ()))[:_BOXES]:
        try:
            parsed = Pssh.parse_all(box.encode())
        except MediaError:
            continue
        for each in parsed:
            url = read_contents(each.system_id, each.data).license_url
            if 0 < len(url) <= _LONGEST and url.isprintable():
                return EnableURL(url, URLTrustStatus.UNTRUSTED)
    return None
