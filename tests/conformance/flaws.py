"""Planted flaws: sound files, an edit to their bytes, and the finding that must name it. Each kind at least twice.

Beside each kind stand harmless edits that look like it: whoever is named for one of these is accused falsely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drm.isobmff.box import encode_box
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import WIDEVINE
from drm.isobmff.pssh.widevine import WidevineData
from drm.keys import KeyId
from tests.conformance.edits import (
    Edit,
    appended,
    both,
    box,
    entries,
    field,
    iv,
    moved,
    none_protected,
    one_iv,
    put,
    renamed,
)

__all__ = ["FLAWS", "HARMLESS", "Flaw"]

VIDEO, SOUND, IV16 = "pk_cenc_iv8_v.mp4", "pk_cenc_iv8_a.mp4", "pk_cenc_iv16_v.mp4"
TABLES, CBC1, CBCS, ROTATED = "gp_ctr16_prog_av.mp4", "pk_cbc1_v.mp4", "pk_cbcs_1_9_v.mp4", "pk_cenc_rot_v.mp4"
CENS, TWO_TRACKS, CLEAR = "pk_cens_2_3_v.mp4", "b4_mpeg-cenc_av.mp4", "leftover_boxes/F15.mp4"
ONE, TWO = KeyId.parse("10" * 16), KeyId.parse("20" * 16)
USED = KeyId.parse("10000000100010001000100000000001")


@dataclass(frozen=True)
class Flaw:
    """One edit. `code` is the finding that it must make, or, of a harmless one, must not."""

    code: str
    said: str
    file: str
    edit: Edit

    @property
    def name(self) -> str:
        return f"{self.code}: {self.said}"


def _kid(key_id: KeyId, number: int = 0) -> Edit:
    return field("tenc", 8, key_id.value, number)


def _twice(data: bytes) -> bytes:
    """The file with its last fragment once more: the same samples under the same counters."""
    at = box(data, "moof", -1).start
    return data + data[at:]


def _shifted_copy(data: bytes) -> bytes:
    """The same, with another content in the copy: what a packager does that restarts its counter."""
    at = box(data, "moof", -1).start
    copy = bytearray(data[at:])
    body = box(bytes(copy), "mdat").body
    copy[body + 1000 : body + 1400] = bytes(byte ^ 0x5A for byte in copy[body + 1000 : body + 1400])
    return data + bytes(copy)


def _moov(data: bytes) -> bytes:
    found = box(data, "moov")
    return data[found.start : found.end]


def _repeated(change: Edit) -> Edit:
    """The movie box once more, changed, in front of the last fragment."""

    def edit(data: bytes) -> bytes:
        at = box(data, "moof", -1).start
        return data[:at] + change(_moov(data)) + data[at:]

    return edit


def _senc_of(number: int = 0) -> Edit:
    """A fragment's senc once more, at the end of its track fragment."""

    def edit(data: bytes) -> bytes:
        found = box(data, "senc", number)
        return appended("traf", data[found.start : found.end], number)(data)

    return edit


def _fewer_samples(data: bytes) -> bytes:
    """The first run without its last sample; the boxes of encryption tell of it still."""
    run = box(data, "trun")
    count = int.from_bytes(data[run.body + 4 : run.body + 8], "big")
    return put(data, run.body + 4, (count - 1).to_bytes(4, "big"))


def _too_long(data: bytes) -> bytes:
    at, _, protected = entries(data, 8, 1)[1].pair(data)
    return put(data, at + 2, (protected + 4000).to_bytes(4, "big"))


def _extra_entry(data: bytes) -> bytes:
    """One entry too many in the last senc, which ends its fragment; saiz and saio name the right ones."""
    moof, senc = box(data, "moof", -1), box(data, "senc", -1)
    count = int.from_bytes(data[senc.body + 4 : senc.body + 8], "big")
    entry = data[senc.end - 8 : senc.end]
    data = put(data, senc.body + 4, (count + 1).to_bytes(4, "big"))
    assert senc.end == moof.end, "senc is the last box of the fragment"
    return appended("senc", entry, -1)(data)


def _same_key(data: bytes) -> bytes:
    """Sound under the key of the picture, its first IV that of the picture's first sample."""
    data = _kid(KeyId(data[box(data, "tenc").body + 8 :][:16]), 1)(data)
    first, other = entries(data, 16)[0], entries(data, 16, 1)[0]
    return put(data, other.at, data[first.at : first.at + 16])


