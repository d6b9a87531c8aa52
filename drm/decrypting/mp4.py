"""Decrypts any MP4 that the readers read, to a file of the same size: fragmented, progressive, mixed, in any order.

Where samples lie and how they are encrypted is said by `drm.isobmff.samples`, one at a time. A first pass judges: are
all keys there, does no protected sample overlap another. A second pass writes, in
windows of about 1 MiB of consecutive samples, copying what lies between them; then the boxes are patched. The source is
only read and the same bytes are never decrypted twice, so the order of samples does not matter.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.dialect import Dialect
from drm.decrypting.fast.movie_skeleton import MovieSkeleton
from drm.decrypting.unmark_boxes import OddLayoutError, patch_moof, patch_moov
from drm.decrypting.window_writer import Writer, windows
from drm.errors import KeyMissingError, MalformedMediaError, NothingReachedError, UnsupportedMediaError
from drm.forked_work import share_out, write_at
from drm.isobmff.box import MAX_LOADED, TopBox, top_boxes
from drm.isobmff.file_reader import HELD
from drm.isobmff.samples import MP4Presentation, open_presentation
from drm.keys import ContentKey, KeyId
from drm.media import Sample, SampleCrypto, TrackInfo

if TYPE_CHECKING:
    from drm.decrypting.joined_files import JoinedFiles
    from drm.decrypting.window_writer import Progress

__all__ = ["MAX_SAMPLE", "Needed", "decrypt_mp4", "key_missing"]

MAX_SAMPLE: Final = 256 << 20  # bytes; held in memory
_MAX_UNORDERED: Final = 1 << 20  # samples of a file that does not store them in order, whose places are held in memory

Needed = tuple[TrackInfo, float]
"""The track of the first sample that needs a key, and the sample's time in seconds."""


