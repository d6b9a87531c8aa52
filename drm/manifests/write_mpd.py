"""Writes the MPD of packaged tracks (ISO/IEC 23009-1, on-demand profile). Values in, bytes out.

It has the one form that plays in Shaka Player and in dash.js, with and without a license URL of the application's own.
Each track is one file that is asked for by byte ranges, so the server has to know `Range`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Final

from drm.isobmff.reader import printable
from drm.manifests.forms import (
    CK_NAMESPACE,
    checked_url,
    clearkey_lines,
    default_kid_lines,
)
from drm.manifests.rendition import Rendition

__all__ = ["write_mpd"]

_NAMESPACES: Final = (
    'xmlns="urn:mpeg:dash:schema:mpd:2011"',
    'xmlns:cenc="urn:mpeg:cenc:2013"',
    f'xmlns:clearkey="{CK_NAMESPACE}"',
)
_CHANNELS: Final = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"


def write_mpd(renditions: Sequence[Rendition], license_url: str | None = None) -> bytes:
    """The MPD. `license_url` is needed when one of `renditions` is encrypted. Raises InvalidArgumentError."""
    if any(rendition.scheme for rendition in renditions):
        license_url = checked_url(license_url or "", "the license URL")
    duration = max(rendition.duration for rendition in renditions)
    profile = "urn:mpeg:dash:profile:isoff-on-demand:2011"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<MPD {" ".join(_NAMESPACES)} profiles="{profile}" type="static" minBufferTime="PT2S"'
        f' mediaPresentationDuration="PT{duration:.3f}S">',
        '  <Period id="0" start="PT0S">',
    ]
    for number, rendition in enumerate(renditions):
        lines += (f"    {line}" for line in _adaptation_set(number, rendition, license_url))
    return "\n".join([*lines, "  </Period>", "</MPD>", ""]).encode()


def _adaptation_set(number: int, rendition: Rendition, license_url: str | None) -> Iterator[str]:
    track = rendition.track
    language = f' lang="{track.language}"' if track.language else ""
    yield (
        f'<AdaptationSet id="{number}" contentType="{track.type}" mimeType="{track.type}/mp4"{language}'
        ' subsegmentAlignment="true" subsegmentStartsWithSAP="1" startWithSAP="1">'
    )
    if rendition.scheme and rendition.key_id and license_url:
        protections = (*default_kid_lines(rendition.scheme, rendition.key_id), *clearkey_lines(license_url))
        yield from (f"  {line}" for line in protections)
    yield from (f"  {line}" for line in _representation(number, rendition))
    yield "</AdaptationSet>"


def _representation(number: int, rendition: Rendition) -> Iterator[str]:
    track = rendition.track
    start, size = rendition.index
    index = f'indexRange="{start}-{start + size - 1}" indexRangeExact="true"'
    yield (
        f'<Representation id="{number}" codecs="{printable(rendition.codecs)}" bandwidth="{rendition.peak_bandwidth}"'
        f"{''.join(_picture(rendition) if rendition.is_video else _sound(rendition))}>"
    )
    if track.channels:
        yield f'  <AudioChannelConfiguration schemeIdUri="{_CHANNELS}" value="{track.channels}"/>'
    yield f"  <BaseURL>{html.escape(rendition.file_name)}</BaseURL>"
    yield f'  <SegmentBase timescale="{track.timescale}" {index}>'
    yield f'    <Initialization range="0-{rendition.initialization - 1}"/>'
    yield "  </SegmentBase>"
    yield "</Representation>"


def _picture(rendition: Rendition) -> Iterator[str]:
    yield f' width="{rendition.track.width}" height="{rendition.track.height}"'
    if rendition.frame_rate is not None:
        yield f' frameRate="{rendition.frame_rate}"'


def _sound(rendition: Rendition) -> Iterator[str]:
    if rendition.track.sample_rate:
        yield f' audioSamplingRate="{rendition.track.sample_rate}"'
