"""Is this a manifest, and what may it lead to? What the verbs that take MPDs and HLS playlists have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from drm.errors import DRMError, InvalidArgumentError
from player.media_file import is_url, open_stream

if TYPE_CHECKING:
    from drm.app.streaming.opening import ManifestOpener

__all__ = ["ManifestOptions", "is_manifest", "manifest_options", "open_manifest"]

_MANIFESTS: Final = (".mpd", ".m3u8", ".m3u")
_MEDIA: Final = (".mp4", ".m4v", ".m4a", ".m4s", ".mov", ".cmfv", ".cmfa", ".webm", ".mkv", ".mka")
_LOOKED_AT: Final = 4096  # bytes


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What the user says of a manifest."""

    headers: tuple[str, ...] = ()
    cacert: str | None = None
    network: bool = False
    private: bool = False
    as_listed: bool = False
    given: tuple[str, ...] = field(default=())  # options that are about manifests alone


def manifest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options about manifests; the command gets them as `manifest`, a ManifestOptions."""

    @click.option("--media-header", metavar="'K: V'", multiple=True, help="Header for the manifest's own server.")
    @click.option("--as-listed", is_flag=True, help="Take a live manifest as it stands, as if it had ended.")
    @click.option("--allow-network", is_flag=True, help="A local manifest may lead to URLs.")
    @click.option("--allow-private", is_flag=True, help="A public server's manifest may lead to private addresses.")
    @click.pass_context
    def taking(
        context: click.Context,
        /,
        *,
        media_header: tuple[str, ...],
        as_listed: bool,
        allow_network: bool,
        allow_private: bool,
        **rest: Any,  # noqa: ANN401 - the command's own
    ) -> Any:  # noqa: ANN401
        named = {
            "--media-header": media_header,
            "--as-listed": as_listed,
            "--allow-network": allow_network,
            "--allow-private": allow_private,
        }
        given = tuple(name for name, value in named.items() if value)
        told = ManifestOptions(media_header, rest.get("cacert"), allow_network, allow_private, as_listed, given)
        return context.invoke(command, **rest, manifest=told)

    taking.__doc__ = command.__doc__
    taking.__name__ = command.__name__
    taking.__click_params__ = [*getattr(command, "__click_params__", ()), *taking.__click_params__]  # type: ignore[attr-defined]
    return taking


def is_manifest(files: Sequence[str], options: ManifestOptions | None = None) -> bool:
    """Whether the verb is given an MPD or an HLS playlist: by its name, else by how it begins.

    Raises:
        InvalidArgumentError: a manifest among several files, or options about manifests for what is none.
    """
    found = [each for each in files if _named(each)] or [each for each in files[:1] if _begins(each)]
    if found and len(files) > 1:
        raise InvalidArgumentError("a manifest is given alone: it names its segments itself", seen=found[0])
    if not found and options is not None and options.given:
        raise InvalidArgumentError(f"{options.given[0]} is for manifests, and this is none", seen=files[0][:100])
    return bool(found)


def open_manifest(name: str, options: ManifestOptions) -> ManifestOpener:
    """What reads it. Nothing is fetched yet. Raises InvalidArgumentError for a header that is none."""
    from drm.app.streaming.opening import ManifestOpener  # noqa: PLC0415 - loads what talks HTTP, for those who need it
    from drm.app.streaming.resource import Permissions  # noqa: PLC0415

    headers = {}
    for text in options.headers:
        header, colon, value = text.partition(":")
        if not colon or not header.strip():
            raise InvalidArgumentError("--media-header takes 'Name: value'")
        headers[header.strip()] = value.strip()
    permissions = Permissions(headers=headers, cacert=options.cacert, network=options.network, private=options.private)
    return ManifestOpener(name, permissions, as_listed=options.as_listed)


def _suffix(name: str) -> str:
    path = urlsplit(name).path if is_url(name) else name
    return Path(path).suffix.lower()


def _named(name: str) -> bool:
    return _suffix(name) in _MANIFESTS


def _begins(name: str) -> bool:
    if _suffix(name) in _MEDIA and is_url(name):
        return False
    try:
        with closing(open_stream([name])) as stream:
            head = stream.read_at(0, _LOOKED_AT)
    except DRMError:
        return False  # whoever opens it says what is wrong
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"#EXTM3U") or (text.startswith(b"<") and (b"<MPD" in text or b":MPD" in text))
