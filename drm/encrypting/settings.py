"""What the packager is told about a track, and what comes of it: `tenc`, IVs, keys."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TypeAlias

from drm.cenc.engines import BLOCK
from drm.errors import InvalidArgumentError
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_group import Seig
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType

__all__ = ["IvSource", "KeyPair", "TrackEncryption"]

KeyPair: TypeAlias = tuple[KeyId, ContentKey]
_VIDEO_PATTERN = (1, 9)
_EVERY_BLOCK = (0, 0)


@dataclass(frozen=True, slots=True)
class TrackEncryption:
    """How to encrypt one track. What is left out is chosen as the scheme has it."""

    key_id: KeyId
    key: ContentKey
    iv_size: int | None = None  # bytes of each sample's IV: 8 for CTR, 16 for cbc1, 0 for cbcs: one for all samples
    constant_iv: bytes = b""  # cbcs: 16 bytes, random when empty
    pattern: tuple[int, int] | None = None  # cens, cbcs: encrypted and clear blocks; None: 1:9 video, 0:0 sound
    clear_lead: float = 0.0  # seconds at the start that stay clear
    first_iv: bytes = b""  # 8 bytes from which IVs rise, random when empty; fix it only for reproducible samples
    period: float = 0.0  # seconds for which one key is used; 0: the first one for the whole track
    later_keys: tuple[KeyPair, ...] = ()  # those of the periods that follow; after the last one comes the first again

    @property
    def keys(self) -> tuple[KeyPair, ...]:
        """The keys that are really used, in the order of their periods."""
        return ((self.key_id, self.key), *(self.later_keys if self.period else ()))

    def settled(self, scheme: Scheme, kind: TrackType) -> TrackEncryption:
        """Fill in what was left out. Raises InvalidArgumentError for what the scheme does not have."""
        if not 0 <= self.clear_lead < math.inf:
            raise InvalidArgumentError(f"a clear lead of {self.clear_lead} seconds")
        if self.first_iv and len(self.first_iv) != 8:
            raise InvalidArgumentError(f"the first IV has 8 bytes, not {len(self.first_iv)}")
        if not 0 <= self.period < math.inf or (self.later_keys and not self.period):
            raise InvalidArgumentError(f"{1 + len(self.later_keys)} keys for periods of {self.period} seconds")
        iv_size, constant = self._iv(scheme)
        return replace(self, iv_size=iv_size, constant_iv=constant, pattern=self._pattern(scheme, kind))

    def _iv(self, scheme: Scheme) -> tuple[int, bytes]:
        """The size of each sample's own IV, and the constant one."""
        if scheme is Scheme.CBCS and not self.iv_size:
            if self.constant_iv and len(self.constant_iv) != BLOCK:
                raise InvalidArgumentError(f"a constant IV has {BLOCK} bytes, not {len(self.constant_iv)}")
            return 0, self.constant_iv or os.urandom(BLOCK)
        if self.constant_iv and scheme is Scheme.CBCS:
            raise InvalidArgumentError(
                f"IVs of {self.iv_size} bytes for each sample, and a constant IV", remedy="leave one of the two out"
            )
        if self.constant_iv or self.iv_size == 0:
            raise InvalidArgumentError(
                f"scheme {scheme} has no constant IV", remedy="leave the size of IVs out, or take cbcs"
            )
        size = (BLOCK if scheme is Scheme.CBC1 else 8) if self.iv_size is None else self.iv_size
        if size not in {8, BLOCK}:
            raise InvalidArgumentError(f"IVs have 8 or {BLOCK} bytes, not {size}")
        if scheme.is_cbc and size != BLOCK:
            raise InvalidArgumentError(f"scheme {scheme} has IVs of {BLOCK} bytes, not {size}")
        return size, b""

    def _pattern(self, scheme: Scheme, kind: TrackType) -> tuple[int, int]:
        if scheme not in {Scheme.CENS, Scheme.CBCS}:
            if self.pattern not in {None, _EVERY_BLOCK}:
                raise InvalidArgumentError(f"scheme {scheme} has no pattern", remedy="take cens or cbcs for patterns")
            return _EVERY_BLOCK
        if self.pattern is None:
            return _VIDEO_PATTERN if kind is TrackType.VIDEO else _EVERY_BLOCK
        crypt, skip = self.pattern
        if not (0 <= crypt <= 15 and 0 <= skip <= 15) or (skip and not crypt):
            raise InvalidArgumentError(
                f"a pattern of {crypt} encrypted and {skip} clear blocks",
                remedy="each is at most 15, and the first at least 1: 1:9 is usual",
            )
        return self.pattern

    def tenc(self, scheme: Scheme) -> Tenc:
        """The box that says it; only pattern schemes need version 1 (ISO/IEC 23001-7, clause 8.2)."""
        crypt, skip = self.pattern or _EVERY_BLOCK
        version = int(scheme in {Scheme.CENS, Scheme.CBCS})
        return Tenc(self.key_id, self.iv_size or 0, self.constant_iv, crypt, skip, version=version)

    def seig(self, number: int) -> Seig:
        """The group of the samples under key `number`, from 0 (clause 6)."""
        return Seig(self.keys[number][0], self.iv_size or 0, self.constant_iv, *(self.pattern or _EVERY_BLOCK))


class IvSource:
    """The IVs of one file: none comes twice under one key, whichever tracks share it.

    Each is a number of eight bytes that rises by one per sample. With CTR the block counter stands in the other eight
    and begins at zero, so key streams do not meet. CBC wants IVs that nobody foresees: there it is the number's hash.
    """

    def __init__(self) -> None:
        self._next: list[tuple[ContentKey, int]] = []

    def place_of(self, key: ContentKey, first_iv: bytes = b"") -> int:
        """Where the numbers of `key` are counted. Without `first_iv` they begin anywhere."""
        for place, (known, _) in enumerate(self._next):
            if known == key:
                return place
        self._next.append((key, int.from_bytes(first_iv or os.urandom(8), "big")))
        return len(self._next) - 1

    def take(self, place: int, count: int, size: int, scheme: Scheme) -> list[bytes]:
        """The next `count` IVs of `size` bytes; empty ones, without counting, where the size is 0."""
        if not size:
            return [b""] * count
        key, number = self._next[place]
        self.skip(place, count)
        numbers = [(each & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big") for each in range(number, number + count)]
        if scheme.is_cbc:
            import hashlib  # noqa: PLC0415 - a one-shot command that needs no hash saves its time

            secret = key.secret
            return [hashlib.sha256(b"clearkey iv" + secret + each).digest()[:size] for each in numbers]
        return numbers if size == 8 else [each + bytes(8) for each in numbers]

    def skip(self, place: int, count: int) -> None:
        """Count as `take` does."""
        key, number = self._next[place]
        self._next[place] = (key, (number + count) % (1 << 64))
