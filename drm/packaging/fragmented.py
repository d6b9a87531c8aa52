"""Encrypts a fragmented MP4: each `moof` is written anew with `senc`, `saiz` and `saio`; media data keeps its layout.

The clear lead is whole fragments that use a second, clear sample description, the encrypted one standing first: what
Shaka Packager writes, and what FFmpeg, Bento4, GPAC and Shaka Packager all read. A player can present it before it has
any key, since none of its samples is marked as protected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from drm.errors import MalformedMediaError
from drm.isobmff.box import TopBox, load_box
from drm.isobmff.fragment import Tfdt, Tfhd, Trun
from drm.isobmff.movie import Trex
from drm.isobmff.sample_aux import Saio
from drm.isobmff.tracks import Movie
from drm.media import SampleCrypto
from drm.packaging.index_boxes import Moves
from drm.packaging.protected_track import ProtectedTrack, SampleJob, aux_boxes, without_overlap
from drm.packaging.source_file import SourceFile, copy_encrypting
from drm.packaging.tree import BoxTree

__all__ = ["encrypt_fragmented"]


@dataclass(slots=True)
class _Run:
    """One `trun` and where its samples lie in the source."""

    box: BoxTree
    trun: Trun
    start: int
    sizes: Sequence[int]
    duration: int  # of all its samples, in the track's timescale


def encrypt_fragmented(
    source: SourceFile,
    tops: Sequence[TopBox],
    moov: BoxTree,
    movie: Movie,
    protected: Mapping[int, ProtectedTrack],
    traks: Mapping[int, BoxTree],
    out: BinaryIO,
) -> None:
    """Write the encrypted file to `out`, which is empty. `moov` and its `traks` (by track id) are changed.

    Raises:
        MalformedMediaError, UnsupportedMediaError: as their words say.
    """
    for track_id, track in protected.items():
        stsd = traks[track_id].one("mdia", "minf", "stbl", "stsd")
        track.protect_descriptions(stsd, clear_copies=track.lead > 0)
    fragments = _Fragments(source, movie, protected)
    moves = Moves()
    jobs: list[SampleJob] = []
    done = 0
    for top in tops:
        moves.note(top, out.tell())
        if top.type == "moov":
            out.write(moov.encode())
        elif top.type == "ftyp":
            out.write(_with_brand(source, top))
        elif top.type == "moof":
            _all_done(jobs, done, source)
            moof, jobs = fragments.protect(top)
            done = 0
            out.write(moof.encode())
        elif top.type == "mdat":
            done = copy_encrypting(source, top.start, top.end, jobs, out, done)
        else:
            copy_encrypting(source, top.start, top.end, (), out)
    _all_done(jobs, done, source)
    moves.correct(out)


class _Fragments:
    """Rewrites `moof` after `moof`; remembers where each track is in time."""

    def __init__(self, source: SourceFile, movie: Movie, protected: Mapping[int, ProtectedTrack]) -> None:
        self._source = source
        self._protected = protected
        self._trex = {track.info.track_id: track.trex for track in movie.tracks}
        self._descriptions = {track.info.track_id: len(track.entries) for track in movie.tracks}
        self._clock = dict.fromkeys(self._trex, 0)

    def protect(self, top: TopBox) -> tuple[BoxTree, list[SampleJob]]:
        """Return the new `moof` and the samples to encrypt behind it."""
        moof = BoxTree.parse(load_box(self._source, top))
        jobs: list[SampleJob] = []
        runs: list[_Run] = []
        follows = top.start
        for traf in moof.all("traf"):
            tfhd, found, follows = self._runs(traf, top.start, follows)
            runs += found
            # Offsets from the moof's own start hold wherever the fragment goes (ISO/IEC 14496-12, 8.8.7).
            tfhd = replace(tfhd, base_data_offset=None, base_is_moof=True)
            began = self._advance(traf, tfhd.track_id, found)
            track = self._protected.get(tfhd.track_id)
            if track is not None:
                index = tfhd.description_index or self._trex[tfhd.track_id].description_index
                if began < track.lead:
                    tfhd = replace(tfhd, description_index=index + self._descriptions[tfhd.track_id])
                else:
                    jobs += self._protect_traf(traf, track, found, index)
            _replace_payload(traf.one("tfhd"), tfhd.encode())
        _point(moof, runs, top)
        return moof, without_overlap(jobs)

    def _runs(self, traf: BoxTree, moof_start: int, follows: int) -> tuple[Tfhd, list[_Run], int]:
        """The runs of a traf, where they lie, and where the last one ends (8.8.7 and 8.8.8)."""
        tfhd = Tfhd.parse(traf.one("tfhd").reader())
        trex = self._trex.get(tfhd.track_id)
        if trex is None:
            raise MalformedMediaError(f"a fragment is of track {tfhd.track_id}, which moov does not have")
        base = tfhd.base_data_offset
        if base is None:
            base = moof_start if tfhd.base_is_moof else follows
        at = base
        runs = []
        for box in traf.all("trun"):
            trun = Trun.parse(box.reader())
            if trun.data_offset is not None:
                at = base + trun.data_offset
            sizes = self._sizes(trun, tfhd, trex)
            each = trex.duration if tfhd.duration is None else tfhd.duration
            duration = sum(trun.durations) if trun.durations is not None else each * trun.sample_count
            runs.append(_Run(box, trun, at, sizes, duration))
            at += sum(sizes)
        return tfhd, runs, at

    def _sizes(self, trun: Trun, tfhd: Tfhd, trex: Trex) -> Sequence[int]:
        if trun.sizes is not None:
            return trun.sizes
        size = trex.size if tfhd.size is None else tfhd.size
        # The count of a run without columns is four bytes that anybody can write: the file bounds it.
        if trun.sample_count * max(size, 1) > self._source.size:
            raise MalformedMediaError(f"a run of {trun.sample_count} samples in a file of {self._source.size} bytes")
        return [size] * trun.sample_count

    def _advance(self, traf: BoxTree, track_id: int, runs: Sequence[_Run]) -> int:
        """Return when the fragment begins, and move the track's clock behind it."""
        began = self._clock[track_id]
        for tfdt in traf.all("tfdt"):
            began = Tfdt.parse(tfdt.reader()).decode_time
        self._clock[track_id] = began + sum(run.duration for run in runs)
        return began

    def _protect_traf(
        self, traf: BoxTree, track: ProtectedTrack, runs: Sequence[_Run], description_index: int
    ) -> Iterator[SampleJob]:
        cryptos: list[SampleCrypto] = []
        for run in runs:
            at = run.start
            for size in run.sizes:
                sample = memoryview(self._source.read(at, size)) if track.has_subsamples else memoryview(b"")
                crypto = track.crypto(sample, description_index)
                cryptos.append(crypto)
                yield SampleJob(at, size, crypto, track.encrypter)
                at += size
        traf.children += aux_boxes(track, cryptos, with_subsamples=track.has_subsamples)


