"""Do these keys decrypt this file? The body of `clearkey keys check`, in this process: the keys are the user's anyway.

Also the diagnosis that playback makes in the worker, here for every KID at once, with a table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from drm.app.sources import component_loader, open_source
from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.dialect import Dialect
from drm.class_ids import AV_DECODER
from drm.component import Decoder, MediaSource
from drm.container import open_container
from drm.errors import DRMError, ExitCode, KeyMissingError, KeyNotJudgedError, MediaError, NothingReachedError
from drm.isobmff.pssh.payload import read_contents
from drm.keys import COMMON_SYSTEM, ContentKey, KeyId
from drm.media import ByteSource, InitBox, Sample, SampleCrypto, StreamDescriptor, TrackType
from drm.session.key_check import KeyOutcome, KeyVerdict, check_keys, place, raise_for_verdict
from player.key_mistakes import explain
from player.media_file import open_stream, shown_name
from player.one_line import echo_line
from player.verbs.keys.track_use import TrackUse, read_uses

__all__ = ["Checked", "KeysDecrypter", "make_decoder", "run", "verdicts"]


_Samples: TypeAlias = Callable[[], Iterator[tuple[Sample, memoryview]]]


class KeysDecrypter:
    """Decrypts with the keys at hand (drm.component.Decrypter)."""

    def __init__(self, keys: Mapping[KeyId, ContentKey], dialects: frozenset[Dialect] = frozenset()) -> None:
        self._ciphers = {key_id: SampleDecrypter(key, dialects=dialects) for key_id, key in keys.items()}

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample. Raises KeyMissingError."""
        decrypt_sample(source, crypto, target, self._cipher)

    def _cipher(self, key_id: KeyId) -> SampleDecrypter:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyMissingError(f"no key for KID {key_id}", kids=(str(key_id),))
        return cipher


def verdicts(paths: Sequence[str], keys: Mapping[KeyId, ContentKey]) -> Checked:
    """Check the key of each KID that a sample uses. Raises MediaError when nothing can be read of the file."""
    with contextlib.closing(open_stream(list(paths))) as stream:
        source = open_source(stream)
        uses = [(descriptor, *read_uses(source, descriptor)) for descriptor in _readable(stream, source)]
        found = [verdict for descriptor, used, _ in uses for verdict in _track_verdicts(source, descriptor, used, keys)]
        damage = next((damage for _, _, damage in uses if damage is not None), None)
        return Checked(found, sum(used.samples for _, used, _ in uses), damage)


def _readable(stream: ByteSource, source: MediaSource) -> Sequence[StreamDescriptor]:
    """The streams without text and metadata that cannot be read, unless there is nothing else."""
    presentation = open_container(stream)
    streams = [found for found in source.streams() if not presentation.left_out(found.track.track_id)]
    if len(streams) == len(source.streams()):
        return streams
    for warning in presentation.warnings:
        echo_line(f"note: {warning}", err=True)
    return streams or source.streams()


