"""Puts a `pssh` box of W3C's common system into a file that has other systems' boxes alone, or none.

The box goes behind the last `pssh` of the movie box, where browsers hand them over together. Where a `free` box has the
room, nothing else moves; otherwise the media moves behind it, and every offset in the file that counts from the file's
beginning is corrected. No byte of a sample changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import BinaryIO, Final

from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, MediaError, UnsupportedMediaError
from drm.isobmff.box import TopBox, encode_box, load_box, top_boxes
from drm.isobmff.container import require_mp4
from drm.isobmff.fragmented import Fragments
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import read_contents
from drm.isobmff.reader import Reader
from drm.isobmff.tracks import Movie, parse_moov, read_pssh
from drm.keys import COMMON_SYSTEM, KeyId
from drm.packaging.moved_offsets import Edit, Edits, correct_offsets
from drm.whole_file import WholeFile

__all__ = ["Insertion", "insert_common_pssh"]

_CHUNK: Final = 1 << 20  # bytes copied at a time
_NO_KEY: Final = KeyId(bytes(16))


@dataclass(frozen=True, slots=True)
class Insertion:
    """What was done."""

    key_ids: tuple[KeyId, ...]  # that the box of the common system names now
    added: tuple[KeyId, ...]  # of these, the ones that no such box named before
    moved: int  # bytes by which the media lies further back than before
    notes: tuple[str, ...] = ()
    is_copy: bool = False  # one box named them all already


def insert_common_pssh(path: Path, target: Path, key_ids: Iterable[KeyId] = ()) -> Insertion:
    """Write `path` to `target` with one box of the common system that names every key id the file names, and `key_ids`.

    The file's own are those of `tenc`, of `seig` groups, and of the boxes of Widevine and PlayReady. If one such box
    names them all already, `target` is a copy. It is whole or not there, and may be `path` itself.

    Raises:
        InvalidArgumentError: the file names no key id, and none was given.
        UnsupportedMediaError: not MP4, a media segment alone, or a file whose offsets cannot be corrected.
        MediaError: the file is broken.
    """
    with SourceFile(path) as source:
        require_mp4(source)
        tops = list(top_boxes(source))
        moov = next((top for top in tops if top.type == "moov"), None)
        if moov is None:
            raise UnsupportedMediaError(
                "there is no movie box (moov) to put a pssh into",
                where=source.name,
                maybe="this is a media segment",
                remedy="give the initialization segment",
            )
        children = list(load_box(source, moov).boxes())
        old = [box for box in children if _is_common(box)]
        named = list(dict.fromkeys(kid for box in old for kid in _key_ids(box)))
        wanted, notes = _wanted(source, moov, key_ids)
        added = tuple(kid for kid in wanted if kid not in named)
        if not wanted and not old:
            raise InvalidArgumentError(
                "the file names no key id, in tenc, in a group or in a pssh box", where=source.name, remedy="give --kid"
            )
        is_copy = len(old) == 1 and not added
        box = Pssh.common(*named, *added).encode()
        edits = Edits([]) if is_copy else _edits(tops, moov, children, old, box)
        with WholeFile(target) as file, open(file.descriptor, "r+b", closefd=False) as out:
            _copy(source, edits, out)
            if not is_copy:
                _resize(source, moov, edits, out)
                correct_offsets(source, tops, edits, out)
        return Insertion((*named, *added), added, edits.moved(source.size) - source.size, notes, is_copy)


def _is_common(box: Reader) -> bool:
    return box.type == Pssh.TYPE and box.copy().take(20)[4:] == COMMON_SYSTEM.value if box.remaining >= 20 else False


def _key_ids(box: Reader) -> tuple[KeyId, ...]:
    try:
        return Pssh.parse(box.copy()).key_ids
    except MediaError:  # it is replaced
        return ()


def _wanted(source: SourceFile, moov: TopBox, more: Iterable[KeyId]) -> tuple[list[KeyId], tuple[str, ...]]:
    """The key ids that the box has to name, and what is odd about them."""
    notes: dict[str, None] = {}

    def warn(text: str) -> None:
        notes[text] = None

    movie = parse_moov(load_box(source, moov), warn)
    boxes = dict.fromkeys(movie.pssh)
    used = _of_tracks(movie)
    if movie.is_fragmented:
        for moof in Fragments(source, moov, {track.info.track_id: track.trex for track in movie.tracks}):
            for packed in moof.pssh:
                boxes.update(dict.fromkeys(read_pssh(packed.copy(), warn)))
            for traf in moof.trafs:
                if traf.encryption.sgpd:
                    used.update(dict.fromkeys(kid for seig in traf.encryption.sgpd.entries for kid in seig.key_ids))
    if len(used) > 1:  # a file whose keys rotate has no default key: its tenc names the id of zeros
        used.pop(_NO_KEY, None)
    wanted = dict.fromkeys((*used, *more))
    for box in boxes:
        contents = read_contents(box.system_id, box.data)
        if contents.problem:
            warn(f"{box.system_id.name}'s pssh: {contents.problem}")
        for kid in (*box.key_ids, *contents.key_ids):
            if kid not in wanted and kid.byte_reversed in wanted:
                warn(
                    f"{box.system_id.name}'s pssh names {kid}: left out, since it is {kid.byte_reversed} in GUID order"
                )
            else:
                wanted[kid] = None
    return list(wanted), tuple(notes)


def _of_tracks(movie: Movie) -> dict[KeyId, None]:
    """The key ids of the sample descriptions and of the groups in the movie box."""
    found: dict[KeyId, None] = {}
    for track in movie.tracks:
        defaults = (e.protection.key_id for e in track.entries if e.protection and not e.is_clear_by_default)
        found.update(dict.fromkeys((*defaults, *(kid for seig in track.seigs for kid in seig.key_ids))))
    return found


# ------------------------------------------------------------------------------------------------ the writing
def _edits(tops: list[TopBox], moov: TopBox, children: list[Reader], old: list[Reader], box: bytes) -> Edits:
    """Where bytes go in and out: the box, boxes of the same system that it replaces, and a `free` that makes room."""
    others = [child for child in children if child.type == Pssh.TYPE]
    if old:
        place, until = old[0].start, old[0].end
    else:
        place = until = others[-1].end if others else children[-1].end if children else moov.start + moov.header
    edits = [Edit(place, until, box), *(Edit(each.start, each.end) for each in old[1:])]
    growth = sum(edit.growth for edit in edits)
    if growth <= -8:  # the boxes that were there had data, which players ignore
        edits[0] = Edit(place, until, box + encode_box("free", bytes(-growth - 8)))
    rooms = [(child.type, child.start, child.end) for child in children if child.offset - child.start == 8]
    rooms += [(top.type, top.start, top.end) for top in tops if top.start == moov.end and top.header == 8]
    for kind, start, end in rooms:
        left = end - start - growth
        if growth > 0 and kind in {"free", "skip"} and (left == 0 or 8 <= left <= 0xFFFF_FFFF):
            header = pack(">I4s", left, kind.encode("ascii")) if left else b""
            edits.append(Edit(start, start + growth + len(header), header))
            break
    return Edits(edits)


def _copy(source: SourceFile, edits: Edits, out: BinaryIO) -> None:
    at = 0
    for edit in edits:
        _copy_range(source, at, edit.start, out)
        out.write(edit.data)
        at = edit.end
    _copy_range(source, at, source.size, out)


def _copy_range(source: SourceFile, start: int, end: int, out: BinaryIO) -> None:
    out.writelines(source.read(at, min(_CHUNK, end - at)) for at in range(start, end, _CHUNK))


def _resize(source: SourceFile, moov: TopBox, edits: Edits, out: BinaryIO) -> None:
    """Write the movie box's size as it is now; 0 stays, and says "to the end of the file"."""
    size = moov.size + edits.growth(moov.start, moov.end)
    told = int.from_bytes(source.read_at(moov.start, 4), "big")
    if told > 1:
        out.seek(moov.start)
        out.write(pack(">I", size))
    elif told == 1:
        out.seek(moov.start + 8)
        out.write(pack(">Q", size))
