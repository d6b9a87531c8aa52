"""Do these keys decrypt this file? The body of `clearkey keys check`, in this process: the keys are the user's anyway.

Also the diagnosis that playback makes in the worker, here for every KID at once, with a table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

import click

from drm.app.byte_stream import FileByteStream
from drm.app.sources import component_loader, open_source
from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.cenc.dialect import Dialect
from drm.class_ids import AV_DECODER
from drm.component import Decoder, MediaSource
from drm.container import open_container
from drm.errors import DRMError, ExitCode, KeyMissingError, MediaError
from drm.isobmff.pssh_payload import read_contents
from drm.keys import COMMON_SYSTEM, ContentKey, KeyId
from drm.media import InitBox, Sample, SampleCrypto, StreamDescriptor
from drm.session.key_check import KeyOutcome, KeyVerdict, check_keys, raise_for_verdict
from player.key_mistakes import explain

__all__ = ["run", "verdicts"]


_Samples: TypeAlias = Callable[[], Iterator[tuple[Sample, memoryview]]]


class _Decrypter:
    """Decrypts with the keys at hand (drm.component.Decrypter)."""

    def __init__(self, keys: Mapping[KeyId, ContentKey], dialects: frozenset[Dialect] = frozenset()) -> None:
        self._ciphers = {key_id: SampleDecrypter(key, dialects=dialects) for key_id, key in keys.items()}

    def decrypt_into(self, source: memoryview, crypto: SampleCrypto, target: memoryview) -> None:
        decrypt_sample(source, crypto, target, self._cipher)

    def _cipher(self, key_id: KeyId) -> SampleDecrypter:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyMissingError(f"no key for KID {key_id}", kids=(str(key_id),))
        return cipher


def verdicts(paths: Sequence[str], keys: Mapping[KeyId, ContentKey]) -> list[KeyVerdict]:
    """Return a verdict for each KID of each protected track. Raises MediaError when the file cannot be read."""
    found: list[KeyVerdict] = []
    with FileByteStream(list(paths)) as stream:
        source = open_source(stream)
        for descriptor in source.streams():
            if descriptor.is_protected:
                found += _track_verdicts(source, descriptor, keys)
    return found


def run(file: str, segments: Sequence[str], keys: Mapping[KeyId, ContentKey]) -> int:
    """Print a line for each KID and return 0, or raise for the first key that is missing or wrong.

    Raises:
        KeyMissingError: exit 4.
        KeyWrongError: exit 5.
        MediaError: exit 3.
    """
    found = verdicts([file, *segments], keys)
    if not found:
        click.echo(f"{file}: not encrypted")
        return ExitCode.GOOD
    for verdict in found:
        track = verdict.track
        dialect = f", all of them with --dialect {verdict.dialect}" if verdict.dialect else ""
        click.echo(
            f"track {track.track_id} ({track.type.value} {track.codec}, {track.scheme})  KID {verdict.key_id}  "
            f"{verdict.outcome.value}: {verdict.seen}{dialect}"
        )
    for verdict in found:
        try:
            raise_for_verdict(verdict, where=file)
        except DRMError as error:
            raise _with_boxes(explain(error, keys), file, segments) from None
    return ExitCode.GOOD


def _with_boxes(error: DRMError, file: str, segments: Sequence[str]) -> DRMError:
    """Return `error`; of a missing key that no Clear Key player would ask for, it says so, and what to do."""
    if not isinstance(error, KeyMissingError) or error.maybe:
        return error
    boxes: Sequence[InitBox] = ()
    with contextlib.suppress(MediaError), FileByteStream([file, *segments]) as stream:
        boxes = open_container(stream).pssh
    for text in error.kids:
        key_id = KeyId.parse(text)
        naming = [box for box in boxes if key_id in {*box.key_ids, *read_contents(box.system_id, box.data).key_ids}]
        if naming and all(box.system_id != COMMON_SYSTEM for box in naming):
            systems = " and ".join(dict.fromkeys(box.system_id.name for box in naming))
            error.maybe = (
                f"of the pssh boxes only {systems}'s names this KID, and players of Clear Key ask for keys by that of "
                f"the common system: clearkey pssh insert {file} -o OUT puts one in"
            )
            break
    return error


def _track_verdicts(
    source: MediaSource, descriptor: StreamDescriptor, keys: Mapping[KeyId, ContentKey]
) -> list[KeyVerdict]:
    track = descriptor.track
    key_ids = _named(source, descriptor)
    if not track.decoder:
        return [KeyVerdict(track, key_id, KeyOutcome.NOT_REACHED) for key_id in key_ids]
    missing = [KeyVerdict(track, key_id, KeyOutcome.MISSING) for key_id in key_ids if key_id not in keys]
    found: list[KeyVerdict] = []
    for key_id in (each for each in key_ids if each in keys):
        samples = _samples(source, track.track_id, key_id)
        found += check_keys(track, [key_id], samples, _Decrypter(keys), _decoder, others=keys, thorough=True)
    for verdict in found:
        if verdict.failed and verdict.works_with is None:
            verdict.dialect = _dialect(verdict, keys, _samples(source, track.track_id, verdict.key_id))
            if verdict.dialect:
                verdict.outcome = KeyOutcome.RIGHT
    return missing + found


def _dialect(verdict: KeyVerdict, keys: Mapping[KeyId, ContentKey], samples: _Samples) -> str:
    """The dialect of decryption under which no sample is refused any more, or an empty string."""
    for dialect in Dialect:
        decrypter = _Decrypter(keys, frozenset({dialect}))
        (again,) = check_keys(verdict.track, [verdict.key_id], samples, decrypter, _decoder, thorough=True)
        if again.checked and not again.failed:
            return dialect.value
    return ""


def _decoder() -> Decoder:
    return cast("Decoder", component_loader().create(AV_DECODER))


def _named(source: MediaSource, descriptor: StreamDescriptor) -> list[KeyId]:
    """Every KID of the track: what the file's head names, and what rotates in anywhere behind it."""
    track = descriptor.track
    named = dict.fromkeys(descriptor.key_ids or track.key_ids)
    source.select([track.track_id])
    with contextlib.suppress(MediaError):  # what stands before the damage is checked all the same
        while sample := source.next_sample(track.track_id):
            if sample.crypto is not None:
                named.update(dict.fromkeys(sample.crypto.key_ids))
    return list(named)


def _samples(source: MediaSource, track_id: int, first: KeyId | None = None) -> _Samples:
    """The samples, from the first one of the KID `first` on; those before it are passed over without being read."""

    def from_the_first() -> Iterator[tuple[Sample, memoryview]]:
        source.select([track_id])
        reached = first is None
        while sample := source.next_sample(track_id):
            reached = reached or (sample.crypto is not None and first in sample.crypto.key_ids)
            if not reached:
                continue
            stored = memoryview(bytearray(sample.size))
            with stored:
                source.read_into(sample, stored)
                yield sample, stored

    return from_the_first
