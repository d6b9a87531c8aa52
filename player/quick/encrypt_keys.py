"""Which key encrypts which track: `--key KID:KEY` for all, `video=KID:KEY`, `audio=` or a track's number for some.

Shaka Packager's `label=video:key_id=KID:key=KEY` is read too. Several keys for the same tracks are those of periods, in
the order in which they were given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from drm.encrypting.file import TrackEncryption
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId, parse_key_pair
from drm.media import TrackInfo, TrackType

__all__ = ["Chooser", "Label", "parse_label", "parse_labelled_keys"]

Label: TypeAlias = int | TrackType | None
"""A track's number, all tracks of a type, or None: every track."""

_PREFIX: Final = re.compile(r"(video|audio|[0-9]{1,10})=(.+)", re.IGNORECASE | re.DOTALL)
_SHAKA: Final = re.compile(r"label=([^:]*):key_id=([^:]*):key=([^:]*)(?::iv=[^:]*)?", re.IGNORECASE)
_HOW: Final = "write label=video:key_id=KID:key=KEY, the label being video, audio, a track's number or nothing"


def parse_label(text: str) -> int | TrackType:
    """Read `video`, `audio` or a track's number. Raises InvalidArgumentError."""
    word = text.strip().lower()
    if word in {TrackType.VIDEO, TrackType.AUDIO}:
        return TrackType(word)
    if re.fullmatch(r"[0-9]{1,10}", word):
        return int(word)
    raise InvalidArgumentError(
        f"{text[:32]!r} is no track", remedy="name tracks as video, audio or by number: clearkey inspect shows them"
    )


def parse_labelled_keys(text: str) -> list[tuple[Label, KeyId, ContentKey]]:
    """Read one `--key`, which in Shaka Packager's spelling may hold several. Raises InvalidArgumentError."""
    word = text.strip()
    if word.lower().startswith("label="):
        return [_labelled(part) for part in word.split(",")]
    prefix = _PREFIX.fullmatch(word)
    if prefix:
        return [(parse_label(prefix[1]), *parse_key_pair(prefix[2]))]
    return [(None, *parse_key_pair(word))]


def _labelled(part: str) -> tuple[Label, KeyId, ContentKey]:
    shaka = _SHAKA.fullmatch(part)
    if shaka is None:
        raise InvalidArgumentError("a key with a label is not readable", remedy=_HOW)
    label, kid, key = shaka.groups()
    return parse_label(label) if label else None, KeyId.parse(kid), ContentKey.parse(key)


class Chooser:
    """Says of a file's tracks how each is encrypted: what is left when keys, `--clear` and `--rotate` meet the file."""

    def __init__(
        self,
        keys: Iterable[tuple[Label, KeyId, ContentKey]],
        clear: Iterable[int | TrackType],
        settings: TrackEncryption,
    ) -> None:
        """`settings` are those of every track; its own key is not used. Raises InvalidArgumentError: no key."""
        self._keys: dict[Label, list[tuple[KeyId, ContentKey]]] = {}
        for label, kid, key in keys:
            pairs = self._keys.setdefault(label, [])
            if (kid, key) not in pairs:
                pairs.append((kid, key))
        self._clear = frozenset(clear)
        self._settings = settings
        self._check()

    def _check(self) -> None:
        if not self._keys:
            raise InvalidArgumentError(
                "there is no key to encrypt with",
                remedy="make one: clearkey keys new -o keys.json, then give --keys-file keys.json",
            )
        for label, pairs in self._keys.items():
            whose = f" for {label}" if label is not None else ""
            if len(pairs) > 1 and not self._settings.period:
                raise InvalidArgumentError(
                    f"there are {len(pairs)} keys{whose}, and no word on which is for what",
                    remedy="say it: --key video=KID:KEY --key audio=KID:KEY; or one after the other: --rotate",
                )
            known: dict[KeyId, ContentKey] = {}
            for kid, key in pairs:
                if known.setdefault(kid, key) != key:
                    raise InvalidArgumentError(f"KID {kid} is given two different keys")
        if self._settings.period and all(len(pairs) == 1 for pairs in self._keys.values()):
            raise InvalidArgumentError(
                "there is nothing to rotate: every track has one key", remedy="give two keys or more, in their order"
            )

    def __call__(self, tracks: Sequence[TrackInfo]) -> Mapping[int, TrackEncryption]:
        """How the tracks that are not to stay clear are encrypted. Raises InvalidArgumentError: a word fits none."""
        media = [track for track in tracks if track.type is not TrackType.OTHER]
        there = ", ".join(f"{track.track_id} ({track.type})" for track in tracks)
        for label in (*self._keys, *self._clear):
            if label is not None and not any(label in {track.track_id, track.type} for track in media):
                raise InvalidArgumentError(
                    f"there is no track {label} that could be encrypted", seen=f"tracks: {there}"
                )
        chosen = {}
        for track in media:
            pairs = self._pairs(track)
            if pairs:
                (kid, key), *later = pairs
                chosen[track.track_id] = replace(self._settings, key_id=kid, key=key, later_keys=tuple(later))
        return chosen

    def _pairs(self, track: TrackInfo) -> list[tuple[KeyId, ContentKey]]:
        """The keys of a track, the most particular word first; none: it stays clear."""
        for label in (track.track_id, track.type, None):
            if label in self._clear:
                return []
            if label in self._keys:
                return self._keys[label]
        return []
