"""A file as a presentation: its tracks and, lazily, their samples. The face of this package.

Each box can be sound while the file is not: sizes come from one box, IVs from another, bytes from a third. They are
joined, and checked against one another, in the modules behind this one (`progressive`, `fragmented`, `fragment_crypto`,
`sample_crypto`, `rules`), and a `Sample` that comes out is sound: it lies inside the file, has the IV that its scheme
needs, and its subsamples fit into it. Every stage behind it trusts that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from drm.errors import (
    InvalidArgumentError,
    MalformedMediaError,
    TruncatedMediaError,
    UnsupportedMediaError,
    error_from_record,
)
from drm.isobmff.box import MediaData, TopBox, top_boxes
from drm.isobmff.completeness import Completeness
from drm.isobmff.container import no_movie, require_mp4
from drm.isobmff.file_reader import open_box
from drm.isobmff.fragmented import MAX_SAMPLES, Fragments, Traf, fragment_samples, has_fragments
from drm.isobmff.progressive import table_samples
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.read_budget import ReadBudget
from drm.isobmff.reader import printable
from drm.isobmff.sample_protection import SampleProtection, group_indices
from drm.isobmff.tracks import Track, parse_moov, read_pssh
from drm.keys import KeyId
from drm.media import ByteSource, Sample, SampleTime, StreamDescriptor, TrackInfo, TrackType, sample_time

__all__ = ["MP4Presentation", "open_presentation"]

SURVEYED: Final = 256  # fragments that are looked through for key ids and pssh boxes before playback
_MAX_WARNINGS: Final = 64
_NO_KEY: Final = KeyId(bytes(16))


def open_presentation(stream: ByteSource) -> MP4Presentation:
    """Read what the file says about itself; of its media nothing is read yet.

    An initialization segment and the media segments that belong to it are given as one stream, one behind the other.

    Raises:
        UnsupportedMediaError: not MP4 (named, with the next step), or media segments without their initialization.
        TruncatedMediaError: the file ends before the movie box does.
        MalformedMediaError: the movie box breaks the format.
    """
    require_mp4(stream)
    seen = set()
    for top in top_boxes(stream):
        if top.type == "moov":
            return MP4Presentation(stream, top)
        seen.add(top.type)
    raise no_movie(stream, seen)


class MP4Presentation:
    """An opened file. Keeps `drm.media.Presentation`."""

    def __init__(self, stream: ByteSource, moov: TopBox) -> None:
        """Read the movie box that stands at `moov`; `open_presentation` finds it."""
        self._stream = stream
        self._media = MediaData(stream)
        self._warnings: dict[str, None] = {}
        self._movie = parse_moov(open_box(stream, moov), self._warn)
        self._by_id = {track.info.track_id: track for track in self._movie.tracks}
        trexs = {track_id: track.trex for track_id, track in self._by_id.items()}
        # What a movie box without mvex does not announce is read all the same, and has no defaults then.
        self._refusal: UnsupportedMediaError | None = None  # what makes samples unreadable; the boxes can be looked at
        self._is_fragmented = self._movie.is_fragmented or self._has_fragments(moov)
        if self._is_fragmented and not self._movie.is_fragmented:
            self._warn("there are fragments, and the movie box does not announce them (mvex): they have no defaults")
        self._fragments = Fragments(stream, moov, trexs, Completeness(self.tracks, self._warn))
        self._key_ids: dict[int, dict[KeyId, None]] | None = None
        self._in_no_group: dict[int, bool | None] = {}  # by track: whether a sample is; None: none was seen
        self._pssh = dict.fromkeys(self._movie.pssh)
        for track in self._movie.tracks:
            for refusal in dict.fromkeys(entry.refusal for entry in track.entries if entry.refusal):
                self._warn(f"track {track.info.track_id}: {refusal}")
            for group in track.encryption.unknown_groups:
                self._warn(f"track {track.info.track_id}: sample groups of type {printable(group)} are not known here")

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """Every track, in the order of the file."""
        return tuple(track.info for track in self._movie.tracks)

    @property
    def is_fragmented(self) -> bool:
        """Whether movie fragments may follow (`mvex`), or do."""
        return self._is_fragmented

    @property
    def container(self) -> str:
        """The container's name for people."""
        return "fragmented MP4" if self.is_fragmented else "progressive MP4"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and was read all the same. Grows while samples are read."""
        return tuple(self._warnings)

    @property
    def pssh(self) -> tuple[Pssh, ...]:
        """The `pssh` boxes of the movie box and of the first `SURVEYED` fragments, each once."""
        self._survey()
        return tuple(self._pssh)

    def streams(self) -> tuple[StreamDescriptor, ...]:
        """Every track with the key ids that its descriptions, its groups and its first fragments name.

        The default of a description is among them unless groups give every sample seen there another one.

        Raises UnsupportedMediaError: another movie box follows, or a form of protection that is not read.
        """
        named = self._survey()
        self._require_readable()
        return tuple(StreamDescriptor(info, tuple(named[info.track_id])) for info in self.tracks)

    def scheme_type(self, track_id: int) -> str:
        """The scheme as `schm` spells it ("cenc", "piff"); empty for a track that is not encrypted."""
        return next((entry.scheme_type for entry in self._track(track_id).entries if entry.scheme_type), "")

    def left_out(self, track_id: int) -> str:
        """Why a text or metadata track cannot be read; empty for one that can, and for all pictures and sound.

        Whoever goes through all tracks leaves such a one out, and says so: a film is not lost for its subtitles.
        """
        track = self._track(track_id)
        if track.info.type is not TrackType.OTHER:
            return ""
        return next((entry.refusal for entry in track.entries if entry.refusal), "")

    def sample_entries(self, track_id: int) -> tuple[str, ...]:
        """The four-cc of each sample description, with the clear one behind it: "encv/avc1"."""
        entries = self._track(track_id).entries
        return tuple(e.format if e.format == e.codec else f"{e.format}/{e.codec}" for e in entries)

    def samples(self, track_id: int, start: int = 0) -> Iterator[Sample]:
        """The samples of one track in decode order, from number `start` on, read as they are asked for.

        Raises (while it is iterated):
            MalformedMediaError: boxes contradict one another.
            TruncatedMediaError: the file ends before what it announces.
            UnsupportedMediaError: a scheme or a pattern that is not read, or another movie box.
        """
        track = self._track(track_id)
        if self._is_fragmented:
            return islice(self._with_fragments(track), start, None)
        self._require_readable()
        return table_samples(track, self._stream, self._media, ReadBudget(self._stream.size), start)

    def times(self, track_id: int) -> Iterator[SampleTime]:
        """When each sample of one track is decoded. Raises as `samples` does, of fewer boxes."""
        if self._is_fragmented:
            return map(sample_time, self.samples(track_id))
        return self._track(track_id).table.times(f"{self._stream.name}, track {track_id}")

    def _has_fragments(self, moov: TopBox) -> bool:
        try:
            return has_fragments(self._stream, moov)
        except UnsupportedMediaError as refusal:
            self._refusal = refusal.with_traceback(None)
            return False

    def _require_readable(self) -> None:
        if self._refusal is not None:
            raise error_from_record(self._refusal.to_record())  # another one: its traceback would hold this object

    def _with_fragments(self, track: Track) -> Iterator[Sample]:
        usage = ReadBudget(self._stream.size)
        dts = 0
        for sample in table_samples(track, self._stream, self._media, usage):
            yield sample
            dts = sample.dts + sample.duration
        yield from fragment_samples(
            track, self._by_id, self._fragments, self._stream, self._media, usage, self._warn, dts
        )

    def _track(self, track_id: int) -> Track:
        if track_id not in self._by_id:
            raise InvalidArgumentError(
                f"there is no track {track_id}", seen=f"tracks {', '.join(map(str, self._by_id)) or 'none'}"
            )
        return self._by_id[track_id]

    def _survey(self) -> dict[int, dict[KeyId, None]]:
        """Collect key ids by track, and pssh boxes; fragments are looked through once."""
        if self._key_ids is not None:
            return self._key_ids
        named = {track_id: _track_keys(track) for track_id, track in self._by_id.items()}
        self._in_no_group = {track_id: _needs_default(track) for track_id, track in self._by_id.items()}
        protected = any(track.info.is_protected for track in self._movie.tracks)
        if protected and self._is_fragmented:
            # What is broken further on is said when samples are read there.
            try:
                self._survey_fragments(named)
            except UnsupportedMediaError as refusal:
                self._refusal = refusal.with_traceback(None)
            except (MalformedMediaError, TruncatedMediaError):
                pass
        for track_id, track in self._by_id.items():
            # Groups may give every sample a key of its own; what no sample seen so far uses is asked for when one does.
            defaults = () if self._in_no_group[track_id] is False else _default_keys(track)
            kids = named[track_id] = dict.fromkeys((*defaults, *named[track_id]))
            # A file whose keys rotate has no default key: its tenc then names the id of zeros, which no sample uses.
            if len(kids) > 1:
                kids.pop(_NO_KEY, None)
            kids.update({} if kids else dict.fromkeys(track.info.key_ids))
        self._key_ids = named
        return named

    def _survey_fragments(self, named: dict[int, dict[KeyId, None]]) -> None:
        for moof in islice(self._fragments, SURVEYED):
            for box in moof.pssh:
                self._pssh.update(dict.fromkeys(read_pssh(box.copy(), self._warn)))
            for traf in moof.trafs:
                track_id = traf.tfhd.track_id
                if track_id in named:
                    named[track_id].update(_group_keys(traf))
                    if not self._in_no_group[track_id]:
                        needs = _needs_default(self._by_id[track_id], traf)
                        self._in_no_group[track_id] = self._in_no_group[track_id] if needs is None else needs

    def _warn(self, text: str) -> None:
        if len(self._warnings) < _MAX_WARNINGS:
            self._warnings[text] = None


def _default_keys(track: Track) -> Iterator[KeyId]:
    """The key ids of its sample descriptions, for samples in no group."""
    return (e.protection.key_id for e in track.entries if e.protection and not e.is_clear_by_default)


def _track_keys(track: Track) -> dict[KeyId, None]:
    """The key ids that the movie box names for groups of samples of this track."""
    return dict.fromkeys(kid for seig in track.seigs for kid in seig.key_ids)


def _needs_default(track: Track, traf: Traf | None = None) -> bool | None:
    """Whether a sample of the track's own table, or of `traf`, is in no group; None: there are no samples."""
    boxes = traf.encryption if traf else track.encryption
    count = min(MAX_SAMPLES, sum(run.sample_count for run in traf.truns)) if traf else track.table.count
    if not count:
        return None
    default = SampleProtection(track, "", boxes.sgpd if traf else None).default_group
    return 0 in islice(group_indices(boxes.sbgp, default), count) if boxes.sbgp else not default


def _group_keys(traf: Traf) -> dict[KeyId, None]:
    entries = traf.encryption.sgpd.entries if traf.encryption.sgpd else ()
    named = dict.fromkeys(kid for seig in entries for kid in seig.key_ids)
    if traf.encryption.senc and traf.encryption.senc.override:
        named[traf.encryption.senc.override[2]] = None
    return named
