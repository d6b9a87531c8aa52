"""What the boxes about encryption say, unrepaired: walked from the file's start to its end.

The readers that play files are tolerant: of two readings they take the one that fits, and a stray offset is passed
over. Whoever judges a file must see what they passed over, so this walk believes nothing and joins nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from drm.content_checks.box_window import BoxSpan, Window, load, spans
from drm.content_checks.facts import AuxPlace, ContentFacts, MovieBox, PsshRow, TrackFacts
from drm.content_checks.senc_entries import SencBox, read_senc
from drm.errors import MediaError
from drm.isobmff.fragment import Tfhd
from drm.isobmff.movie import Tkhd
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.sample_aux import PIFF_SENC, Saio, Saiz
from drm.isobmff.sample_group import Sgpd, grouping_type
from drm.media import ByteSource

__all__ = ["BoxWalk"]

_CENC_AUX: Final = frozenset({None, "cenc", "cens", "cbc1", "cbcs", "piff"})
_COMPARED: Final = 4096  # bytes of the entries that are looked for where `saio` points
_PIECE: Final = 1 << 20

_IN_TRAK: Final = frozenset({"mdia", "minf", "stbl"})


@dataclass(slots=True)
class _Found:
    """The boxes of one place, as they come."""

    samples: int = 0
    sencs: list[BoxSpan] = field(default_factory=list)
    saiz: list[Saiz] = field(default_factory=list)
    saio: list[Saio] = field(default_factory=list)
    sgpd: list[Sgpd] = field(default_factory=list)
    groups: int = 0


class BoxWalk:
    """Walks a file once, and gives each place and each row of `pssh` boxes to whoever asks questions of them."""

    def __init__(
        self,
        source: ByteSource,
        tracks: Iterable[TrackFacts],
        facts: ContentFacts,
        on_place: Callable[[AuxPlace], None],
        on_pssh: Callable[[PsshRow], None],
    ) -> None:
        self._window = Window(source)
        self._tracks = {track.info.track_id: track for track in tracks}
        self._groups: dict[int, list[Sgpd]] = {}  # of stbl, by track
        self._facts = facts
        self._on_place = on_place
        self._on_pssh = on_pssh

    def run(self) -> None:
        """Walk. What stops it is kept as `walk_error` of the facts; what came before stays told."""
        try:
            for span in spans(self._window, 0, self._window.size):
                if span.type == "moov":
                    self._moov(span)
                elif span.type == "moof":
                    self._facts.fragments += 1
                    self._moof(span)
        except MediaError as error:
            self._facts.walk_error = error

    # -------------------------------------------------------------------------------------------- movie box
    def _moov(self, moov: BoxSpan) -> None:
        digest = hashlib.sha256()
        for at in range(moov.start, moov.end, _PIECE):
            digest.update(self._window.read_at(at, min(_PIECE, moov.end - at)))
        self._facts.movies.append(MovieBox(moov.start, digest.digest()))
        children = list(spans(self._window, moov.payload, moov.end, moov.path))
        self._pssh(children, "moov")
        for span in children:
            if span.type == "mvex":
                self._facts.announces_fragments = True
            elif span.type == "trak":
                self._trak(span)

    def _trak(self, trak: BoxSpan) -> None:
        found = _Found()
        track_id = self._into_trak(trak, found)
        self._groups[track_id] = found.sgpd
        self._place(track_id, "moov", found, (0,), is_fragment=False)

    def _into_trak(self, parent: BoxSpan, found: _Found) -> int:
        track_id = 0
        for span in spans(self._window, parent.payload, parent.end, parent.path):
            if span.type in _IN_TRAK:
                self._into_trak(span, found)
            elif span.type == Tkhd.TYPE:
                track_id = Tkhd.parse(load(self._window, span)).track_id
            elif span.type in {"stsz", "stz2"}:
                found.samples = self._u32(span.payload + 8)
            elif parent.type == "stbl" or _is_senc(span):
                self._offer(span, found)
        return track_id

    # -------------------------------------------------------------------------------------------- fragments
    def _moof(self, moof: BoxSpan) -> None:
        children = list(spans(self._window, moof.payload, moof.end, moof.path))
        where = f"moof at byte {moof.start}"
        self._pssh(children, where)
        for span in children:
            if span.type == "traf":
                self._traf(span, moof.start, where)

    def _traf(self, traf: BoxSpan, moof: int, where: str) -> None:
        found, tfhd = _Found(), Tfhd(0)
        for span in spans(self._window, traf.payload, traf.end, traf.path):
            if span.type == Tfhd.TYPE:
                tfhd = Tfhd.parse(load(self._window, span))
            elif span.type == "trun":
                found.samples += self._u32(span.payload + 4)
            else:
                self._offer(span, found)
        base = tfhd.base_data_offset
        bases = (moof, 0) if base is None else (base, moof, 0)
        self._place(tfhd.track_id, where, found, bases, is_fragment=True)

    # -------------------------------------------------------------------------------------------- both
    def _u32(self, at: int) -> int:
        return int.from_bytes(self._window.read_at(at, 4), "big")

    def _offer(self, span: BoxSpan, found: _Found) -> None:
        if _is_senc(span):
            found.sencs.append(span)
        elif span.type == Saiz.TYPE:
            saiz = Saiz.parse(load(self._window, span))
            found.saiz += [saiz] if saiz.aux_type in _CENC_AUX else []
        elif span.type == Saio.TYPE:
            saio = Saio.parse(load(self._window, span))
            found.saio += [saio] if saio.aux_type in _CENC_AUX else []
        elif span.type in {"sgpd", "sbgp"}:
            reader = load(self._window, span)
            if grouping_type(reader) == "seig":
                found.groups += 1
                found.sgpd += [Sgpd.parse(reader)] if span.type == "sgpd" else []

    def _place(self, track_id: int, where: str, found: _Found, bases: tuple[int, ...], *, is_fragment: bool) -> None:
        track = self._tracks.get(track_id)
        if track is None:
            return
        info = track.info
        declared = frozenset(each.iv_size for each in info.protections if each)
        seigs = [seig for sgpd in (*self._groups.get(track_id, ()), *found.sgpd) for seig in sgpd.entries]
        told = {seig.iv_size for seig in seigs if seig.is_protected}
        is_mixed = any(not seig.is_protected or seig.keys for seig in seigs) or len(told | declared) > 1
        sencs = tuple(read_senc(self._window, span, declared | told) for span in found.sencs)
        place = AuxPlace(
            track_id, where, is_fragment, found.samples, bases, _is_protected(track), is_mixed, sencs,
            tuple(found.saiz), tuple(found.saio), found.groups, self._is_copy(sencs, found.saio, bases),
        )  # fmt: skip
        self._on_place(place)

    def _is_copy(self, sencs: tuple[SencBox, ...], saio: list[Saio], bases: tuple[int, ...]) -> bool:
        """Whether `saio` points beside `senc`, to bytes that are the same as its entries."""
        if not sencs or not saio or not saio[0].offsets:
            return False
        targets = {base + saio[0].offsets[0] for base in bases}
        if any(senc.entries in targets for senc in sencs):
            return False
        size = min(_COMPARED, sencs[0].end - sencs[0].entries)
        entries = self._window.read_at(sencs[0].entries, size)
        return bool(entries) and any(self._window.read_at(target, size) == entries for target in targets)

    def _pssh(self, children: list[BoxSpan], where: str) -> None:
        for is_pssh, row in groupby(children, key=lambda span: span.type == Pssh.TYPE):
            if is_pssh:
                boxes = [box for span in row if (box := self._read_pssh(span))]
                self._on_pssh(PsshRow(where, tuple(boxes)))

    def _read_pssh(self, span: BoxSpan) -> Pssh | None:
        try:
            return Pssh.parse(load(self._window, span))
        except MediaError:  # the reader warns of it; another system's broken box is no reason to stop
            return None


def _is_protected(track: TrackFacts) -> bool:
    """An entry of a scheme that is not read has no protection, and yet its track is no clear one."""
    return track.info.is_protected or any(entry.startswith("enc") for entry in track.entries)


def _is_senc(span: BoxSpan) -> bool:
    return span.type == "senc" or span.uuid == PIFF_SENC
