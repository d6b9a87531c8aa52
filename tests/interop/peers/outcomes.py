"""What comes of one round trip, in words: empty when every sample is the original's. For the tests and the table."""

from __future__ import annotations

from pathlib import Path

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.errors import DRMError
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks
from tests.interop.peers import readers, writers
from tests.interop.peers.clips import Clip, Clips
from tests.interop.peers.programs import PeerError, Program
from tests.interop.peers.samples import difference, samples_of


def peer_reads(program: Program, sealed: Path, clip: Clip, keys: dict[str, str]) -> str:
    """How a peer fares with a file of ours that was made of `clip`."""
    try:
        read = readers.read_by(program, sealed, clip, keys)
    except PeerError as error:
        return f"says: {error}"
    except DRMError as error:
        return f"writes a file that we refuse: {error}"
    wrong = difference(read, samples_of(clip.path))
    return f"{wrong}; says: {program.said}" if wrong and program.said else wrong


def we_read(program: Program, case: writers.Case, clips: Clips, target: Path) -> str:
    """How our `decrypt` and `digest` fare with what a peer writes to `target`. Raises PeerError if it fails to."""
    clip = case.clip(clips)
    case.make(program, clip, target)
    clear = samples_of(clip.path)
    keys = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in case.keys(clip).items()}
    try:
        for kind, hidden in samples_of(target).items():
            assert hidden != clear[kind], f"{case.name}: the {kind} was not encrypted"
        opened = target.with_stem("decrypted")
        decrypt_file(target, opened, keys, dialects=case.dialects)
        wrong = difference(samples_of(opened), clear)
        if wrong:
            return f"decrypt: {wrong}"
        return "" if _digests(target, keys, case) == _digests(clip.path, {}, case) else "digest: another hash"
    except DRMError as error:
        return f"says: {error}"


def _digests(path: Path, keys: dict[KeyId, ContentKey], case: writers.Case) -> dict[str, str]:
    with FileByteStream([path]) as stream:
        digests, _notes = digest_tracks(stream, keys, case.dialects)
    return {digest.type: digest.sha256 for digest in digests}
