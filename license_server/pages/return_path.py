"""Where a visitor is led back to after signing in: the one check of every address that came with a request.

Browsers read addresses generously: they drop tabs and line ends, and take a backslash for a slash (WHATWG URL 4.4). So
what is led to is a path of this site in plain characters, or it is nothing.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["return_path"]

_LONGEST: Final = 2048  # characters
_PATH: Final = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")  # RFC 3986 3.3 and 3.4; no backslash, no control


def return_path(text: str) -> str | None:
    """Return `text` if a browser that is sent there stays on this site; None for everything else."""
    return text if len(text) <= _LONGEST and _PATH.fullmatch(text) else None
