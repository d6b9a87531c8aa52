"""Sample descriptions: the codec, its configuration and its protection, one entry for each kind of sample in a track.

ISO/IEC 14496-12, clause 8.5.2 (`stsd`) and 12.1.3, 12.2.3 (the entries); ISO/IEC 23001-7, clause 4 (`encv`, `enca`).
"""

from __future__ import annotations

import contextlib
from typing import ClassVar, Final

import msgspec

from drm.errors import MalformedMediaError
from drm.isobmff.protection import PiffTenc, Sinf, Tenc
from drm.isobmff.reader import Reader, printable
from drm.media import Protection, Scheme, TrackType

__all__ = ["FIELDS_OF_TEXT", "FOREIGN_SCHEMES", "SampleEntry", "encrypted_fields", "parse_stsd"]

MAX_ENTRIES: Final = 1024
_PIFF_SCHEMES: Final = {0: Scheme.CENC, 1: Scheme.CENC, 2: Scheme.CBC1}  # 0: not encrypted
FOREIGN_SCHEMES: Final = {
    "iAEC": "ISMACryp", "iKMS": "ISMACryp", "iSFM": "ISMACryp", "iSLT": "ISMACryp",
    "adkm": "Adobe Access", "adaf": "Adobe Access", "itun": "Apple FairPlay of iTunes", "odkm": "OMA DRM 2",
    "ACBC": "Marlin", "ACGK": "Marlin",
}  # fmt: skip
"""Protection of others, by the scheme that `schm` names or by a box in `schi`; refused by name."""
_ENCRYPTED: Final = frozenset({"encv", "enca", "enct", "encs", "encm", "encu"})
FIELDS_OF_TEXT: Final = {
    "stpp": (0, 3), "metx": (0, 3),  # namespace, schema location, types; encoding, namespace, schema location
    "sbtt": (0, 2), "stxt": (0, 2), "mett": (0, 2),  # encoding, format
    "tx3g": (30, 0),
    "wvtt": (0, 0), "urim": (0, 0), "mp4s": (0, 0), "c608": (0, 0), "c708": (0, 0),
}  # fmt: skip
"""Fields before the boxes of a text or metadata entry, by its format: bytes, then strings that end with a zero.

ISO/IEC 14496-12, clauses 12.3.3, 12.5.3 and 12.6.3; ISO/IEC 14496-30, 7.5 (`wvtt`); 3GPP TS 26.245, 5.16 (`tx3g`). An
encrypted entry has the fields of the one that its `frma` names (14496-12, clause 8.12.1).
"""


class SampleEntry(msgspec.Struct, frozen=True):
    """One entry of `stsd`, of any kind; the boxes that configure its codec stay packed for `drm.isobmff.codec`."""

    TYPE: ClassVar[str] = "stsd"

    format: str  # as it stands: "encv"
    codec: str  # as it was before encryption: "avc1"
    width: int = 0  # pixels
    height: int = 0
    channels: int = 0
    sample_rate: int = 0  # hertz
    boxes: dict[str, bytes] = msgspec.field(default_factory=dict)  # payloads by type, the first of each
    scheme_type: str = ""  # `schm` as it stands: "cenc", "piff"; empty: not encrypted
    protection: Protection | None = None
    is_clear_by_default: bool = True  # False: `protection` holds for samples that no group says otherwise about
    refusal: str = ""  # why its samples cannot be read, for one that is protected in a way we do not know

    @classmethod
    def parse(cls, r: Reader, track_type: TrackType) -> SampleEntry:
        """Read one entry; which fields it has stands in the track's handler."""
        r.skip(8)  # reserved, data reference index
        width = height = channels = rate = 0
        boxes: dict[str, bytes] = {}
        sinfs: list[Sinf] = []
        if track_type is TrackType.OTHER and r.type not in {"encv", "enca"}:
            return cls._of_text(r) if r.type in _ENCRYPTED else cls(r.type, r.type)
        if track_type is TrackType.VIDEO or r.type == "encv":
            r.skip(16)
            width, height = r.u16(), r.u16()
            r.skip(50)
        else:
            channels, rate = _sound_fields(r)
        _collect(r, boxes, sinfs)
        if r.type not in _ENCRYPTED:
            return cls(r.type, r.type, width, height, channels, rate, boxes)
        codec = sinfs[0].frma.format if sinfs else r.type
        return cls(r.type, codec, width, height, channels, rate, boxes, *_protection(sinfs))

    @classmethod
    def _of_text(cls, r: Reader) -> SampleEntry:
        """Read an encrypted entry of text or metadata: no damage in it keeps anybody from pictures and sound."""
        boxes: dict[str, bytes] = {}
        sinfs: list[Sinf] = []
        size = encrypted_fields(r)
        if size is None:
            return cls(r.type, r.type, refusal="no sinf with frma is found in its sample entry, or it is damaged")
        r.skip(size)
        _collect(r, boxes, sinfs)
        protection = _protection(sinfs)
        return cls(r.type, sinfs[0].frma.format, 0, 0, 0, 0, boxes, *protection)


