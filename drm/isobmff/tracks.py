"""From `moov` to tracks: each `trak` with its sample table, groups and defaults, joined to one value.

Which process: either. Who may be lying: the file, in every number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import msgspec

from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.isobmff.box import Box
from drm.isobmff.codec import codec_of, wave_rates
from drm.isobmff.movie import Elst, Hdlr, Mdhd, Mehd, Mvhd, Tkhd, Trex
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.reader import Reader, printable
from drm.isobmff.sample_aux import PIFF_SENC, Saio, Saiz, Senc
from drm.isobmff.sample_entry import SampleEntry, parse_stsd
from drm.isobmff.sample_group import HARMLESS_GROUPS, Csgp, Sbgp, Seig, Sgpd, grouping_type
from drm.isobmff.sample_table import TABLES, SampleTable
from drm.media import TrackInfo

__all__ = ["EncryptionBoxes", "Movie", "Track", "parse_moov"]

MAX_TRACKS: Final = 256
_AUX_TYPES: Final = frozenset({None, "cenc", "cens", "cbc1", "cbcs", "piff"})

Warn = Callable[[str], None]


class EncryptionBoxes(msgspec.Struct):
    """The boxes of a `stbl` or a `traf` that tell how its samples are encrypted."""

    senc: Senc | None = None
    saiz: Saiz | None = None
    saio: Saio | None = None
    sgpd: Sgpd | None = None
    sbgp: Sbgp | Csgp | None = None
    unknown_groups: tuple[str, ...] = ()  # grouping types of which we do not know whether they matter

    def offer(self, box: Reader) -> None:
        """Keep `box` if it is one of ours; auxiliary information of foreign types is passed over.

        Raises MalformedMediaError when there are two of one kind: nothing says which of them holds.
        """
        if box.type == Senc.TYPE or box.uuid == PIFF_SENC:
            # A file with both has the same entries in both; the standard's own box is the one to believe.
            if self.senc is not None and self.senc.is_piff is (box.type != Senc.TYPE):
                _two(box)
            if self.senc is None or self.senc.is_piff:
                self.senc = Senc.parse(box)
        elif box.type == Saiz.TYPE:
            saiz = Saiz.parse(box)
            if saiz.aux_type in _AUX_TYPES and self.saiz is None:
                self.saiz = saiz
        elif box.type == Saio.TYPE:
            saio = Saio.parse(box)
            if saio.aux_type in _AUX_TYPES and self.saio is None:
                self.saio = saio
        elif box.type in {Sgpd.TYPE, Sbgp.TYPE, Csgp.TYPE}:
            self._offer_group(box)

    def _offer_group(self, box: Reader) -> None:
        kind = grouping_type(box)
        if kind != "seig":
            if kind not in HARMLESS_GROUPS and len(self.unknown_groups) < MAX_TRACKS:
                self.unknown_groups = tuple(dict.fromkeys((*self.unknown_groups, kind)))
        elif box.type == Sgpd.TYPE:
            if self.sgpd is not None:
                _two(box)
            self.sgpd = Sgpd.parse(box)
        else:
            if self.sbgp is not None:
                _two(box)
            self.sbgp = (Csgp if box.type == Csgp.TYPE else Sbgp).parse(box)


def _two(box: Reader) -> NoReturn:
    place = box.path.rpartition("/")[0].rpartition("/")[2]
    box.fail(
        f"a second {printable(box.type)} box about encryption in one {place}",
        maybe="encrypted twice, or boxes left behind by a tool that decrypted the file before it was encrypted again",
    )


class Track(msgspec.Struct):
    """One track as the movie box describes it."""

    info: TrackInfo
    entries: tuple[SampleEntry, ...]
    table: SampleTable
    encryption: EncryptionBoxes  # of stbl
    trex: Trex

    @property
    def seigs(self) -> tuple[Seig, ...]:
        """The group descriptions that hold for the whole track."""
        return self.encryption.sgpd.entries if self.encryption.sgpd else ()

    def entry(self, index: int, place: str) -> SampleEntry:
        """The sample description `index`, from 1.

        Raises:
            MalformedMediaError: there is none of this index.
            UnsupportedMediaError: it is encrypted in a way that we do not read.
        """
        if not 1 <= index <= len(self.entries):
            raise MalformedMediaError(
                f"a sample names description {index}, and stsd has {len(self.entries)}", where=place
            )
        entry = self.entries[index - 1]
        if entry.refusal:
            raise UnsupportedMediaError(
                f"track {self.info.track_id} cannot be decrypted: {entry.refusal}",
                where=place,
                remedy="package it again with scheme cenc or cbcs, or ask its packager which scheme this is",
            )
        return entry


class Movie(msgspec.Struct):
    """What `moov` says."""

    tracks: tuple[Track, ...]
    pssh: tuple[Pssh, ...]
    is_fragmented: bool


def parse_moov(moov: Reader, warn: Warn) -> Movie:
    """Read `moov` whole. Raises MalformedMediaError; what is only odd goes to `warn`."""
    traks: list[Reader] = []
    trexs: dict[int, Trex] = {}
    mvhd: Mvhd | None = None
    mehd: Mehd | None = None
    pssh: list[Pssh] = []
    is_fragmented = False
    for box in moov.boxes():
        if box.type == Mvhd.TYPE:
            mvhd = Mvhd.parse(box)
        elif box.type == "trak":
            traks.append(box)
        elif box.type == Pssh.TYPE:
            pssh += read_pssh(box, warn)
        elif box.type == "mvex":
            is_fragmented = True
            for inner in box.boxes():
                if inner.type == Trex.TYPE:
                    trex = Trex.parse(inner)
                    trexs[trex.track_id] = trex
                elif inner.type == Mehd.TYPE:
                    mehd = Mehd.parse(inner)
        if len(traks) > MAX_TRACKS:
            box.fail(f"more than {MAX_TRACKS} tracks")
    if mvhd is None:
        moov.fail("moov lacks mvhd")
    tracks = tuple(_parse_trak(trak, mvhd, mehd, trexs) for trak in traks)
    if len({track.info.track_id for track in tracks}) != len(tracks):
        moov.fail("two tracks have the same id")
    return Movie(tracks, tuple(pssh), is_fragmented)


def read_pssh(box: Reader, warn: Warn) -> list[Pssh]:
    """The `pssh` in a list, or an empty one: another system's broken box must not stop playback."""
    try:
        return [Pssh.parse(box)]
    except MediaError as error:
        warn(f"a pssh box is passed over: {error} ({error.where})")
        return []


