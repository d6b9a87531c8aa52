"""Rewrites the Clear Key lines of an HLS playlist, whichever packager wrote it, and leaves every other line as it is.

Bytes in, bytes and verdicts out. The playlist is not trusted: `playlist` bounds what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from drm.errors import InvalidArgumentError, KeyMissingError, MalformedMediaError, UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.forms import HLS_METHODS, Player, checked_url, hls_key_line
from drm.manifests.initialization import ANY, Initialization, Kids
from drm.manifests.judging.check_playlist import check_playlist, is_multivariant
from drm.manifests.playlist import MAP, SESSION_KEY, Context, Line, attributes, defined, parse_playlist
from drm.manifests.playlist_keys import KeyGroup, KeyLine, key_groups, key_line
from drm.manifests.rewritten import Signalled
from drm.media import Scheme

__all__ = ["signal_playlist"]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where our lines for a group of segments go, and what they say."""

    number: int  # of the line that they take the place of, or stand before or behind
    is_behind: bool
    replaced: tuple[KeyLine, ...]
    scheme: Scheme
    kid: KeyId


def signal_playlist(
    data: bytes,
    license_url: str,
    keys_base: str | None,
    kids: Kids,
    player: Player | None = None,
    members: Mapping[str, str] | None = None,
    context: Context | None = None,
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
        context: what the multivariant playlist says of this one.
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
    lines, _ = defined(parse_playlist(data), context)
    if is_multivariant(lines):
        return Signalled(_multivariant(lines, members or {}, only_clearkey=only_clearkey).encode(), ())
    groups = key_groups(lines)
    methods = {key.method: key.is_clearkey or key.is_foreign for group in groups for key in group.keys}
    if methods and not any(methods.values()):
        raise UnsupportedMediaError(
            "the segments are not encrypted by Common Encryption, and Clear Key plays nothing else",
            seen=f"METHOD={', '.join(sorted(methods))[:80]}",
            remedy="package it with scheme cenc or cbcs: clearkey package",
        )
    if methods and not any(line.tag == MAP for line in lines):
        raise UnsupportedMediaError(
            "this playlist has no EXT-X-MAP: its segments are not fragmented MP4, and Clear Key plays in nothing else",
            remedy="package it as fragmented MP4",
        )
    writer = _Writer(license_url, keys_base, kids, player, only_clearkey=only_clearkey)
    made = "".join(writer.rewritten(lines, groups)).encode()
    checked = check_playlist(made, kids, context)
    return Signalled(made, checked.verdicts, tuple(dict.fromkeys(writer.notes)), checked.findings, checked.lacks)


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
        places = list(self._places(groups, is_told=any(group.keys for group in groups)))
        instead: dict[int, list[str]] = {}  # by the number of the line that they take the place of
        behind: dict[int, list[str]] = {}
        texts = {line.number: line.text for line in lines}
        for place in places:
            made = self._key_lines(place)
            if place.is_behind:
                behind[place.number] = made
            else:
                instead |= {key.line.number: [] for key in place.replaced}
                instead[place.number] = made if place.replaced else [*made, texts[place.number]]
        for line in lines:
            parts = [*instead.get(line.number, [line.text]), *behind.get(line.number, [])]
            newline = line.end or "\n"
            yield "".join(text + newline for text in parts[:-1]) + "".join(text + line.end for text in parts[-1:])

    def _places(self, groups: Sequence[KeyGroup], *, is_told: bool) -> Iterator[_Place]:
        """Each group of segments that needs lines of ours, or other ones."""
        holds: tuple[Scheme, KeyId] | None = None  # what our lines before this group say
        for group in groups:
            ours = [key for key in group.own if key.is_clearkey or (self._only_clearkey and key.is_foreign)]
            others = [key for key in group.own if key not in ours]
            if any(key.is_foreign for key in others):
                self.notes.append("keys of other systems stay: a player that has one may choose it before Clear Key")
            said = group.media(self._kids)
            if ours:
                holds = self._scheme(said, group), self._kid(group, said)
                yield _Place(ours[0].line.number, False, tuple(ours), *holds)
            elif any(not key.is_foreign for key in others):
                holds = None  # clear, or encrypted as a whole: RFC 8216's own business
            elif others:
                wanted = self._scheme(said, group), self._kid(group, said)
                if wanted != holds:
                    holds = wanted
                    yield _Place(others[0].line.number, False, (), *holds)
            elif group.map_line is not None and said is not None and said.key_ids and (holds or not is_told):
                # Another initialization segment may be under another key. Before all lines stands a clear lead.
                wanted = self._scheme(said, group), self._kid(group, said)
                if wanted != holds:
                    holds = wanted
                    yield _Place(group.map_line.number, True, (), *holds)

    def _key_lines(self, place: _Place) -> list[str]:
        players = [self._player] if self._player else [Player.SHAKA, Player.HLSJS]
        if self._player is None and place.scheme is Scheme.CBCS:
            players = [Player.SHAKA]
            self.notes.append("no playlist serves both players with cbcs: this one is Shaka Player's")
        urls = (self._license_url, self._keys_base)
        return [hls_key_line(each, place.scheme, place.kid, *urls) for each in players]

    def _scheme(self, said: Initialization | None, group: KeyGroup) -> Scheme:
        given = self._kids.get(ANY)
        methods = [key.scheme for key in group.own]
        candidates = (said.scheme if said else None, *methods, given.scheme if given else None)
        scheme = next(filter(None, candidates), None)
        if scheme in HLS_METHODS:
            return scheme
        raise UnsupportedMediaError(
            f"no browser plays scheme {scheme}" if scheme else "the scheme is not known",
            remedy="package it anew with scheme cenc or cbcs",
        )

    def _kid(self, group: KeyGroup, said: Initialization | None) -> KeyId:
        """The key id that the group's own lines name, ours first; else that of its media; else the given one."""
        for key in sorted(group.own, key=lambda each: each.is_clearkey, reverse=True):
            if key.fault:
                raise MalformedMediaError(f"KEYID: {key.fault}", where=f"line {key.line.number} of the playlist")
            # What stands in the place of the key is its id only if the media does not say otherwise.
            is_id = bool(key.kids) or said is None or key.in_place_of_key in said.key_ids
            if key.kid is not None and len(key.kids) <= 1 and is_id:
                return key.kid
        for known in (said, self._kids.get(ANY)):
            if known is not None and known.key_ids:
                if len(known.key_ids) > 1:
                    self.notes.append(f"{group.map_uri} tells of {len(known.key_ids)} KIDs, and a key line names one")
                return known.key_ids[0]
        raise KeyMissingError(
            "the key id of an encrypted part is not known",
            where=f"line {group.own[0].line.number} of the playlist" if group.own else f"what {group.map_uri} begins",
            remedy="put the initialization segment beside the playlist, or give --kid KID",
        )


def _multivariant(lines: Sequence[Line], members: Mapping[str, str], *, only_clearkey: bool) -> str:
    """Without Clear Key's session keys, which no player needs, and with the new names of media playlists."""
    made = []
    for line in lines:
        text = line.text
        if line.tag == SESSION_KEY:
            key = key_line(line)
            if key.is_clearkey or (only_clearkey and key.is_foreign):
                continue
        if line.is_uri:
            text = members.get(line.read.strip(), text)
        elif line.tag in {"#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"}:
            uri = attributes(line).get("URI", "")
            if uri in members:
                text = line.read.replace(f'URI="{uri}"', f'URI="{members[uri]}"')
        made.append(text + line.end)
    return "".join(made)
