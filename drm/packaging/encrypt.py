"""Encrypts a clear MP4 with Common Encryption (ISO/IEC 23001-7): the packager's one door.

H.264 video with subsamples, sound whole; progressive and fragmented files. What it cannot do it refuses by name.
Opens files; the keys are the caller's own. Not for the PMP worker.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from drm.errors import InvalidArgumentError, UnsupportedMediaError
from drm.isobmff.box import TopBox, load_box, top_boxes
from drm.isobmff.container import require_mp4
from drm.isobmff.pssh import Pssh
from drm.isobmff.tracks import Movie, parse_moov
from drm.media import Scheme, TrackType
from drm.packaging.atomic_file import atomic_file
from drm.packaging.fragmented import encrypt_fragmented
from drm.packaging.progressive import encrypt_progressive
from drm.packaging.protected_track import ProtectedTrack
from drm.packaging.source_file import SourceFile
from drm.packaging.track_encryption import IvSource, TrackEncryption
from drm.packaging.tree import BoxTree

__all__ = ["TrackEncryption", "encrypt_file"]

logger = logging.getLogger(__name__)

# A mapping is invariant in its keys: each of the three has to be named.
Wanted = Mapping[int, TrackEncryption] | Mapping[TrackType, TrackEncryption] | Mapping[int | TrackType, TrackEncryption]


def encrypt_file(
    source_path: str | Path, target_path: str | Path, *, scheme: Scheme, tracks: Wanted, pssh: bool = True
) -> None:
    """Write the file at `source_path` encrypted to `target_path`, which then is whole; it may be the same path.

    Args:
        source_path: a clear MP4.
        target_path: replaced only when all went well.
        scheme: one for all tracks.
        tracks: what to encrypt, by track id or by type; an id goes before its type. Other tracks stay clear.
        pssh: whether to put in a `pssh` of the common system that lists every key id.

    Raises:
        InvalidArgumentError: a track that the file does not have, or settings that the scheme does not have.
        UnsupportedMediaError: a codec, layout or protection that is not encrypted here; the message names it.
        MediaError: the file is malformed or truncated.
        OSError: the target cannot be written.
    """
    with SourceFile(Path(source_path)) as source:
        require_mp4(source)
        tops = list(top_boxes(source))
        place = _moov_of(tops, source)
        movie = parse_moov(load_box(source, place), logger.warning)
        moov = BoxTree.parse(load_box(source, place))
        protected = _protected_tracks(movie, tracks, scheme)
        by_id = zip(movie.tracks, moov.all("trak"), strict=True)
        traks = {track.info.track_id: trak for track, trak in by_id}
        if pssh:
            key_ids = dict.fromkeys(track.encryption.key_id for track in protected.values())
            moov.children.append(BoxTree.of(Pssh.common(*key_ids).encode()))
        with atomic_file(Path(target_path)) as out:
            if movie.is_fragmented:
                encrypt_fragmented(source, tops, moov, movie, protected, traks, out)
            else:
                encrypt_progressive(source, tops, moov, protected, traks, out)


def _moov_of(tops: list[TopBox], source: SourceFile) -> TopBox:
    for top in tops:
        if top.type == "moov":
            return top
    raise UnsupportedMediaError(
        "this MP4 has no movie box, which describes the tracks",
        where=source.name,
        remedy="give a whole file: media segments are encrypted together with their initialization segment",
    )


def _protected_tracks(movie: Movie, tracks: Wanted, scheme: Scheme) -> dict[int, ProtectedTrack]:
    """Join what is wanted with what the file has."""
    wanted = dict[int | TrackType, TrackEncryption](tracks.items())
    ivs = IvSource()
    found = {}
    used: set[int | TrackType] = set()
    for track in movie.tracks:
        for name in (track.info.track_id, track.info.type):
            if name in wanted:
                if movie.is_fragmented and track.table.stsz.sample_count:
                    raise UnsupportedMediaError(
                        f"track {track.info.track_id} has samples both in moov and in fragments",
                        remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
                    )
                found[track.info.track_id] = ProtectedTrack(track, wanted[name], scheme, ivs)
                used.add(name)
                break
    there = ", ".join(f"{track.info.track_id} ({track.info.type})" for track in movie.tracks)
    for name in wanted:
        if name not in used:
            raise InvalidArgumentError(f"there is no track {name} to encrypt", seen=f"tracks: {there}")
    if not found:
        raise InvalidArgumentError("no track is to be encrypted", seen=f"tracks: {there}")
    return found
