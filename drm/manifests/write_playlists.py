"""Writes the HLS playlists of packaged tracks (RFC 8216), a set of them for each player. Values in, bytes out.

Shaka Player and hls.js take different EXT-X-KEY lines, and of a playlist with both hls.js plays no cbcs. So each gets
its own playlists over the same media files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from drm.manifests.forms import Player, checked_url, hls_key_line
from drm.manifests.rendition import Rendition

__all__ = ["playlist_name", "write_playlists"]

_GROUP = "audio"


def playlist_name(player: Player, rendition: Rendition | None = None) -> str:
    """The file name of `player`'s multivariant playlist, or of its media playlist for `rendition`."""
    prefix = player.value.replace(".", "")
    return f"{prefix}-{rendition.file_name.rpartition('.')[0]}.m3u8" if rendition else f"{prefix}.m3u8"


def write_playlists(
    renditions: Sequence[Rendition], player: Player, license_url: str | None = None, keys_base: str | None = None
) -> dict[str, bytes]:
    """Every playlist for `player`, by file name. `license_url` is needed when one of `renditions` is encrypted.

    Raises:
        InvalidArgumentError: a URL is none.
    """
    if any(rendition.scheme for rendition in renditions):
        license_url = checked_url(license_url or "", "the license URL")
        keys_base = None if keys_base is None else checked_url(keys_base, "the URL of keys")
    written = {playlist_name(player): _multivariant(renditions, player)}
    for rendition in renditions:
        lines = _media(rendition, player, license_url, keys_base)
        written[playlist_name(player, rendition)] = _joined(lines)
    return written


def _joined(lines: Iterator[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()


def _multivariant(renditions: Sequence[Rendition], player: Player) -> bytes:
    pictures = [rendition for rendition in renditions if rendition.is_video]
    sounds = [rendition for rendition in renditions if not rendition.is_video]
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    grouped = sounds if pictures else []
    lines += (_sound(number, rendition, player) for number, rendition in enumerate(grouped))
    # Any sound of the group may be played with a picture, so the densest one counts, and every codec is named.
    for rendition in pictures or sounds:
        peak = rendition.peak_bandwidth + max((each.peak_bandwidth for each in grouped), default=0)
        average = rendition.average_bandwidth + max((each.average_bandwidth for each in grouped), default=0)
        codecs = ",".join(dict.fromkeys((rendition.codecs, *(each.codecs for each in grouped))))
        line = f'#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS="{codecs}"'
        if rendition.is_video:
            line += f",RESOLUTION={rendition.track.width}x{rendition.track.height}"
        if rendition.frame_rate is not None:
            line += f",FRAME-RATE={float(rendition.frame_rate):.3f}"
        lines += (f'{line},AUDIO="{_GROUP}"' if grouped else line, playlist_name(player, rendition))
    return _joined(iter(lines))


def _sound(number: int, rendition: Rendition, player: Player) -> str:
    track = rendition.track
    name = rendition.file_name.rpartition(".")[0]
    language = f',LANGUAGE="{track.language}"' if track.language else ""
    channels = f',CHANNELS="{track.channels}"' if track.channels else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_GROUP}",NAME="{name}"{language},AUTOSELECT=YES,'
        f'DEFAULT={"NO" if number else "YES"}{channels},URI="{playlist_name(player, rendition)}"'
    )


def _media(rendition: Rendition, player: Player, license_url: str | None, keys_base: str | None) -> Iterator[str]:
    target = max(1, *(math.floor(part.duration + 0.5) for part in rendition.segments))  # RFC 8216, 4.3.3.1
    yield from ("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target}", "#EXT-X-PLAYLIST-TYPE:VOD")
    yield f'#EXT-X-MAP:URI="{rendition.file_name}",BYTERANGE="{rendition.initialization}@0"'
    if rendition.scheme and rendition.key_id and license_url:
        yield hls_key_line(player, rendition.scheme, rendition.key_id, license_url, keys_base)
    for part in rendition.segments:
        yield from (f"#EXTINF:{part.duration:.6f},", f"#EXT-X-BYTERANGE:{part.size}@{part.offset}")
        yield rendition.file_name
    yield "#EXT-X-ENDLIST"