def _no_bytes(iv_size: int, count: int) -> Edit:
    return both(*(none_protected(iv_size, number) for number in range(count)))


def _blank(path: str, count: int) -> Edit:
    return both(*(renamed(path, "free") for _ in range(count)))


def _common(*key_ids: KeyId) -> bytes:
    return Pssh.common(*key_ids).encode()


def _widevine(key_id: KeyId) -> bytes:
    return Pssh(WIDEVINE, (), WidevineData((key_id,)).encode(), 0).encode()


def _clear_senc(iv_size: int, number: int = 0) -> Edit:
    """The subsamples of a whole sample: one, from its first byte to its last."""
    return lambda data: moved(iv_size, 2, entries(data, iv_size)[2].pair(data)[1], number=number)(data)


def _flaws() -> Iterator[Flaw]:
    yield Flaw("iv-reused", "the second sample has the first one's IV", VIDEO, iv(8, 1, 0))
    yield Flaw("iv-reused", "an IV of 16 bytes lies among the blocks of another", IV16, iv(16, 5, 0, plus=3))
    yield Flaw("iv-reused", "in tables", TABLES, iv(16, 9, 0, plus=1))
    yield Flaw("iv-reused", "sound under the picture's key and IV", TWO_TRACKS, _same_key)
    yield Flaw("iv-reused", "whole samples", SOUND, iv(8, 7, 3))
    yield Flaw("iv-reused", "cens, by the blocks of its pattern", CENS, iv(8, 1, 0))
    yield Flaw("iv-reused", "a packager that begins its counter again", VIDEO, _shifted_copy)

    yield Flaw("damaged", "cut in its last fragment", VIDEO, lambda data: data[:-700])
    yield Flaw("damaged", "a subsample longer than its sample", VIDEO, _too_long)
    yield Flaw("second-moov", "with another KID", VIDEO, _repeated(_kid(ONE)))
    yield Flaw("second-moov", "with another scheme", CBCS, _repeated(field("schm", 4, b"cenc")))
    yield Flaw("no-mvex", "picture", VIDEO, renamed("moov/mvex", "free"))
    yield Flaw("no-mvex", "sound", SOUND, renamed("moov/mvex", "skip"))
    yield Flaw("outside-mdat", "a run that begins in its own moof", VIDEO, field("trun", 8, (40).to_bytes(4, "big")))
    yield Flaw("outside-mdat", "a chunk that begins in the movie box", TABLES, field("stco", 8, bytes((0, 0, 0, 99))))

    yield Flaw("iv-size", "16 declared, 8 there", VIDEO, field("tenc", 7, b"\x10"))
    yield Flaw("iv-size", "8 declared, 16 there", IV16, field("tenc", 7, b"\x08"))
    yield Flaw("iv-size", "of whole samples", SOUND, field("tenc", 7, b"\x10"))
    yield Flaw("senc-surplus", "a run that lost a sample", SOUND, _fewer_samples)
    yield Flaw("senc-surplus", "an entry at the end", SOUND, _extra_entry)
    yield Flaw("saiz-against-senc", "one size", VIDEO, field("saiz", 9, b"\x1c"))
    yield Flaw("saiz-against-senc", "the size of all", SOUND, field("saiz", 4, b"\x10"))
    yield Flaw("saiz-against-senc", "in tables", TABLES, field("saiz", 4, b"\x20"))
    yield Flaw("saio-beside", "eight bytes on", VIDEO, field("saio", 8, (465).to_bytes(4, "big")))
    yield Flaw("saio-beside", "sound, in the second fragment", SOUND, field("saio", 8, bytes(4), 1))
    yield Flaw("saio-beside", "in tables", TABLES, field("saio", 8, (1700).to_bytes(8, "big")))

    yield Flaw("headers-encrypted", "AVC, the header of the first slice", VIDEO, moved(8, 1, 6))
    yield Flaw("headers-encrypted", "AVC, cbcs, a length", CBCS, moved(0, 1, 9))
    yield Flaw("headers-encrypted", "AVC, a whole picture", VIDEO, _clear_senc(8))
    yield Flaw("headers-encrypted", "HEVC, the second byte of a header", "pk_cbcs_hevc_v.mp4", moved(0, 1, 12))
    yield Flaw("obus-encrypted", "AV1, the header of an OBU", "pk_cenc_av1_v.mp4", moved(8, 1, 24))
    yield Flaw("obus-encrypted", "AV1, a frame's header", "pk_cenc_av1_v.mp4", moved(8, 1, 21))
    yield Flaw("headers-encrypted", "AVC, in tables", TABLES, moved(16, 2, 11))

    yield Flaw("pssh-common-twice", "in the movie box", VIDEO, appended("moov", _common(ONE)))
    yield Flaw("pssh-common-twice", "in a fragment", ROTATED, appended("moof", _common(TWO)))
    yield Flaw("pssh-twice", "two of Widevine", VIDEO, appended("moov", _widevine(ONE) + _widevine(TWO)))
    yield Flaw("pssh-twice", "two equal ones of the common system", SOUND,
               lambda data: appended("moov", _moov(data)[-68:])(data))  # fmt: skip
    yield Flaw("senc-twice", "picture", VIDEO, _senc_of())
    yield Flaw("senc-twice", "sound, in the second fragment", SOUND, _senc_of(1))
    yield Flaw("leftover-boxes", "senc, saiz and saio", CLEAR, lambda data: data)
    yield Flaw("leftover-boxes", "groups of type seig", "leftover_boxes/F15g.mp4", lambda data: data)
    yield Flaw("kid-of-zeros", "by tenc", VIDEO, _kid(KeyId(bytes(16))))
    yield Flaw("kid-of-zeros", "by a group", ROTATED, field("sgpd", 20, bytes(16)))
    yield Flaw("cbcs-own-ivs", "picture", CBC1, field("schm", 4, b"cbcs"))
    yield Flaw("cbcs-own-ivs", "sound", "pk_cbc1_a.mp4", field("schm", 4, b"cbcs"))
    yield Flaw("own-ivs-repeated", "picture", CBC1, one_iv(16, 3))
    yield Flaw("own-ivs-repeated", "sound", "pk_cbc1_a.mp4", one_iv(16, 3))
    yield Flaw("unaligned", "cenc", VIDEO, moved(8, 1, -3))
    yield Flaw("unaligned", "cbc1", CBC1, moved(16, 1, -5))
    yield Flaw("nothing-protected", "cenc", VIDEO, _no_bytes(8, 3))
    yield Flaw("nothing-protected", "cbc1", CBC1, _no_bytes(16, 3))

    yield Flaw("nothing-encrypted", "picture", VIDEO, field("tenc", 6, b"\0"))
    yield Flaw("nothing-encrypted", "sound", SOUND, field("tenc", 6, b"\0"))
    yield Flaw("default-kid-unused", "of a file whose keys rotate", ROTATED, _kid(TWO))
    yield Flaw("default-kid-unused", "of a file whose groups name another", "default_kid_unused/F01.mp4",
               lambda data: data)  # fmt: skip
    yield Flaw("samples-repeated", "the last fragment twice", VIDEO, _twice)
    yield Flaw("samples-repeated", "sound", SOUND, _twice)
    yield Flaw("no-pssh", "picture", VIDEO, renamed("pssh", "free"))
    yield Flaw("no-pssh", "sound", SOUND, renamed("pssh", "free"))
    yield Flaw("pssh-on-clear", "of the common system", CLEAR, appended("moov", _common(ONE)))
    yield Flaw("pssh-on-clear", "of Widevine", CLEAR, appended("moov", _widevine(ONE)))
    yield Flaw("pssh", "the common box names another KID", VIDEO, field("pssh", 40, ONE.value))
    yield Flaw("pssh", "a KID in GUID order", VIDEO, appended("moov", _widevine(USED.byte_reversed)))


