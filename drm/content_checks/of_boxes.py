"""Questions about the boxes of one fragment or one sample table: `senc`, `saiz` and `saio` against one another.

One cause, one answer: entries that cannot be taken apart leave every question unknown that would need them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from drm.content_checks.facts import AuxPlace
from drm.content_checks.judgement import Judgement
from drm.content_checks.senc_entries import SencBox

__all__ = ["doubt", "iv_size", "leftover_boxes", "saio_beside", "saiz_against_senc", "senc_surplus", "senc_twice"]

_TAKEN_APART: Final = "the entries of senc cannot be taken apart"


def leftover_boxes(place: AuxPlace) -> Judgement | None:
    """Whether a track whose descriptions are all clear carries boxes of encryption (ISO/IEC 23001-7, clause 7)."""
    if place.is_protected:
        return None
    named = {"senc": len(place.sencs), "saiz": len(place.saiz), "saio": len(place.saio), "seig groups": place.groups}
    found = [name for name, count in named.items() if count]
    if not found:
        return Judgement.no(place.track_id)
    text = "the track is clear, and boxes of encryption were left in it"
    return Judgement.yes(text, f"{place.where}: {', '.join(found)}", track_id=place.track_id)


def senc_twice(place: AuxPlace) -> Judgement | None:
    """Whether there is more than one `senc` (clause 7.2: zero or one). PIFF's form beside it is a known habit."""
    if not place.is_protected or not place.sencs:
        return None
    own = [senc for senc in place.sencs if not senc.is_piff]
    if len(own) < 2:
        return Judgement.no(place.track_id)
    offsets = ", ".join(str(senc.start) for senc in own)
    text = f"{len(own)} senc boxes, and one is allowed: players differ in which they take"
    return Judgement.yes(text, f"{place.where}: senc at bytes {offsets}", track_id=place.track_id)


def iv_size(place: AuxPlace) -> Judgement | None:
    """Whether the entries of `senc` fit another IV size than the one that is declared."""
    senc = _entries(place)
    if senc is None or senc.is_for_several_keys or not senc.count:
        return None
    if place.is_mixed or senc.iv_size is None:
        return None  # entries of several shapes: the reader that knows the groups says whether they fit
    if senc.iv_size in senc.fits:
        return Judgement.no(place.track_id)
    if len(senc.fits) != 1:
        return Judgement.unknown(f"{_TAKEN_APART} under any size of IV", place.track_id)
    fitting = senc.fits[0]
    text = (
        f"IVs of {senc.iv_size} bytes are declared, and the entries of senc fit IVs of {fitting} bytes and no other: "
        "tenc or the sample group is wrong, or senc is that of another file"
    )
    seen = f"{place.where}: {senc.count} entries in {senc.end - senc.entries} bytes at byte {senc.entries}"
    return Judgement.yes(text, seen, track_id=place.track_id)


def senc_surplus(place: AuxPlace) -> Judgement | None:
    """Whether `senc` has more entries than there are samples."""
    senc = _entries(place)
    if senc is None:
        return None
    if senc.count <= place.samples:
        return Judgement.no(place.track_id)
    text = f"senc has {senc.count} entries for {place.samples} samples: players differ in which of them they take"
    seen = f"{place.where}: senc at byte {senc.start} has {senc.count} entries, {place.samples} samples"
    return Judgement.yes(text, seen, track_id=place.track_id)


