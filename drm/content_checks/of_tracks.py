"""Questions about a track's samples, asked of the counts once they have all been read.

Of a track that could not be read to its end, what was found stays found; what was not found is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from drm.content_checks.facts import ContentFacts, TrackFacts
from drm.content_checks.judgement import Answer, Judgement
from drm.isobmff.box import OutsideMediaDataError
from drm.keys import KeyId
from drm.media import TrackType

__all__ = [
    "cbcs_own_ivs", "damaged", "default_kid_unused", "headers_encrypted", "kid_of_zeros", "nothing_encrypted",
    "nothing_protected", "obus_encrypted", "outside_media_data", "own_ivs_repeated", "unaligned",
]  # fmt: skip

ZEROS: Final = KeyId(bytes(16))
_NAL: Final = frozenset({"h264", "hevc", "vvc"})
_OBU: Final = frozenset({"libdav1d"})

_OfTrack = Callable[[TrackFacts], Judgement | None]
_Asked = Callable[[ContentFacts], Iterator[Judgement]]


def _each_track(ask: _OfTrack) -> _Asked:
    """Ask of every track; a no about one that breaks off is unknown."""

    def asked(facts: ContentFacts) -> Iterator[Judgement]:
        for track in facts.tracks:
            answer = ask(track)
            if answer is not None and answer.answer is Answer.NO and track.error is not None:
                answer = Judgement.unknown("the track could not be read to its end", track.info.track_id)
            if answer is not None:
                yield answer

    asked.__doc__ = ask.__doc__
    return asked


def _answer(track: TrackFacts, *, wrong: bool, text: str, seen: str = "") -> Judgement:
    if not wrong:
        return Judgement.no(track.info.track_id)
    return Judgement.yes(text, *([seen] if seen else []), track_id=track.info.track_id)


@_each_track
def damaged(track: TrackFacts) -> Judgement | None:
    """Whether it cannot be read to its end."""
    if track.error is None:
        return Judgement.no(track.info.track_id)
    return Judgement.yes(
        f"cannot be read to its end: {track.error.what}", track.error.where, track_id=track.info.track_id
    )


@_each_track
def outside_media_data(track: TrackFacts) -> Judgement | None:
    """Whether samples lie in no media data box (ISO/IEC 14496-12, clause 8.1.1)."""
    is_outside = isinstance(track.error, OutsideMediaDataError)
    if not is_outside and not track.tally.samples:
        return None
    seen = f"{track.error.where}: {track.error.seen}" if track.error else ""
    text = "samples lie in no mdat box: an offset is stale, and what is read there is no media"
    return _answer(track, wrong=is_outside, text=text, seen=seen)


@_each_track
def nothing_encrypted(track: TrackFacts) -> Judgement | None:
    """Whether a track that is marked as encrypted has no encrypted sample."""
    if not track.scheme or not track.tally.samples or (track.error is not None and not track.tally.encrypted):
        return None
    text = f"marked as encrypted, but not one of its {track.tally.samples} samples is"
    return _answer(track, wrong=not track.tally.encrypted, text=text)


@_each_track
def nothing_protected(track: TrackFacts) -> Judgement | None:
    """Whether samples are marked as encrypted and none has an enciphered byte."""
    if not track.tally.encrypted:
        return None
    text = "samples are marked as encrypted, and not one byte of them is"
    return _answer(track, wrong=not track.tally.encrypted_bytes, text=text)


@_each_track
def kid_of_zeros(track: TrackFacts) -> Judgement | None:
    """Whether samples are under the KID of zeros."""
    if not track.tally.encrypted:
        return None
    count = track.tally.by_kid.get(ZEROS, 0)
    text = f"samples are under KID {ZEROS}, which many players take for no key at all"
    return _answer(track, wrong=count > 0, text=text, seen=f"{count} samples")


@_each_track
def default_kid_unused(track: TrackFacts) -> Judgement | None:
    """Whether a default KID of a sample description is used by no sample. Zeros are a placeholder, and no default."""
    if not track.tally.encrypted:
        return None
    unused = [kid for kid in track.default_kids if kid != ZEROS and kid not in track.tally.by_kid]
    named = ", ".join(map(str, unused))
    text = f"default KID {named} is used by no sample: players that fetch its key wait for one that nothing needs"
    return _answer(track, wrong=bool(unused), text=text)


@_each_track
def cbcs_own_ivs(track: TrackFacts) -> Judgement | None:
    """Whether cbcs has an IV in each sample."""
    if all(scheme.value != "cbcs" for scheme, _, _ in track.tally.patterns):
        return None
    count = sum(track.tally.own_ivs.values())
    text = "cbcs with an IV in each sample: devices expect one constant IV"
    return _answer(track, wrong=count > 0, text=text, seen=f"{count} samples")


@_each_track
def own_ivs_repeated(track: TrackFacts) -> Judgement | None:
    """Whether, under AES-CBC, samples with IVs of their own all have one and the same."""
    if not any(scheme.is_cbc for scheme, _, _ in track.tally.patterns):
        return None
    count = track.tally.repeated_own_ivs
    text = f"{count} samples carry one and the same IV each: contents that begin alike show"
    return _answer(track, wrong=count > 0, text=text)


@_each_track
def unaligned(track: TrackFacts) -> Judgement | None:
    """Whether protected ranges are no whole blocks (clause 9.5.2.5; cbcs ends with its range, and is not asked)."""
    if not track.tally.subsampled or all(scheme.value == "cbcs" for scheme, _, _ in track.tally.patterns):
        return None
    count = track.tally.unaligned
    text = f"{count} samples have protected ranges that are no multiple of 16 bytes: some devices refuse them"
    return _answer(track, wrong=count > 0, text=text)


@_each_track
def headers_encrypted(track: TrackFacts) -> Judgement | None:
    """Whether lengths or headers of NAL units are enciphered, by the samples that were looked at."""
    return _headers(track, _NAL)


@_each_track
def obus_encrypted(track: TrackFacts) -> Judgement | None:
    """Whether headers of OBUs, or OBUs that have to stay clear, are enciphered."""
    return _headers(track, _OBU)


def _headers(track: TrackFacts, decoders: frozenset[str]) -> Judgement | None:
    track_id = track.info.track_id
    if track.info.type is not TrackType.VIDEO or track.info.decoder not in decoders or not track.tally.encrypted:
        return None
    found = track.headers.judgement()
    if found is None:
        return Judgement.unknown("the decoder's configuration does not say how long a length is", track_id)
    if found.answer is not Answer.YES:
        return found
    looked, bad = sum(track.headers.counts.values()), track.headers.counts[Answer.YES]
    what = found.text.partition(" (and")[0]
    text = f"{what} is enciphered, in {bad} of {looked} samples that were looked at: decoders in hardware need it"
    return Judgement.yes(text, *found.evidence, track_id=track_id)
