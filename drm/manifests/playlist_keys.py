"""The lines of a media playlist that say how its segments are encrypted, by the segments that they hold for (RFC 8216).

Which of them are Clear Key's, in any of the forms that packagers give it. Lines in, values out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drm.keys import KeyId
from drm.manifests.forms import CLEARKEY_FORMAT, CLEARKEY_URNS, HLS_METHODS
from drm.manifests.playlist import Line, attributes
from drm.manifests.verdicts import HlsKey

__all__ = [
    "KEY", "MAP", "SCHEMES", "SESSION_KEY", "KeyGroup", "hls_key", "is_clearkey", "is_foreign", "is_none", "key_groups",
    "kid_in_data",
]  # fmt: skip

KEY, MAP, SESSION_KEY = "#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-SESSION-KEY"
SCHEMES: Final = {method: scheme for scheme, method in HLS_METHODS.items()}


@dataclass(slots=True)
class KeyGroup:
    """The key lines that hold for the same segments, and the initialization segment of these."""

    lines: list[Line] = field(default_factory=list)
    map_uri: str = ""
    map_line: Line | None = None


def key_groups(lines: Sequence[Line]) -> list[KeyGroup]:
    """Each run of segments between such lines (4.3.2.4, 4.3.2.5). Without lines of its own, those before it hold on."""
    groups: list[KeyGroup] = []
    now = KeyGroup()
    is_used = False
    for line in lines:
        if line.tag == KEY:
            if is_used:
                now, is_used = KeyGroup([], now.map_uri, None), False
            now.lines.append(line)
        elif line.tag == MAP:
            if is_used:
                now, is_used = KeyGroup([], "", None), False
            now.map_uri, now.map_line = attributes(line).get("URI", ""), line
        elif line.is_uri and not is_used:
            groups.append(now)
            is_used = True
    return groups


def hls_key(line: Line) -> HlsKey:
    """What verdicts are made from."""
    told = attributes(line)
    return HlsKey(told.get("METHOD", ""), _format(told), told.get("URI", ""), "KEYID" in told)


def _format(told: Mapping[str, str]) -> str:
    return told.get("KEYFORMAT", "identity").lower()


def is_none(line: Line) -> bool:
    """Whether it says that what follows is clear."""
    return attributes(line).get("METHOD") == "NONE"


def is_clearkey(line: Line) -> bool:
    """Whether the line is a statement of Clear Key, in any of the forms that packagers give it."""
    told = attributes(line)
    if line.tag not in {KEY, SESSION_KEY} or not told.get("METHOD", "").startswith("SAMPLE-AES"):
        return False
    return _format(told) in {"identity", CLEARKEY_FORMAT, *CLEARKEY_URNS}


def is_foreign(line: Line) -> bool:
    """Whether the line is another protection system's."""
    return line.tag in {KEY, SESSION_KEY} and not is_clearkey(line) and hls_key(line).method in SCHEMES


def kid_in_data(told: Mapping[str, str]) -> KeyId | None:
    """Shaka Packager, told of no URL, writes the key id where the key is looked for."""
    head, _, body = told.get("URI", "").partition(",")
    if _format(told) != "identity" or not head.lower().startswith("data:") or not head.lower().endswith("base64"):
        return None
    try:
        value = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return KeyId(value) if len(value) == 16 else None
