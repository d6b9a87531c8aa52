"""The raw form of a key, as HLS players fetch it: RFC 8216 4.3.2.4, KEYFORMAT "identity"."""

from __future__ import annotations

from drm.keys import ContentKey

__all__ = ["raw_key"]


def raw_key(key: ContentKey) -> bytes:
    """Return the 16 bytes of an answer that was permitted."""
    return key.secret