def _parse_trak(trak: Reader, mvhd: Mvhd, mehd: Mehd | None, trexs: dict[int, Trex]) -> Track:
    found: dict[str, Reader] = {}
    encryption = EncryptionBoxes()
    _flatten(trak, found, encryption)
    tkhd = _need(Tkhd, found, trak)
    mdhd = _need(Mdhd, found, trak)
    hdlr = _need(Hdlr, found, trak)
    elst = _maybe(Elst, found) or Elst(())
    if "stsd" not in found:
        trak.fail(f"track {tkhd.track_id} lacks stsd")
    entries = parse_stsd(found["stsd"], hdlr.track_type)
    if not entries:
        found["stsd"].fail(f"track {tkhd.track_id} has no sample description")
    table = SampleTable(found, trak)
    info = _info(tkhd, mdhd, hdlr, elst, entries, mvhd, mehd)
    return Track(info, entries, table, encryption, trexs.get(tkhd.track_id, Trex(tkhd.track_id, is_told=False)))


def _flatten(parent: Reader, found: dict[str, Reader], encryption: EncryptionBoxes) -> None:
    """Put the boxes of a trak into `found` by type, the first of each; those about encryption where they belong."""
    for box in parent.boxes():
        if box.type in {"mdia", "minf", "stbl", "edts"}:
            _flatten(box, found, encryption)
        elif parent.type == "stbl" or (parent.type == "trak" and (box.type == Senc.TYPE or box.uuid == PIFF_SENC)):
            # ISO/IEC 23001-7, clause 7.2.1, puts senc beside mdia; some writers put it in stbl.
            encryption.offer(box)
        found.setdefault(TABLES.get(box.type, box.type), box)


_B = TypeVar("_B", bound=Box)


def _maybe(kind: type[_B], found: dict[str, Reader]) -> _B | None:
    box = found.get(kind.TYPE)
    return None if box is None else kind.parse(box)


def _need(kind: type[_B], found: dict[str, Reader], trak: Reader) -> _B:
    box = _maybe(kind, found)
    if box is None:
        trak.fail(f"a track lacks the {kind.TYPE} box")
    return box


def _info(
    tkhd: Tkhd, mdhd: Mdhd, hdlr: Hdlr, elst: Elst, entries: tuple[SampleEntry, ...], mvhd: Mvhd, mehd: Mehd | None
) -> TrackInfo:
    codecs = [codec_of(entry) for entry in entries]
    entry = entries[0]
    bit_rate, block_align = wave_rates(entry)
    duration = mdhd.duration
    if not duration and mehd:
        duration = mehd.duration * mdhd.timescale // mvhd.timescale
    return TrackInfo(
        track_id=tkhd.track_id,
        type=hdlr.track_type,
        codec=printable(entry.codec),
        timescale=mdhd.timescale,
        movie_timescale=mvhd.timescale,
        decoder=codecs[0][0],
        codec_config=codecs[0][1],
        width=entry.width,
        height=entry.height,
        sample_rate=entry.sample_rate,
        channels=entry.channels,
        language=mdhd.language,
        duration=duration,
        edits=elst.edits,
        # An encrypted entry whose tenc says "not protected" is still one: groups may protect its samples.
        protections=tuple(entry.protection for entry in entries),
        codec_configs=tuple(config for _, config in codecs),
        bit_rate=bit_rate,
        block_align=block_align,
    )
