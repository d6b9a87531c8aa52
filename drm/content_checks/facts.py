"""What checks are asked about: values read from a file, in memory that does not grow with its length.

A film has any number of fragments and samples, so questions about one fragment, one row of boxes or one sample are
asked while the file is read, and what they came to is kept in summaries (`noted`); the rest is asked at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drm.content_checks.counter_reuse import CounterReuse
from drm.content_checks.judgement import Summary
from drm.content_checks.senc_entries import SencBox
from drm.content_checks.tally import Tally
from drm.errors import MediaError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.sample_aux import Saio, Saiz
from drm.keys import KeyId
from drm.media import InitBox, TrackInfo

__all__ = ["AuxPlace", "ContentFacts", "CounterFacts", "MovieBox", "PsshRow", "TrackFacts"]


@dataclass(frozen=True, slots=True)
class AuxPlace:
    """The boxes about samples' encryption in one `stbl` (with its `trak`) or one `traf`, as they stand."""

    track_id: int
    where: str  # "moov", or "moof at byte 1234"
    is_fragment: bool
    samples: int
    bases: tuple[int, ...]  # what offsets in `saio` may count from, absolute
    is_protected: bool  # any sample description of the track is an encrypted one, be it read or not
    is_mixed: bool  # sample groups may give samples other IV sizes than `tenc`, or none
    sencs: tuple[SencBox, ...] = ()
    saiz: tuple[Saiz, ...] = ()
    saio: tuple[Saio, ...] = ()
    groups: int = 0  # sgpd and sbgp boxes of type seig
    points_to_copy: bool = False  # where `saio` points, the entries of `senc` stand a second time


@dataclass(frozen=True, slots=True)
class PsshRow:
    """`pssh` boxes that stand side by side."""

    where: str
    boxes: tuple[Pssh, ...]


@dataclass(frozen=True, slots=True)
class MovieBox:
    """One `moov`: where it begins, and a digest of all its bytes."""

    start: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class CounterFacts:
    """What came of comparing the counters of all samples."""

    reuses: tuple[CounterReuse, ...] = ()
    copies: int = 0
    samples: int = 0  # in counter mode, with enciphered bytes
    is_complete: bool = True


@dataclass(slots=True)
class TrackFacts:
    """One track, read as far as it can be."""

    info: TrackInfo
    scheme: str  # as the file spells it
    tally: Tally
    error: MediaError | None = None  # why it ends before its end
    entries: tuple[str, ...] = ()  # its sample descriptions' forms: "encv/avc1"
    doubt: str = ""  # why the IVs that were read may be those of other samples; empty: none
    headers: Summary = field(default_factory=lambda: Summary("sample"))  # of NAL units and OBUs

    @property
    def default_kids(self) -> tuple[KeyId, ...]:
        """Of its sample descriptions, each once."""
        return tuple(dict.fromkeys(each.key_id for each in self.info.protections if each))


@dataclass(slots=True)
class ContentFacts:
    """One file."""

    name: str
    is_mp4: bool
    tracks: tuple[TrackFacts, ...] = ()
    pssh: tuple[InitBox, ...] = ()
    movies: list[MovieBox] = field(default_factory=list)
    announces_fragments: bool = False  # mvex
    fragments: int = 0
    walk_error: MediaError | None = None  # why the boxes could not be walked to the end
    counters: CounterFacts = field(default_factory=CounterFacts)
    noted: dict[tuple[str, int], Summary] = field(default_factory=dict)  # by question and track

    @property
    def differing_movies(self) -> tuple[MovieBox, ...]:
        """The movie boxes behind the first that are no repeats of it."""
        return tuple(movie for movie in self.movies[1:] if movie.digest != self.movies[0].digest)

    def note(self, code: str, track_id: int) -> Summary:
        """The summary of one question about one track (0: the file)."""
        return self.noted.setdefault((code, track_id), Summary())
