"""What the packager is told about a track, and what comes of it: `tenc`, IVs, keys."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from drm.cenc.engines import BLOCK
from drm.errors import InvalidArgumentError
from drm.isobmff.protection import Tenc
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType

__all__ = ["IvSource", "TrackEncryption"]

_VIDEO_PATTERN = (1, 9)
_EVERY_BLOCK = (0, 0)


@dataclass(frozen=True, slots=True)
class TrackEncryption:
    """How to encrypt one track. What is left out is chosen as the scheme has it."""

    key_id: KeyId
    key: ContentKey
    iv_size: int = 8  # bytes of each sample's IV; cbcs has none of its own, cbc1 always 16
    constant_iv: bytes = b""  # cbcs: 16 bytes, random when empty
    pattern: tuple[int, int] | None = None  # cens, cbcs: encrypted and clear blocks; None: 1:9 video, 0:0 sound
    clear_lead: float = 0.0  # seconds at the start that stay clear
    first_iv: bytes = b""  # 8 bytes from which IVs rise, random when empty; fix it only for reproducible samples

    def settled(self, scheme: Scheme, kind: TrackType) -> TrackEncryption:
        """Fill in what was left out. Raises InvalidArgumentError for what the scheme does not have."""
        if self.clear_lead < 0:
            raise InvalidArgumentError(f"a clear lead of {self.clear_lead} seconds")
        if self.first_iv and len(self.first_iv) != 8:
            raise InvalidArgumentError(f"the first IV has 8 bytes, not {len(self.first_iv)}")
        if scheme is Scheme.CBCS:
            if self.constant_iv and len(self.constant_iv) != BLOCK:
                raise InvalidArgumentError(f"a constant IV has {BLOCK} bytes, not {len(self.constant_iv)}")
            return replace(
                self,
                iv_size=0,
                constant_iv=self.constant_iv or secrets.token_bytes(BLOCK),
                pattern=self._pattern(kind),
            )
        if self.constant_iv:
            raise InvalidArgumentError(f"scheme {scheme} has no constant IV")
        if self.iv_size not in {8, BLOCK}:
            raise InvalidArgumentError(f"IVs have 8 or {BLOCK} bytes, not {self.iv_size}")
        if scheme is Scheme.CENS:
            return replace(self, pattern=self._pattern(kind))
        if self.pattern not in {None, _EVERY_BLOCK}:
            raise InvalidArgumentError(f"scheme {scheme} has no pattern", remedy="take cens or cbcs for patterns")
        return replace(self, pattern=_EVERY_BLOCK, iv_size=BLOCK if scheme is Scheme.CBC1 else self.iv_size)

    def _pattern(self, kind: TrackType) -> tuple[int, int]:
        if self.pattern is None:
            return _VIDEO_PATTERN if kind is TrackType.VIDEO else _EVERY_BLOCK
        crypt, skip = self.pattern
        if not (0 <= crypt <= 15 and 0 <= skip <= 15) or (skip and not crypt):
            raise InvalidArgumentError(f"a pattern of {crypt} encrypted and {skip} clear blocks")
        return self.pattern

    def tenc(self, scheme: Scheme) -> Tenc:
        """The box that says it; only pattern schemes need version 1 (ISO/IEC 23001-7, clause 8.2)."""
        crypt, skip = self.pattern or _EVERY_BLOCK
        version = int(scheme in {Scheme.CENS, Scheme.CBCS})
        return Tenc(self.key_id, self.iv_size, self.constant_iv, crypt, skip, version=version)


class IvSource:
    """The IVs of one file: none comes twice under one key, whichever tracks share it.

    Each is a number of eight bytes that rises by one per sample. With CTR the block counter stands in the other eight
    and begins at zero, so key streams do not meet. CBC wants IVs that nobody foresees: there it is the number's hash.
    """

    def __init__(self) -> None:
        self._next: list[tuple[ContentKey, int]] = []

    def take(self, track: TrackEncryption, scheme: Scheme) -> Iterator[bytes]:
        """IVs for the samples of `track`, without end; empty ones where the scheme has a constant IV."""
        place = self._place(track)
        while True:
            if not track.iv_size:
                yield b""
                continue
            key, number = self._next[place]
            self._next[place] = (key, (number + 1) % (1 << 64))
            iv = number.to_bytes(8, "big")
            if scheme is Scheme.CBC1:
                yield hashlib.sha256(b"clearkey iv" + key.secret + iv).digest()[:BLOCK]
            else:
                yield iv.ljust(track.iv_size, b"\0")

    def _place(self, track: TrackEncryption) -> int:
        for place, (key, _) in enumerate(self._next):
            if key == track.key:
                return place
        first = track.first_iv or secrets.token_bytes(8)
        self._next.append((track.key, int.from_bytes(first, "big")))
        return len(self._next) - 1
