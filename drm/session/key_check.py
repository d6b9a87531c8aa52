"""Is this the right key? Decrypt the first encrypted samples of each KID and decode them strictly.

A wrong key turns media into noise, and decoders say so, most of them at the first sample. It is told apart before a
frame is shown. Some decoders take noise without a word; for those the answer is "not disproved", never "right".
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from drm.component import Decoder, PacketBuffer
from drm.errors import DRMError, KeyMissingError, KeyWrongError, MediaError
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme, TrackInfo
from drm.rights.authorities import DecryptsSamples
from drm.session.noise_check import INSIDE_GROUPS, NOISE_CHECKED, SAMPLES, slices_end_where_they_should

__all__ = [
    "CHECKED_SAMPLES",
    "KeyOutcome",
    "KeyVerdict",
    "check_keys",
    "raise_for_verdict",
    "tells_of",
]

CHECKED_SAMPLES: Final = 72  # encrypted samples of one KID that are decoded at most
_DECODED: Final = 4 * CHECKED_SAMPLES  # samples decoded in all: those without a protected byte say nothing of the key
_LOOK_AHEAD: Final = 5000  # samples of a track that are looked through, so that a long clear lead ends the search

_LONGEST_LEAD_IN: Final = 300  # samples between a sync sample and the first one of a key that are kept in memory

_NEVER: Final = CHECKED_SAMPLES + 1
_ENOUGH: Final = 8  # failures after which nothing more needs to be seen

_HEARD: Final = {
    "aac": 1, "ac3": 1, "alac": 1, "eac3": 1, "flac": 1, "h264": 1, "libdav1d": 2, "mjpeg": 1, "mp3": 1, "mpeg4": 2,
    "opus": 16, "vp8": 1, "vp9": 1, "wmav2": 2,
}  # fmt: skip
"""Decoders that object to noise, and how many samples must decode before a key is believed.

Of a hundred wrong keys, each of these noticed every one. What is not listed takes noise without a word (MPEG-1 and
MPEG-2 video, WMA 1, PCM), now and then (HEVC), or was not measured; its silence proves nothing, unless
`drm.session.noise_check` looks closer. docs/explanation/key-check.md has the rates.
"""

_CLEAN: Final = {"aac": 2, "ac3": 2, "h264": 2, "opus": 10, "vp8": 2, "vp9": 8, "wmav2": 4}
"""How many samples that decode, from the first on and all of them, tell that a key is right.

Twice the place of the first sample that these decoders ever refused under one of a hundred wrong keys. Playback does
not wait for more: in a picture of 1080p each one takes as long as it takes to decode.
"""


class KeyOutcome(enum.StrEnum):
    """What the check found out about one key."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_DISPROVED = "not disproved"
    MISSING = "missing"
    NOT_REACHED = "not reached"  # no encrypted sample of this KID among those looked through
    UNUSED = "not used"  # the media names it, and all samples were seen to be under other keys, or clear


_OF_SLICES: Final = {True: KeyOutcome.RIGHT, False: KeyOutcome.WRONG, None: KeyOutcome.NOT_DISPROVED}


@dataclass(slots=True)
class KeyVerdict:
    """The answer for one KID of one track."""

    track: TrackInfo
    key_id: KeyId
    outcome: KeyOutcome
    checked: int = 0  # samples decoded of which the key protects some bytes
    failed: int = 0  # of these, how many the decoder refused
    works_with: KeyId | None = None  # another KID whose key does decrypt these samples
    companions: tuple[KeyId, ...] = ()  # keys that its samples need as well: a failure may be theirs
    is_noise: bool = False  # the decoder took what was no coded media: `noise_check` says so
    dialect: str = ""  # the reading of Common Encryption under which every sample decodes

    @property
    def is_doubtful(self) -> bool:
        """A right key under which some samples do not decode: damaged media, or another dialect."""
        return self.outcome is KeyOutcome.RIGHT and self.failed > 0

    @property
    def seen(self) -> str:
        """What was seen, in words."""
        if self.outcome is KeyOutcome.MISSING:
            return "no key was given for it"
        if self.outcome is KeyOutcome.UNUSED:
            return "no sample is encrypted under it"
        if not self.checked:
            return "no encrypted sample of it was decoded"
        if self.is_noise:
            return "what it decrypts to decodes, and is noise: its slices do not end where they should"
        return f"{self.checked - self.failed} of {self.checked} encrypted samples decode with it"


