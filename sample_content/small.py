"""One small encrypted MP4, made in half a second: what a test needs that is not about any particular content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip

__all__ = ["SmallSample", "make_small_sample", "small_sample_keys"]

_CLIP: Final = Clip(width=320, height=180, frames=60, gop=30, fragmented=True)  # two seconds, of picture and sound
_KINDS: Final = (TrackType.VIDEO, TrackType.AUDIO)


class SmallSample(msgspec.Struct, frozen=True):
    """An encrypted file, its clear original, and its keys, which are as public as this file."""

    path: Path
    clear: Path
    scheme: Scheme
    keys: dict[KeyId, ContentKey]  # one of the picture, one of the sound
    video_frames: int


def small_sample_keys(scheme: Scheme) -> dict[KeyId, ContentKey]:
    """Return the keys of the sample of this scheme: the same ones always, so that a server knows them beforehand."""
    return dict(_pair(scheme, kind) for kind in _KINDS)


def make_small_sample(folder: Path, scheme: Scheme = Scheme.CENC) -> SmallSample:
    """Make the sample of this scheme in `folder`. Raises OSError when the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path, clear = folder / f"sample_{scheme}.mp4", folder / "sample_clear.mp4"
    if not clear.exists():
        make_clip(clear, _CLIP)
    encrypt_file(clear, path, scheme=scheme, tracks={kind: TrackEncryption(*_pair(scheme, kind)) for kind in _KINDS})
    return SmallSample(path, clear, scheme, small_sample_keys(scheme), _CLIP.frames)


def _pair(scheme: Scheme, kind: TrackType) -> tuple[KeyId, ContentKey]:
    digest = hashlib.sha256(f"clearkey small sample, {scheme}, {kind}".encode()).digest()
    return KeyId(digest[:16]), ContentKey(digest[16:])
