"""The lines of a media playlist that say how segments are encrypted, by the segments that they hold for (RFC 8216).

Which of them are Clear Key's, in any of the forms that packagers give it, and which key each names. Lines in, values
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.keys import KeyId
from drm.manifests.forms import CLEARKEY_FORMAT, CLEARKEY_URNS, HLS_METHODS
from drm.manifests.initialization import Initialization, Kids
from drm.manifests.judging.players import HlsKey
from drm.manifests.key_ids import key_line_statements, kid_in_data, kid_in_url
from drm.manifests.playlist import KEY, MAP, Line, attributes
from drm.media import Scheme

__all__ = ["KeyGroup", "KeyLine", "key_groups", "key_line", "segment_groups"]

_SCHEMES: Final = {method: scheme for scheme, method in HLS_METHODS.items()}
_OURS: Final = frozenset({"identity", CLEARKEY_FORMAT, *CLEARKEY_URNS})
_MOST: Final = 16  # lines that hold at once: one for each protection system


@dataclass(frozen=True, slots=True, eq=False)
class KeyLine:
    """One EXT-X-KEY or EXT-X-SESSION-KEY, read."""

    line: Line
    method: str
    key_format: str  # in lower case
    uri: str
    key_id: str | None  # KEYID as it stands
    fault: str  # why that is no key id
    kids: tuple[KeyId, ...]  # that it names by KEYID or data, or by the URL of the key
    in_place_of_key: KeyId | None  # sixteen bytes that stand where the key does: its id, or the key itself

    @property
    def is_none(self) -> bool:
        """Whether it says that what follows is clear."""
        return self.method == "NONE"

    @property
    def is_clearkey(self) -> bool:
        """Whether it is a statement of Clear Key, in any of the forms that packagers give it."""
        return self.method.startswith("SAMPLE-AES") and self.key_format in _OURS

    @property
    def is_foreign(self) -> bool:
        """Whether it is another protection system's."""
        return self.method in _SCHEMES and not self.is_clearkey

    @property
    def scheme(self) -> Scheme | None:
        """The scheme that its method stands for."""
        return _SCHEMES.get(self.method)

    @property
    def kid(self) -> KeyId | None:
        """The first key id that it names, in whatever way."""
        return self.kids[0] if self.kids else self.in_place_of_key

    def for_players(self) -> HlsKey:
        """What the table of what plays goes by."""
        return HlsKey(self.method, self.key_format, self.uri, self.key_id is not None, self.kid)


def key_line(line: Line) -> KeyLine:
    """Read one."""
    told = attributes(line)
    key_format = told.get("KEYFORMAT", "identity").lower()
    kids = tuple(dict.fromkeys(kid for each in key_line_statements(told, "") for kid in each.key_ids))
    fault = ""
    if "KEYID" in told:
        try:
            KeyId.parse(told["KEYID"])
        except InvalidArgumentError as error:
            fault = "; ".join(filter(None, (error.what, error.maybe)))
    if not kids and key_format in _OURS and (of_url := kid_in_url(told.get("URI", ""))) is not None:
        kids = (of_url,)
    return KeyLine(
        line, told.get("METHOD", ""), key_format, told.get("URI", ""), told.get("KEYID"), fault, kids, kid_in_data(told)
    )


@dataclass(slots=True, eq=False)
class KeyGroup:
    """The key lines that hold for the same segments, and the initialization segment of these."""

    keys: list[KeyLine] = field(default_factory=list)  # all that hold; METHOD=NONE is none of them
    own: list[KeyLine] = field(default_factory=list)  # those that stand before these very segments, NONE among them
    map_uri: str = ""
    map_line: Line | None = None  # if it stands before these very segments
    map_range: str = ""

    @property
    def head(self) -> tuple[str, str]:
        """Which bytes the initialization segment is."""
        return self.map_uri, self.map_range

    def media(self, kids: Kids) -> Initialization | None:
        """What its initialization segment says, if that is what was read: a range further on in a file was not."""
        offset = self.map_range.partition("@")[2].strip() or "0"
        return kids.get(self.map_uri) if self.map_uri and offset == "0" else None

    def following(self) -> KeyGroup:
        """What holds on behind these segments."""
        return KeyGroup(list(self.keys), [], self.map_uri, None, self.map_range)


def key_groups(lines: Sequence[Line]) -> list[KeyGroup]:
    """Each run of segments between such lines. Raises as `segment_groups` does."""
    return list(dict.fromkeys(group for group, _line in segment_groups(lines)))


def segment_groups(lines: Sequence[Line]) -> Iterator[tuple[KeyGroup, Line]]:
    """Each segment's line, with what holds for it.

    A key line holds until the next of the same KEYFORMAT (4.3.2.4), METHOD=NONE ends them all, and an initialization
    segment holds until the next (4.3.2.5).

    Raises:
        MalformedMediaError: more lines hold at once than there are protection systems.
    """
    now = KeyGroup()
    is_used = False
    for line in lines:
        if line.tag in {KEY, MAP} and is_used:
            now, is_used = now.following(), False
        if line.tag == KEY:
            key = key_line(line)
            held = (each for each in now.keys if each in now.own or each.key_format != key.key_format)
            now.keys = [] if key.is_none else [*held, key]
            now.own.append(key)
            if len(now.own) > _MOST or len(now.keys) > _MOST:
                raise MalformedMediaError(
                    f"more than {_MOST} key lines hold for the same segments", where=f"line {line.number}"
                )
        elif line.tag == MAP:
            told = attributes(line)
            now.map_uri, now.map_range, now.map_line = told.get("URI", ""), told.get("BYTERANGE", ""), line
        elif line.is_uri:
            is_used = True
            yield now, line
