"""The encryption data of one track fragment: found in `senc`, or where `saiz` and `saio` point to.

Offsets in `saio` count from the fragment's base, and writers disagree about which that is (ISO/IEC 14496-12, clause
8.7.9). A `senc` in the same fragment is therefore believed before an offset; without one each base is tried, and the
first under which all entries make sense is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from msgspec.structs import replace

from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.isobmff.multi_key import MultiKeyProtection
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.isobmff.sample_crypto import Cryptos, PackedEntries, Rules, crypto_from_aux, crypto_without_aux, fail
from drm.isobmff.tracks import EncryptionBoxes, Warn
from drm.media import ByteSource, Protection, SampleCrypto, Scheme

__all__ = ["FragmentPlace", "aux_sizes", "check_version", "fragment_crypto", "from_senc"]


@dataclass(frozen=True, slots=True)
class FragmentPlace:
    """Where a track fragment is."""

    moof: int  # absolute offset
    base_data_offset: int | None
    run_lengths: Sequence[int]  # samples in each run
    text: str  # for error messages
    before: int = 0  # samples of the track in the fragments before it


def fragment_crypto(
    source: ByteSource, boxes: EncryptionBoxes, sizes: Sequence[int], rules: Rules, place: FragmentPlace, warn: Warn
) -> Cryptos:
    """Say for each sample of the fragment how it is encrypted. Raises MediaError."""
    if rules.count(None) == len(rules):
        return [None] * len(rules)
    if boxes.senc is not None:
        if boxes.senc.sample_count > len(rules) and (boxes.senc.is_piff or not boxes.senc.version):
            return _without_surplus(source, boxes, boxes.senc, sizes, rules, place, warn)
        return from_senc(boxes.senc, sizes, rules, place.text)
    if boxes.saiz is not None and boxes.saio is not None and boxes.saiz.sample_count:
        return _from_saio(source, boxes.saiz, boxes.saio, sizes, rules, place)
    return crypto_without_aux(rules, place.text)


def from_senc(senc: Senc, sizes: Sequence[int], rules: Rules, place: str) -> Cryptos:
    """Open a whole `senc`. It may speak of all samples, or of the protected ones alone.

    Raises:
        MalformedMediaError: under none of these readings do its entries fit.
        UnsupportedMediaError: a version that we do not know.
    """
    check_version(senc, rules, place)
    rules = _overridden(senc, rules)
    try:
        return _by_count(senc, sizes, rules, place)
    except MalformedMediaError as error:
        error.maybe = _fitting_iv_size(senc, sizes, rules, place) or error.maybe
        raise


def _by_count(senc: Senc, sizes: Sequence[int], rules: Rules, place: str) -> Cryptos:
    count, samples = senc.sample_count, len(rules)
    protected = [rule for rule in rules if rule is not None]
    if not protected:
        return [None] * samples
    if senc.version and not senc.is_piff:
        if count not in {samples, len(protected)}:
            fail(place, "senc does not match the samples", f"{count} entries, {samples} samples")
        return _opened(senc, sizes, rules, None, place)  # a clear sample has no bytes in this version
    if senc.payload == b"" and not any(rule.iv_size for rule in protected):
        return crypto_without_aux(rules, place)
    if count == samples:
        if len(protected) == samples:
            return _opened(senc, sizes, rules, 0, place)
        try:
            return _opened(senc, sizes, rules, 0, place)
        except MalformedMediaError:
            # Some writers give unprotected samples an entry of the usual shape.
            return _opened(senc, sizes, rules, protected[0].iv_size, place)
    if count != len(protected):
        seen = f"{count} entries, {samples} samples, {len(protected)} protected"
        fail(place, "senc does not match the samples", seen)
    return _opened(senc, sizes, rules, None, place)


def _fitting_iv_size(senc: Senc, sizes: Sequence[int], rules: Rules, place: str) -> str:
    """Another IV size under which every entry fits its sample, in words; empty when there is none."""
    first = rules[0]
    if type(first) is not Protection or rules.count(first) != len(rules) or senc.sample_count != len(rules):
        return ""
    for size in (8, 16, 0):
        if size == first.iv_size or (size == 0 and not first.constant_iv):
            continue
        with contextlib.suppress(MalformedMediaError):
            _exactly(_opened(senc, sizes, [replace(first, iv_size=size)] * len(rules), 0, place), sizes, place)
            return f"tenc, or the sample group, says IVs of {first.iv_size} bytes, and the IVs in senc have {size}"
    return ""


def _exactly(cryptos: Cryptos, sizes: Sequence[int], place: str) -> Cryptos:
    """Return them. Raises MalformedMediaError unless the subsamples of each make up its sample."""
    for crypto, size in zip(cryptos, sizes, strict=True):
        if crypto and crypto.subsamples and sum(map(sum, crypto.subsamples)) != size:
            fail(place, "subsamples do not make up their sample")
    return cryptos


# ------------------------------------------------------------------------------------------------ too many entries
def _without_surplus(
    source: ByteSource,
    boxes: EncryptionBoxes,
    senc: Senc,
    sizes: Sequence[int],
    rules: Rules,
    place: FragmentPlace,
    warn: Warn,
) -> Cryptos:
    """Take from a `senc` of too many entries those that belong to the samples: the first or the last of them.

    What `saiz` and `saio` name decides, and without them which entries fit their samples exactly. Where all do, as many
    too many as the fragments before have samples are their entries: FFmpeg 8.1 carries them along, in `saiz` too.

    Raises:
        MalformedMediaError: neither reading fits, or nothing tells which one is right.
    """
    check_version(senc, rules, place.text)
    rules = _overridden(senc, rules)
    iv_size = next((rule.iv_size for rule in rules if rule is not None), None)
    if iv_size is None:
        return [None] * len(rules)
    surplus = senc.sample_count - len(rules)
    readings: dict[str, Cryptos] = {}
    for name, before, behind in (("last", surplus, 0), ("first", 0, surplus)):
        with contextlib.suppress(MalformedMediaError):
            found = _opened(senc, sizes, rules, 0, place.text, before=before, behind=behind, iv_size=iv_size)
            readings[name] = _exactly(found, sizes, place.text)
    named = _named_by_saiz(source, boxes, sizes, rules, place)
    if named is not None:
        readings = {name: found for name, found in readings.items() if list(found) == list(named)}
    elif len(readings) == 2 and surplus == place.before:
        del readings["first"]
    if not readings or (len(readings) == 2 and list(readings["first"]) != list(readings["last"])):
        raise MalformedMediaError(
            f"senc has too many entries, and {'nothing tells which ones are' if readings else 'none fit'} the samples'",
            where=place.text,
            seen=f"{senc.sample_count} entries, {len(rules)} samples",
            maybe="entries of other fragments, which FFmpeg 8.1 carries along, or a packager's mistake",
            remedy="give all segments, from the first one on, or package the file again",
        )
    name = next(iter(readings))
    warn(f"senc has too many entries: the {name} ones are used, one for each sample")
    return readings[name]


def _named_by_saiz(
    source: ByteSource, boxes: EncryptionBoxes, sizes: Sequence[int], rules: Rules, place: FragmentPlace
) -> Cryptos | None:
    """What `saiz` and `saio` say about the samples; None where they are not there, or count as senc does."""
    if boxes.saiz is None or boxes.saio is None or boxes.saiz.sample_count != len(rules):
        return None
    with contextlib.suppress(MediaError):
        return _from_saio(source, boxes.saiz, boxes.saio, sizes, rules, place)
    return None


def check_version(senc: Senc, rules: Rules, place: str) -> None:
    """Version 1 is for samples of several keys, and no other is: `senc` and the groups must agree.

    Raises:
        MalformedMediaError: they do not.
        UnsupportedMediaError: a version that we do not know.
    """
    if senc.version > 1 and not senc.is_piff:
        raise UnsupportedMediaError(
            f"a senc box of version {senc.version}",
            where=place,
            remedy="package the file again with a senc box of version 0",
        )
    several = senc.version == 1 and not senc.is_piff
    if any(rule is not None and isinstance(rule, MultiKeyProtection) is not several for rule in rules):
        told = "several keys for each sample, and their group one" if several else "one key, and their group several"
        fail(place, f"senc names {told}")


def _opened(
    senc: Senc,
    sizes: Sequence[int],
    rules: Rules,
    clear_iv_size: int | None,
    place: str,
    *,
    before: int = 0,
    behind: int = 0,
    iv_size: int = 0,
) -> Cryptos:
    """Open the entries of these samples, with so many of others `before` and `behind`; nothing may be left."""
    entries = PackedEntries(senc, clear_iv_size=clear_iv_size, place=place)
    entries.skip(before, iv_size)
    cryptos = entries.take(sizes, rules)
    entries.skip(behind, iv_size)
    if entries.remaining:
        fail(place, "senc is longer than its entries", f"{entries.remaining} bytes too many")
    return cryptos


def _overridden(senc: Senc, rules: Rules) -> Rules:
    """PIFF's flag 1: algorithm, IV size and key of this fragment alone."""
    if senc.override is None:
        return rules
    algorithm, iv_size, key_id = senc.override
    if algorithm == 0:
        return [None] * len(rules)
    own = Protection(Scheme.CBC1 if algorithm == 2 else Scheme.CENC, key_id, iv_size)
    return [rule and own for rule in rules]