def run(file: str, segments: Sequence[str], keys: Mapping[KeyId, ContentKey]) -> int:
    """Print a line for each KID and return 0, or raise for the first key that is missing, wrong or cannot be judged.

    Raises:
        KeyMissingError: exit 4.
        KeyWrongError: exit 5.
        KeyNotJudgedError, MediaError: exit 3.
    """
    checked = verdicts([file, *segments], keys)
    for verdict in checked.verdicts:
        track = verdict.track
        dialect = f", all of them with --dialect {verdict.dialect}" if verdict.dialect else ""
        echo_line(
            f"track {track.track_id} ({track.type.value} {track.codec}, {track.scheme})  KID {verdict.key_id}  "
            f"{verdict.outcome.value}: {verdict.seen}{dialect}"
        )
    try:
        checked.raise_for_status(shown_name([file]))
    except DRMError as error:
        raise _with_boxes(explain(error, keys), file, segments) from None
    if not any(verdict.outcome is not KeyOutcome.UNUSED for verdict in checked.verdicts):
        echo_line(f"{shown_name([file])}: not encrypted: none of its {checked.samples} samples is")
    return ExitCode.GOOD


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a file came to."""

    verdicts: list[KeyVerdict]  # by track, then by KID
    samples: int  # that were looked at, of all tracks
    damage: MediaError | None  # what ended the look at a track early

    def raise_for_status(self, file: str) -> None:
        """Return only where every key that a sample uses was judged, and none is missing or wrong.

        Raises:
            KeyMissingError, KeyWrongError: as they say.
            KeyNotJudgedError: a key was tried on nothing that tells.
            NothingReachedError: there was no sample to look at.
            MediaError: the file is damaged; behind it may be other keys.
        """
        for verdict in self.verdicts:
            raise_for_verdict(verdict, where=file)
        if self.damage is not None:
            raise self.damage
        if not self.samples:
            raise NothingReachedError.of(file, what="no sample of any track was reached, so no key was tried")
        right = {verdict.key_id for verdict in self.verdicts if verdict.outcome is KeyOutcome.RIGHT}
        for verdict in self.verdicts:
            # Nothing decodes text here, and its key was seen to be right in another track.
            if verdict.key_id in right and verdict.track.type is TrackType.OTHER:
                continue
            if verdict.outcome in {KeyOutcome.NOT_REACHED, KeyOutcome.NOT_DISPROVED}:
                raise _not_judged(verdict, file)


def _not_judged(verdict: KeyVerdict, file: str) -> KeyNotJudgedError:
    silent = verdict.outcome is KeyOutcome.NOT_DISPROVED
    return KeyNotJudgedError(
        f"whether the key of KID {verdict.key_id} is right cannot be told",
        where=place(verdict.track, file),
        seen=verdict.seen,
        maybe="noise would have decoded as well, in so few samples or with this codec"
        if silent
        else "no sample of this key can be decoded by itself, or the key of the samples before it is not right",
        remedy="compare with the clear original: clearkey digest of both",
        kids=(str(verdict.key_id),),
    )


def _with_boxes(error: DRMError, file: str, segments: Sequence[str]) -> DRMError:
    """Return `error`; of a missing key that no Clear Key player would ask for, it says so, and what to do."""
    if not isinstance(error, KeyMissingError) or error.maybe:
        return error
    boxes: Sequence[InitBox] = ()
    with contextlib.suppress(MediaError), contextlib.closing(open_stream([file, *segments])) as stream:
        boxes = open_container(stream).pssh
    for text in error.kids:
        key_id = KeyId.parse(text)
        naming = [box for box in boxes if key_id in {*box.key_ids, *read_contents(box.system_id, box.data).key_ids}]
        if naming and all(box.system_id != COMMON_SYSTEM for box in naming):
            systems = " and ".join(dict.fromkeys(box.system_id.name for box in naming))
            error.maybe = (
                f"of the pssh boxes only {systems}'s names this KID, and players of Clear Key ask for keys by that of "
                f"the common system: clearkey pssh insert {shown_name([file])} -o OUT puts one in"
            )
            break
    return error


def _track_verdicts(
    source: MediaSource, descriptor: StreamDescriptor, used: TrackUse, keys: Mapping[KeyId, ContentKey]
) -> list[KeyVerdict]:
    track = descriptor.track
    named: Iterable[KeyId] = ()
    if descriptor.is_protected:  # the default key too, which may be one that no sample uses
        named = dict.fromkeys((*descriptor.key_ids, *(kid for kid in track.key_ids if any(kid.value))))
    # Of samples that nobody saw, it is not known which keys they use.
    unused = [each for each in named if each not in used.by_key]
    outcome = KeyOutcome.UNUSED if used.is_whole and used.samples else KeyOutcome.NOT_REACHED
    idle = [KeyVerdict(track, key_id, outcome) for key_id in unused]
    if not track.decoder:
        return idle + [KeyVerdict(track, key_id, KeyOutcome.NOT_REACHED) for key_id in used.by_key]
    missing = [KeyVerdict(track, key_id, KeyOutcome.MISSING) for key_id in used.by_key if key_id not in keys]
    found: list[KeyVerdict] = []
    for key_id, use in used.by_key.items():
        if key_id not in keys:
            continue
        if use.start is None:
            is_idle = used.is_whole and not use.protects
            found.append(KeyVerdict(track, key_id, KeyOutcome.UNUSED if is_idle else KeyOutcome.NOT_REACHED))
            continue
        samples = _samples(source, track.track_id, use.start)
        found += check_keys(
            track, [key_id], samples, KeysDecrypter(keys), make_decoder, keys, thorough=True, lead_in=use.has_lead_in
        )
        verdict = found[-1]
        if verdict.failed and verdict.works_with is None:
            verdict.dialect = _dialect(verdict, keys, samples)
            if verdict.dialect:
                verdict.outcome = KeyOutcome.RIGHT
    return missing + found + idle


def _dialect(verdict: KeyVerdict, keys: Mapping[KeyId, ContentKey], samples: _Samples) -> str:
    """The dialect of decryption under which no sample is refused any more, or an empty string."""
    for dialect in Dialect:
        decrypter = KeysDecrypter(keys, frozenset({dialect}))
        (again,) = check_keys(verdict.track, [verdict.key_id], samples, decrypter, make_decoder, thorough=True)
        if again.checked and not again.failed:
            return dialect.value
    return ""


def make_decoder() -> Decoder:
    """A decoder of this process."""
    return cast("Decoder", component_loader().create(AV_DECODER))


def _samples(source: MediaSource, track_id: int, start: int = 0) -> _Samples:
    """The samples from the one of the number `start` on; those before it are passed over without being read."""

    def from_there() -> Iterator[tuple[Sample, memoryview]]:
        source.select([track_id])
        number = -1
        while sample := source.next_sample(track_id):
            number += 1
            if number < start:
                continue
            stored = memoryview(bytearray(sample.size))
            with stored:
                source.read_into(sample, stored)
                yield sample, stored

    return from_there
