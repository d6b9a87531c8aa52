"""Which protection holds for a sample: its group's (`seig`), or its sample description's (`tenc`).

Keys, IV sizes and patterns are settled here for each sample, never for a track or a file (ISO/IEC 23001-7, clause 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.multi_key import MultiKeyProtection
from drm.isobmff.sample_entry import SampleEntry
from drm.isobmff.sample_group import FRAGMENT_INDEX, Csgp, Sbgp, Seig, Sgpd
from drm.isobmff.tracks import Track
from drm.media import Protection

__all__ = ["SampleProtection", "group_indices"]


def group_indices(sbgp: Sbgp | Csgp | None, default: int = 0) -> Iterator[int]:
    """The group of each sample, without end: behind the last one told, and where nothing tells, it is the default."""
    return chain(sbgp.indices() if sbgp else (), repeat(default))


class SampleProtection:
    """Answers for one track, and for one fragment of it when `fragment` is that fragment's `sgpd`."""

    def __init__(self, track: Track, place: str, fragment: Sgpd | None = None) -> None:
        self._track = track
        self._place = place
        self._fragment: Sequence[Seig] = fragment.entries if fragment else ()
        self._known: dict[tuple[int, int], Protection | None] = {}
        own, whole = fragment, track.encryption.sgpd
        self.default_group = 0
        if own and own.default_index:
            self.default_group = own.default_index + FRAGMENT_INDEX
        elif whole and whole.default_index:
            self.default_group = whole.default_index

    def rule(self, description: int, group: int) -> Protection | None:
        """What holds for a sample of this description and group, both from 1; group 0 is none.

        Raises:
            MalformedMediaError: there is no such description or group, or a clear description in a protected group.
            UnsupportedMediaError: the protection is of a kind that is not read.
        """
        asked = description, group
        if asked not in self._known:
            entry = self._track.entry(description, self._place)
            default = None if entry.is_clear_by_default else entry.protection
            self._known[asked] = self._of_group(entry, self._seig(group)) if group else default
        return self._known[asked]

    def _seig(self, group: int) -> Seig:
        whole, own = self._track.seigs, self._fragment
        if group > FRAGMENT_INDEX:
            index, table = group - FRAGMENT_INDEX, own
        else:
            # Old writers number a fragment's own groups from 1 when the track has none.
            index, table = group, whole or own
        if index > len(table):
            raise MalformedMediaError(
                f"a sample is in encryption group {group}, and there are {len(table)} of them", where=self._place
            )
        return table[index - 1]

    def _of_group(self, entry: SampleEntry, seig: Seig) -> Protection | None:
        if seig.refusal:
            raise UnsupportedMediaError(
                f"samples cannot be decrypted: {seig.refusal}",
                where=self._place,
                remedy="package the file again with a pattern of at most 15 and 15 blocks",
            )
        if not seig.is_protected:
            return None
        if entry.protection is None:
            raise MalformedMediaError(
                "an encryption group protects samples whose description is a clear one and names no scheme",
                where=self._place,
            )
        scheme, pattern = entry.protection.scheme, (seig.crypt_blocks, seig.skip_blocks)
        if seig.keys:
            return MultiKeyProtection(scheme, seig.key_id, 0, b"", *pattern, seig.keys)
        return Protection(scheme, seig.key_id, seig.iv_size, seig.constant_iv, *pattern)
