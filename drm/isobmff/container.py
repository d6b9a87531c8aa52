"""What a file is that is not MP4, said by name and with the next step."""

from __future__ import annotations

from typing import Final

from drm.errors import UnsupportedMediaError
from drm.media import ByteSource

__all__ = ["KNOWN_BY_NAME", "begins_as_mp4", "no_movie", "require_mp4"]

_MP4_FIRST: Final = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"ssix", b"free", b"skip", b"mdat", b"wide", b"uuid", b"pdin",
     b"emsg", b"prft", b"pnot", b"meta"}
)  # fmt: skip
_TO_MP4: Final = (
    "put it into MP4 first, for example: ffmpeg -i INPUT -c copy output.mp4; without -c copy where MP4 does not hold "
    "the codec"
)
_SIGNATURES: Final = (
    (b"\x1a\x45\xdf\xa3", "WebM or Matroska", _TO_MP4),
    (b"ID3", "MPEG audio (MP3 or AAC) with an ID3 tag", _TO_MP4),
    (b"OggS", "Ogg", _TO_MP4),
    (b"fLaC", "FLAC", _TO_MP4),
    (b"RIFF", "RIFF (AVI or WAV)", _TO_MP4),
    (b"FLV", "Flash video", _TO_MP4),
    (b"\xf8\x06iamf", "IAMF audio without a container", _TO_MP4),
    (b"#EXTM3U", "an HLS playlist", "give the initialization segment and the media segments that it lists"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (b"%PDF", "a PDF document", "give the media file"),
    (b"\x89PNG", "a PNG picture", "give the media file"),
    (b"\xff\xd8\xff", "a JPEG picture", "give the media file"),
)
_STILL_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
_SAMPLE_AES: Final = (b"zavc", b"zaac", b"zac3", b"zec3")  # what HLS names the streams in an encrypted segment
_SEARCHED: Final = 64 << 10  # bytes
KNOWN_BY_NAME: Final = tuple(name for _, name, _ in _SIGNATURES)
"""What a file may be instead, in the words of the refusal; more is told by its text."""


def begins_as_mp4(source: ByteSource) -> bool:
    """Whether the first box is of a kind that files and segments begin with."""
    head = source.read_at(0, 8)
    return len(head) == 8 and head[4:] in _MP4_FIRST


def require_mp4(source: ByteSource) -> None:
    """Return if the file begins as MP4 does. Raises UnsupportedMediaError that names what it is instead."""
    head = source.read_at(0, 512)
    if not head:
        raise _not_mp4(source, "empty", "check that the download or the packager has finished")
    if begins_as_mp4(source):
        return
    for signature, name, remedy in _SIGNATURES:
        if head.startswith(signature):
            raise _not_mp4(source, name, remedy)
    if head[0] == 0x47 and (len(head) <= 188 or head[188] == 0x47):
        data = source.read_at(0, _SEARCHED)
        if any(mark in data for mark in _SAMPLE_AES):
            advice = "take the fragmented MP4 of the same HLS presentation; ffmpeg cannot copy what is encrypted"
            raise _not_mp4(source, "an MPEG transport stream with encrypted samples (HLS SAMPLE-AES)", advice)
        raise _not_mp4(source, "an MPEG transport stream", _TO_MP4)
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xE0 == 0xE0:
        raise _not_mp4(source, "MPEG audio (MP3 or AAC) without a container", _TO_MP4)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        if b"<mpd" in text:
            raise _not_mp4(source, "a DASH manifest", "give the initialization segment and the media segments it lists")
        name = "an HTML page" if b"<html" in text or b"<!doctype" in text else "an XML document"
        raise _not_mp4(source, name, "perhaps a server's error page was saved: open it and see, then download again")
    if text[:1] in {b"{", b"["}:
        raise _not_mp4(source, "a JSON document", "give the media file; keys go to --keys-file")
    if not any(head):
        raise _not_mp4(source, "filled with zeros", "the download was reserved and never written: fetch it again")
    raise _not_mp4(source, "not MP4, nor anything else that is known here", "check that this is the media file", head)


def _not_mp4(source: ByteSource, name: str, remedy: str, head: bytes = b"") -> UnsupportedMediaError:
    seen = f"it begins with {head[:8].hex(' ')}" if head else f"{source.size} bytes"
    return UnsupportedMediaError(f"this file is {name}", where=source.name, seen=seen, remedy=remedy)


def no_movie(stream: ByteSource, seen: set[str]) -> UnsupportedMediaError:
    """What to say of a file that begins as MP4 does and has no `moov`, of whose outermost boxes these were `seen`."""
    brands = stream.read_at(8, 64) if stream.read_at(4, 4) == b"ftyp" else b""
    if "meta" in seen and any(brand in brands for brand in _STILL_BRANDS):
        items = stream.read_at(0, _SEARCHED)
        protected = any(mark in items for mark in (b"ienc", b"iaux", b"ipro"))
        return UnsupportedMediaError(
            "this file is a still image (HEIF), and films and their segments are what is read",
            where=stream.name,
            seen=f"brand {brands[:4].decode('latin-1')}, items and no tracks" + ", some of them protected" * protected,
            remedy="look at its items with libheif: heif-info FILE; of a live photo, give the film beside it",
        )
    if seen & {"moof", "styp", "sidx"}:
        return UnsupportedMediaError(
            "these are media segments without their initialization segment",
            where=stream.name,
            seen="moof and no moov",
            remedy="give the initialization segment first, then the media segments: INIT.mp4 SEGMENT.m4s …",
        )
    return UnsupportedMediaError(
        "this MP4 has no movie box, which describes the tracks",
        where=stream.name,
        seen=f"boxes {', '.join(sorted(seen))}",
        maybe="a recording or a download that was not finished: the movie box is often written last",
        remedy="finish the download, or repair the recording with the tool that made it",
    )