def _harmless() -> Iterator[Flaw]:
    free = encode_box("free", bytes(40))
    yield Flaw("iv-reused", "the same IV on a sample without a protected byte", VIDEO,
               both(_all_clear(8, 3), iv(8, 3, 0)))  # fmt: skip
    yield Flaw("iv-reused", "the next IV stands right behind the last block", IV16, _packed_ivs)
    yield Flaw("iv-reused", "IVs of 16 bytes that share their upper half alone", IV16, iv(16, 70 - 69, 0, plus=121))
    yield Flaw("iv-reused", "the same IV under AES-CBC", CBC1, iv(16, 1, 0))
    yield Flaw("iv-reused", "the last fragment twice", VIDEO, _twice)
    yield Flaw("iv-reused", "the same IVs under two keys", TWO_TRACKS, _same_iv)
    yield Flaw("second-moov", "an equal one", VIDEO, _repeated(lambda moov: moov))
    yield Flaw("saio-beside", "another box between", VIDEO, appended("traf", free))
    yield Flaw("saio-beside", "offsets from the file's start", VIDEO, _from_the_start)
    yield Flaw("saio-beside", "to a copy of the entries", VIDEO, _points_to_copy)
    yield Flaw("saiz-against-senc", "of another type", VIDEO, appended("traf", _foreign_saiz()))
    yield Flaw("senc-twice", "PIFF's form beside it", VIDEO, _piff_beside)
    yield Flaw("leftover-boxes", "auxiliary information of another type", CLEAR,
               both(*(renamed(path, "free", 0) for path in ("senc", "senc", "saiz", "saiz", "saio", "saio")),
                    appended("traf", _foreign_saiz())))  # fmt: skip
    yield Flaw("pssh-common-twice", "apart from one another", VIDEO, appended("moov", free + _common(ONE)))
    yield Flaw("pssh-twice", "another system beside it", VIDEO, appended("moov", _widevine(ONE)))
    yield Flaw("pssh-twice", "apart from one another", VIDEO, appended("moov", _widevine(ONE) + free + _widevine(TWO)))
    yield Flaw("headers-encrypted", "the slice's header is protected, and the unit's is not", VIDEO, moved(8, 1, 5))
    yield Flaw("headers-encrypted", "HEVC, behind the second byte of a header", "pk_cbcs_hevc_v.mp4", moved(0, 1, 11))
    yield Flaw("obus-encrypted", "AV1, behind a frame's header", "pk_cenc_av1_v.mp4", moved(8, 1, 19))
    yield Flaw("unaligned", "cbcs", CBCS, moved(0, 1, -3))
    yield Flaw("default-kid-unused", "a placeholder of zeros", ROTATED, lambda data: data)
    yield Flaw("kid-of-zeros", "in tenc, and groups name others", ROTATED, lambda data: data)
    yield Flaw("outside-mdat", "an empty mdat in front", VIDEO, lambda data: data + encode_box("mdat"))


