"""What a packager's engineer should know about a file's encryption, judged from the counts.

A *fault* weakens the protection or keeps players from decoding; *odd* is against the standard or a known source of
trouble on devices; *info* is worth a look. What is odd about the file's structure, its reader says in its warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drm.isobmff.pssh_payload import notes_for_players
from drm.keys import KeyId
from drm.media import InitBox
from player.verbs.inspect.iv_use import IvReuse, IvUse
from player.verbs.inspect.report import Finding, TrackReport, for_people

__all__ = ["findings"]

_NAL: frozenset[str] = frozenset({"avc1", "avc2", "avc3", "avc4", "hvc1", "hev1", "dvh1", "dvhe", "dva1", "dvav"})
_NO_PSSH = "no pssh box: browsers ask for keys by what stands in one, or in the manifest"
_ZEROS = str(KeyId(bytes(16)))


def findings(
    tracks: Sequence[TrackReport], pssh: Sequence[InitBox] | None, iv_use: IvUse, file: str
) -> Iterator[Finding]:
    """Everything found, faults first. `pssh` None: the container has no such boxes. Ends the taking of `iv_use`."""
    found = [*map(_reused, iv_use.reused()), *(each for track in tracks for each in _of_track(track))]
    if not iv_use.is_complete:
        found.append(Finding("info", "iv-check-partial", "too many separate IVs: not all were compared"))
    used = [KeyId.parse(kid.hex) for track in tracks for kid in track.kids if kid.samples]
    if pssh is not None and not pssh and used:
        found.append(Finding("info", "no-pssh", _NO_PSSH))
    found += [Finding("info", "pssh", for_people(note, 2000)) for note in notes_for_players(pssh or (), used, file)]
    levels = ("fault", "odd", "info")
    yield from sorted(found, key=lambda each: levels.index(each.level))


def _reused(reuse: IvReuse) -> Finding:
    (one, first), (other, second) = reuse.first, reuse.second
    where = f"samples {first} and {second}" if one == other else f"sample {first} and sample {second} of track {other}"
    more = f", and {reuse.more} more" if reuse.more else ""
    return Finding(
        "fault",
        "iv-reused",
        f"{where}{more} use the same AES-CTR key stream (IVs repeat under KID {reuse.key_id}): "
        "their contents can be compared without the key; package again with IVs that never repeat",
        one,
    )


def _of_track(track: TrackReport) -> Iterator[Finding]:
    def odd(code: str, text: str) -> Finding:
        return Finding("odd", code, text, track.track_id)

    if track.error is not None:
        yield Finding("fault", "damaged", f"cannot be read to its end: {track.error['what']}", track.track_id)
    elif track.scheme and track.samples and not track.samples_encrypted:
        text = f"marked as encrypted, but not one of its {track.samples} samples is"
        yield Finding("info", "nothing-encrypted", text, track.track_id)
    if not track.samples_encrypted:
        return
    if any(kid.uuid == _ZEROS and kid.samples for kid in track.kids):
        yield odd("kid-of-zeros", f"samples are under KID {_ZEROS}, which many players take for no key at all")
    schemes = {each.scheme for each in track.patterns}
    if "cbcs" in schemes and track.ivs.own:
        yield odd("cbcs-own-ivs", "cbcs with an IV in each sample: devices expect one constant IV")
    if track.ivs.own_repeated and schemes & {"cbc1", "cbcs"}:
        text = f"{track.ivs.own_repeated} samples carry one and the same IV each: contents that begin alike show"
        yield odd("own-ivs-repeated", text)
    if track.type == "video" and track.codec in _NAL and track.subsamples.whole_samples:
        count = track.subsamples.whole_samples
        text = f"{count} samples are protected whole, NAL headers too: hardware decoders cannot find the slices"
        yield odd("headers-encrypted", text)
    if track.subsamples.unaligned_samples:
        count = track.subsamples.unaligned_samples
        text = f"{count} samples have protected ranges that are no multiple of 16 bytes: some devices refuse them"
        yield odd("unaligned", text)
    empty = track.samples_encrypted and not track.bytes_encrypted
    if empty:
        yield odd("nothing-protected", "samples are marked as encrypted, and not one byte of them is")