def encrypted_fields(r: Reader) -> int | None:
    """Bytes before the boxes of an encrypted text or metadata entry, whose reader stands behind its first eight.

    They hang on the format that `frma` names, and that box lies behind them: each form is tried. A format that is not
    known has the form under which its boxes fit. None: there is no such form.
    """
    fitting = None
    for size, strings in dict.fromkeys(FIELDS_OF_TEXT.values()):
        probe = r.copy()
        with contextlib.suppress(MalformedMediaError):
            probe.skip(size)
            for _ in range(strings):
                while probe.u8():
                    pass
            at = probe.offset - r.offset
            sinfs: list[Sinf] = []
            _collect(probe, {}, sinfs)
            if sinfs and FIELDS_OF_TEXT.get(sinfs[0].frma.format) == (size, strings):
                return at
            if sinfs and sinfs[0].frma.format not in FIELDS_OF_TEXT and fitting is None:
                fitting = at
    return fitting


def parse_stsd(r: Reader, track_type: TrackType) -> tuple[SampleEntry, ...]:
    """Read all entries of a `stsd`; samples name them by index, from 1."""
    r.full_box()
    count = r.u32()
    if count > MAX_ENTRIES:
        r.fail(f"{count} sample descriptions, more than {MAX_ENTRIES}")
    return tuple(SampleEntry.parse(r.next_box(), track_type) for _ in range(count))


def _sound_fields(r: Reader) -> tuple[int, int]:
    version = r.u16()
    r.skip(6)
    channels = r.u16()
    r.skip(6)
    rate = r.u32() >> 16
    # QuickTime's versions 1 and 2 have more; ISO's version 1 stands in a stsd of version 1 and has only boxes.
    if version == 1 and not _box_follows(r):
        r.skip(16)
    elif version == 2:
        r.skip(36)
    return channels, rate


def _box_follows(r: Reader) -> bool:
    if r.remaining < 8:
        return True
    peek = r.copy()
    size, name = peek.u32(), peek.fourcc()
    return 8 <= size <= r.remaining and name.isascii() and name.isalnum()


def _collect(r: Reader, boxes: dict[str, bytes], sinfs: list[Sinf]) -> None:
    for box in r.boxes():
        if box.type == Sinf.TYPE:
            sinfs.append(Sinf.parse(box))
        elif box.type == "wave":  # QuickTime keeps esds in here
            _collect(box, boxes, sinfs)
        else:
            boxes.setdefault(box.type, box.rest())


def _protection(sinfs: list[Sinf]) -> tuple[str, Protection | None, bool, str]:
    """The first scheme that we know among several; otherwise a refusal that names those that were found."""
    for sinf in sinfs:
        scheme_type, tenc = sinf.schm.scheme if sinf.schm else "", sinf.tenc
        if isinstance(tenc, Tenc) and scheme_type in set(Scheme):
            pattern = tenc.crypt_blocks, tenc.skip_blocks
            protection = Protection(Scheme(scheme_type), tenc.key_id, tenc.iv_size, tenc.constant_iv, *pattern)
            return scheme_type, protection, not tenc.is_protected, ""
        if isinstance(tenc, PiffTenc) and tenc.algorithm in _PIFF_SCHEMES:
            scheme = _PIFF_SCHEMES[tenc.algorithm]
            return scheme_type, Protection(scheme, tenc.key_id, tenc.iv_size), tenc.algorithm == 0, ""
    found = sorted({printable(s.schm.scheme) for s in sinfs if s.schm})
    for mark in (*found, *sorted({box for s in sinfs for box in s.foreign})):
        if mark in FOREIGN_SCHEMES:
            told = f"it is protected by {FOREIGN_SCHEMES[mark]} ({mark}), which is no Common Encryption"
            return found[0] if found else "", None, True, told
    if not found:
        return (
            "",
            None,
            True,
            "its sample entry is marked as encrypted, and sinf or schm, which name the scheme, are missing",
        )
    if set(found) & set(Scheme):
        return found[0], None, True, f"scheme {found[0]} without the tenc box that names its key"
    return found[0], None, True, f"scheme {', '.join(found)} is none of cenc, cens, cbc1, cbcs and piff"
