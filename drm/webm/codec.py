"""From a CodecID to FFmpeg's words: the decoder's name. CodecPrivate is what FFmpeg calls extradata, as it stands.

OpusHead, the three headers of Vorbis in Xiph's lacing, `avcC`, `hvcC`, `av1C`, AudioSpecificConfig, and FLAC's marker
with its blocks: FFmpeg's decoders read each of them in the form that Matroska has (the codec mappings of RFC 9559).
"""

from __future__ import annotations

from typing import Final

__all__ = ["decoder_of"]

_DECODERS: Final = {
    "V_VP8": "vp8", "V_VP9": "vp9", "V_AV1": "libdav1d", "V_MPEG4/ISO/AVC": "h264", "V_MPEGH/ISO/HEVC": "hevc",
    "A_OPUS": "opus", "A_VORBIS": "vorbis", "A_AAC": "aac", "A_FLAC": "flac", "A_AC3": "ac3", "A_EAC3": "eac3",
    "A_MPEG/L3": "mp3",
}  # fmt: skip


def decoder_of(codec_id: str) -> str:
    """The decoder's name, or an empty string when none is known."""
    return _DECODERS.get(codec_id, "")
