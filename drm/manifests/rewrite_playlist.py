"""Rewrites the Clear Key lines of an HLS playlist, whichever packager wrote it, and leaves every other line as it is.

Bytes in, bytes and verdicts out. The playlist is not trusted: `playlist` bounds what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from drm.errors import InvalidArgumentError, KeyMissingError, UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.forms import (
    HLS_METHODS,
    Player,
    checked_url,
    hls_key_line,
)
from drm.manifests.playlist import Line, attributes, parse_playlist
from drm.manifests.playlist_keys import (
    KEY,
    MAP,
    SCHEMES,
    SESSION_KEY,
    KeyGroup,
    hls_key,
    is_clearkey,
    is_foreign,
    is_none,
    key_groups,
    kid_in_data,
)
from drm.manifests.rewritten import ANY, Initialization, Kids, Signalled
from drm.manifests.verdicts import Verdict, hls_verdicts, worst
from drm.media import Scheme

__all__ = ["check_playlist", "is_multivariant", "playlist_initializations", "playlist_members", "signal_playlist"]

_WITH_URI: Final = frozenset({"#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"})


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
    found = (attributes(line).get("URI", "") for line in parse_playlist(data) if line.tag == MAP)
    return list(dict.fromkeys(uri for uri in found if uri))


def check_playlist(data: bytes, kids: Kids) -> Signalled:
    """Say what players make of the playlist as it is; a multivariant one has no verdict. Raises MediaError."""
    lines = parse_playlist(data)
    if is_multivariant(lines):
        return Signalled(data, ())
    is_fmp4 = any(line.tag == MAP for line in lines)
    is_told = any(line.tag == KEY and not is_none(line) for line in lines)
    verdicts: list[Verdict] = []
    for group in key_groups(lines):
        keys = [hls_key(line) for line in group.lines if not is_none(line)]
        said = _said(group, kids)
        # Where some line tells of encryption, segments before it are a clear lead, and those under NONE are clear too.
        if keys or (not is_told and said is not None and said.key_ids):
            has_pssh = said is None or said.names_its_keys
            verdicts += hls_verdicts(keys, is_protected=True, is_fmp4=is_fmp4, has_pssh=has_pssh)
    return Signalled(data, tuple(worst(verdicts or hls_verdicts((), is_protected=False, is_fmp4=True))))


def signal_playlist(
    data: bytes,
    license_url: str,
    keys_base: str | None,
    kids: Kids,
    player: Player | None = None,
    members: Mapping[str, str] | None = None,
    *,
    only_clearkey: bool = False,
) -> Signalled:
    """Give the playlist the lines that `player` takes; None: those of both, where one playlist can serve both.

    Args:
        data: a media playlist, or a multivariant one, in which only session keys and the URIs of `members` change.
        license_url: of hls.js; `hls/key` beside it is where keys are, unless `keys_base` says where.
        keys_base: where Shaka Player fetches keys, without the KID.
        kids: what the initialization segments say, by URI.
        player: Shaka Player or hls.js.
        members: new URIs of playlists by their old ones.
        only_clearkey: whether the lines of other systems are taken out.

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
        return Signalled(_multivariant(lines, members or {}, only_clearkey=only_clearkey).encode(), ())
    if not any(line.tag == MAP for line in lines) and any(is_clearkey(line) for line in lines):
        raise UnsupportedMediaError(
            "this playlist has no EXT-X-MAP: its segments are not fragmented MP4, and Clear Key plays in nothing else",
            remedy="package it as fragmented MP4",
        )
    writer = _Writer(license_url, keys_base, kids, player, only_clearkey=only_clearkey)
    made = "".join(writer.rewritten(lines, key_groups(lines))).encode()
    return Signalled(made, check_playlist(made, kids).verdicts, tuple(dict.fromkeys(writer.notes)))


def _said(group: KeyGroup, kids: Kids) -> Initialization | None:
    return kids.get(group.map_uri, kids.get(ANY))


