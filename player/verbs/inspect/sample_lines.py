"""`clearkey inspect --samples`: a line for each sample, printed as they are read, so that a long file costs no memory.

With `--json` each line is one JSON object ("JSON Lines"), as `$defs/sample` of the published schema describes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from drm.component import ByteStream
from drm.container import open_container
from drm.content_checks.enciphered import encrypted_bytes
from drm.errors import InvalidArgumentError, MediaError
from drm.media import Sample, SampleCrypto, Subsample, TrackInfo
from player.verbs.inspect.report import pattern_text

__all__ = ["SampleLine", "sample_lines", "wanted_tracks"]

_SHOWN = 6  # subsamples on a line for people


class KeyLine(msgspec.Struct, frozen=True):
    """One more key of a sample of several, and what it protects."""

    kid: str
    iv: str
    subsamples: tuple[Subsample, ...]


class SampleLine(msgspec.Struct, frozen=True):
    """One sample. `kid` None: it is clear."""

    track: int
    number: int  # from 1
    dts: int  # in the track's timescale
    seconds: float  # dts
    cts_offset: int
    duration: int
    sync: bool
    offset: int  # in the file; in several files, as if they were one
    size: int
    description: int
    scheme: str | None
    kid: str | None
    iv: str | None  # hex, the constant one too
    pattern: str
    subsamples: tuple[Subsample, ...]  # clear, protected; none: the whole sample
    bytes_encrypted: int
    others: tuple[KeyLine, ...] = ()

    @classmethod
    def of(cls, sample: Sample, number: int, timescale: int) -> SampleLine:
        """Write `sample` out."""
        crypto = sample.crypto
        return cls(
            sample.track_id,
            number,
            sample.dts,
            round(sample.dts / timescale, 6),
            sample.cts_offset,
            sample.duration,
            sample.is_sync,
            sample.offset,
            sample.size,
            sample.description_index,
            crypto.scheme.value if crypto else None,
            str(crypto.key_id) if crypto else None,
            crypto.iv.hex() if crypto else None,
            pattern_text(crypto.crypt_blocks, crypto.skip_blocks) if crypto else "",
            crypto.subsamples if crypto else (),
            sum(encrypted_bytes(part, sample.size)[1] for part in crypto.parts()) if crypto else 0,
            tuple(map(_other, crypto.parts()[1:])) if crypto else (),
        )


def _other(part: SampleCrypto) -> KeyLine:
    return KeyLine(str(part.key_id), part.iv.hex(), part.subsamples)


def wanted_tracks(tracks: Sequence[TrackInfo], wanted: Iterable[int]) -> list[TrackInfo]:
    """Those of `tracks` whose ids are `wanted`, or all. Raises InvalidArgumentError for one that is not there."""
    by_id = {track.track_id: track for track in tracks}
    for track_id in wanted:
        if track_id not in by_id:
            raise InvalidArgumentError(
                f"there is no track {track_id}", seen=f"tracks {', '.join(map(str, by_id)) or 'none'}"
            )
    return [by_id[track_id] for track_id in dict.fromkeys(wanted)] or list(tracks)


def sample_lines(stream: ByteStream, tracks: Sequence[int], limit: int | None, *, as_json: bool) -> Iterator[str]:
    """The lines, track after track, of the first `limit` samples of each. A damaged track ends with its error.

    Raises:
        InvalidArgumentError: one of `tracks` is not there.
        MediaError: the file cannot be read, or (behind the lines of everything else) a track not to its end.
    """
    presentation = open_container(stream)
    encoder = msgspec.json.Encoder()
    refusal: MediaError | None = None
    for track in wanted_tracks(presentation.tracks, tracks):
        if not as_json:
            yield f"# track {track.track_id}: {track.type.value} {track.codec}, {track.timescale} units a second"
            yield "# number sync    seconds     size entry  KID, IV, subsamples (clear+protected)"
        try:
            for number, sample in enumerate(islice(presentation.samples(track.track_id), limit), 1):
                if as_json:
                    yield encoder.encode(SampleLine.of(sample, number, track.timescale)).decode()
                else:
                    yield _line(sample, number, track.timescale)
        except MediaError as error:
            refusal = refusal or error
            if as_json:
                yield encoder.encode({"track": track.track_id, "error": error.to_dict()}).decode()
            else:
                yield f"# broken: {error}"
    if refusal is not None:
        raise refusal


def _line(sample: Sample, number: int, timescale: int) -> str:
    sync = "sync" if sample.is_sync else "-"
    head = f"{number:8} {sync:4} {sample.dts / timescale:10.3f} {sample.size:8} {sample.description_index:5}  "
    if sample.crypto is None:
        return head + "clear"
    return head + " & ".join(map(_crypto, sample.crypto.parts()))


def _crypto(part: SampleCrypto) -> str:
    parts = [f"{clear}+{protected}" for clear, protected in part.subsamples[:_SHOWN]]
    more = len(part.subsamples) - _SHOWN
    told = " ".join(parts) + (f" … {more} more" if more > 0 else "")
    return f"{part.key_id} {part.iv.hex()} {told or 'whole'}"
