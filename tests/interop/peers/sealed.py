"""What we encrypt for the peers to read: every scheme, layout and codec, and the settings that files differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from tests.interop.peers.clips import (
    ABSOLUTE,
    FRAGMENTED,
    INDEXED,
    MOOV_LAST,
    PLAIN,
    PROGRESSIVE,
    SEPARATE,
    Clip,
    Clips,
)

# By kind of track: KID, key, and what IVs begin with, since with IVs of chance a peer's faults would be of chance too.
KEYS = {
    "video": ("10000000100010001000100000000001", "3a2a1b68dd2bd9b2eeb25e84c4776668", "d5fbd6b82ed93e4e"),
    "audio": ("20000000200020002000200000000002", "073be2e3cfd18eb5d3b1f2b6b8b2d6b1", "0a1b2c3d4e5f6071"),
}
BOTH = ("video", "audio")


@dataclass(frozen=True)
class Case:
    """One file. `kinds` are the tracks that are encrypted, of those that the clip has."""

    codecs: str
    layout: str
    scheme: Scheme
    said: str = ""  # of the settings, in the table
    settings: Mapping[str, Any] = field(default_factory=dict)  # of TrackEncryption, for both
    kinds: tuple[str, ...] = BOTH
    rotates: bool = False  # to another key every second

    @property
    def name(self) -> str:
        return f"{self.codecs}, {self.layout}, {self.scheme}{', ' if self.said else ''}{self.said}"

    def encrypt(self, clips: Clips, folder: Path) -> tuple[Path, Clip, dict[str, str]]:
        """The encrypted file, the clip it was made of, and the keys by KID."""
        clip = clips(self.codecs, self.layout)
        tracks = {TrackType(kind): self._track(kind) for kind in clip.kinds if kind in self.kinds}
        sealed = folder / f"{self.name}.mp4".translate(PLAIN)
        encrypt_file(clip.path, sealed, scheme=self.scheme, tracks=tracks)
        return sealed, clip, {kid: key for kind in tracks for kid, key in self._keys(kind)}

    def _keys(self, kind: str) -> list[tuple[str, str]]:
        """KID and key of each period, those of the first one turned around."""
        kid, key, _ = KEYS[kind]
        turns = range(0, 6, 2) if self.rotates else range(1)
        return [(kid[turn:] + kid[:turn], key[turn:] + key[:turn]) for turn in turns]

    def _track(self, kind: str) -> TrackEncryption:
        first_iv = bytes.fromhex(KEYS[kind][2])
        settings: dict[str, Any] = {"first_iv": first_iv}
        if self.scheme is Scheme.CBCS and "iv_size" not in self.settings:
            settings["constant_iv"] = first_iv * 2
        pairs = [(KeyId.parse(kid), ContentKey.parse(key)) for kid, key in self._keys(kind)]
        if self.rotates:
            settings |= {"period": 1.0, "later_keys": tuple(pairs[1:])}
        return TrackEncryption(*pairs[0], **settings | dict(self.settings))


def _cases() -> Iterator[Case]:
    for layout in (FRAGMENTED, PROGRESSIVE):
        for scheme in Scheme:
            yield Case("avc+aac", layout, scheme)
        yield Case("avc+aac", layout, Scheme.CENC, "IVs of 16 bytes", {"iv_size": 16})
        yield Case("avc+aac", layout, Scheme.CENC, "IVs that wrap", {"first_iv": b"\xff" * 7 + b"\xf0"})
        yield Case("avc+aac", layout, Scheme.CENC, "1 s of clear lead", {"clear_lead": 1.0})
        yield Case("avc+aac", layout, Scheme.CBCS, "1 s of clear lead", {"clear_lead": 1.0})
        yield Case("avc+aac", layout, Scheme.CENC, "a key a second", rotates=True)
        yield Case("avc+aac", layout, Scheme.CBCS, "a key a second", rotates=True)
        yield Case("avc+aac", layout, Scheme.CENC, "sound clear", kinds=("video",))
        yield Case("avc+aac", layout, Scheme.CBCS, "picture clear", kinds=("audio",))
        for scheme in (Scheme.CENC, Scheme.CENS, Scheme.CBCS):
            yield Case("avc in slices", layout, scheme)
        yield Case("avc+aac", layout, Scheme.CBCS, "IVs of 16 bytes", {"iv_size": 16})
        yield Case(
            "avc+aac", layout, Scheme.CENC, "a key a second after 1 s of clear lead", {"clear_lead": 1.0}, rotates=True
        )
    for layout in (INDEXED, ABSOLUTE, SEPARATE, MOOV_LAST):
        for scheme in (Scheme.CENC, Scheme.CBCS):
            yield Case("avc+aac", layout, scheme)
            yield Case("avc+aac", layout, scheme, "1 s of clear lead", {"clear_lead": 1.0})
    yield Case("avc in slices", FRAGMENTED, Scheme.CBC1)
    for pattern in ((5, 5), (2, 8), (10, 0), (0, 0)):
        yield Case("avc", FRAGMENTED, Scheme.CBCS, "pattern {}:{}".format(*pattern), {"pattern": pattern})
    yield Case("avc", FRAGMENTED, Scheme.CENS, "pattern 2:3", {"pattern": (2, 3)})
    for codec in ("avc", "aac", "ac-3", "opus", "flac", "hevc", "av1", "vp9"):
        for scheme in (Scheme.CENC, Scheme.CBCS):
            yield Case(codec, FRAGMENTED, scheme)
    yield Case("aac", FRAGMENTED, Scheme.CENS)
    yield Case("aac", FRAGMENTED, Scheme.CBC1)
    for codec in ("ac-3", "hevc", "av1", "vp9"):
        yield Case(codec, PROGRESSIVE, Scheme.CENC)


CASES = tuple(_cases())
