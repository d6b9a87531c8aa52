"""The movie box of one track of a clear file, for fragments: the source's own without other tracks and without tables.

Sample entries with every configuration box, languages, names, roles and edits come out byte for byte as they were
(ISO/IEC 14496-12, 8.8). One edit that only says where the pictures begin becomes composition times from zero, as
players of DASH pay no attention to edit lists. Opens no files. Not for the PMP worker.
"""

from __future__ import annotations

from fractions import Fraction
from struct import pack, pack_into, unpack_from
from typing import Final

from drm.encrypting.box_tree import BoxTree
from drm.encrypting.source_file import ClearSource
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox, load_box, top_boxes
from drm.isobmff.file_reader import open_box
from drm.isobmff.movie import Mehd
from drm.isobmff.tracks import parse_moov
from drm.media import TrackInfo, TrackType
from drm.packaging.segments import FragmentedSamples

__all__ = ["TrackMovie"]

_TABLES: Final = ("stts", "stsc", "stsz", "stco")  # which an empty movie must have all the same (8.8.1)
_LOST: Final = frozenset({"subs", "sbgp", "csgp", "sdtp"})  # of fragments: what says more of samples than is copied
_OF_OTHERS: Final = frozenset({"trak", "mvex", "pssh", "iods", "mvhd"})  # of `moov`: not copied, or made anew


class TrackMovie:
    """`ftyp` and `moov` of the one track, and what its fragments have to say because these two no longer do.

    `shift` is added to composition offsets, `delay` to decode times, both in the track's timescale. `groups` are the
    sample groups: the head of each `sbgp`, and the group of each sample.
    """

    def __init__(self, source: ClearSource, track: TrackInfo, samples: FragmentedSamples) -> None:
        """Make both.

        Raises:
            UnsupportedMediaError: an edit list that no one shift of times can stand for.
            MediaError: the file is malformed or truncated.
        """
        self.notes: list[str] = []
        self._source, self._track, self._samples = source, track, samples
        tops = list(top_boxes(source))
        box = open_box(source, next(top for top in tops if top.type == "moov"))
        parse_moov(box.copy(), self.notes.append)  # which judges it
        tree = BoxTree.parse(box)
        trak = next(trak for trak in tree.all("trak") if _track_id(trak) == track.track_id)
        self.groups = self._take_tables(trak)
        self.shift, self.delay = self._from_edits(trak)
        self._note_what_fragments_said(tops)
        self.encoded = self._brands(tops) + self._made_movie(tree, trak)

    def _take_tables(self, trak: BoxTree) -> list[tuple[bytes, list[int]]]:
        """Empty the tables of `trak`; return what its sample groups say: the box's head, the group of each sample."""
        stbl = trak.one("mdia", "minf", "stbl")
        groups = []
        for box in stbl.children:
            if box.type == "sdtp":
                told = _payload(box)[4:]
                if len(told) >= len(self._samples.sizes):
                    self._samples.dependencies = told
            elif box.type == "sbgp":
                groups.append(_groups(_payload(box), len(self._samples.sizes)))
            elif box.type in {"subs", "csgp"}:
                self.notes.append(f"track {self._track.track_id}: its {box.type} box is not kept in fragments")
        empty = [BoxTree.full(name, 0, 0, bytes(8 if name == "stsz" else 4)) for name in _TABLES]
        stbl.children = [
            *(box for box in stbl.children if box.type == "stsd"),
            *empty,
            *(box for box in stbl.children if box.type == "sgpd"),
        ]
        return groups

    def _from_edits(self, trak: BoxTree) -> tuple[int, int]:
        """What is added to composition offsets, and to decode times. An edit list that says no more is taken out.

        Raises UnsupportedMediaError: an edit list that no one shift of times can stand for.
        """
        track, edits = self._track, [edit for edit in self._track.edits if edit.media_time >= 0]
        delays = [edit for edit in track.edits if edit.media_time < 0]
        if not track.edits:
            return 0, 0
        is_plain = len(edits) == 1 and len(delays) <= 1 and track.edits[-1] is edits[0]
        if not is_plain or _rates(trak) - {0x10000}:
            raise UnsupportedMediaError(
                f"track {track.track_id} has an edit list that players of DASH and HLS would not follow",
                where=self._source.name,
                seen=", ".join(_described(edit.duration, edit.media_time, track) for edit in track.edits),
                remedy="apply the edits first, which encodes anew: ffmpeg -i IN OUT.mp4",
            )
        begin = edits[0].media_time
        delay = round(Fraction(delays[0].duration, track.movie_timescale) * track.timescale) if delays else 0
        end = begin + Fraction(edits[0].duration, track.movie_timescale) * track.timescale
        last = max(self._samples.durations, default=0)
        if edits[0].duration and self._samples.segments[0].dts + self._samples.duration - end > last + begin:
            seconds = float(end / track.timescale)
            self.notes.append(
                f"track {track.track_id}: its edit list ends the presentation at {seconds:.3f} s; it is kept, but "
                "players of DASH and HLS may go on to the last sample"
            )
            return 0, 0
        if track.type is not TrackType.VIDEO or self._samples.lowest < begin:
            return 0, 0  # priming of a sound coder, or pictures before the first that is shown: the list says it
        trak.children = [box for box in trak.children if box.type != "edts"]
        return -begin, delay

    def _note_what_fragments_said(self, tops: list[TopBox]) -> None:
        lost: set[str] = {top.type for top in tops if top.type in {"emsg", "prft"}}
        for top in tops:
            if top.type == "moof":
                moof = BoxTree.parse(load_box(self._source, top))
                for traf in moof.all("traf"):
                    if unpack_from(">I", traf.one("tfhd").payload, 4)[0] == self._track.track_id:
                        lost |= {box.type for box in traf.children} & _LOST
        for name in sorted(lost):
            self.notes.append(f"track {self._track.track_id}: the {name} boxes of its fragments are not kept")

    def _brands(self, tops: list[TopBox]) -> bytes:
        named = [b"iso6", b"mp41"]
        for top in tops:
            if top.type == "ftyp":
                told = self._source.read_at(top.start + top.header, top.size - top.header)
                named += [told[:4], *(told[at : at + 4] for at in range(8, len(told) - 3, 4))]
                break
        others = [brand for brand in dict.fromkeys(named) if brand not in {b"qt  ", b"\0\0\0\0"} and len(brand) == 4]
        return BoxTree("ftyp", b"".join((b"iso6", bytes(4), *others))).encode()

    def _made_movie(self, tree: BoxTree, trak: BoxTree) -> bytes:
        mvhd = tree.one("mvhd")
        mvhd.payload = _patched(mvhd, 12, b"")[:-4] + pack(">I", 2)
        tkhd, mdhd = trak.one("tkhd"), trak.one("mdia", "mdhd")
        tkhd.payload, mdhd.payload = _patched(tkhd, 16, pack(">I", 1)), _patched(mdhd, 12, b"")
        trak.children = [box for box in trak.children if box.type != "tref"]
        track, samples = self._track, self._samples
        whole = Fraction(samples.duration, track.timescale) * track.movie_timescale
        mehd, trex = BoxTree.of(Mehd(round(whole)).encode()), BoxTree.full("trex", 0, 0, pack(">5I", 1, 1, 0, 0, 0))
        mvex = BoxTree("mvex", b"", [mehd, trex])
        rest = [box for box in tree.children if box.type not in _OF_OTHERS]
        moov = BoxTree("moov", b"", [mvhd, trak, mvex, *rest])
        return moov.encode()


