"""Questions about a file as a whole: its movie boxes, its `pssh` boxes against its samples."""

from __future__ import annotations

from collections.abc import Iterator

from drm.content_checks.facts import ContentFacts
from drm.content_checks.judgement import Judgement
from drm.isobmff.pssh.payload import notes_for_players
from drm.keys import KeyId

__all__ = ["no_mvex", "no_pssh", "pssh_notes", "pssh_on_clear", "second_movie"]


def second_movie(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether there are movie boxes that differ (ISO/IEC 14496-12, clause 8.2.1: exactly one). A repeat is harmless."""
    if not facts.movies:
        return
    different = facts.differing_movies
    if not different:
        yield Judgement.no()
        return
    text = (
        f"{len(different) + 1} movie boxes that differ: what follows the second may have other keys and codecs, and "
        "players go by the first; give each initialization segment with its own media segments"
    )
    yield Judgement.yes(text, f"moov at byte {facts.movies[0].start} and at byte {different[0].start}")


def no_mvex(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether movie fragments follow a movie box that does not announce them (ISO/IEC 14496-12, clause 8.8.1)."""
    if not facts.fragments or not facts.movies:
        return
    if facts.announces_fragments:
        yield Judgement.no()
        return
    text = f"{facts.fragments} movie fragments follow, and the movie box lacks mvex: players take the file for empty"
    yield Judgement.yes(text)


def no_pssh(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether encrypted samples come without any `pssh`."""
    if facts.is_mp4 and _used(facts):
        text = "no pssh box: browsers ask for keys by what stands in one, or in the manifest"
        yield Judgement.no() if facts.pssh else Judgement.yes(text)


def pssh_on_clear(facts: ContentFacts) -> Iterator[Judgement]:
    """Whether a file without any protected track carries a `pssh`."""
    if not facts.pssh or any(track.error is not None for track in facts.tracks):
        return
    protected = any(track.info.is_protected for track in facts.tracks)
    text = "pssh boxes, and no track is marked as encrypted: players that see one ask for a license that nothing needs"
    yield Judgement.no() if protected else Judgement.yes(text)


def pssh_notes(facts: ContentFacts) -> Iterator[Judgement]:
    """What a player of Clear Key lacks in the boxes."""
    if facts.is_mp4 and facts.pssh:
        for note in notes_for_players(facts.pssh, _used(facts), facts.name):
            yield Judgement.yes(note)


def _used(facts: ContentFacts) -> list[KeyId]:
    return list(dict.fromkeys(kid for track in facts.tracks for kid in track.tally.by_kid))
