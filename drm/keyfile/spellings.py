"""Keys as the tools of this field spell them, and the key ids that a spelling leaves to the file.

    KID:KEY                                    ours, and mp4decrypt's
    TRACK:KEY                                  mp4decrypt's: a track id in decimal
    KID:KEY,KID:KEY                            Kodi's
    KID,KEY                                    a line of CSV, also after a semicolon or a tab
    kid=KID,key=KEY                            with names, in either order
    label=SD:key_id=KID:key=KEY,label=...      Shaka Packager's
    KID=KEY:KID=KEY                            FFmpeg's decryption_keys
    KEY                                        for a file with one key id

Each side in every notation of drm.keys. Pure: which key ids a track has, the caller looks up. No message repeats a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId, parse_key_pair

__all__ = [
    "KeyEntry",
    "KeyName",
    "OnlyKid",
    "Recognised",
    "Resolved",
    "TrackNumber",
    "key_name",
    "parse_keys",
    "resolve",
]

_TRACK: Final = re.compile(r"[1-9][0-9]{0,9}")
_SHAKA: Final = re.compile(r"(?:label|key_id|key|iv)\s*=")
_FIELDS: Final = ("label", "key_id", "key", "iv")
_KID_FIELDS: Final = ("kid", "key_id")
_VALUE: Final = re.compile(r"(?:guid-le:)?(?:urn:uuid:)?[^:=]+={0,2}", re.IGNORECASE)  # of either side, and not a pair
_TABLE: Final = re.compile(r"[,;\t]")
_MAX_ENTRIES: Final = 10_000  # in one word


@dataclass(frozen=True, slots=True)
class TrackNumber:
    """Stands for the key ids of one track."""

    number: int


@dataclass(frozen=True, slots=True)
class OnlyKid:
    """Stands for the one key id of a file."""


KeyName: TypeAlias = KeyId | TrackNumber | OnlyKid
KeyEntry: TypeAlias = tuple[str, KeyName, ContentKey]  # where it stands, for messages
Resolved: TypeAlias = tuple[str, KeyId, ContentKey]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What form a keys file has, in words for messages, and its keys, which are read as they are asked for."""

    form: str
    entries: Iterator[KeyEntry]


def parse_keys(text: str) -> list[tuple[KeyName, ContentKey]]:
    """Read one word of keys, in any of these spellings. Raises InvalidArgumentError."""
    word = text.strip()
    if pair := _with_names(word) or _columns(word):
        return [pair]
    if _SHAKA.match(word):
        return [_labelled(part, number) for number, part in enumerate(_parts(word, ","), 1)]
    track, colon, key = word.partition(":")
    if colon and _TRACK.fullmatch(track.strip()):  # no key id is that short
        return [(key_name(track), ContentKey.parse(key))]
    pair = _tried(word)
    if pair is not None:
        return [pair]
    if "=" in word.rstrip("=") and (pairs := _equated(word)):
        return pairs
    if "," in word and ":" in word:
        return [parse_key_pair(part) for part in _parts(word, ",")]
    return [parse_key_pair(word)]  # whose error says which side is off


def key_name(text: str) -> KeyName:
    """Read what stands on the left: a key id, or a track id. Raises InvalidArgumentError."""
    word = text.strip()
    if _TRACK.fullmatch(word) and int(word) <= 0xFFFF_FFFF:
        return TrackNumber(int(word))
    return KeyId.parse(word)


def resolve(entries: Iterable[KeyEntry], tracks: Mapping[int, Sequence[KeyId]]) -> Iterator[Resolved]:
    """Give every entry its key ids; `tracks` are those of the file, by track id (none for a clear track).

    A track's key serves each of its key ids that no other entry names.

    Raises:
        InvalidArgumentError: no such track, one that is not encrypted, or a key alone for a file of several key ids.
    """
    entries = list(entries)
    named = {name for _, name, _ in entries if isinstance(name, KeyId)}
    for where, name, key in entries:
        if isinstance(name, KeyId):
            yield where, name, key
        elif isinstance(name, TrackNumber):
            kids = _kids_of(name.number, tracks, where)
            for kid in kids:
                if len(kids) == 1 or kid not in named:
                    yield where, kid, key
        else:
            kids = list(dict.fromkeys(kid for of_track in tracks.values() for kid in of_track))
            if len(kids) > 1:
                raise InvalidArgumentError(
                    f"a key without its KID, and the file has {len(kids)} KIDs",
                    where=where,
                    seen=f"KIDs {', '.join(map(str, kids[:8]))}{' …' if len(kids) > 8 else ''}",
                    remedy="give KID:KEY, or TRACK:KEY",
                    kids=tuple(map(str, kids)),
                )
            for kid in kids:
                yield where, kid, key


