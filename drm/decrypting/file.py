"""Decrypts a file with keys at hand: the packager's other door. The boxes that told of the encryption become `free`.

Nothing moves: the file that is written has the size of the one that is read, and each byte that is not a protected one
or the name of such a box is the same. Opens files; the keys are the caller's own. Not for the PMP worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from drm.cenc.dialect import Dialect
from drm.decrypting.fast.fragmented import decrypt_fast
from drm.decrypting.joined_files import JoinedFiles
from drm.decrypting.mp4 import decrypt_mp4
from drm.decrypting.unmark_boxes import OddLayoutError
from drm.decrypting.webm import decrypt_webm
from drm.keys import ContentKey, KeyId
from drm.webm.container import begins_as_ebml
from drm.whole_file import WholeFile

__all__ = ["Decryption", "decrypt_file"]


class Decryption(msgspec.Struct, frozen=True):
    """What came of it."""

    is_encrypted: bool = True  # False: the file was not, and was copied
    warnings: tuple[str, ...] = ()  # what was odd in the file


def decrypt_file(
    sources: str | Path | Iterable[str | Path],
    target: str | Path,
    keys: Mapping[KeyId, ContentKey],
    *,
    dialects: frozenset[Dialect] = frozenset(),
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    fast: bool = True,
    in_place: bool = False,
) -> Decryption:
    """Write the file `sources` decrypted to `target`, which then is whole.

    Args:
        sources: an MP4 or a WebM, or an initialization segment and its media segments, which become one file.
        target: replaced only when all went well; anything that is there and no regular file is refused.
        keys: may be more than are needed.
        dialects: readings of Common Encryption to follow.
        jobs: processes to share the work among. The caller has no other threads when it is more than 1.
        progress: told bytes done and bytes in all, from time to time.
        fast: whether the fast way may be tried first; the bytes written are the same with it and without.
        in_place: `target` may be one of `sources`. With a wrong key there is nothing left of it but noise.

    Raises:
        InputTargetError: `target` is one of `sources`, by whatever name.
        KeyMissingError: a sample needs a key that is not there; names all such KIDs. Nothing was written.
        MediaError: the file is neither MP4 nor WebM, is broken, or is encrypted in a way that is not read.
        OSError: the target cannot be written; nothing is left of it.
    """
    paths = [Path(sources)] if isinstance(sources, str | Path) else [Path(path) for path in sources]
    with JoinedFiles(paths) as source:
        keep = () if in_place else source.identities
        if fast and len(paths) == 1 and not dialects:
            secrets = {kid.value: key.secret for kid, key in keys.items()}
            try:
                with WholeFile(target, keep=keep) as file:
                    decrypt_fast(source.descriptors[0], file.descriptor, secrets, jobs=jobs, progress=progress)
                return Decryption()
            except OddLayoutError:
                pass  # rare, or broken: the general way reads it, or says what is wrong with it
        with WholeFile(target, keep=keep) as file:
            if begins_as_ebml(source):
                return Decryption(*decrypt_webm(source, file.descriptor, keys, jobs=jobs, progress=progress))
            told = decrypt_mp4(source, file.descriptor, keys, dialects=dialects, jobs=jobs, progress=progress)
        return Decryption(*told)