def saiz_against_senc(place: AuxPlace) -> Judgement | None:
    """Whether `saiz` gives each entry of `senc` the length that it has (clause 7.1)."""
    senc = _entries(place)
    if senc is None or not place.saiz or not place.saiz[0].sample_count:
        return None
    if senc.is_for_several_keys or place.is_mixed:
        return None
    track_id, saiz = place.track_id, place.saiz[0]
    if senc.count > place.samples:
        return Judgement.unknown("senc has too many entries", track_id)
    if senc.iv_size not in senc.fits:
        return Judgement.unknown(_TAKEN_APART, track_id)
    if not senc.has_subsamples and not senc.iv_size:
        return None  # entries of no bytes: nothing to be wrong about
    lengths = list(senc.entry_sizes())
    # Not beyond one more than there are: in a few bytes a box can speak of four thousand million samples.
    count = min(saiz.sample_count, len(lengths) + 1)
    told = bytes((saiz.default_size,)) * count if saiz.default_size else saiz.sizes
    if len(told) != len(lengths):
        told = bytes(size for size in told if size)  # a sample without information has size 0, and may have no entry
    if list(told) == lengths:
        return Judgement.no(track_id)
    if len(told) != len(lengths):
        seen = f"{place.where}: saiz tells of {saiz.sample_count} samples, senc has {len(lengths)} entries"
    else:
        at = next(index for index, (one, other) in enumerate(zip(told, lengths, strict=True)) if one != other)
        seen = f"{place.where}: entry {at + 1} has {told[at]} bytes by saiz and {lengths[at]} in senc"
    text = "saiz and senc contradict one another: players that go by saiz read IVs and subsamples that are none"
    return Judgement.yes(text, seen, track_id=track_id)


def saio_beside(place: AuxPlace) -> Judgement | None:
    """Whether `saio` points to the entries of `senc`, from any base that writers count from (14496-12, 8.7.9)."""
    senc = _entries(place)
    if senc is None or not place.saio or not place.saio[0].offsets or not place.saiz:
        return None
    if not place.saiz[0].sample_count or senc.entries == senc.end:
        return None  # no information to point to
    track_id, offsets = place.track_id, place.saio[0].offsets
    starts = {each.entries for each in place.sencs}
    based = [base for base in place.bases if base + offsets[0] in starts]
    if not based:
        if place.points_to_copy:
            return Judgement.no(track_id)
        surplus = senc.count - place.samples
        if surplus > 0:
            return Judgement.unknown("senc has too many entries", track_id)
        text = "saio does not point to the entries of senc: players that go by it decrypt with bytes that are no IVs"
        seen = f"{place.where}: saio says {offsets[0]}, the entries stand at byte {senc.entries}"
        return Judgement.yes(text, seen, track_id=track_id)
    if len(offsets) == 1:
        return Judgement.no(track_id)
    if senc.iv_size not in senc.fits or place.is_mixed:
        return Judgement.unknown(_TAKEN_APART, track_id)
    stray = _stray(offsets, based[0], senc)
    if stray is None:
        return Judgement.no(track_id)
    text = "saio points between the entries of senc: players that go by it decrypt with bytes that are no IVs"
    return Judgement.yes(text, f"{place.where}: offset {stray} of saio is where no entry begins", track_id=track_id)


def doubt(place: AuxPlace) -> str:
    """Why the IVs that a reader gives the samples here may be those of other samples; empty: there is no doubt.

    Of too many entries, readers take the last ones, as FFmpeg's surplus wants it. Where `saiz` tells of as many as
    there are samples, and `saio` points to others than these, that is the wrong half.
    """
    senc = _entries(place)
    if senc is None or senc.count <= place.samples or not place.saiz or not place.saio:
        return ""
    if place.saiz[0].sample_count != place.samples or not place.saio[0].offsets:
        return ""
    named = {base + place.saio[0].offsets[0] for base in place.bases}
    if senc.iv_size not in senc.fits:
        return ""  # and no reader goes on either
    last = senc.end - sum(list(senc.entry_sizes())[-place.samples :]) if place.samples else senc.end
    if last in named:
        return ""
    return "senc has too many entries, and saio names others than the last"


def _entries(place: AuxPlace) -> SencBox | None:
    """The box that readers go by: the standard's own before PIFF's."""
    if not place.is_protected:
        return None
    return next((senc for senc in place.sencs if not senc.is_piff), place.sencs[0] if place.sencs else None)


def _stray(offsets: Sequence[int], base: int, senc: SencBox) -> int | None:
    """The first of several offsets, in rising order, at which no entry begins."""
    starts = _starts(senc)
    reached = next(starts, None)
    for offset in offsets:
        while reached is not None and reached < base + offset:
            reached = next(starts, None)
        if reached != base + offset:
            return offset
    return None


def _starts(senc: SencBox) -> Iterator[int]:
    at = senc.entries
    yield at
    for size in senc.entry_sizes():
        at += size
        yield at
