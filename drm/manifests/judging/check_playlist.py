"""Says what players make of an HLS playlist as it is: its key lines, and what the media under them says.

Bytes in, verdicts out. The playlist is not trusted: `playlist` bounds what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import Kids
from drm.manifests.judging.findings import Answer, Basis, Facts, Finding, Weight, findings
from drm.manifests.judging.players import hls_verdicts, one_map, one_url
from drm.manifests.judging.verdicts import Plays, Verdict, judged, worst
from drm.manifests.playlist import MAP, Context, Line, attributes, defined, parse_playlist, split_query
from drm.manifests.playlist_keys import KeyGroup, key_groups
from drm.manifests.rewritten import Signalled, told_findings

__all__ = ["check_playlist", "is_multivariant", "playlist_initializations", "playlist_members"]

_WITH_URI: Final = frozenset({"#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"})
_PLAYERS: Final = (Player.SHAKA, Player.HLSJS)


def is_multivariant(lines: Sequence[Line]) -> bool:
    """Whether a playlist names other playlists (RFC 8216, 4.3.4) rather than segments."""
    return any(line.tag in {"#EXT-X-STREAM-INF", "#EXT-X-MEDIA"} for line in lines)


def playlist_members(data: bytes) -> dict[str, Context]:
    """The URIs of the playlists that a multivariant one names, with what it says of them; none for a media playlist.

    Raises:
        MediaError: it cannot be read.
    """
    lines, values = defined(parse_playlist(data))
    if not is_multivariant(lines):
        return {}
    codecs: dict[str, dict[str, None]] = {}  # by URI, and by group
    groups: dict[str, list[str]] = {}  # URIs of renditions
    told: dict[str, str] = {}
    for line in lines:
        if line.tag == "#EXT-X-STREAM-INF":
            told = attributes(line)
            for kind in ("AUDIO", "VIDEO", "SUBTITLES"):
                codecs.setdefault(f"group {told.get(kind, '')}", {}).update(_codecs(told))
        elif line.tag in _WITH_URI:
            own = attributes(line)
            if uri := own.get("URI", ""):
                groups.setdefault(uri, []).append(f"group {own.get('GROUP-ID', '')}")
                codecs.setdefault(uri, {}).update(_codecs(own))
        elif line.is_uri:
            codecs.setdefault(line.read.strip(), {}).update(_codecs(told))
    found = [*groups, *(line.read.strip() for line in lines if line.is_uri)]
    return {
        uri: Context(values, split_query(uri)[1], tuple(_of(codecs, uri, *groups.get(uri, ()))))
        for uri in dict.fromkeys(found)
    }


def _codecs(told: dict[str, str]) -> dict[str, None]:
    return dict.fromkeys(word.strip() for word in told.get("CODECS", "").split(",") if word.strip())


def _of(codecs: dict[str, dict[str, None]], *names: str) -> dict[str, None]:
    return {codec: None for name in names for codec in codecs.get(name, ())}


def playlist_initializations(data: bytes, context: Context | None = None) -> list[str]:
    """The URIs of the initialization segments of a media playlist, each once. Raises MediaError."""
    lines, _ = defined(parse_playlist(data), context)
    found = (attributes(line).get("URI", "") for line in lines if line.tag == MAP)
    return list(dict.fromkeys(uri for uri in found if uri))


def check_playlist(data: bytes, kids: Kids, context: Context | None = None) -> Signalled:
    """Say what players make of the playlist as it is; a multivariant one has no verdict. Raises MediaError."""
    lines, _ = defined(parse_playlist(data), context)
    if is_multivariant(lines):
        return Signalled(data, ())
    groups = key_groups(lines)
    is_fmp4 = any(line.tag == MAP for line in lines)
    is_told = any(group.keys for group in groups)
    by_head = _keys_by_head(groups)
    verdicts = [each for head, keys in by_head.items() if len(keys) > 1 for each in one_map(head[0], len(keys))]
    found: dict[Finding, None] = {}
    lacks: dict[str, None] = {}
    for group in groups:
        if is_told and not group.keys:
            continue  # where some line tells of encryption, segments before it are a clear lead, and those under NONE
        facts = _facts(group, kids, context, shares_head=len(by_head.get(group.head, ())) > 1)
        answers = [*findings(facts), *_carried(group, facts)]
        is_protected = bool(group.keys or (facts.media and facts.media.key_ids))
        has_pssh = facts.media is None or facts.media.names_its_keys
        keys = [key.for_players() for key in group.keys]
        forms = hls_verdicts(keys, is_protected=is_protected, is_fmp4=is_fmp4, has_pssh=has_pssh)
        verdicts += (judged(form, answers) for form in forms)
        found.update(dict.fromkeys(each for each in answers if each.answer is not Answer.YES))
        if not is_told and facts.media is None:
            lacks[answers[0].evidence] = None
    verdicts += one_url(key.for_players() for group in groups for key in group.own if not key.is_none)
    nothing = (Verdict(player, Plays.UNKNOWN, "it has no segment", rests_on=Basis.NOTHING) for player in _PLAYERS)
    return Signalled(data, tuple(worst(verdicts or nothing)), (), told_findings(found), tuple(lacks))


def _facts(group: KeyGroup, kids: Kids, context: Context | None, *, shares_head: bool) -> Facts:
    ours = [key for key in group.keys if key.is_clearkey]
    named = next((key for key in ours if key.fault), None) or next((key for key in ours if key.key_id), None)
    numbers = [key.line.number for key in group.own] or [group.map_line.number if group.map_line else 0]
    return Facts(
        where=f"the segments behind line {max(numbers)}",
        is_hls=True,
        is_protected=bool(group.keys),
        told=tuple(dict.fromkeys(kid for key in ours for kid in key.kids)),
        spelled=named.key_id or "" if named else "",
        fault=named.fault if named else "",
        schemes=tuple(dict.fromkeys(key.scheme.value for key in ours or group.keys if key.scheme)),
        codecs=context.codecs if context else (),
        head=group.map_uri,
        shares_head=shares_head,
        media=group.media(kids),
    )


def _carried(group: KeyGroup, facts: Facts) -> list[Finding]:
    """CKC-58: sixteen bytes in the place of the key that are no key id of the media are perhaps the key itself."""
    known = facts.media.key_ids if facts.media is not None else None
    if known is None or all(key.in_place_of_key in {None, *known} for key in group.keys):
        return []
    what = f"a key line carries sixteen bytes that are no KID of {facts.head}"
    maybe = "they are the key, and whoever has the playlist has it"
    return [Finding("CKC-58", Answer.NO, what, Basis.MEDIA, Weight.REMARK, maybe, facts.where)]


def _keys_by_head(groups: Sequence[KeyGroup]) -> dict[tuple[str, str], set[KeyId]]:
    """The keys that hold one after another under each initialization segment."""
    by_head: dict[tuple[str, str], set[KeyId]] = {}
    for group in groups:
        keys = sorted(group.keys, key=lambda key: key.is_clearkey, reverse=True)
        first = next((key.kid for key in keys if key.kid is not None), None)
        if first is not None and group.map_uri:
            by_head.setdefault(group.head, set()).add(first)
    return by_head
