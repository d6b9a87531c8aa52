"""Rewrites the Clear Key lines of an HLS playlist, whichever packager wrote it, and leaves every other line as it is.

Bytes in, bytes and verdicts out. The playlist is not trusted: `playlist` bounds what is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drm.errors import InvalidArgumentError, KeyMissingError, UnsupportedMediaError
from drm.keys import KeyId
from drm.media import Scheme
from drm.packaging.manifest_forms import (
    CLEARKEY_FORMAT,
    CLEARKEY_URNS,
    HLS_METHODS,
    Player,
    checked_url,
    hls_key_line,
)
from drm.packaging.manifest_verdicts import HlsKey, Verdict, hls_verdicts, worst
from drm.packaging.playlist import Line, attributes, parse_playlist
from drm.packaging.signalled import ANY, Initialization, Kids, Signalled

__all__ = ["check_playlist", "is_multivariant", "playlist_initializations", "playlist_members", "signal_playlist"]

_KEY, _MAP, _SESSION_KEY = "#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-SESSION-KEY"
_WITH_URI: Final = frozenset({"#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"})
_SCHEMES: Final = {method: scheme for scheme, method in HLS_METHODS.items()}


def is_multivariant(lines: Sequence[Line]) -> bool:
    """Whether a playlist names other playlists (RFC 8216, 4.3.4) rather than segments."""
    return any(line.tag in {"#EXT-X-STREAM-INF", "#EXT-X-MEDIA"} for line in lines)


def playlist_members(data: bytes) -> list[str]:
    """The URIs of the playlists that a multivariant one names, each once; none for a media playlist."""
    lines = parse_playlist(data)
    if not is_multivariant(lines):
        return []
    named = [attributes(line).get("URI", "") for line in lines if line.tag in _WITH_URI]
    named += [line.text.strip() for line in lines if line.is_uri]
    return list(dict.fromkeys(uri for uri in named if uri))


def playlist_initializations(data: bytes) -> list[str]:
    """The URIs of the initialization segments of a media playlist, each once. Raises MediaError."""
    found = (attributes(line).get("URI", "") for line in parse_playlist(data) if line.tag == _MAP)
    return list(dict.fromkeys(uri for uri in found if uri))


def check_playlist(data: bytes, kids: Kids) -> Signalled:
    """Say what players make of the playlist as it is; a multivariant one has no verdict. Raises MediaError."""
    lines = parse_playlist(data)
    if is_multivariant(lines):
        return Signalled(data, ())
    groups = _groups(lines)
    is_fmp4 = any(line.tag == _MAP for line in lines)
    verdicts: list[Verdict] = []
    for group in groups:
        keys = [_hls_key(line) for line in group.lines if not _is_none(line)]
        if group.lines and not keys:
            continue  # METHOD=NONE: clear, and meant to be
        said = _said(group, kids)
        is_protected = bool(said and said.key_ids)
        if keys or is_protected:
            verdicts += hls_verdicts(keys, is_protected=is_protected, is_fmp4=is_fmp4)
    return Signalled(data, tuple(worst(verdicts or hls_verdicts((), is_protected=False, is_fmp4=True))))


def signal_playlist(
    data: bytes,
    license_url: str,
    keys_base: str | None,
    kids: Kids,
    player: Player | None = None,
    members: Mapping[str, str] | None = None,
) -> Signalled:
    """Give the playlist the lines that `player` takes; None: those of both, where one playlist can serve both.

    Args:
        data: a media playlist, or a multivariant one, in which only session keys and the URIs of `members` change.
        license_url: of hls.js; `hls/key` beside it is where keys are, unless `keys_base` says where.
        keys_base: where Shaka Player fetches keys, without the KID.
        kids: what the initialization segments say, by URI.
        player: Shaka Player or hls.js.
        members: new URIs of playlists by their old ones.

    Raises:
        InvalidArgumentError: a URL is none, or the player reads no HLS.
        KeyMissingError: the key id of an encrypted part is not known.
        UnsupportedMediaError: not fragmented MP4, or a scheme that no browser plays.
        MediaError: the playlist cannot be read.
    """
    checked_url(license_url, "the license URL")
    if keys_base is not None:
        checked_url(keys_base, "the URL of keys")
    if player is Player.DASHJS:
        raise InvalidArgumentError("dash.js reads no HLS", remedy="take --for shaka or --for hls.js")
    lines = parse_playlist(data)
    if is_multivariant(lines):
        return Signalled(_multivariant(lines, members or {}).encode(), ())
    if not any(line.tag == _MAP for line in lines) and any(_is_ours(line) for line in lines):
        raise UnsupportedMediaError(
            "this playlist has no EXT-X-MAP: its segments are not fragmented MP4, and Clear Key plays in nothing else",
            remedy="package it as fragmented MP4",
        )
    writer = _Writer(license_url, keys_base, kids, player)
    made = "".join(writer.rewritten(lines, _groups(lines))).encode()
    return Signalled(made, check_playlist(made, kids).verdicts, tuple(dict.fromkeys(writer.notes)))


# ------------------------------------------------------------------------------------------------ reading
@dataclass(slots=True)
class _Group:
    """The key lines that hold for the same segments, and the initialization segment of these."""

    lines: list[Line] = field(default_factory=list)
    map_uri: str = ""
    map_line: Line | None = None


def _groups(lines: Sequence[Line]) -> list[_Group]:
    """Each run of segments under the same keys and the same initialization segment (4.3.2.4, 4.3.2.5)."""
    groups: list[_Group] = []
    now = _Group()
    is_used = False
    for line in lines:
        if line.tag == _KEY:
            if is_used:
                now, is_used = _Group([], now.map_uri, None), False
            now.lines.append(line)
        elif line.tag == _MAP:
            if is_used:  # the keys hold on, until other lines replace them
                now, is_used = _Group([], "", None), False
            now.map_uri, now.map_line = attributes(line).get("URI", ""), line
        elif line.is_uri and not is_used:
            groups.append(now)
            is_used = True
    return _with_lasting_keys(groups)


def _with_lasting_keys(groups: list[_Group]) -> list[_Group]:
    """A new EXT-X-MAP without new key lines stays under the former ones: one group, as far as keys go."""
    kept: list[_Group] = []
    for group in groups:
        if group.lines or not kept or not kept[-1].lines:
            kept.append(group)
    return kept


def _hls_key(line: Line) -> HlsKey:
    told = attributes(line)
    return HlsKey(told.get("METHOD", ""), _format(told), told.get("URI", ""), "KEYID" in told)


def _format(told: Mapping[str, str]) -> str:
    return told.get("KEYFORMAT", "identity").lower()


def _is_none(line: Line) -> bool:
    return attributes(line).get("METHOD") == "NONE"


def _is_ours(line: Line) -> bool:
    """Whether the line is a statement of Clear Key, in any of the forms that packagers give it."""
    told = attributes(line)
    if line.tag not in {_KEY, _SESSION_KEY} or told.get("METHOD") in {"NONE", "AES-128"}:
        return False
    return _format(told) in {"identity", CLEARKEY_FORMAT, *CLEARKEY_URNS}


def _said(group: _Group, kids: Kids) -> Initialization | None:
    return kids.get(group.map_uri, kids.get(ANY))


# ------------------------------------------------------------------------------------------------ writing
class _Writer:
    """Writes the lines of one media playlist."""

    def __init__(self, license_url: str, keys_base: str | None, kids: Kids, player: Player | None) -> None:
        self.notes: list[str] = []
        self._license_url = license_url
        self._keys_base = keys_base
        self._kids = kids
        self._player = player

    def rewritten(self, lines: Sequence[Line], groups: Sequence[_Group]) -> Iterator[str]:
        """Every line with its end."""
        instead: dict[int, list[str]] = {}  # by the number of the line that they take the place of
        behind: dict[int, list[str]] = {}
        for group in groups:
            ours = [line for line in group.lines if _is_ours(line)]
            others = [line for line in group.lines if not _is_ours(line)]
            said = _said(group, self._kids)
            if ours:
                instead |= {line.number: [] for line in ours}
                instead[ours[0].number] = self._key_lines(group, said, ours)
            elif any(_is_none(line) or attributes(line).get("METHOD") == "AES-128" for line in others):
                continue
            elif said is not None and said.key_ids:
                made = self._key_lines(group, said, ())
                if others:
                    instead[others[0].number] = [*made, others[0].text]
                elif group.map_line is not None:
                    behind[group.map_line.number] = made
        for line in lines:
            texts = [*instead.get(line.number, [line.text]), *behind.get(line.number, [])]
            newline = line.end or "\n"
            yield "".join(text + newline for text in texts[:-1]) + "".join(text + line.end for text in texts[-1:])

    def _key_lines(self, group: _Group, said: Initialization | None, ours: Sequence[Line]) -> list[str]:
        scheme = self._scheme(said, ours)
        kid = self._kid(group, said, ours)
        players = [self._player] if self._player else [Player.SHAKA, Player.HLSJS]
        if self._player is None and scheme is Scheme.CBCS:
            players = [Player.SHAKA]
            self.notes.append("no playlist serves both players with cbcs: this one is Shaka Player's")
        return [hls_key_line(player, scheme, kid, self._license_url, self._keys_base) for player in players]

    @staticmethod
    def _scheme(said: Initialization | None, ours: Sequence[Line]) -> Scheme:
        methods = [_SCHEMES.get(attributes(line).get("METHOD", "")) for line in ours]
        scheme = said.scheme if said is not None and said.scheme else next(filter(None, methods), None)
        if scheme in HLS_METHODS:
            return scheme
        raise UnsupportedMediaError(
            f"no browser plays scheme {scheme}" if scheme else "the scheme is not known",
            remedy="package it anew with scheme cenc or cbcs",
        )

    def _kid(self, group: _Group, said: Initialization | None, ours: Sequence[Line]) -> KeyId:
        for line in ours:
            told = attributes(line)
            found = KeyId.parse(told["KEYID"]) if "KEYID" in told else _kid_in(told)
            if found is not None:
                return found
        if said is not None and said.key_ids:
            if len(said.key_ids) > 1:
                self.notes.append(f"{group.map_uri} tells of {len(said.key_ids)} KIDs, and a key line names one")
            return said.key_ids[0]
        raise KeyMissingError(
            "the key id of an encrypted part is not known",
            where=f"line {ours[0].number} of the playlist" if ours else f"what {group.map_uri} begins",
            remedy="put the initialization segment beside the playlist, or give --kid KID",
        )


def _kid_in(told: Mapping[str, str]) -> KeyId | None:
    """Shaka Packager, told of no URL, writes the key id where the key is looked for."""
    head, _, body = told.get("URI", "").partition(",")
    if _format(told) != "identity" or not head.lower().startswith("data:") or not head.lower().endswith("base64"):
        return None
    try:
        value = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return KeyId(value) if len(value) == 16 else None


def _multivariant(lines: Sequence[Line], members: Mapping[str, str]) -> str:
    """Without Clear Key's session keys, which no player needs, and with the new names of media playlists."""
    made = []
    for line in lines:
        text = line.text
        if line.tag == _SESSION_KEY and _is_ours(line):
            continue
        if line.is_uri:
            text = members.get(text.strip(), text)
        elif line.tag in _WITH_URI:
            uri = attributes(line).get("URI", "")
            text = text.replace(f'URI="{uri}"', f'URI="{members.get(uri, uri)}"')
        made.append(text + line.end)
    return "".join(made)
