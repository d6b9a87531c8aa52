"""From a track to its name in a manifest's `codecs` (RFC 6381): what MediaSource.isTypeSupported is asked for.

ISO/IEC 14496-15 Annex E for AVC and HEVC, the MP4 bindings of AV1 (section 5) and VP9 ("Codecs Parameter String"),
ISO/IEC 14496-3 for AAC. The file may lie; what it says is bounded by the fields it is read from.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from drm.errors import MalformedMediaError
from drm.media import TrackInfo

__all__ = ["Likeness", "codec_name", "likeness"]

_PLAIN: Final = {
    "V_VP8": "vp08", "V_VP9": "vp09", "V_AV1": "av01", "A_OPUS": "opus", "A_VORBIS": "vorbis",
    "Opus": "opus", "fLaC": "flac", ".mp3": "mp4a.6B", "alac": "alac", "ac-3": "ac-3", "ec-3": "ec-3",
}  # fmt: skip

# Sample entries that one decoder takes: where parameter sets stand, or what is laid upon the codec, is what differs.
_FAMILIES: Final = {
    "avc1": "avc", "avc3": "avc", "dvav": "avc", "dva1": "avc", "hvc1": "hevc", "hev1": "hevc", "dvh1": "hevc",
    "dvhe": "hevc", "av01": "av1", "dav1": "av1", "vp08": "vp8", "vp09": "vp9", "mp4a": "mpeg", "ac-3": "ac-3",
    "ec-3": "ec-3", "opus": "opus", "flac": "flac", "alac": "alac", "vorbis": "vorbis",
}  # fmt: skip
_ALIASES: Final = {
    "vp8": "vp08", "vp9": "vp09", "mp3": "mp4a.6b", "mp4a.69": "mp4a.6b", "mp4a.40.34": "mp4a.6b", "mp4a.a5": "ac-3",
    "mp4a.a6": "ec-3", "mp4a.ad": "opus",
}  # fmt: skip


class Likeness(enum.IntEnum):
    """How a name in a manifest and a track's own compare, in order."""

    OTHER = 0  # another codec
    PARAMETERS = 1  # another profile, level or form; or a name that is not known
    SAME = 2


def likeness(declared: str, real: str) -> Likeness:
    """Compare two names; letter case does not count, nor do parameters that one of them leaves out.

    What is laid upon AAC (mp4a.40.5 on 40.2) need not stand in the track, so its object types count as one.
    """
    one, other = (_ALIASES.get(name, name) for name in (declared.strip().lower(), real.lower()))
    if f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}."):
        return Likeness.SAME
    if one.startswith("mp4a.40.") and other.startswith("mp4a.40."):
        return Likeness.SAME
    ours, theirs = (_FAMILIES.get(name.partition(".")[0], "") for name in (one, other))
    is_other = (ours != theirs or ours == "mpeg") and bool(ours and theirs)  # of names that nobody knows, who can tell
    return Likeness.OTHER if is_other else Likeness.PARAMETERS


def codec_name(track: TrackInfo) -> str:
    """The name, or the four-cc alone for a codec that has no further parameters here.

    Raises:
        MalformedMediaError: the codec's configuration is too short.
    """
    make = _NAMES.get(track.codec)
    if make is None:
        return _PLAIN.get(track.codec, track.codec)
    try:
        return make(track)
    except IndexError:
        raise MalformedMediaError(
            f"the configuration of {track.codec} is cut short",
            where=f"track {track.track_id}",
            seen=f"{len(track.codec_config)} bytes",
        ) from None


def _avc(track: TrackInfo) -> str:
    _version, profile, compatibility, level = (track.codec_config[at] for at in range(4))
    return f"{track.codec}.{profile:02x}{compatibility:02x}{level:02x}"


def _hevc(track: TrackInfo) -> str:
    config = track.codec_config
    space, tier, profile = config[1] >> 6, config[1] >> 5 & 1, config[1] & 31
    flags = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    name = f"{track.codec}.{' ABC'[space].strip()}{profile}.{flags:X}.{'LH'[tier]}{config[12]}"
    constraints = config[6:12].rstrip(b"\0")
    return name + "".join(f".{byte:X}" for byte in constraints)


def _av1(track: TrackInfo) -> str:
    config = track.codec_config
    profile, level = config[1] >> 5, config[1] & 31
    tier, high, twelve = config[2] >> 7, config[2] >> 6 & 1, config[2] >> 5 & 1
    depth = (12 if twelve else 10) if high else 8
    return f"{track.codec}.{profile}.{level:02}{'MH'[tier]}.{depth:02}"


def _vp9(track: TrackInfo) -> str:
    profile, level, depth = track.codec_config[4], track.codec_config[5], track.codec_config[6] >> 4  # a full box
    return f"{track.codec}.{profile:02}.{level:02}.{depth:02}"


def _aac(track: TrackInfo) -> str:
    if track.decoder != "aac":
        return {"mp3": "mp4a.6B", "ac3": "ac-3", "eac3": "ec-3", "opus": "opus"}.get(track.decoder, track.codec)
    first, second = track.codec_config[0], track.codec_config[1]
    kind = first >> 3
    if kind == 31:  # escape: six more bits
        kind = 32 + (first & 7) * 8 + (second >> 5)
    return f"mp4a.40.{kind}"


_NAMES: Final[dict[str, Callable[[TrackInfo], str]]] = {
    "avc1": _avc, "avc3": _avc, "hvc1": _hevc, "hev1": _hevc, "av01": _av1, "vp09": _vp9, "vp08": _vp9, "mp4a": _aac,
}  # fmt: skip