# ------------------------------------------------------------------------------------------------ writing
class _Writer:
    """Writes the lines of one media playlist."""

    def __init__(
        self, license_url: str, keys_base: str | None, kids: Kids, player: Player | None, *, only_clearkey: bool
    ) -> None:
        self.notes: list[str] = []
        self._license_url = license_url
        self._keys_base = keys_base
        self._kids = kids
        self._player = player
        self._only_clearkey = only_clearkey

    def rewritten(self, lines: Sequence[Line], groups: Sequence[KeyGroup]) -> Iterator[str]:
        """Every line with its end."""
        instead: dict[int, list[str]] = {}  # by the number of the line that they take the place of
        behind: dict[int, list[str]] = {}
        is_told = any(line.tag == KEY and not is_none(line) for line in lines)
        holds: Initialization | None = None  # whose key the lines before this group are about
        for group in groups:
            ours = [line for line in group.lines if is_clearkey(line) or (self._only_clearkey and is_foreign(line))]
            others = [line for line in group.lines if line not in ours]
            if any(is_foreign(line) for line in others):
                self.notes.append("keys of other systems stay: a player that has one may choose it before Clear Key")
            said = _said(group, self._kids)
            if ours:
                instead |= {line.number: [] for line in ours}
                instead[ours[0].number] = self._key_lines(group, said, ours)
                holds = said
            elif any(not is_foreign(line) for line in others):
                holds = None  # clear, or encrypted as a whole: RFC 8216's own business
            elif said is not None and said.key_ids and others:
                instead[others[0].number] = [*self._key_lines(group, said, ()), others[0].text]
                holds = said
            elif (
                said is not None
                and said.key_ids
                and group.map_line is not None
                and self._is_due(said, holds, is_told=is_told)
            ):
                behind[group.map_line.number] = self._key_lines(group, said, ())
                holds = said
        for line in lines:
            texts = [*instead.get(line.number, [line.text]), *behind.get(line.number, [])]
            newline = line.end or "\n"
            yield "".join(text + newline for text in texts[:-1]) + "".join(text + line.end for text in texts[-1:])

    @staticmethod
    def _is_due(said: Initialization, holds: Initialization | None, *, is_told: bool) -> bool:
        """Whether an initialization segment without lines of its own needs some: it may be under another key.

        Before all lines of a playlist that has some stands a clear lead.
        """
        return bool(said.key_ids) and (said != holds if holds is not None else not is_told)

    def _key_lines(self, group: KeyGroup, said: Initialization | None, ours: Sequence[Line]) -> list[str]:
        scheme = self._scheme(said, ours)
        kid = self._kid(group, said, ours)
        players = [self._player] if self._player else [Player.SHAKA, Player.HLSJS]
        if self._player is None and scheme is Scheme.CBCS:
            players = [Player.SHAKA]
            self.notes.append("no playlist serves both players with cbcs: this one is Shaka Player's")
        return [hls_key_line(player, scheme, kid, self._license_url, self._keys_base) for player in players]

    @staticmethod
    def _scheme(said: Initialization | None, ours: Sequence[Line]) -> Scheme:
        methods = [SCHEMES.get(attributes(line).get("METHOD", "")) for line in ours]
        scheme = said.scheme if said is not None and said.scheme else next(filter(None, methods), None)
        if scheme in HLS_METHODS:
            return scheme
        raise UnsupportedMediaError(
            f"no browser plays scheme {scheme}" if scheme else "the scheme is not known",
            remedy="package it anew with scheme cenc or cbcs",
        )

    def _kid(self, group: KeyGroup, said: Initialization | None, ours: Sequence[Line]) -> KeyId:
        for line in ours:
            told = attributes(line)
            found = KeyId.parse(told["KEYID"]) if "KEYID" in told else kid_in_data(told)
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


def _multivariant(lines: Sequence[Line], members: Mapping[str, str], *, only_clearkey: bool) -> str:
    """Without Clear Key's session keys, which no player needs, and with the new names of media playlists."""
    made = []
    for line in lines:
        text = line.text
        if line.tag == SESSION_KEY and (is_clearkey(line) or (only_clearkey and is_foreign(line))):
            continue
        if line.is_uri:
            text = members.get(text.strip(), text)
        elif line.tag in _WITH_URI:
            uri = attributes(line).get("URI", "")
            text = text.replace(f'URI="{uri}"', f'URI="{members.get(uri, uri)}"')
        made.append(text + line.end)
    return "".join(made)
