"""Damaged files through what writes files: an error of ours and nothing left behind, or a file that is whole."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from drm.decrypting.file import decrypt_file
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackInfo, TrackType
from tests.fuzz.mutation import VECTORS, Seed, mutant

__all__ = ["decrypt_one", "encrypt_one"]

_CLEAR: Final = (
    "b4_mpeg-cenc_av", "pk_cbcs_1_9_v", "pk_cenc_slices_v", "pk_cbcs_hevc_v", "pk_cenc_av1_v", "pk_cenc_vp9_v",
    "pk_cbcs_ac3_a", "ff_cenc_prog_av", "gp_cbcs_prog_av",
)  # fmt: skip
"""Of these the clear files are damaged and encrypted: every codec whose samples are looked into, both layouts."""

_TOLD: Final = TrackEncryption(KeyId(bytes(16)), ContentKey(bytes(range(16))))


@functools.cache
def _room() -> Path:
    """A folder in memory, where there is one; it goes with the process."""
    shm = Path("/dev/shm")
    holder = tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="clearkey-fuzz-")
    _HELD.append(holder)
    return Path(holder.name)


_HELD: Final[list[tempfile.TemporaryDirectory[str]]] = []


@functools.cache
def _keys() -> dict[KeyId, ContentKey]:
    """The keys of all vectors."""
    told = json.loads((VECTORS.parent / "vectors.json").read_text())["vectors"]
    pairs = [(key["kid"], key["key"]) for vector in told for key in vector["keys"] if key["kid"]]
    return {KeyId.parse(kid): ContentKey.parse(key) for kid, key in pairs}


@functools.cache
def _clear() -> list[Seed]:
    made = []
    for name in _CLEAR:
        target = _room() / f"{name}.mp4"
        decrypt_file(VECTORS / f"{name}.mp4", target, _keys())
        made.append(Seed.load(target))
        target.unlink()
    return made


def decrypt_one(data: bytes, suffix: str) -> bool:
    """Decrypt a damaged file by every way that takes it; whether one did."""
    source, target = _room() / f"in{suffix}", _room() / "out"
    source.write_bytes(data)
    try:
        decrypt_file(source, target, _keys())
        written = True
    except DRMError:
        written = False
    if written:
        assert target.stat().st_size == len(data)
        target.unlink()
    source.unlink()
    assert not list(_room().iterdir()), "something was left behind"
    return written


def _all_media(tracks: Sequence[TrackInfo]) -> dict[int, TrackEncryption]:
    """Every track that can be encrypted, whichever there are: a word for one that is not there would be an error."""
    return {track.track_id: _TOLD for track in tracks if track.type is not TrackType.OTHER}


def encrypt_one(seed: int, index: int) -> bool:
    """Encrypt damaged clear file `index` of `seed`; whether it was taken. What comes out, our reader opens."""
    _, data = mutant(_clear(), seed, index)
    source, target = _room() / "in.mp4", _room() / "out"
    source.write_bytes(data)
    try:
        encrypt_file(source, target, scheme=list(Scheme)[index // 64 % 4], tracks=_all_media)
        written = True
    except DRMError:
        written = False
    if written:
        with SourceFile(target) as stream:
            assert open_presentation(stream).tracks
        target.unlink()
    source.unlink()
    assert not list(_room().iterdir()), "something was left behind"
    return written
