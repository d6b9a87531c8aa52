"""The lines of a media playlist that say how segments are encrypted, by the segments that they hold for (RFC 8216).

Which of them are Clear Key's, in any of the forms that packagers give it, and which key each names. Lines in, values
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drm.keys import KeyId
from drm.manifests.forms import CLEARKEY_FORMAT, CLEARKEY_URNS, HLS_METHODS
from drm.manifests.key_ids import key_line_statements, kid_in_data, kid_in_url
from drm.manifests.players import HlsKey
from drm.manifests.playlist import KEY, MAP, SESSION_KEY, Line, attributes

__all__ = ["SCHEMES", "KeyGroup", "hls_key", "is_clearkey", "is_foreign", "is_none", "key_groups", "named_kids"]

SCHEMES: Final = {method: scheme for scheme, method in HLS_METHODS.items()}


@dataclass(slots=True)
class KeyGroup:
    """The key lines that hold for the same segments, and the initialization segment of these."""

    lines: list[Line] = field(default_factory=list)  # all that hold
    own: list[Line] = field(default_factory=list)  # those of them that stand before these very segments
    map_uri: str = ""
    map_line: Line | None = None  # if it stands before these very segments
    map_range: str = ""

    def following(self) -> KeyGroup:
        """What holds on behind these segments."""
        return KeyGroup(list(self.lines), [], self.map_uri, None, self.map_range)


def key_groups(lines: Sequence[Line]) -> list[KeyGroup]:
    """Each run of segments between such lines.

    A key line holds until the next of the same KEYFORMAT (4.3.2.4), METHOD=NONE ends them all, and an initialization
    segment holds until the next (4.3.2.5).
    """
    groups: list[KeyGroup] = []
    now = KeyGroup()
    is_used = False
    for line in lines:
        if line.tag in {KEY, MAP} and is_used:
            now, is_used = now.following(), False
        if line.tag == KEY:
            held = [] if is_none(line) else [old for old in now.lines if old in now.own or _stays(old, line)]
            now.lines = [*held, line]
            now.own.append(line)
        elif line.tag == MAP:
            told = attributes(line)
            now.map_uri, now.map_range, now.map_line = told.get("URI", ""), told.get("BYTERANGE", ""), line
        elif line.is_uri and not is_used:
            groups.append(now)
            is_used = True
    return groups


def _stays(old: Line, new: Line) -> bool:
    """Whether a line of before holds on beside a new one."""
    return not is_none(old) and _format(attributes(old)) != _format(attributes(new))


def hls_key(line: Line) -> HlsKey:
    """What verdicts are made from."""
    told = attributes(line)
    kids = named_kids(line)
    return HlsKey(
        told.get("METHOD", ""), _format(told), told.get("URI", ""), "KEYID" in told, kids[0] if kids else None
    )


def named_kids(line: Line, *, in_data: bool = True) -> tuple[KeyId, ...]:
    """The key ids that a key line names: by KEYID, else by its data or its URL.

    `in_data`: whether sixteen bytes in the place of the key count as a key id.
    """
    told = attributes(line)
    stated = [kid for each in key_line_statements(told, "") for kid in each.key_ids]
    other = (kid_in_data(told) if in_data else None) or (kid_in_url(told.get("URI", "")) if is_clearkey(line) else None)
    return tuple(dict.fromkeys(stated or ([other] if other is not None else [])))


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
    return line.tag in {KEY, SESSION_KEY} and not is_clearkey(line) and attributes(line).get("METHOD") in SCHEMES
