"""From a clear MP4 to a folder that browsers play: a fragmented encrypted file per track, an MPD, HLS playlists.

Opens and writes files; the keys are the caller's own. Not for the PMP worker.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import msgspec

from drm.encrypting.file import encrypt_source
from drm.encrypting.settings import TrackEncryption
from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, UnsupportedMediaError
from drm.isobmff.samples import open_presentation
from drm.manifests.forms import HLS_METHODS, Player, checked_url
from drm.manifests.rendition import Rendition, read_rendition
from drm.manifests.write_mpd import write_mpd
from drm.manifests.write_playlists import playlist_name, write_playlists
from drm.media import Scheme, TrackInfo, TrackType
from drm.packaging.fragmenter import FragmentedTrack
from drm.whole_file import InputTargetError, TargetError, WholeFile, write_whole

__all__ = ["MPD_NAME", "Package", "package_file"]

MPD_NAME: Final = "manifest.mpd"

Choose = Callable[[Sequence[TrackInfo]], Mapping[int, TrackEncryption]]


class Package(msgspec.Struct, frozen=True):
    """What came of it."""

    renditions: tuple[Rendition, ...]
    manifests: tuple[str, ...]  # file names: the MPD, then each player's multivariant playlist
    files: tuple[str, ...]  # every file name, media first
    left_out: tuple[TrackInfo, ...]  # tracks that are neither picture nor sound
    notes: tuple[str, ...] = ()  # what was odd, or is said otherwise than it was


def package_file(
    source_path: Path,
    folder: Path,
    *,
    scheme: Scheme = Scheme.CENC,
    tracks: Choose | None = None,
    license_url: str | None = None,
    keys_base: str | None = None,
    hls_for: Sequence[Player] = (Player.SHAKA, Player.HLSJS),
    segment_seconds: float = 4.0,
    pssh: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Package:
    """Package the clear MP4 at `source_path` into `folder`, which is made if it is not there.

    Each file is whole or not there, and manifests come after all that they name.

    Args:
        source_path: progressive or fragmented.
        folder: files of the same names are replaced.
        scheme: cenc or cbcs; browsers take no other.
        tracks: says how tracks are encrypted, by track id; tracks that it leaves out, or all without it, stay clear.
        license_url: stands in the manifests.
        keys_base: where Shaka Player fetches keys of HLS, without the KID; by default `hls/key` beside the license URL.
        hls_for: the players that get playlists.
        segment_seconds: a segment ends with the first sync sample after so long.
        pssh: whether files get a `pssh` of the common system. Manifests never do: dash.js does not play them.
        progress: told steps done and steps in all.

    Raises:
        InvalidArgumentError: settings that do not fit.
        InputTargetError: the input lies in `folder` under a name of the package; nothing was written.
        UnsupportedMediaError: a file that is encrypted, or a codec or layout that is not packaged here.
        MediaError: the file is malformed or truncated.
        TargetError: the folder cannot be made.
        OSError: the folder cannot be written.
    """
    if scheme not in HLS_METHODS:
        raise InvalidArgumentError(
            f"{scheme.value} is not packaged: no browser plays it", remedy="take --scheme cenc or --scheme cbcs"
        )
    if not 0.1 <= segment_seconds <= 3600:
        raise InvalidArgumentError(f"segments of {segment_seconds} seconds", remedy="give --segment-seconds 4")
    media, left_out = _media_of(source_path)
    chosen = {} if tracks is None else tracks(media)
    if chosen:
        checked_url(license_url or "", "the license URL")
        if keys_base is not None:
            checked_url(keys_base, "the URL of keys")
    if chosen and not pssh and Player.HLSJS in hls_for:
        raise InvalidArgumentError(
            "hls.js plays no files without a pssh of the common system, from which it makes its license request",
            remedy="have the pssh put in, or make playlists for Shaka Player alone: --hls-for shaka",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(error.errno, error.strerror, str(folder)) from None
    # One pssh names the keys of all tracks: hls.js makes one session for all that have the same license URL.
    key_ids = list(dict.fromkeys(kid for track in media if track.track_id in chosen
                                 for kid, _ in chosen[track.track_id].keys))  # fmt: skip
    renditions = []
    steps = 2 * len(media)
    notes: dict[str, None] = {}
    with SourceFile(source_path) as source:
        keep = [source.identity]
        for name in (*_names(media), MPD_NAME, *(playlist_name(player) for player in hls_for)):
            _refuse_input(folder / name, source)
        origin = _origin(source)
        for number, (track, name) in enumerate(zip(media, _names(media), strict=True)):
            clear = FragmentedTrack(source, track, segment_seconds, origin)
            notes |= dict.fromkeys(clear.notes)
            if progress:
                progress(2 * number + 1, steps)
            # Encrypted as it is made: the clear track is written nowhere.
            if track.track_id in chosen:
                told = {1: chosen[track.track_id]}
                encrypt_source(clear, folder / name, scheme, told, pssh=pssh, also=key_ids, keep=keep)
            else:
                with WholeFile(folder / name, keep=keep) as file:
                    clear.write(file.descriptor)
            with SourceFile(folder / name) as made:
                renditions.append(read_rendition(made, name))
            if progress:
                progress(2 * number + 2, steps)
    written: dict[str, bytes] = {}
    for player in hls_for:
        written |= write_playlists(renditions, player, license_url, keys_base)
    written[MPD_NAME] = write_mpd(renditions, license_url)
    for name, data in written.items():
        write_whole(folder / name, data, keep=keep)
    manifests = (MPD_NAME, *(playlist_name(player) for player in hls_for))
    files = (*(rendition.file_name for rendition in renditions), *written)
    return Package(tuple(renditions), manifests, files, left_out, tuple(notes))


def _media_of(path: Path) -> tuple[list[TrackInfo], tuple[TrackInfo, ...]]:
    """The tracks to be packaged, pictures first, and the others."""
    with SourceFile(path) as source:
        tracks = open_presentation(source).tracks
    if any(track.is_protected for track in tracks):
        raise UnsupportedMediaError(
            "the file is encrypted already",
            where=str(path),
            remedy="package the clear file, or clearkey decrypt it first; clearkey signal mends manifests alone",
        )
    order = (TrackType.VIDEO, TrackType.AUDIO)
    media = [track for kind in order for track in tracks if track.type is kind]
    if not media:
        raise UnsupportedMediaError("there is neither picture nor sound to package", where=str(path))
    return media, tuple(track for track in tracks if track.type not in order)


def _origin(source: SourceFile) -> Fraction:
    """The earliest decode time of the movie in seconds; a recording's begins anywhere."""
    opened = open_presentation(source)
    first = ((track, next(opened.samples(track.track_id), None)) for track in opened.tracks)
    return min((Fraction(sample.dts, track.timescale) for track, sample in first if sample), default=Fraction(0))


def _refuse_input(target: Path, source: SourceFile) -> None:
    """Before anything is written. Raises InputTargetError."""
    try:
        there = target.stat()
    except OSError:
        return  # whoever writes it says so
    if (there.st_dev, there.st_ino) == source.identity:
        raise InputTargetError(errno.EEXIST, "it is the input", str(target))


def _names(media: Sequence[TrackInfo]) -> list[str]:
    """A file name for each track: by its type, with its number where there are several."""
    kinds = [track.type for track in media]
    return [f"{kind}-{track.track_id}.mp4" if kinds.count(kind) > 1 else f"{kind}.mp4"
            for kind, track in zip(kinds, media, strict=True)]  # fmt: skip
