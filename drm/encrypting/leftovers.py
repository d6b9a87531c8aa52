"""What an earlier encryption left behind in a clear file: boxes of encryption beside samples that are clear.

Tools that decrypt leave `senc`, `saiz`, `saio` and sample groups in place, since nothing in a clear track asks for
them. Encrypted anew, the file would have two of each, and readers take the first (ISO/IEC 23001-7, clause 7.2.1 allows
one `senc` in a `traf`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drm.encrypting.box_tree import BoxTree
from drm.errors import UnsupportedMediaError
from drm.isobmff.sample_aux import PIFF_SENC
from drm.keys import COMMON_SYSTEM
from drm.media import Scheme

__all__ = ["Leftovers", "is_common_pssh"]

_AUXILIARY: Final = frozenset({"saiz", "saio"})
_GROUPS: Final = frozenset({"sbgp", "sgpd", "csgp"})
_OF_ENCRYPTION: Final = frozenset({*(scheme.value.encode() for scheme in Scheme), b"piff"})
_HAS_TYPE: Final = 1  # flag of saiz and saio


class Leftovers:
    """Takes them out, and remembers of which tracks."""

    def __init__(self) -> None:
        self._found: dict[int, set[str]] = {}

    def take_out(self, track_id: int, parent: BoxTree) -> None:
        """Take them out of `parent`, the `stbl` or a `traf` of a clear track.

        Raises UnsupportedMediaError: auxiliary information of another kind, which points to where nothing will be.
        """
        kept = []
        for box in parent.children:
            if _is_leftover(box):
                self._found.setdefault(track_id, set()).add(box.type)
            else:
                kept.append(box)
                if box.type in _AUXILIARY:
                    raise UnsupportedMediaError(
                        f"track {track_id} has auxiliary information of the type {box.payload[4:8]!r}",
                        seen=f"a {box.type} box: the places that it names change when the file is encrypted",
                        remedy="take it out: ffmpeg -i IN -c copy OUT.mp4",
                    )
        parent.children = kept

    def notes(self) -> Iterable[str]:
        """A sentence for each track."""
        for track_id, types in sorted(self._found.items()):
            names = ", ".join(sorted(types))
            yield f"track {track_id}: what an earlier encryption had left behind was taken out ({names})"


def is_common_pssh(box: BoxTree) -> bool:
    """Whether this is a `pssh` of the common system."""
    return box.type == "pssh" and box.payload[4:20] == COMMON_SYSTEM.value


def _is_leftover(box: BoxTree) -> bool:
    payload = box.payload
    if box.type in _AUXILIARY:
        # Without a type it is of the scheme (ISO/IEC 14496-12, 8.7.8), and a clear track has none.
        return not (len(payload) >= 8 and payload[3] & _HAS_TYPE) or payload[4:8] in _OF_ENCRYPTION
    if box.type in _GROUPS:
        return payload[4:8] == b"seig"
    return box.type == "senc" or (box.type == "uuid" and payload[:16] == PIFF_SENC)
