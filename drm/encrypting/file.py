"""Encrypts a clear MP4 with Common Encryption (ISO/IEC 23001-7): the packager's one door.

Progressive and fragmented files; video with subsamples where its codec has a binding, sound whole. What it cannot do
it refuses by name.
Opens files; the keys are the caller's own. Not for the PMP worker.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.fragment_offsets import FragmentOffsetsError
from drm.encrypting.leftovers import Leftovers, is_common_pssh
from drm.encrypting.protected_track import ProtectedTrack
from drm.encrypting.read_back import require_read_back
from drm.encrypting.settings import IvSource, TrackEncryption
from drm.encrypting.source_file import ClearSource, SourceFile
from drm.errors import InvalidArgumentError, MediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox, top_boxes
from drm.isobmff.container import require_mp4
from drm.isobmff.file_reader import open_box
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.tracks import Movie, Track, parse_moov
from drm.keys import KeyId
from drm.media import Scheme, TrackInfo, TrackType
from drm.whole_file import WholeFile

if TYPE_CHECKING:
    from pathlib import Path  # its import costs a one-shot command 5 ms

__all__ = ["EncryptedTrack", "Encryption", "TrackEncryption", "encrypt_file", "encrypt_source"]

# A mapping is invariant in its keys: each of the three has to be named.
Wanted = Mapping[int, TrackEncryption] | Mapping[TrackType, TrackEncryption] | Mapping[int | TrackType, TrackEncryption]
Choose = Callable[[Sequence[TrackInfo]], Mapping[int, TrackEncryption]]


class EncryptedTrack(msgspec.Struct, frozen=True):
    """What came of one track."""

    track_id: int
    type: str  # "video", "audio" or "other"
    codec: str  # four-cc of its samples
    samples: int = 0  # of a track that stays clear they are not counted
    encrypted: int = 0  # those of which one byte is, or more
    too_short: int = 0  # those that were to be, and have no byte that the scheme and the codec let be encrypted
    key_ids: tuple[KeyId, ...] = ()  # in the order of their periods; none: it stays clear


class Encryption(msgspec.Struct, frozen=True):
    """What came of it."""

    scheme: Scheme
    tracks: tuple[EncryptedTrack, ...]
    warnings: tuple[str, ...] = ()  # what was odd in the file


def encrypt_file(
    source_path: str | Path,
    target_path: str | Path,
    *,
    scheme: Scheme,
    tracks: Wanted | Choose,
    pssh: bool = True,
    also: Sequence[KeyId] = (),
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    in_place: bool = False,
) -> Encryption:
    """Write the file at `source_path` encrypted to `target_path`, which then is whole.

    Args:
        source_path: a clear MP4.
        target_path: replaced only when all went well; anything that is there and no regular file is refused.
        scheme: one for all tracks.
        tracks: what to encrypt, by track id or by type, an id before its type; or a function that says it of the tracks
            of the file. Other tracks stay clear.
        pssh: whether to put in a `pssh` of the common system that lists every key id.
        also: key ids that this `pssh` lists besides, of other files that are played together with this one.
        jobs: processes to share the work among. The caller has no other threads when it is more than 1.
        progress: told bytes done and bytes in all, from time to time.
        in_place: `target_path` may be the file that is read, which is then lost.

    Raises:
        InputTargetError: `target_path` is the file that is read, by whatever name.
        InvalidArgumentError: a track that the file does not have, or settings that the scheme does not have.
        UnsupportedMediaError: a codec, layout or protection that is not encrypted here; the message names it.
        MediaError: the file is malformed or truncated.
        OSError: the target cannot be written; nothing is left of it.
    """
    with SourceFile(source_path) as source:
        keep = () if in_place else [source.identity]
        try:
            return encrypt_source(source, target_path, scheme, tracks, jobs, progress, pssh=pssh, also=also, keep=keep)
        except (FragmentOffsetsError, MediaError):
            if jobs == 1:
                raise
        # Whatever another process met, this one meets again, and says what it was; and a file that calls samples sync
        # samples which are none can be read in its order alone.
        return encrypt_source(source, target_path, scheme, tracks, 1, progress, pssh=pssh, also=also, keep=keep)


def encrypt_source(
    source: ClearSource,
    target_path: str | Path,
    scheme: Scheme,
    tracks: Wanted | Choose,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    *,
    pssh: bool = True,
    also: Sequence[KeyId] = (),
    keep: Collection[tuple[int, int]] = (),
) -> Encryption:
    """Do the same with what is no file, or is open already. Arguments and errors are those of `encrypt_file`.

    `keep`: st_dev and st_ino of files that are not to be replaced.
    """
    warnings: list[str] = []
    require_mp4(source)
    tops = list(top_boxes(source))
    box = open_box(source, _moov_of(tops, source))
    movie, moov = parse_moov(box.copy(), warnings.append), BoxTree.parse(box)
    by_id = zip(movie.tracks, moov.all("trak"), strict=True)
    traks = {track.info.track_id: trak for track, trak in by_id}
    protected = _protected_tracks(movie, tracks, scheme)
    leftovers = Leftovers()
    for track in movie.tracks:
        if not track.info.is_protected:
            leftovers.take_out(track.info.track_id, traks[track.info.track_id].one("mdia", "minf", "stbl"))
    if pssh:
        key_ids = dict.fromkeys(key_id for track in protected.values() for key_id, _ in track.encryption.keys)
        _put_pssh(moov, (*also, *key_ids), adds=any(track.info.is_protected for track in movie.tracks))
    with WholeFile(target_path, keep=keep) as file:
        if movie.is_fragmented:
            from drm.encrypting.fragmented import encrypt_fragmented  # noqa: PLC0415 - one of the two is needed

            encrypt_fragmented(
                source, tops, moov, movie, protected, traks, leftovers, file.descriptor, jobs=jobs, progress=progress
            )
        else:
            from drm.encrypting.progressive import encrypt_progressive  # noqa: PLC0415 - as above

            folder = os.path.dirname(os.path.realpath(target_path))  # noqa: PTH120 - pathlib costs 5 ms to import
            encrypt_progressive(
                source, tops, moov, protected, traks, file.descriptor, folder, jobs=jobs, progress=progress
            )
        for made in protected.values():
            made.require_protected()
        require_read_back(file.descriptor, source.name, protected.values())
    warnings += leftovers.notes()
    return Encryption(scheme, tuple(_told(track, protected) for track in movie.tracks), tuple(warnings))


def _put_pssh(moov: BoxTree, key_ids: Sequence[KeyId], *, adds: bool) -> None:
    """Put in the one `pssh` of the common system; what one says that is there counts if tracks are encrypted by it."""
    found = [box for box in moov.children if is_common_pssh(box)]
    old = [key_id for box in found if adds for key_id in Pssh.parse(box.reader()).key_ids]
    moov.children = [box for box in moov.children if box not in found]
    moov.children.append(BoxTree.of(Pssh.common(*dict.fromkeys((*old, *key_ids))).encode()))


def _told(track: Track, protected: Mapping[int, ProtectedTrack]) -> EncryptedTrack:
    info = track.info
    done = protected.get(info.track_id)
    if done is None:
        return EncryptedTrack(info.track_id, info.type, info.codec)
    key_ids = tuple(dict.fromkeys(key_id for key_id, _ in done.encryption.keys))
    return EncryptedTrack(
        info.track_id, info.type, info.codec, done.samples, done.protected, done.chosen - done.protected, key_ids
    )


def _moov_of(tops: list[TopBox], source: ClearSource) -> TopBox:
    for top in tops:
        if top.type == "moov":
            return top
    raise UnsupportedMediaError(
        "this MP4 has no movie box, which describes the tracks",
        where=source.name,
        remedy="give a whole file: media segments are encrypted together with their initialization segment",
    )


def _protected_tracks(movie: Movie, tracks: Wanted | Choose, scheme: Scheme) -> dict[int, ProtectedTrack]:
    """Join what is wanted with what the file has."""
    chosen = tracks([track.info for track in movie.tracks]) if callable(tracks) else tracks
    wanted = dict[int | TrackType, TrackEncryption](chosen.items())
    ivs = IvSource()
    found = {}
    used: set[int | TrackType] = set()
    for track in movie.tracks:
        for name in (track.info.track_id, track.info.type):
            if name in wanted:
                track_id = track.info.track_id
                if movie.is_fragmented and track.table.count:
                    raise UnsupportedMediaError(
                        f"track {track.info.track_id} has samples both in moov and in fragments",
                        remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
                    )
                found[track_id] = ProtectedTrack(track, wanted[name], scheme, ivs, in_fragments=movie.is_fragmented)
                used.add(name)
                break
    there = ", ".join(f"{track.info.track_id} ({track.info.type})" for track in movie.tracks)
    for name in wanted:
        if name not in used:
            raise InvalidArgumentError(f"there is no track {name} to encrypt", seen=f"tracks: {there}")
    if not found:
        raise InvalidArgumentError("no track is to be encrypted", seen=f"tracks: {there}")
    return found
