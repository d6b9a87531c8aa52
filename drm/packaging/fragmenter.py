"""One track of a clear file as a fragmented MP4 of its own, for adaptive streaming. Nothing is decoded.

`FragmentedTrack` reads like the file that it stands for: `ftyp`, `moov`, `sidx`, then a `moof` and an `mdat` for each
segment, each beginning with a sync sample. `moov` is that of `drm.packaging.track_movie`
(ISO/IEC 14496-12, 8.8). Not for the PMP worker.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from fractions import Fraction
from itertools import accumulate
from struct import pack
from typing import Final

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.source_file import ClearSource
from drm.errors import TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.samples import open_presentation
from drm.media import TrackInfo
from drm.packaging.segments import FragmentedSamples, Segment
from drm.packaging.track_movie import TrackMovie

__all__ = ["FragmentedTrack"]

_COPY: Final = 1 << 20  # bytes


class FragmentedTrack:
    """A fragmented file that is not written anywhere: its bytes come from the source when they are read.

    Keeps `drm.encrypting.source_file.ClearSource`.
    """

    def __init__(
        self, source: ClearSource, track: TrackInfo, segment_seconds: float, origin: Fraction = Fraction(0)
    ) -> None:
        """Read the samples of `track` from `source`, and lay them out as its track 1.

        `origin`: the decode time, in seconds, from which times are counted; the same for all tracks of a presentation.

        Raises:
            UnsupportedMediaError: an edit list, a gap or a layout that fragments cannot say; the message names it.
            MediaError: the file is malformed or truncated.
        """
        self.name = source.name
        self._source = source
        self._samples = FragmentedSamples(track, open_presentation(source).samples(track.track_id), segment_seconds)
        if not self._samples.segments:
            raise UnsupportedMediaError(
                f"track {track.track_id} ({track.codec}) has no samples",
                where=source.name,
                remedy="see what it holds: clearkey inspect IN",
            )
        self._movie = TrackMovie(source, track, self._samples)
        self.notes = self._movie.notes
        self._track = track
        self._origin = round(origin * track.timescale)
        self._head = self._movie.encoded + self._index()
        self._starts = list(accumulate(map(self._size_of, self._samples.segments), initial=len(self._head)))
        self.size = self._starts[-1]
        self._fragment: tuple[int, bytes] = (-1, b"")  # the last that was made

    # ------------------------------------------------------------------ reading

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end."""
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        data = bytearray(size)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read(self, offset: int, size: int) -> bytearray:
        """Return exactly `size` bytes from `offset`. Raises TruncatedMediaError."""
        data = bytearray(size)
        self.read_into(offset, memoryview(data))
        return data

    def read_into(self, offset: int, data: memoryview) -> None:
        """Fill `data` from `offset`. Raises TruncatedMediaError."""
        if offset < 0 or offset + len(data) > self.size:
            raise TruncatedMediaError(
                "beyond the end of the track's segments", where=self.name, seen=f"{offset} + {len(data)} of {self.size}"
            )
        at = 0
        while at < len(data):
            at += self._read_piece(offset + at, data[at:])

    def _read_piece(self, offset: int, data: memoryview) -> int:
        """Fill the beginning of `data` with what lies in one piece at `offset`; return how much that is."""
        if offset < len(self._head):
            return _fill(data, self._head, offset)
        number = bisect_right(self._starts, offset) - 1
        segment, start = self._samples.segments[number], self._starts[number]
        head = self._head_of(number)
        if offset < start + len(head):
            return _fill(data, head, offset - start)
        return self._read_samples(segment, offset - start - len(head), data)

    def _read_samples(self, segment: Segment, skip: int, data: memoryview) -> int:
        """Fill `data` from the samples of `segment`, `skip` bytes behind the first one's beginning."""
        sizes, offsets, done = self._samples.sizes, self._samples.offsets, 0
        for number in range(segment.first, segment.end):
            if done == len(data):
                break
            if skip >= sizes[number]:
                skip -= sizes[number]
                continue
            count = min(sizes[number] - skip, len(data) - done)
            self._source.read_into(offsets[number] + skip, data[done : done + count])
            done, skip = done + count, 0
        return done

    def write(self, target: int) -> None:
        """Write the whole to the file descriptor `target`. Raises OSError, MediaError."""
        at = 0
        while at < self.size:
            data = self.read_at(at, _COPY)
            while data:
                count = os.pwrite(target, data, at)
                at, data = at + count, data[count:]

    # ------------------------------------------------------------------ the index

    def _index(self) -> bytes:
        """`sidx`: one row for each segment (8.16.3)."""
        samples, shift = self._samples, self._movie.shift + self._movie.delay - self._origin
        edits = () if self._movie.shift else self._track.edits
        begin = next((edit.media_time for edit in edits if edit.media_time > 0), 0)
        rows = []
        for segment in samples.segments:
            starts = samples.sync[segment.first]
            kind = 0 if not starts or samples.leads(segment) else 1  # 0: not said which kind of access point
            rows.append(pack(">III", self._size_of(segment), segment.duration, starts << 31 | kind << 28))
        first = max(0, samples.segments[0].earliest + shift - begin)
        head = pack(">IIQQHH", 1, self._track.timescale, first, 0, 0, len(rows))
        return BoxTree.full("sidx", 1, 0, head, *rows).encode()

    # ------------------------------------------------------------------ a segment

    def _size_of(self, segment: Segment) -> int:
        count = segment.end - segment.first
        groups = sum(len(self._group_box(group, segment)) for group in self._movie.groups)
        return _FIXED + 16 * count + groups + segment.data_size

    def _head_of(self, number: int) -> bytes:
        """The bytes of segment `number` before its samples: `moof`, and the beginning of `mdat`."""
        if self._fragment[0] != number:
            self._fragment = (number, self._made_fragment(number))
        return self._fragment[1]

    def _made_fragment(self, number: int) -> bytes:
        segment = self._samples.segments[number]
        # default-base-is-moof; and the description, which a later one may not be trex's (8.8.7)
        tfhd = BoxTree.full("tfhd", 0, 0x020002, pack(">II", 1, segment.description))
        tfdt = BoxTree.full("tfdt", 1, 0, pack(">Q", segment.dts + self._movie.delay - self._origin))
        rows = self._samples.rows(segment, self._movie.shift)
        count = segment.end - segment.first
        trun = BoxTree.full("trun", 1, 0xF01, pack(">Ii", count, 0), rows)
        groups = [BoxTree.of(box) for group in self._movie.groups if (box := self._group_box(group, segment))]
        traf = BoxTree("traf", b"", [tfhd, tfdt, trun, *groups])
        moof = BoxTree("moof", b"", [BoxTree.full("mfhd", 0, 0, pack(">I", number + 1)), traf])
        trun.payload = trun.payload[:8] + pack(">i", moof.size + 8) + rows
        return moof.encode() + pack(">I4s", 8 + segment.data_size, b"mdat")

    def _group_box(self, group: tuple[bytes, list[int]], segment: Segment) -> bytes:
        """The `sbgp` of one segment: runs of samples that share a description of the movie's `sgpd` (8.9.2)."""
        head, numbers = group
        runs: list[list[int]] = []
        for number in numbers[segment.first : segment.end]:
            if runs and runs[-1][1] == number:
                runs[-1][0] += 1
            else:
                runs.append([1, number])
        if not any(number for _, number in runs):
            return b""
        return BoxTree("sbgp", b"".join((head, pack(">I", len(runs)), *(pack(">II", *run) for run in runs)))).encode()


_FIXED: Final = 8 + 16 + 8 + 20 + 20 + 20 + 8  # moof, mfhd, traf, tfhd, tfdt, trun without rows, the head of mdat


def _fill(data: memoryview, piece: bytes, skip: int) -> int:
    count = min(len(piece) - skip, len(data))
    data[:count] = piece[skip : skip + count]
    return count
