"""From a sample entry to FFmpeg's words: the decoder's name, and its configuration as that decoder wants it.

The configuration is what FFmpeg calls extradata: `avcC`, `hvcC` and `av1C` as they stand, AudioSpecificConfig out of
`esds`, STREAMINFO out of `dfLa`, and `dOps` rewritten as the OpusHead that Opus decoders know.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import Final

from drm.isobmff.reader import Reader
from drm.isobmff.sample_entry import SampleEntry

__all__ = ["codec_of", "wave_rates"]

_DECODERS: Final = {
    "avc1": "h264", "avc2": "h264", "avc3": "h264", "avc4": "h264", "dva1": "h264", "dvav": "h264",
    "hvc1": "hevc", "hev1": "hevc", "dvh1": "hevc", "dvhe": "hevc", "vvc1": "vvc", "vvi1": "vvc",
    "av01": "libdav1d", "dav1": "libdav1d", "vp08": "vp8", "vp09": "vp9",
    "ac-3": "ac3", "ec-3": "eac3", "Opus": "opus", "fLaC": "flac", "alac": "alac", ".mp3": "mp3",
    "dtsc": "dca", "dtse": "dca", "dtsh": "dca", "dtsl": "dca", "mjpg": "mjpeg", "jpeg": "mjpeg",
}  # fmt: skip
_CONFIG_BOXES: Final = ("avcC", "hvcC", "vvcC", "av1C", "vpcC")
_OBJECT_TYPES: Final = {  # ISO/IEC 14496-1, table 5
    0x20: "mpeg4", 0x21: "h264", 0x23: "hevc", 0x40: "aac", 0x60: "mpeg2video", 0x61: "mpeg2video", 0x66: "aac",
    0x67: "aac", 0x68: "aac", 0x69: "mp3", 0x6A: "mpeg1video", 0x6B: "mp3", 0x6C: "mjpeg", 0xA5: "ac3", 0xA6: "eac3",
    0xA9: "dca", 0xAD: "opus",
}  # fmt: skip
_WAVE_FORMATS: Final = {0x160: "wmav1", 0x161: "wmav2", 0x162: "wmapro", 0x163: "wmalossless"}
_MAX_BIT_RATE: Final = 1 << 30  # bits per second: keeps a damaged number inside what decoders take
_OPUS_HEAD: Final = Struct(">BBHIhB")
_ES_DESCRIPTOR, _DECODER_CONFIG, _DECODER_SPECIFIC = 3, 4, 5


def codec_of(entry: SampleEntry) -> tuple[str, bytes]:
    """Return the decoder's name and its configuration; an empty name when no decoder is known.

    Raises:
        MalformedMediaError: the codec's own box breaks its format.
    """
    boxes = entry.boxes
    name = _DECODERS.get(entry.codec, "")
    if "esds" in boxes:
        object_type, config = _esds(Reader(boxes["esds"]))
        return _OBJECT_TYPES.get(object_type, name), config
    if "wfex" in boxes:
        return _wave_format(Reader(boxes["wfex"]))
    for box_type in _CONFIG_BOXES:
        if box_type in boxes:
            return name, boxes[box_type]
    if "dOps" in boxes:
        return name, _opus_head(Reader(boxes["dOps"]))
    if "dfLa" in boxes:
        # Version and flags, then FLAC metadata blocks: the first is STREAMINFO with a header of four bytes.
        return name, boxes["dfLa"][8:42]
    if "alac" in boxes:
        return name, pack(">I4s", len(boxes["alac"]) + 8, b"alac") + boxes["alac"]
    return name, b""


def _esds(r: Reader) -> tuple[int, bytes]:
    """Object type and DecoderSpecificInfo (ISO/IEC 14496-1, clause 7.2.6); QuickTime and MPEG write them alike."""
    r.path = "stsd/esds"
    r.full_box()
    tag, body = _descriptor(r)
    if tag == _ES_DESCRIPTOR:
        body.skip(2)
        flags = body.u8()
        body.skip(2 * bool(flags & 0x80))
        if flags & 0x40:
            body.skip(body.u8())
        body.skip(2 * bool(flags & 0x20))
        tag, body = _descriptor(body)
    if tag != _DECODER_CONFIG:
        r.fail(f"esds holds descriptor {tag} where the decoder's configuration (4) belongs")
    object_type = body.u8()
    body.skip(12)
    while body.remaining:
        tag, inner = _descriptor(body)
        if tag == _DECODER_SPECIFIC:
            return object_type, inner.rest()
    return object_type, b""


def _descriptor(r: Reader) -> tuple[int, Reader]:
    tag, size = r.u8(), 0
    for _ in range(4):
        byte = r.u8()
        size = size << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return tag, r.part(size)


def _wave_format(r: Reader) -> tuple[str, bytes]:
    """WAVEFORMATEX, little-endian, as PIFF files carry it; the codec's own bytes follow."""
    r.path = "stsd/wfex"
    tag = int.from_bytes(r.take(2), "little")
    r.skip(14)
    return _WAVE_FORMATS.get(tag, ""), r.take(int.from_bytes(r.take(2), "little"))


def wave_rates(entry: SampleEntry) -> tuple[int, int]:
    """Bit rate and block size in bytes as WAVEFORMATEX tells them; 0 and 0 without it."""
    if "wfex" not in entry.boxes:
        return 0, 0
    r = Reader(entry.boxes["wfex"])
    r.path = "stsd/wfex"
    r.skip(8)
    bytes_per_second, block_align = int.from_bytes(r.take(4), "little"), int.from_bytes(r.take(2), "little")
    return min(8 * bytes_per_second, _MAX_BIT_RATE), block_align


def _opus_head(r: Reader) -> bytes:
    """`dOps` has the fields of OpusHead (RFC 7845, section 5.1) in big-endian order."""
    r.path = "stsd/dOps"
    _version, channels, pre_skip, rate, gain, family = r.unpack(_OPUS_HEAD)
    return b"OpusHead" + pack("<BBHIhB", 1, channels, pre_skip, rate, gain, family) + r.rest()