def aux_sizes(saiz: Saiz, samples: int, place: str) -> Iterator[int]:
    """The size for each sample; those behind the last have none."""
    count = saiz.sample_count
    if count > samples:
        fail(place, "saiz speaks of more samples than there are", f"{count} sizes, {samples} samples")
    told = repeat(saiz.default_size, count) if saiz.default_size else iter(saiz.sizes)
    return chain(told, repeat(0, samples - count))


def _from_saio(
    source: ByteSource, saiz: Saiz, saio: Saio, sizes: Sequence[int], rules: Rules, place: FragmentPlace
) -> Cryptos:
    lengths = bytes(aux_sizes(saiz, len(sizes), place.text))
    if len(saio.offsets) == 1:
        cuts = [(saio.offsets[0], 0, len(sizes))]
    elif len(saio.offsets) == len(place.run_lengths):
        cuts, at = [], 0
        for offset, length in zip(saio.offsets, place.run_lengths, strict=True):
            cuts.append((offset, at, at + length))
            at += length
    else:
        fail(place.text, "saio fits neither the fragment nor its runs", f"{len(saio.offsets)} offsets")
    bases = [place.moof, 0] if place.base_data_offset is None else [place.base_data_offset, place.moof, 0]
    refusal: MediaError | None = None
    for base in dict.fromkeys(bases):
        try:
            cryptos: list[SampleCrypto | None] = []
            for offset, begin, end in cuts:
                wanted = sum(lengths[begin:end])
                data = source.read_at(base + offset, wanted) if base + offset + wanted <= source.size else b""
                if len(data) != wanted:
                    fail(place.text, "saio points outside the file", f"{wanted} bytes at {base + offset}")
                cryptos += crypto_from_aux(data, lengths[begin:end], sizes[begin:end], rules[begin:end], place.text)
        except MediaError as error:
            refusal = refusal or error
        else:
            return cryptos
    assert refusal is not None
    raise refusal