def _point(moof: BoxTree, runs: Sequence[_Run], top: TopBox) -> None:
    """Fill in the offsets of runs and auxiliary data, all counted from the start of the new moof."""
    for run in runs:
        # With an offset or without one the box has different lengths: put any, then the right one.
        _replace_payload(run.box, replace(run.trun, data_offset=0).encode())
    growth = moof.size - top.size
    for run in runs:
        if run.sizes and run.start < top.end:
            raise MalformedMediaError("the samples of a fragment lie before its end", where=f"moof at byte {top.start}")
        _replace_payload(run.box, replace(run.trun, data_offset=run.start - top.start + growth).encode())
    for traf in moof.all("traf"):
        for saio, senc in zip(traf.all("saio"), traf.all("senc"), strict=False):
            _replace_payload(saio, Saio((moof.offset_of(senc) + 16,)).encode())


def _replace_payload(box: BoxTree, encoded: bytes) -> None:
    box.payload = encoded[8:]


def _all_done(jobs: Sequence[SampleJob], done: int, source: SourceFile) -> None:
    if done < len(jobs):
        raise MalformedMediaError(
            "a sample lies outside the media data of its fragment",
            where=source.name,
            seen=f"it begins at byte {jobs[done].offset}",
        )


def _with_brand(source: SourceFile, top: TopBox) -> bytes:
    """The file type box, saying iso6 too: offsets from the moof's start came with iso5, `senc` with iso6."""
    ftyp = BoxTree.parse(load_box(source, top))
    brands = {ftyp.payload[at : at + 4] for at in (0, *range(8, len(ftyp.payload), 4))}
    if b"iso6" not in brands:
        ftyp.payload += b"iso6"
    return ftyp.encode()
