"""Do these keys decrypt this manifest? Each KID of every rendition of every period, from the first segment that tells.

The body of `clearkey keys check MANIFEST`, in this process: the keys are the user's anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from drm.errors import DRMError, ExitCode, MediaError
from drm.keys import ContentKey, KeyId
from drm.media import Sample, TrackInfo
from drm.session.key_check import KeyOutcome, KeyVerdict, check_keys
from drm.streaming.segment_presentation import SegmentPresentation
from drm.streaming.selection import every_rendition
from player.key_mistakes import explain
from player.manifests.given import ManifestOptions, open_manifest
from player.one_line import echo_line
from player.verbs.keys.check_file import Checked, KeysDecrypter, make_decoder

__all__ = ["run"]


@dataclass(slots=True)
class _OfRendition:
    """What came of one rendition in one period."""

    place: str
    named: tuple[KeyId, ...]  # by the manifest
    verdicts: list[KeyVerdict] = field(default_factory=list)
    samples: int = 0
    damage: MediaError | None = None


def run(name: str, options: ManifestOptions, keys: Mapping[KeyId, ContentKey]) -> int:
    """Print a line for each KID and return 0, or raise for the first key that is missing, wrong or cannot be judged.

    Raises:
        KeyMissingError: exit 4.
        KeyWrongError: exit 5.
        KeyNotJudgedError, MediaError, MediaUnreachableError: exit 3.
    """
    checked: list[_OfRendition] = []
    with open_manifest(name, options) as opener:
        for period in opener.periods(every_rendition):
            for feed in period.feeds:
                rendition = feed.chosen.rendition
                found = _OfRendition(f"period {period.name}, rendition {rendition.name}", rendition.key_ids)
                checked.append(found)
                presentation, ahead = opener.read(replace(period, feeds=(feed,)), everything=True)
                try:
                    for track in presentation.tracks:
                        _check_track(presentation, track, keys, found)
                finally:
                    for stream in ahead:
                        stream.close()
                _tell(found)
        shown = opener.name
        for each in opener.presentation().passed_over:
            echo_line(f"note: passed over: {each}", err=True)
    for found in checked:
        try:
            Checked(found.verdicts, found.samples, found.damage).raise_for_status(f"{shown}, {found.place}")
        except DRMError as error:
            raise explain(error, keys) from None
    if not any(found.verdicts for found in checked):
        echo_line(f"{shown}: not encrypted: none of its {sum(found.samples for found in checked)} samples is")
    return ExitCode.GOOD


def _tell(found: _OfRendition) -> None:
    for verdict in found.verdicts:
        track = verdict.track
        echo_line(
            f"{found.place} ({track.type.value} {track.codec}, {track.scheme})  KID {verdict.key_id}  "
            f"{verdict.outcome.value}: {verdict.seen}"
        )
    used = {verdict.key_id for verdict in found.verdicts}
    if used and found.named and not used & set(found.named):
        named = ", ".join(map(str, found.named[:4]))
        echo_line(f"note: {found.place}: the manifest names KID {named}, and its samples use none of these", err=True)
    if not used and found.named and found.damage is None:
        echo_line(f"note: {found.place}: the manifest names key ids, and no sample is encrypted", err=True)


def _check_track(
    presentation: SegmentPresentation, track: TrackInfo, keys: Mapping[KeyId, ContentKey], found: _OfRendition
) -> None:
    """Go through the segments; of each KID the first one that tells something of it decides."""
    judged: dict[KeyId, KeyVerdict] = {}
    try:
        for index in range(presentation.segments_of(track.track_id)):
            open_here: dict[KeyId, None] = {}
            for sample in presentation.segment_samples(track.track_id, index):
                found.samples += 1
                for kid in sample.crypto.key_ids if sample.crypto is not None else ():
                    if kid not in judged or judged[kid].outcome is KeyOutcome.NOT_REACHED:
                        open_here[kid] = None
            for kid in open_here:
                judged[kid] = _judge(presentation, track, index, kid, keys)
    except MediaError as damage:
        found.damage = damage
    found.verdicts += judged.values()


def _judge(
    presentation: SegmentPresentation, track: TrackInfo, index: int, kid: KeyId, keys: Mapping[KeyId, ContentKey]
) -> KeyVerdict:
    if kid not in keys:
        return KeyVerdict(track, kid, KeyOutcome.MISSING)
    if not track.decoder:
        return KeyVerdict(track, kid, KeyOutcome.NOT_REACHED)

    def samples() -> Iterator[tuple[Sample, memoryview]]:
        for sample in presentation.segment_samples(track.track_id, index):
            stored = memoryview(bytearray(sample.size))
            with stored:
                presentation.read_into(sample.offset, stored)
                yield sample, stored

    (verdict,) = check_keys(track, [kid], samples, KeysDecrypter(keys), make_decoder, keys, thorough=True)
    return verdict
