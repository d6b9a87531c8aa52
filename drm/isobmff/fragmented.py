"""Samples of movie fragments: each `moof` is read when a track reaches it, and forgotten soon after.

Whoever iterates two tracks in turn parses each fragment once; one after the other, twice: never more often.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Final

from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.box import MediaData, TopBox, load_box, top_boxes
from drm.isobmff.completeness import Completeness
from drm.isobmff.fragment import NON_SYNC, Tfdt, Tfhd, Trun
from drm.isobmff.fragment_crypto import FragmentPlace, fragment_crypto
from drm.isobmff.movie import Trex
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.reader import Reader, printable
from drm.isobmff.sample_protection import SampleProtection, group_indices
from drm.isobmff.tracks import EncryptionBoxes, Track, Warn
from drm.media import ByteSource, Sample

__all__ = ["MAX_SAMPLES", "Fragments", "Moof", "Traf", "fragment_samples", "has_fragments", "refuse_other_movie"]

MAX_SAMPLES: Final = 1 << 21  # of one track in one fragment
MAX_RUNS: Final = 1 << 16
_CACHED: Final = 8  # fragments kept parsed
_COMPARED: Final = 1 << 18  # bytes of two movie boxes that are held at a time


@dataclass(slots=True)
class Traf:
    """One track fragment."""

    tfhd: Tfhd
    tfdt: Tfdt | None = None
    truns: list[Trun] = field(default_factory=list)
    encryption: EncryptionBoxes = field(default_factory=EncryptionBoxes)

    @classmethod
    def parse(cls, r: Reader) -> Traf:
        """Read it; boxes that nothing here needs are passed over."""
        tfhd: Tfhd | None = None
        rest = cls(Tfhd(0))
        for box in r.boxes():
            if box.type == Tfhd.TYPE:
                tfhd = Tfhd.parse(box)
            elif box.type == Tfdt.TYPE:
                rest.tfdt = Tfdt.parse(box)
            elif box.type == Trun.TYPE:
                rest.truns.append(Trun.parse(box))
                if len(rest.truns) > MAX_RUNS:
                    box.fail(f"more than {MAX_RUNS} runs in a track fragment")
            else:
                rest.encryption.offer(box)
        if tfhd is None:
            r.fail("a track fragment lacks tfhd")
        rest.tfhd = tfhd
        return rest


@dataclass(slots=True)
class Moof:
    """One movie fragment."""

    start: int  # absolute offset of the box
    trafs: list[Traf]
    bases: list[int]  # of the data offsets of each of them, absolute
    pssh: list[Reader]

    @classmethod
    def parse(cls, r: Reader, trexs: Mapping[int, Trex]) -> Moof:
        """Read it whole."""
        trafs, pssh = [], []
        for box in r.boxes():
            if box.type == "traf":
                trafs.append(Traf.parse(box))
            elif box.type == "pssh":
                pssh.append(box)
        return cls(r.start, trafs, _bases(r.start, trafs, trexs), pssh)


def refuse_other_movie(source: ByteSource, first: TopBox, other: TopBox) -> None:
    """A file has one `moov` (ISO/IEC 14496-12, clause 8.2.1): a repeat of it says nothing new, another one does.

    Raises:
        UnsupportedMediaError: `other` does not hold the same bytes as `first`.
    """
    if first.size == other.size and all(
        source.read_at(first.start + at, _COMPARED)[: first.size - at]
        == source.read_at(other.start + at, _COMPARED)[: other.size - at]
        for at in range(0, first.size, _COMPARED)
    ):
        return
    raise UnsupportedMediaError(
        "a second moov box that is not the first one again: what follows it has other tracks, keys or descriptions",
        where=f"{source.name}, moov at byte {other.start}",
        seen=f"{other.size} bytes; the first, of {first.size} bytes, is at byte {first.start}",
        maybe="periods of a manifest that were joined, or segments from before and behind a change of EXT-X-MAP",
        remedy="give each initialization segment with its own media segments: INIT.mp4 SEGMENT.m4s …",
    )


def has_fragments(source: ByteSource, moov: TopBox) -> bool:
    """Whether fragments stand behind `moov`, though it does not announce any. Raises as `refuse_other_movie` does."""
    found = False
    with contextlib.suppress(MalformedMediaError, TruncatedMediaError):  # said when a sample lies behind that place
        for top in top_boxes(source, moov.end):
            if top.type == "moov":
                refuse_other_movie(source, moov, top)
            found = found or top.type == "moof"
    return found


class Fragments:
    """The movie fragments of a file, behind its `moov`; every iteration walks the file anew.

    It raises UnsupportedMediaError at another `moov`: it cannot be said what the samples behind it are.
    """

    def __init__(
        self, source: ByteSource, moov: TopBox, trexs: Mapping[int, Trex], reach: Completeness | None = None
    ) -> None:
        self._source = source
        self.reach = reach or Completeness((), lambda _: None)
        self._trexs = trexs
        self._moov = moov
        self._cache: OrderedDict[int, Moof] = OrderedDict()

    def __iter__(self) -> Iterator[Moof]:
        for top in top_boxes(self._source, self._moov.end):
            if top.type == "moov":
                refuse_other_movie(self._source, self._moov, top)
            if top.type == "styp":
                self.reach.is_joined = True
            if top.type == "sidx":
                with contextlib.suppress(MediaError):  # nothing hangs on it but a warning
                    self.reach.index(load_box(self._source, top))
            if top.type != "moof":
                continue
            moof = self._cache.get(top.start)
            if moof is None:
                moof = self._cache[top.start] = Moof.parse(load_box(self._source, top), self._trexs)
                if len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            yield moof


def fragment_samples(
    track: Track,
    known: Container[int],
    fragments: Fragments,
    source: ByteSource,
    media: MediaData,
    usage: ReadBudget,
    warn: Warn,
    dts: int,
) -> Iterator[Sample]:
    """The samples of one track in all fragments, in decode order; `dts` is where they go on without a `tfdt`.

    `known` are the ids of the movie's tracks: a fragment of another one is passed over, with a warning.

    Raises:
        TruncatedMediaError: a run lies outside the file.
        MalformedMediaError: it lies outside its media data.
        MalformedMediaError, UnsupportedMediaError: as the boxes and the rules do.
    """
    track_id = track.info.track_id
    is_first, reached = True, 0
    for moof in fragments:
        for number, traf in enumerate(moof.trafs):
            if traf.tfhd.track_id != track_id:
                if traf.tfhd.track_id not in known:
                    warn(f"fragments of track {traf.tfhd.track_id}, which the movie does not have, are left out")
                continue
            place = f"{source.name}, track {track_id}, moof at byte {moof.start}"
            if traf.tfdt:
                if not is_first:
                    fragments.reach.gap(track_id, dts, traf.tfdt.decode_time, moof.start)
                dts = traf.tfdt.decode_time
            is_first = False
            runs = _runs(track, traf, moof.bases[number], source, media, place)
            sizes = runs[0].sizes if len(runs) == 1 else [size for run in runs for size in run.sizes]
            if not sizes:
                continue
            usage.add(len(sizes), sum(sizes), place)
            before, reached = reached, reached + len(sizes)
            description = traf.tfhd.description_index or track.trex.description_index
            book = SampleProtection(track, place, traf.encryption.sgpd)
            if traf.encryption.sbgp or book.default_group:
                groups = islice(group_indices(traf.encryption.sbgp, book.default_group), len(sizes))
                rules = [book.rule(description, group) for group in groups]
            else:
                rules = [book.rule(description, 0)] * len(sizes)
            lengths = [len(run.sizes) for run in runs]
            for group in traf.encryption.unknown_groups:
                warn(f"track {track_id}: sample groups of type {printable(group)} are not known here")
            where = FragmentPlace(moof.start, traf.tfhd.base_data_offset, lengths, place, before)
            cryptos = iter(fragment_crypto(source, traf.encryption, sizes, rules, where, warn))
            for run in runs:
                at = run.start
                for size, duration, flags, offset, crypto in zip(
                    run.sizes, run.durations, run.flags, run.cts_offsets, cryptos, strict=False
                ):
                    yield Sample(track_id, dts, offset, duration, not flags & NON_SYNC, at, size, description, crypto)
                    dts += duration
                    at += size
    if not is_first:
        fragments.reach.ended(track_id, dts)


@dataclass(slots=True)
class _Run:
    """A run whose place is known and inside the file."""

    start: int
    sizes: Sequence[int]
    durations: Iterator[int]
    flags: Iterator[int]
    cts_offsets: Iterator[int]


def _runs(track: Track, traf: Traf, base: int, source: ByteSource, media: MediaData, place: str) -> list[_Run]:
    tfhd, trex = traf.tfhd, track.trex
    default_size = trex.size if tfhd.size is None else tfhd.size
    default_duration = trex.duration if tfhd.duration is None else tfhd.duration
    default_flags = trex.flags if tfhd.flags is None else tfhd.flags
    if not trex.is_told:
        _refuse_untold(track, traf, place)
    runs: list[_Run] = []
    at, total = base, 0
    for trun in traf.truns:
        count = trun.sample_count
        total += count
        if total > MAX_SAMPLES:
            raise MalformedMediaError(
                f"more than {MAX_SAMPLES} samples of one track in one fragment", where=place, seen=f"{total} samples"
            )
        start = at if trun.data_offset is None else base + trun.data_offset
        at = start + (count * default_size if trun.sizes is None else sum(trun.sizes))
        if count and (start < 0 or at > source.size):
            raise TruncatedMediaError(
                "samples lie outside the file",
                where=place,
                seen=f"a run from byte {start} to {at}, the file has {source.size}",
                maybe="a download that was interrupted, or segments without those before them",
            )
        media.require(start, at, place)
        flags = list(repeat(default_flags, count)) if trun.flags is None else trun.flags.tolist()
        if trun.first_flags is not None and flags:
            flags[0] = trun.first_flags
        runs.append(
            _Run(
                start,
                [default_size] * count if trun.sizes is None else trun.sizes,
                repeat(default_duration) if trun.durations is None else iter(trun.durations),
                iter(flags),
                repeat(0) if trun.cts_offsets is None else iter(trun.cts_offsets),
            )
        )
    return runs


def _refuse_untold(track: Track, traf: Traf, place: str) -> None:
    """Raise MalformedMediaError when a fragment leaves something to `trex` (clause 8.8.3), which is not there."""
    tfhd, runs = traf.tfhd, [run for run in traf.truns if run.sample_count]
    needs = {
        "sizes": tfhd.size is None and any(run.sizes is None for run in runs),
        "durations": tfhd.duration is None and any(run.durations is None for run in runs),
        "description": tfhd.description_index is None and len(track.entries) > 1,
    }
    lacks = [name for name, is_needed in needs.items() if is_needed]
    if lacks:
        raise MalformedMediaError(
            f"a fragment does not say the {' and the '.join(lacks)} of its samples, and the movie box has no trex that "
            "says them for this track",
            where=place,
            maybe="mvex was lost when the movie box was rewritten, or this is the initialization segment of another",
            remedy="give the initialization segment that the media segments were made with",
        )


def _bases(start: int, trafs: list[Traf], trexs: Mapping[int, Trex]) -> list[int]:
    """Where the data offsets of each track fragment count from (ISO/IEC 14496-12, clause 8.8.7).

    An explicit base, or the start of the moof; without either flag, and not the first, the end of the one before it.
    """
    bases: list[int] = []
    end = start
    for traf in trafs:
        tfhd = traf.tfhd
        if tfhd.base_data_offset is not None:
            base = tfhd.base_data_offset
        else:
            base = start if tfhd.base_is_moof or not bases else end
        bases.append(base)
        trex = trexs.get(tfhd.track_id)
        default = tfhd.size if tfhd.size is not None else trex.size if trex else 0
        end = base
        for trun in traf.truns:
            at = end if trun.data_offset is None else base + trun.data_offset
            end = at + (trun.sample_count * default if trun.sizes is None else sum(trun.sizes))
    return bases
