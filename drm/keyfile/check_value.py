"""What names a key and does not give it away, as tables of keys and key stores hold it beside the key."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from drm.keys import ContentKey

__all__ = ["check_value"]


def check_value(key: ContentKey) -> str:
    """Return 3 bytes of the AES-CMAC of a zero block, in hex, as ANSI X9.24-1-2017 has it.

    Two people can compare it without showing each other the key.
    """
    mac = CMAC(AES(key.secret))
    mac.update(bytes(16))
    return mac.finalize()[:3].hex()
