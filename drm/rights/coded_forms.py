"""Which decoders protected media may go through, and what may be lent out of what they give.

A coded form does not give its bytes back: what is decoded is another thing. A raw one (PCM) is its bytes, so a hash
of a small piece of it is a question about these bytes, and whoever may ask often enough has them. Decoders go by
FFmpeg's names; the list holds those that the readers name, and no others.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from drm.errors import OutputNotAllowedError
from drm.keys import KeyId
from drm.media import TrackType
from drm.rights.policy import Action, Policy

__all__ = ["CODED", "RAW", "check_form"]

_VIDEO: Final = (
    "h264", "hevc", "vvc", "libdav1d", "vp8", "vp9", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg",
)  # fmt: skip
_AUDIO: Final = (
    "aac", "mp3", "ac3", "eac3", "dca", "opus", "vorbis", "flac", "alac", "wmav1", "wmav2", "wmapro", "wmalossless",
)  # fmt: skip

CODED: Final = dict.fromkeys(_VIDEO, TrackType.VIDEO) | dict.fromkeys(_AUDIO, TrackType.AUDIO)
"""Decoders of coded media, each with the kind of track that it makes frames of."""

RAW: Final = frozenset(
    {"pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"}
    | {f"pcm_{kind}{end}" for kind in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")}
)
"""Decoders of sound that is its own samples."""

_HEARD_BY_NOBODY: Final = frozenset({Action.PLAY})


def check_form(policy: Policy, key_id: KeyId, decoder: str, actions: Collection[Action]) -> None:
    """Return if `policy`, of the license of `key_id`, lets `decoder` have what the key decrypts, for these actions.

    `decoder` "": nobody has said what becomes of it. A license that grants `extract` lets the application have the
    clear samples themselves, so to any decoder.

    Raises:
        OutputNotAllowedError: a decoder that is not listed; a raw form of which more than playing is asked; a kind of
            track that the license does not name for this key.
    """
    kinds = policy.tracks.get(str(key_id))
    if kinds is not None and CODED.get(decoder, TrackType.AUDIO if decoder in RAW else TrackType.OTHER) not in kinds:
        raise OutputNotAllowedError(
            f"the license has the key of KID {key_id} for {_named(kinds)} alone",
            seen=f"its samples go to the decoder {decoder[:32]!r}",
            maybe="the media source describes the track wrongly, or the license names the wrong kind",
            kids=(str(key_id),),
        )
    if decoder in CODED or Action.EXTRACT in policy.actions:
        return
    if decoder not in RAW:
        raise OutputNotAllowedError(
            f"protected samples do not go to the decoder {decoder[:32]!r}"
            if decoder
            else "nobody said what decodes it",
            seen="it is none of the codecs that clearkey knows protected media in",
            remedy="leave the track out, or have the license server grant 'extract' "
            "(`clearkey keys policy KID --actions play,hash,extract`; docs/how-to/license-server.md)",
        )
    if not _HEARD_BY_NOBODY.issuperset(actions):
        wanted = ", ".join(action.value for action in actions if action not in _HEARD_BY_NOBODY)
        raise OutputNotAllowedError(
            f"the license does not grant 'extract', without which {wanted} of raw samples ({decoder}) is not to be had",
            seen=f"it grants: {', '.join(policy.actions) or 'nothing'}",
            remedy="play it without that output, or have the license server grant 'extract' "
            "(`clearkey keys policy KID --actions play,hash,extract`; docs/how-to/license-server.md)",
        )


def _named(kinds: Collection[TrackType]) -> str:
    return " and ".join(kind.value for kind in kinds) or "no kind of track"
