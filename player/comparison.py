"""Are the frames that came out of the protected path those of the clear file? Compared by hash, stream by stream."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from drm.errors import ExitCode
from drm.media import TrackInfo
from player.one_line import echo_line
from player.playback import Playback, PlaybackResult

__all__ = ["StreamVerdict", "compare", "compare_frames", "hashes_by_stream"]

_HEADER: Final = "#format: frame checksums"  # how the header of each presentation begins
_MEDIA_TYPE: Final = "#media_type "


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """What came of one stream. `is_equal` is None where only one of the two files has it."""

    name: str  # its kind and place among it: "video 1"
    said: str
    is_equal: bool | None


def hashes_by_stream(descriptor: int) -> dict[str, list[str]]:
    """Read the framemd5 lines of a play-through: `video 1`, `audio 1` and so on to the hashes of their frames.

    Each presentation of a row has a header of its own, which says what its streams are.
    """
    found: dict[str, list[str]] = {}
    names: dict[int, str] = {}
    for line in _lines(descriptor):
        if line == _HEADER:
            names = {}
        elif line.startswith(_MEDIA_TYPE):
            index, _, kind = line.removeprefix(_MEDIA_TYPE).partition(": ")
            place = 1 + sum(name.startswith(f"{kind} ") for name in names.values())
            found.setdefault(names.setdefault(int(index), f"{kind} {place}"), [])
        elif line and not line.startswith("#"):
            index, *_, digest = line.split(",")
            found[names[int(index)]].append(digest.strip())
    return found


def _lines(descriptor: int) -> list[str]:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("ascii").splitlines()


def compare(descriptor: int, clear: str, result: PlaybackResult, *, quiet: bool) -> int:
    """Play `clear` in a worker too and say whether every frame is equal; return the exit code."""
    differences = 0
    for verdict in compare_frames(descriptor, clear, result):
        differences += verdict.is_equal is False
        if not verdict.is_equal or not quiet:
            echo_line(f"{verdict.name}: {verdict.said}", err=True)
    return ExitCode.GOOD if differences == 0 else ExitCode.UNEXPECTED


def compare_frames(descriptor: int, clear: str, result: PlaybackResult) -> list[StreamVerdict]:
    """Play `clear` in a worker too and return what came of each stream.

    Raises:
        DRMError: the clear file does not play.
    """
    hashes = os.memfd_create("framemd5", os.MFD_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, hashes)
        reference = Playback([clear], framemd5=hashes).run()
        ours, theirs = hashes_by_stream(descriptor), hashes_by_stream(hashes)
    dropped = _edit_list_dropped(result, reference)
    verdicts = []
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if mine is None or other is None:
            side = "the clear file" if mine is None else "the encrypted file"
            verdicts.append(StreamVerdict(name, f"only {side} has it", None))
        else:
            said, equal = _verdict(mine, other, edit_list_dropped=name in dropped)
            verdicts.append(StreamVerdict(name, f"{said} {clear}", equal))
    return verdicts


def _named(result: PlaybackResult) -> dict[str, TrackInfo]:
    """Name streams by their kind and place among it: track ids may differ between the two files."""
    counts: dict[str, int] = defaultdict(int)
    named = {}
    for stream in result.streams:
        if stream.track.decoder:
            kind = stream.track.type.value
            counts[kind] += 1
            named[f"{kind} {counts[kind]}"] = stream.track
    return named


def _edit_list_dropped(result: PlaybackResult, reference: PlaybackResult) -> set[str]:
    """Streams whose clear original has an edit list and which have none themselves, as Bento4 leaves them."""
    mine, other = _named(result), _named(reference)
    return {name for name in mine.keys() & other.keys() if other[name].edits and not mine[name].edits}


def _verdict(mine: list[str], other: list[str], *, edit_list_dropped: bool) -> tuple[str, bool]:
    """Return words that a file's name ends, and whether the frames count as equal."""
    if mine == other:
        return f"all {len(mine)} frames are equal to those of", True
    lead = len(mine) - len(other)
    if edit_list_dropped and lead > 0 and mine[lead:] == other:
        words = f"the packager dropped the edit list, so {lead} leading priming frame{'s' * (lead > 1)} came out too;"
        return f"{words} the other {len(other)} are equal to those of", True
    first = next((at for at, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), min(len(mine), len(other)))
    return f"different from frame {first} on ({len(mine)} frames against {len(other)}):", False
