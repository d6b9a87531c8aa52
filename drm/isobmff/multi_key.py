"""Samples under several keys each, as the edition of 2023 of ISO/IEC 23001-7 writes them.

Such a group (`seig` with its multi-key bit) lists its keys, and each sample says which of them have an IV of its own
and which key protects which bytes:

    u16 count of IVs        u16 key, from 1 in the group's list; IV of that key's size
    u32 count of subsamples u16 key, or 0 for clear bytes alone; u16 clear bytes; u32 protected bytes

What comes out are subsamples by key: to one key, the bytes of the others are clear ones. A key's stream or chain thus
runs on over its own ranges alone, as GPAC has it, who wrote the only files that we know.

No dialect is needed to read them. The bit in `seig` stands there whether the entries come by `senc` or by `saiz` and
`saio`, it was reserved and zero in all editions before, and nothing else can be meant; where `senc` contradicts it, by
its version, the file is refused, whatever was switched on.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from drm.isobmff.reader import Reader
from drm.isobmff.sample_group import SeigKey
from drm.media import KeyPart, Protection, SampleCrypto, Subsample

__all__ = ["MultiKeyProtection", "read_multi_key_entry"]

_SUBSAMPLE: Final = Struct(">HHI")


class MultiKeyProtection(Protection, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How the samples of a group of several keys are protected. `key_id` is the first one's; IVs are by key."""

    keys: tuple[SeigKey, ...] = ()


def read_multi_key_entry(r: Reader, rule: MultiKeyProtection, size: int) -> SampleCrypto | None:
    """Take one sample's entry from `r`; None when no key protects anything of its `size` bytes.

    Raises:
        MalformedMediaError: it ends early, names a key that the group has not, or does not fit the sample.
    """
    ivs = _ivs(r, rule)
    count = r.u32()
    # A copy: an iterator that is left half-way keeps its buffer, and where that is a view, CPython 3.11 and its garbage
    # collector crash when the refusal below is kept in a cycle, as exceptions are.
    rows = _SUBSAMPLE.iter_unpack(r.take(count * _SUBSAMPLE.size))
    ranges: dict[int, list[Subsample]] = {}
    ends: dict[int, int] = {}
    at = 0
    for key, clear, protected in rows:
        start, at = at + clear, at + clear + protected
        if not protected:
            continue
        if not 1 <= key <= len(rule.keys):
            r.fail(f"a subsample is protected by key {key}, and its group has {len(rule.keys)}")
        ranges.setdefault(key, []).append((start - ends.get(key, 0), protected))
        ends[key] = at
    if at > size:
        r.fail("subsamples are longer than their sample", seen=f"{at} bytes in a sample of {size}")
    parts = [_part(r, rule, key, ivs, tuple(subsamples)) for key, subsamples in ranges.items()]
    if not parts:
        return None
    first = parts[0]
    crypt, skip = rule.crypt_blocks, rule.skip_blocks
    return SampleCrypto(first.key_id, rule.scheme, first.iv, first.subsamples, crypt, skip, tuple(parts[1:]))


def _ivs(r: Reader, rule: MultiKeyProtection) -> dict[int, bytes]:
    ivs: dict[int, bytes] = {}
    for _ in range(r.u16()):
        key = r.u16()
        if not 1 <= key <= len(rule.keys) or key in ivs or not rule.keys[key - 1].iv_size:
            r.fail(f"an IV for key {key}, which is none of the {len(rule.keys)} of the group, or has one already")
        ivs[key] = r.take(rule.keys[key - 1].iv_size)
    return ivs


def _part(
    r: Reader, rule: MultiKeyProtection, key: int, ivs: dict[int, bytes], subsamples: tuple[Subsample, ...]
) -> KeyPart:
    told = rule.keys[key - 1]
    iv = ivs.get(key) or told.constant_iv
    if not iv:
        r.fail(f"key {key} of a sample has no IV: neither one of its own nor a constant one")
    return KeyPart(told.key_id, iv, subsamples)
