"""Write the revocation list. What is written is read again the way a client reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from drm.trust.revocations import Revocation, parse_revocations

__all__ = ["encode_list"]


def encode_list(version: int, issued: datetime, entries: Iterable[Revocation]) -> bytes:
    """Return the list as bytes, the same for the same content.

    Raises:
        RevocationListError: no client would take it; so many entries are too many, for example.
    """
    document = {"format": 1, "version": version, "issued": issued.replace(microsecond=0), "entries": list(entries)}
    data = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    parse_revocations(data)
    return data