def _track_id(trak: BoxTree) -> int:
    payload = trak.one("tkhd").payload
    return int(unpack_from(">I", payload, 20 if payload[0] else 12)[0])


def _patched(box: BoxTree, before: int, track_id: bytes) -> bytes:
    """The payload of `mvhd`, `tkhd` or `mdhd` with a duration of 0: the samples are in fragments (8.2.2, 8.3.2, 8.4.2).

    `before`: bytes between the times and the duration, with version and flags, in version 0.
    """
    payload = bytearray(box.payload)
    at, width = (before + 12, 8) if payload[0] else (before + 4, 4)
    if len(payload) < at + width:
        raise MalformedMediaError(f"the {box.type} box ends before its fields do")
    pack_into(f">{width}x", payload, at)
    if track_id:
        payload[at - 8 : at - 4] = track_id
    return bytes(payload)


def _payload(box: BoxTree) -> bytes:
    return b"".join(box.body.pieces()) if box.body is not None else box.payload


def _groups(payload: bytes, count: int) -> tuple[bytes, list[int]]:
    """The head of a `sbgp`, and the group of each of `count` samples; 0 is none."""
    at = 12 if payload[:1] == b"\1" else 8
    if len(payload) < at + 4 or len(payload) < at + 4 + 8 * unpack_from(">I", payload, at)[0]:
        raise MalformedMediaError("the sbgp box ends before its rows do")
    numbers: list[int] = []
    for row in range(unpack_from(">I", payload, at)[0]):
        run, number = unpack_from(">II", payload, at + 4 + 8 * row)
        numbers += [number] * min(run, count - len(numbers))
    return payload[:at], numbers + [0] * (count - len(numbers))


def _rates(trak: BoxTree) -> set[int]:
    """The media rates of the edit list, as they stand there (8.6.6)."""
    payload = next(iter(trak.all("edts")), BoxTree("edts")).payload[8:]
    row = 20 if payload[:1] == b"\1" else 12
    return {unpack_from(">I", payload, at + row - 4)[0] for at in range(8, len(payload) - row + 1, row)}


def _described(duration: int, media_time: int, track: TrackInfo) -> str:
    length = f"{duration / track.movie_timescale:.3f} s" if duration else "to the end"
    return f"{length} of nothing" if media_time < 0 else f"{length} from {media_time / track.timescale:.3f} s"
