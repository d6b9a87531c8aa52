"""Element ids of EBML (RFC 8794) and Matroska (RFC 9559) that this package knows, and their names for people.

An id is written with its length marker, as both standards write it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LEVEL_1", "MASTERS", "NAMES", "STREAMED", "id_of", "name_of"]

NAMES: Final[dict[int, str]] = {
    0x1A45DFA3: "EBML", 0x4286: "EBMLVersion", 0x42F7: "EBMLReadVersion", 0x42F2: "EBMLMaxIDLength",
    0x42F3: "EBMLMaxSizeLength", 0x4282: "DocType", 0x4287: "DocTypeVersion", 0x4285: "DocTypeReadVersion",
    0xEC: "Void", 0xBF: "CRC-32",
    0x18538067: "Segment",
    0x114D9B74: "SeekHead", 0x4DBB: "Seek", 0x53AB: "SeekID", 0x53AC: "SeekPosition",
    0x1549A966: "Info", 0x2AD7B1: "TimestampScale", 0x4489: "Duration", 0x4461: "DateUTC", 0x7BA9: "Title",
    0x4D80: "MuxingApp", 0x5741: "WritingApp", 0x73A4: "SegmentUUID",
    0x1654AE6B: "Tracks", 0xAE: "TrackEntry", 0xD7: "TrackNumber", 0x73C5: "TrackUID", 0x83: "TrackType",
    0xB9: "FlagEnabled", 0x88: "FlagDefault", 0x55AA: "FlagForced", 0x9C: "FlagLacing", 0x23E383: "DefaultDuration",
    0x23314F: "TrackTimestampScale", 0x55EE: "MaxBlockAdditionID", 0x536E: "Name", 0x22B59C: "Language",
    0x22B59D: "LanguageBCP47", 0x86: "CodecID", 0x63A2: "CodecPrivate", 0x258688: "CodecName", 0x56AA: "CodecDelay",
    0x56BB: "SeekPreRoll",
    0xE0: "Video", 0x9A: "FlagInterlaced", 0x53B8: "StereoMode", 0x53C0: "AlphaMode", 0xB0: "PixelWidth",
    0xBA: "PixelHeight", 0x54B0: "DisplayWidth", 0x54BA: "DisplayHeight", 0x54B2: "DisplayUnit", 0x55B0: "Colour",
    0xE1: "Audio", 0xB5: "SamplingFrequency", 0x78B5: "OutputSamplingFrequency", 0x9F: "Channels", 0x6264: "BitDepth",
    0x6D80: "ContentEncodings", 0x6240: "ContentEncoding", 0x5031: "ContentEncodingOrder",
    0x5032: "ContentEncodingScope", 0x5033: "ContentEncodingType", 0x5034: "ContentCompression",
    0x4254: "ContentCompAlgo", 0x4255: "ContentCompSettings", 0x5035: "ContentEncryption", 0x47E1: "ContentEncAlgo",
    0x47E2: "ContentEncKeyID", 0x47E7: "ContentEncAESSettings", 0x47E8: "AESSettingsCipherMode",
    0x1F43B675: "Cluster", 0xE7: "Timestamp", 0xA7: "Position", 0xAB: "PrevSize", 0xA3: "SimpleBlock",
    0xA0: "BlockGroup", 0xA1: "Block", 0x9B: "BlockDuration", 0xFB: "ReferenceBlock", 0x75A2: "DiscardPadding",
    0x75A1: "BlockAdditions", 0xAF: "EncryptedBlock",
    0x1C53BB6B: "Cues", 0xBB: "CuePoint", 0xB3: "CueTime", 0xB7: "CueTrackPositions",
    0x1043A770: "Chapters", 0x1254C367: "Tags", 0x1941A469: "Attachments",
}  # fmt: skip
_IDS: Final = {name: ident for ident, name in NAMES.items()}


def id_of(name: str) -> int:
    """The id of an element that `NAMES` lists."""
    return _IDS[name]


def name_of(ident: int) -> str:
    """The element's name; its id in hex when we know none."""
    return NAMES.get(ident) or f"0x{ident:X}"


LEVEL_1: Final = frozenset(
    map(id_of, ("SeekHead", "Info", "Tracks", "Cluster", "Cues", "Chapters", "Tags", "Attachments"))
)
"""Children of a Segment: each of them ends a Cluster of unknown size, and none stands in one."""

STREAMED: Final = frozenset(map(id_of, ("Segment", "Cluster")))
"""The only elements that may have an unknown size (RFC 9559, section 5.1), and whose children are read as they come."""

MASTERS: Final = frozenset(
    map(
        id_of,
        ("EBML", "Segment", "Info", "Tracks", "TrackEntry", "Video", "Audio", "ContentEncodings", "ContentEncoding",
         "ContentCompression", "ContentEncryption", "ContentEncAESSettings", "Cluster", "BlockGroup"),
    )
)  # fmt: skip
"""Elements that hold elements, of those that a person may want to look into."""
