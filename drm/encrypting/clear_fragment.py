"""A `moof` of a clear file: where its samples lie, and how it is written anew around more boxes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import pack_into
from typing import Final

from msgspec.structs import replace

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.leftovers import Leftovers, is_common_pssh
from drm.errors import MalformedMediaError
from drm.isobmff.box import TopBox
from drm.isobmff.fragment import NON_SYNC, Tfdt, Tfhd, Trun
from drm.isobmff.movie import Trex
from drm.isobmff.sample_aux import Saio
from drm.isobmff.tracks import Track

__all__ = ["ClearMoof", "Fragment", "Run"]

_HAS_OFFSET: Final = 1  # flag of trun
_HEADER: Final = 8  # bytes of a box's
_OFFSET_AT: Final = 8  # in trun: behind version, flags and count


class Run:
    """One `trun`, and where its samples lie in the source."""

    def __init__(self, box: BoxTree, trun: Trun, start: int, sizes: Sequence[int], duration: int) -> None:
        self.box, self.trun, self.start, self.sizes = box, trun, start, sizes
        self.duration = duration  # of all its samples, in the track's timescale
        self._offsets = list(accumulate(sizes, initial=start))

    @property
    def end(self) -> int:
        """Offset behind the last sample."""
        return self._offsets[-1]

    def offset(self, number: int) -> int:
        """Where sample `number`, from 0, begins; for the number behind the last one, where that ends."""
        return self._offsets[number]

    def parts(self, size: int, count: int) -> Iterator[tuple[int, int]]:
        """First and behind-last number of samples of at most `size` bytes and `count` samples, or of one."""
        first, last = 0, len(self.sizes)
        while first < last:
            fits = bisect_right(self._offsets, self._offsets[first] + size, first, last + 1) - 1
            until = max(first + 1, min(fits, first + count))
            yield first, until
            first = until


@dataclass(slots=True)
class Fragment:
    """One `traf`."""

    box: BoxTree
    tfhd: Tfhd
    description: int
    decode_time: int | None  # of the first sample; None: it follows the fragment before
    runs: list[Run]
    flags: int  # of a sample that says nothing else

    @property
    def track_id(self) -> int:
        """Of its track."""
        return self.tfhd.track_id

    @property
    def begins_with_sync(self) -> bool:
        """Whether its first sample is a sync sample."""
        for run in self.runs:
            if run.sizes:
                flags = self.flags if run.trun.flags is None else run.trun.flags[0]
                flags = flags if run.trun.first_flags is None else run.trun.first_flags
                return not flags & NON_SYNC
        return False

    def earliest(self, began: int) -> int:
        """The earliest composition time of its samples, of which the first is decoded at `began`."""
        found = []
        default = 0
        for run in self.runs:
            count = len(run.sizes)
            if not count:
                continue
            if run.trun.durations is not None:
                times: Sequence[int] = list(accumulate(run.trun.durations, initial=began))[:count]
            else:
                default = run.duration // count
                times = range(began, began + default * count, default) if default else [began] * count
            offsets = run.trun.cts_offsets
            found.append(times[0] if offsets is None else min(map(int.__add__, times, offsets)))
            began += run.duration
        return min(found, default=began)

    def add(self, boxes: Sequence[BoxTree]) -> None:
        """Put `boxes` at the end."""
        self.box.children += boxes


class ClearMoof:
    """Reads a `moof` that begins at `start` and may come to lie anywhere."""

    def __init__(
        self, moof: BoxTree, start: int, tracks: Mapping[int, Track], file_size: int, leftovers: Leftovers
    ) -> None:
        """What an earlier encryption left is taken out of `moof`. Raises MalformedMediaError, UnsupportedMediaError."""
        if not any(track.info.is_protected for track in tracks.values()):
            moof.children = [box for box in moof.children if not is_common_pssh(box)]
        self._moof = moof
        self._start = start
        self._file_size = file_size
        self.fragments: list[Fragment] = []
        follows = start
        for traf in moof.all("traf"):
            tfhd = Tfhd.parse(traf.one("tfhd").reader())
            if tfhd.track_id not in tracks:
                raise MalformedMediaError(f"a fragment is of track {tfhd.track_id}, which moov does not have")
            if not tracks[tfhd.track_id].info.is_protected:
                leftovers.take_out(tfhd.track_id, traf)
            trex = tracks[tfhd.track_id].trex
            runs, follows = self._runs(traf, tfhd, trex, follows)
            time = None
            for tfdt in traf.all("tfdt"):
                time = Tfdt.parse(tfdt.reader()).decode_time
            # Offsets from the moof's own start hold wherever the fragment goes (ISO/IEC 14496-12, 8.8.7).
            tfhd = replace(tfhd, base_data_offset=None, base_is_moof=True)
            description = tfhd.description_index or trex.description_index
            flags = trex.flags if tfhd.flags is None else tfhd.flags
            self.fragments.append(Fragment(traf, tfhd, description, time, runs, flags))

    def _runs(self, traf: BoxTree, tfhd: Tfhd, trex: Trex, follows: int) -> tuple[list[Run], int]:
        """The runs of a traf, and where the last one ends (8.8.7 and 8.8.8)."""
        base = tfhd.base_data_offset
        if base is None:
            base = self._start if tfhd.base_is_moof else follows
        at = base
        runs = []
        for box in traf.all("trun"):
            trun = Trun.parse(box.reader())
            if trun.data_offset is not None:
                at = base + trun.data_offset
            each = trex.duration if tfhd.duration is None else tfhd.duration
            duration = sum(trun.durations) if trun.durations is not None else each * trun.sample_count
            runs.append(Run(box, trun, at, self._sizes(trun, tfhd, trex), duration))
            at = runs[-1].end
        return runs, at

    def _sizes(self, trun: Trun, tfhd: Tfhd, trex: Trex) -> Sequence[int]:
        if trun.sizes is not None:
            return trun.sizes
        size = trex.size if tfhd.size is None else tfhd.size
        # The count of a run without columns is four bytes that anybody can write: the file bounds it.
        if trun.sample_count * max(size, 1) > self._file_size:
            raise MalformedMediaError(f"a run of {trun.sample_count} samples in a file of {self._file_size} bytes")
        return [size] * trun.sample_count

    def describe(self, fragment: Fragment, index: int) -> None:
        """Let the samples of `fragment` be of description `index`."""
        fragment.tfhd = replace(fragment.tfhd, description_index=index)

    def encode(self, top: TopBox) -> bytes:
        """The box as it is now, `top` being the place of the old one: the media data follow it as before."""
        for fragment in self.fragments:
            fragment.box.one("tfhd").payload = fragment.tfhd.encode()[8:]
            for run in fragment.runs:
                if not run.box.payload[3] & _HAS_OFFSET:
                    run.box.payload = replace(run.trun, data_offset=0).encode()[8:]
        growth = self._moof.size - top.size
        for fragment in self.fragments:
            for run in fragment.runs:
                self._point(run, run.start - top.start + growth, top)
        self._point_saio()
        return self._moof.encode()

    def _point_saio(self) -> None:
        """Let each saio point behind the count of its senc."""
        at = _HEADER
        for box in self._moof.children:
            inner, saio = at + _HEADER, None
            for child in box.children:
                if child.type == "saio":
                    saio = child
                elif child.type == "senc" and saio is not None:
                    saio.payload = Saio((inner + 16,)).encode()[_HEADER:]
                inner += child.size
            at += box.size

    def _point(self, run: Run, offset: int, top: TopBox) -> None:
        if run.sizes and run.start < top.end:
            raise MalformedMediaError("the samples of a fragment lie before its end", where=f"moof at byte {top.start}")
        if not -(1 << 31) <= offset < 1 << 31:
            raise MalformedMediaError(
                "the samples of a fragment lie too far from it", where=f"moof at byte {top.start}", seen=f"{offset}"
            )
        payload = bytearray(run.box.payload)
        pack_into(">i", payload, _OFFSET_AT, offset)
        run.box.payload = bytes(payload)