def decrypt_mp4(
    source: JoinedFiles,
    target: int,
    keys: Mapping[KeyId, ContentKey],
    *,
    dialects: frozenset[Dialect] = frozenset(),
    jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[bool, tuple[str, ...]]:
    """Write `source` decrypted to the empty file `target`; return whether it was encrypted, and what was odd in it.

    Arguments and errors are those of `drm.decrypting.file.decrypt_file`.
    """
    presentation = open_presentation(source)
    if not _is_encrypted(presentation):
        Writer(source.fill, source.size, target, progress).copy(0, source.size)
        return False, presentation.warnings
    left_out = _left_out(presentation)
    if all(track.track_id in left_out or not track.is_protected for track in presentation.tracks):
        for track_id in left_out:
            next(presentation.samples(track_id), None)  # raises what is wrong: there is nothing else to decrypt
    shares = jobs if _judge(source, presentation, keys) else 1

    def work(share: int) -> None:
        decrypters = {kid: SampleDecrypter(key, dialects=dialects) for kid, key in keys.items()}

        def decrypt(piece: tuple[int, int, SampleCrypto], buffer: memoryview, at: int) -> None:
            data = buffer[at : at + piece[1] - piece[0]]
            decrypt_sample(data, piece[2], data, decrypters.__getitem__)

        writer = Writer(source.fill, source.size, target, None if share else progress)
        writer.write(windows(_protected(presentation)), decrypt, share, shares)

    share_out(work, shares)
    _patch(source, target, left_out)
    return True, (*presentation.warnings, *(f"track {track_id} stays encrypted" for track_id in sorted(left_out)))


def _left_out(presentation: MP4Presentation) -> frozenset[int]:
    """The tracks of text and metadata that cannot be read: they stay encrypted, and marked so."""
    return frozenset(track.track_id for track in presentation.tracks if presentation.left_out(track.track_id))


def _is_encrypted(presentation: MP4Presentation) -> bool:
    """Whether a sample description says so, be it in a way that is not read."""
    named = (name for track in presentation.tracks for name in presentation.sample_entries(track.track_id))
    return any(track.is_protected for track in presentation.tracks) or any(name.startswith("enc") for name in named)


def _samples(presentation: MP4Presentation) -> Iterator[Sample]:
    """The samples of all tracks that can be read, by place if each track has them so."""
    left_out = _left_out(presentation)
    ids = (track.track_id for track in presentation.tracks)
    tracks = (presentation.samples(track_id) for track_id in ids if track_id not in left_out)
    return heapq.merge(*tracks, key=attrgetter("offset"))


def _protected(presentation: MP4Presentation) -> Iterator[tuple[int, int, SampleCrypto]]:
    """Begin, end and encryption of each encrypted sample."""
    for sample in _samples(presentation):
        if sample.crypto is not None and sample.size:
            yield sample.offset, sample.offset + sample.size, sample.crypto


# ------------------------------------------------------------------------------------------------ first pass
def _judge(source: JoinedFiles, presentation: MP4Presentation, keys: Mapping[KeyId, ContentKey]) -> bool:
    """Return whether the samples are stored in order. Raises KeyMissingError and MediaError for what cannot be done."""
    infos = {track.track_id: track for track in presentation.tracks}
    missing: dict[KeyId, Needed] = {}
    in_order, reached, count = True, 0, 0
    for sample in _samples(presentation):
        count += 1
        if not sample.size:
            continue
        end = sample.offset + sample.size
        if sample.crypto is not None:
            for key_id in sample.crypto.key_ids:
                if key_id not in keys and key_id not in missing:
                    track = infos[sample.track_id]
                    missing[key_id] = track, sample.dts / track.timescale
            if sample.size > MAX_SAMPLE:
                raise UnsupportedMediaError(f"a sample of {sample.size} bytes", where=_place(source, sample))
        in_order = in_order and sample.offset >= reached
        reached = max(reached, end)
    if not count:
        raise NothingReachedError.of(source.name)
    if missing:
        raise key_missing(source.name, missing, len(keys))
    if not in_order:
        _refuse_overlaps(source, _samples(presentation))
    return in_order


def key_missing(name: str, missing: Mapping[KeyId, Needed], held: int) -> KeyMissingError:
    """The error for the file `name`, given `held` keys and none of those that are `missing`."""
    key_id, (track, seconds) = next(iter(missing.items()))
    others = ", ".join(str(other) for other in list(missing)[1:])
    return KeyMissingError(
        f"there is no key for KID {key_id}" + (f", nor for {others}" if others else ""),
        where=f"{name}, track {track.track_id} ({track.type.value} {track.codec}), at {seconds:.3f} s",
        seen=f"keys given: {held}, none of them of this KID",
        remedy=f"add --key {key_id}:KEY, or a line with this KID to --keys-file",
        kids=tuple(map(str, missing)),
    )


def _refuse_overlaps(source: JoinedFiles, samples: Iterable[Sample]) -> None:
    """Samples may share bytes when they are all clear, or when they are the same bytes encrypted the same way."""
    places: list[tuple[int, int, int]] = []
    for sample in samples:
        if sample.size:
            crypto = sample.crypto
            places.append((sample.offset, sample.offset + sample.size, hash(crypto) if crypto else 0))
        if len(places) > _MAX_UNORDERED:
            raise UnsupportedMediaError(
                f"more than {_MAX_UNORDERED} samples that are not stored in order",
                where=source.name,
                remedy="package it again, with its samples in the order in which they are decoded",
            )
    places.sort()
    before = (0, 0, 0)
    for place in places:
        if place[0] < before[1] and place != before and (place[2] or before[2]):
            raise MalformedMediaError(
                "samples overlap, and one of them is encrypted",
                where=f"{source.name}, bytes {before[0]} to {before[1]} and {place[0]} to {place[1]}",
            )
        before = max(before, place, key=lambda each: each[1])


def _place(source: JoinedFiles, sample: Sample) -> str:
    return f"{source.name}, track {sample.track_id}, byte {sample.offset}"


# ------------------------------------------------------------------------------------------------ boxes
def _patch(source: JoinedFiles, target: int, left_out: frozenset[int]) -> None:
    """Write the movie box and the fragments' boxes once more, without the marks of encryption of other tracks."""
    protected: set[int] = set()
    for top in top_boxes(source):
        if top.type not in {"moov", "moof"} or top.size > MAX_LOADED:
            continue
        if top.type == "moov" and top.size > HELD:
            with contextlib.suppress(OddLayoutError):  # of a rare form: then it is held
                protected = _patch_long(top, target, left_out)
                continue
        data = bytearray(top.size)
        source.fill(top.start, memoryview(data))
        try:
            if top.type == "moov":
                protected = patch_moov(data, top.header, top.size, left_out)  # a second one repeats the first
            else:
                patch_moof(data, top.header, top.size, protected)
        except OddLayoutError as odd:
            raise MalformedMediaError(
                f"the {top.type} box cannot be rewritten: {odd}", where=f"{source.name}, at byte {top.start}"
            ) from None
        write_at(target, memoryview(data), top.start)


def _patch_long(moov: TopBox, target: int, left_out: frozenset[int]) -> set[int]:
    """Take the marks out of the long `moov` that was copied to `target`; return the tracks that had any. May raise."""
    skeleton = MovieSkeleton(target, (b"moov", moov.start, moov.start + moov.header, moov.end))
    protected = patch_moov(skeleton.data, 0, len(skeleton.data), left_out)
    skeleton.write_changes(target)
    return protected
