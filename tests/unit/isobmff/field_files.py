"""Files from the field, their keys and what their tracks hash to: for the tests of readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drm.app.byte_stream import FileByteStream
from drm.isobmff.box import top_boxes
from drm.isobmff.protection import Tenc
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks

__all__ = ["CENC", "FIELD", "KID", "OTHER", "PICTURE", "SOUND", "digests", "keys_of", "parts", "written"]

FIELD = Path(__file__).parents[2] / "data" / "field"
PICTURE = "91da6df112ffcfe320507d1395d1ef35363a829e08d6c2a7042a2aed5c12040d"
KID = KeyId(bytes(range(16)))
OTHER = KeyId(bytes(range(16, 32)))
CENC = Tenc(KID, 8)
SOUND = "b7e7ee1baf0f4e3adb92046535ecba141cbcfceed2f21ab50b021b25fe512599"


def keys_of(folder: str) -> dict[KeyId, ContentKey]:
    lines = (FIELD / folder / "keys.txt").read_text().split()
    return {KeyId.parse(kid): ContentKey(bytes.fromhex(key)) for kid, key in (line.split(":") for line in lines)}


def digests(folder: str, *files: Path) -> dict[int, str]:
    """SHA-256 of the decrypted samples of each track."""
    keys = keys_of(folder)
    with FileByteStream([str(file) for file in files]) as stream:
        return {found.track_id: found.sha256 for found in digest_tracks(stream, keys, frozenset())[0]}


def parts(film: Path) -> list[tuple[str, bytes]]:
    """The outermost boxes of a file."""
    data = film.read_bytes()
    with FileByteStream([str(film)]) as stream:
        return [(top.type, data[top.start : top.end]) for top in top_boxes(stream)]


def written(folder: Path, boxes: Sequence[bytes]) -> Path:
    (folder / "made.mp4").write_bytes(b"".join(boxes))
    return folder / "made.mp4"