def _all_clear(iv_size: int, entry: int) -> Edit:
    def edit(data: bytes) -> bytes:
        for index in range(entries(data, iv_size)[entry].subsamples):
            protected = entries(data, iv_size)[entry].pair(data, index)[2]
            data = moved(iv_size, entry, -protected, index)(data)
        return data

    return edit


def _packed_ivs(data: bytes) -> bytes:
    """The second sample's IV is the first one that the first sample, of 121 blocks, leaves."""
    return iv(16, 1, 0, plus=121)(data)


def _same_iv(data: bytes) -> bytes:
    first, other = entries(data, 16)[0], entries(data, 16, 1)[0]
    return put(data, other.at, data[first.at : first.at + 16])


def _from_the_start(data: bytes) -> bytes:
    for number in range(3):
        at = box(data, "saio", number).body + 8
        data = put(data, at, (box(data, "senc", number).body + 8).to_bytes(4, "big"))
    return data


def _points_to_copy(data: bytes) -> bytes:
    """The entries once more behind the last box, and the first fragment's saio points there."""
    senc, moof = box(data, "senc"), box(data, "moof")
    offset = len(data) + 8 - moof.start
    copy = encode_box("free", data[senc.body + 8 : senc.end])
    return put(data, box(data, "saio").body + 8, offset.to_bytes(4, "big")) + copy


def _foreign_saiz() -> bytes:
    return encode_box("saiz", b"\0\0\0\1", b"abcd", bytes(4), b"\x09", (3).to_bytes(4, "big"))


def _piff_beside(data: bytes) -> bytes:
    found = box(data, "senc")
    piff = encode_box("uuid", bytes.fromhex("a2394f525a9b4f14a2446c427c648df4"), data[found.body : found.end])
    return appended("traf", piff)(data)


FLAWS = tuple(_flaws())
HARMLESS = tuple(_harmless())
