"""The signaller's door: any packager's MPD or HLS playlist in the form that browsers' players play with Clear Key.

Bytes in, bytes and verdicts out; nothing is opened or fetched, so that a server can offer it as well as the command.
"""

from __future__ import annotations

from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.manifests.forms import Player
from drm.manifests.initialization import Kids
from drm.manifests.judging.check_mpd import check_mpd
from drm.manifests.judging.check_playlist import check_playlist, playlist_initializations
from drm.manifests.playlist import Context
from drm.manifests.rewrite_mpd import mpd_initializations, signal_mpd
from drm.manifests.rewrite_playlist import signal_playlist
from drm.manifests.rewritten import Signalled

__all__ = ["check_manifest", "is_playlist", "manifest_initializations", "signal_manifest"]


def is_playlist(data: bytes, name: str) -> bool:
    """Whether a manifest is HLS rather than DASH. Raises MalformedMediaError: it is neither."""
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"#EXTM3U"):
        return True
    if head.startswith(b"<") or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return False
    raise MalformedMediaError(
        "this is neither an MPD nor an HLS playlist",
        where=name,
        maybe="media: give the manifest that names it" if b"ftyp" in data[:16] else "",
    )


def manifest_initializations(data: bytes, name: str, context: Context | None = None) -> list[str]:
    """The URIs of what tells scheme and key ids, for `kids` of the functions below. Raises MediaError."""
    return playlist_initializations(data, context) if is_playlist(data, name) else mpd_initializations(data)


def check_manifest(
    data: bytes, name: str, kids: Kids | None = None, player: Player | None = None, context: Context | None = None
) -> Signalled:
    """Say what each player makes of a manifest as it is.

    Raises:
        InvalidArgumentError: `player` does not read this kind of manifest.
        MediaError: the manifest cannot be read.
    """
    if is_playlist(data, name):
        _require_reader(player, Player.DASHJS, "dash.js reads no HLS", "take --for shaka or --for hls.js")
        return check_playlist(data, kids or {}, context)
    _require_reader(player, Player.HLSJS, "hls.js reads no MPD", "take --for shaka or --for dash.js")
    return check_mpd(data, kids or {})


def signal_manifest(
    data: bytes,
    name: str,
    license_url: str,
    keys_base: str | None = None,
    kids: Kids | None = None,
    player: Player | None = None,
    context: Context | None = None,
    *,
    only_clearkey: bool = False,
) -> Signalled:
    """Rewrite a manifest for `player`, or for all that one manifest can serve.

    Args:
        data: the manifest. It is not trusted.
        name: for errors.
        license_url: where players ask for licenses.
        keys_base: where Shaka Player fetches keys of HLS; by default `hls/key` beside the license URL.
        kids: what initialization segments say, by `manifest_initializations`; needed where the manifest does not tell.
        player: None for all.
        context: what the multivariant playlist that names this one says of it.
        only_clearkey: whether other protection systems are taken out; a browser that has one may choose it.

    Raises:
        InvalidArgumentError: a URL is none, or the player does not read this kind of manifest.
        KeyMissingError: a key id is needed and not known.
        MediaError: the manifest cannot be read or rewritten; the message says why.
    """
    if is_playlist(data, name):
        return signal_playlist(
            data, license_url, keys_base, kids or {}, player, None, context, only_clearkey=only_clearkey
        )
    _require_reader(player, Player.HLSJS, "hls.js reads no MPD", "take --for shaka or --for dash.js")
    return signal_mpd(data, license_url, kids or {}, only_clearkey=only_clearkey)


def _require_reader(player: Player | None, never: Player, what: str, remedy: str) -> None:
    if player is never:
        raise InvalidArgumentError(what, remedy=remedy)