def check_keys(
    track: TrackInfo,
    key_ids: Iterable[KeyId],
    samples: Callable[[], Iterator[tuple[Sample, memoryview]]],
    decrypter: DecryptsSamples,
    make_decoder: Callable[[], Decoder],
    others: Iterable[KeyId] = (),
    *,
    thorough: bool = False,
    lead_in: bool = False,
    beside: Callable[[PacketBuffer, Sample], None] | None = None,
) -> list[KeyVerdict]:
    """Check the key of each of `key_ids` on one track.

    `samples()` begins the track anew. `others` are KIDs whose keys are held too: when a key is wrong, they are
    tried, since swapped keys are the commonest mistake. `thorough`: look on when the first samples have said enough,
    for damage and for another dialect of encryption. `lead_in`: `samples()` begins with a sync sample under other keys,
    from which the decoder has to come to the first one of this key. `beside` is given each clear sample of the first
    key before it is decoded here.

    Raises:
        MediaError: the samples themselves cannot be read.
    """
    verdicts = []
    for key_id in key_ids:
        enough = CHECKED_SAMPLES if thorough else _CLEAN.get(track.decoder, CHECKED_SAMPLES)
        verdict = _try_key(track, key_id, key_id, samples, decrypter, make_decoder, enough, beside, lead_in=lead_in)
        beside = None
        if verdict.outcome is KeyOutcome.WRONG:
            for other in others:
                if other == key_id:
                    continue
                swapped = _try_key(
                    track, key_id, other, samples, decrypter, make_decoder, CHECKED_SAMPLES, lead_in=lead_in
                )
                if swapped.outcome is KeyOutcome.RIGHT:
                    verdict.works_with = other
                    break
        verdicts.append(verdict)
    return verdicts


def _try_key(
    track: TrackInfo,
    wanted: KeyId,
    used: KeyId,
    samples: Callable[[], Iterator[tuple[Sample, memoryview]]],
    decrypter: DecryptsSamples,
    make_decoder: Callable[[], Decoder],
    enough: int,
    beside: Callable[[PacketBuffer, Sample], None] | None = None,
    *,
    lead_in: bool = False,
) -> KeyVerdict:
    verdict = KeyVerdict(track, wanted, KeyOutcome.NOT_REACHED)
    decoder = make_decoder()
    decoder.open(track, strict=True)
    first_failed, decoded, led = False, 0, 0
    kept: list[tuple[Sample, bytes]] = []
    looks_closer = track.decoder in (INSIDE_GROUPS if lead_in else NOISE_CHECKED)
    with contextlib.closing(samples()) as stream:  # type: ignore[type-var]  # every caller passes a generator
        for sample, stored in _from_first_encrypted(stream, wanted, lead_in=lead_in):
            is_mine = sample.crypto is not None and wanted in sample.crypto.key_ids
            if not is_mine:  # of the lead-in
                led += 1
                try:
                    keep = kept if looks_closer and led <= _LONGEST_LEAD_IN else None
                    leads = _decodes(decoder, decrypter, sample, stored, sample.crypto, keep, None)
                except KeyMissingError:
                    leads = False
                if not leads:
                    return verdict  # the decoder does not get to where this key begins: whose fault, nobody can tell
                continue
            assert sample.crypto is not None
            verdict.companions = verdict.companions or tuple(kid for kid in sample.crypto.key_ids if kid != wanted)
            try:
                keep = kept if looks_closer and led <= _LONGEST_LEAD_IN and len(kept) < led + SAMPLES else None
                crypto = _with_key(sample.crypto, wanted, used)
                failed = not _decodes(decoder, decrypter, sample, stored, crypto, keep, beside)
            except KeyMissingError as missing:
                # Of samples of several keys, another one's absence says nothing about this one.
                verdict.outcome = KeyOutcome.MISSING if str(used) in missing.kids else KeyOutcome.NOT_REACHED
                return verdict
            decoded += 1
            if failed or tells_of(sample, wanted):
                verdict.checked += 1
                verdict.failed += failed
                first_failed |= failed and verdict.checked == 1
            # A decoder that lost its way does not find it again before the next sync sample: no need to go on.
            if verdict.checked >= CHECKED_SAMPLES or verdict.failed >= _ENOUGH or decoded >= _DECODED:
                break
            if verdict.checked >= enough and not verdict.failed:
                break
        else:
            verdict.failed += not _drains(decoder)
    if verdict.checked:
        verdict.outcome = _judge(track, verdict, first_failed=first_failed)
    if lead_in and verdict.outcome is KeyOutcome.RIGHT:
        verdict.outcome = KeyOutcome.NOT_DISPROVED  # what decoders notice was measured from sync samples on
    if verdict.outcome is KeyOutcome.NOT_DISPROVED and kept:
        found = slices_end_where_they_should(track, kept, make_decoder, led)
        verdict.is_noise = found is False
        verdict.outcome = _OF_SLICES[found]
    return verdict