def _kids_of(number: int, tracks: Mapping[int, Sequence[KeyId]], where: str) -> Sequence[KeyId]:
    if number not in tracks:
        raise InvalidArgumentError(
            f"a key is given for track {number}, and the file has no such track",
            where=where,
            seen=f"tracks {', '.join(map(str, tracks)) or 'none'}",
            maybe="a KID that was cut: it has 32 hex digits" if number > 999 else "",
            remedy="give TRACK:KEY with the number that clearkey inspect shows, or KID:KEY",
        )
    if not tracks[number]:
        others = [str(track) for track, kids in tracks.items() if kids]
        raise InvalidArgumentError(
            f"a key is given for track {number}, which is not encrypted",
            where=where,
            seen=f"encrypted tracks: {', '.join(others) or 'none'}",
        )
    return tracks[number]


def _parts(word: str, separator: str) -> list[str]:
    parts = word.split(separator, _MAX_ENTRIES)
    if len(parts) > _MAX_ENTRIES:
        raise InvalidArgumentError(
            f"more than {_MAX_ENTRIES} keys in one word", remedy="put them into a keys file, one a line"
        )
    return parts


def _with_names(word: str) -> tuple[KeyName, ContentKey] | None:
    """`kid=KID,key=KEY`, or None if it is not that."""
    told: dict[str, str] = {}
    for part in _TABLE.split(word, 2):
        name, _, value = part.partition("=")
        told["kid" if name.strip().lower() in _KID_FIELDS else name.strip().lower()] = value
    return (KeyId.parse(told["kid"]), ContentKey.parse(told["key"])) if told.keys() == {"kid", "key"} else None


def _columns(word: str) -> tuple[KeyName, ContentKey] | None:
    """`KID,KEY` or `TRACK,KEY`, each perhaps in quotation marks, or None if it is not two words in columns."""
    cells = [cell.strip().strip('"') for cell in _TABLE.split(word, 2)]
    if len(cells) != 2 or not all(_VALUE.fullmatch(cell) for cell in cells):
        return None
    return key_name(cells[0]), ContentKey.parse(cells[1])


def _tried(word: str) -> tuple[KeyName, ContentKey] | None:
    """KID:KEY or KEY, or None if it is neither."""
    try:
        return parse_key_pair(word) if ":" in word else (OnlyKid(), ContentKey.parse(word))
    except InvalidArgumentError:
        return None


def _equated(word: str) -> list[tuple[KeyName, ContentKey]]:
    """KID=KEY, several of them separated by colons; an empty list if it is not that."""
    found: list[tuple[KeyName, ContentKey]] = []
    for part in _parts(word, ":"):
        kid, equals, key = part.partition("=")
        if not equals or "=" in key.rstrip("="):
            return []
        found.append((KeyId.parse(kid), ContentKey.parse(key)))
    return found


def _labelled(part: str, number: int) -> tuple[KeyName, ContentKey]:
    told: dict[str, str] = {}
    for field in part.split(":"):
        name, equals, value = field.partition("=")
        if not equals or name.strip() not in _FIELDS or name.strip() in told:
            raise InvalidArgumentError(
                "a field is none of label=, key_id=, key= and iv=, or stands twice",
                where=f"key {number}" if number > 1 else "",
                remedy="write label=NAME:key_id=KID:key=KEY, and a comma before the next label",
            )
        told[name.strip()] = value
    for name in ("key_id", "key"):
        if name not in told:
            raise InvalidArgumentError(
                f"there is no {name}= in a key with labelled fields",
                where=f"key {number}" if number > 1 else "",
                remedy="write label=NAME:key_id=KID:key=KEY; the label may be empty",
            )
    return KeyId.parse(told["key_id"]), ContentKey.parse(told["key"])