def _judge(track: TrackInfo, verdict: KeyVerdict, *, first_failed: bool) -> KeyOutcome:
    # A few refusals in the middle are damaged media; the first sample, or one in five of them, is the key.
    if first_failed or verdict.failed >= _ENOUGH or verdict.failed * 5 >= verdict.checked:
        return KeyOutcome.WRONG
    return KeyOutcome.RIGHT if verdict.checked >= _HEARD.get(track.decoder, _NEVER) else KeyOutcome.NOT_DISPROVED


def _from_first_encrypted(
    stream: Iterator[tuple[Sample, memoryview]], wanted: KeyId, *, lead_in: bool
) -> Iterator[tuple[Sample, memoryview]]:
    started, leading = False, lead_in
    for index, (sample, stored) in enumerate(stream):
        mine = sample.crypto is not None and wanted in sample.crypto.key_ids
        leading = leading and not mine
        # A clear lead may be told by subsamples alone: from a sample without a protected byte nothing is learnt.
        started = started or (lead_in and sample.is_sync) or (mine and sample.is_sync and tells_of(sample, wanted))
        if started and not mine and not leading:
            return
        if started:
            yield sample, stored
        elif index >= _LOOK_AHEAD:
            return


def tells_of(sample: Sample, key_id: KeyId) -> bool:
    """Whether any byte of the sample is protected by this key, so that decoding it says something of the key."""
    if sample.crypto is None:
        return False
    for part in sample.crypto.parts():
        unit = 1 if part.scheme is Scheme.CENC else 16  # the others protect whole blocks
        if part.key_id == key_id and (
            any(protected >= unit for _clear, protected in part.subsamples) if part.subsamples else sample.size >= unit
        ):
            return True
    return False


def _with_key(crypto: SampleCrypto, wanted: KeyId, used: KeyId) -> SampleCrypto:
    """The same with the key `used` in the place of `wanted`."""
    if used == wanted:
        return crypto
    swap = {wanted: used}
    others = tuple(msgspec.structs.replace(part, key_id=swap.get(part.key_id, part.key_id)) for part in crypto.others)
    return msgspec.structs.replace(crypto, key_id=swap.get(crypto.key_id, crypto.key_id), others=others)


def _decodes(
    decoder: Decoder,
    decrypter: DecryptsSamples,
    sample: Sample,
    stored: memoryview,
    crypto: SampleCrypto | None,
    kept: list[tuple[Sample, bytes]] | None,
    beside: Callable[[PacketBuffer, Sample], None] | None,
) -> bool:
    buffer = decoder.buffer(sample.size)
    with buffer.view() as target:
        if crypto is None:
            target[: sample.size] = stored[: sample.size]
        else:
            decrypter.decrypt_into(stored, crypto, target[: sample.size])
        if kept is not None:
            kept.append((sample, bytes(target[: sample.size])))
    if beside is not None:
        beside(buffer, sample)
    try:
        decoder.decode(buffer, sample)
    except MediaError:
        return False
    return True


def _drains(decoder: Decoder) -> bool:
    try:
        decoder.drain()
    except MediaError:
        return False
    return True


def raise_for_verdict(verdict: KeyVerdict, *, where: str = "") -> None:
    """Raise for a key that is missing or wrong; return for one that is right or not disproved."""
    if verdict.outcome is KeyOutcome.MISSING:
        raise missing_key(verdict.track, verdict.key_id, where=where)
    if verdict.outcome is not KeyOutcome.WRONG:
        return
    maybe = ""
    if verdict.failed * 2 < verdict.checked:
        maybe = "most samples decode, so the file may be damaged, or in another dialect, which `keys check` names"
    if verdict.companions:
        named = ", ".join(map(str, verdict.companions))
        maybe = f"its samples need several keys, and no decoder can tell which is wrong: this one, or that of {named}"
    if verdict.works_with is not None:
        maybe = f"keys are swapped: the key given for {verdict.works_with} does decrypt it"
    raise KeyWrongError(
        f"wrong key for KID {verdict.key_id}",
        where=place(verdict.track, where),
        seen=verdict.seen,
        maybe=maybe or "the key belongs to another KID, or KID and key were mixed up where the key was made",
        remedy="clearkey keys check FILE --keys-file KEYS",
        kids=(str(verdict.key_id), *map(str, verdict.companions)),
    )


def missing_key(track: TrackInfo, key_id: KeyId, *, where: str = "") -> DRMError:
    """The error for a KID without a key."""
    return KeyMissingError(
        f"no key for KID {key_id}",
        where=place(track, where),
        seen="the media names this KID, and no key given or licensed has it",
        remedy=f"--key {key_id}:KEY, or a license server that knows this KID (--license-url URL)",
        kids=(str(key_id),),
    )


def place(track: TrackInfo, where: str = "") -> str:
    """Name a track for a person."""
    scheme = f", scheme {track.scheme}" if track.scheme else ""
    text = f"track {track.track_id} ({track.type.value} {track.codec}{scheme})"
    return f"{where}, {text}" if where else text
