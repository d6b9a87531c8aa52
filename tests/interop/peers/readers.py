"""How each peer is made to decrypt a file, and its samples as it gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import av

from tests.interop.peers.clips import Clip
from tests.interop.peers.programs import PeerError, Program, in_few_words
from tests.interop.peers.samples import Hashes, samples_of

Keys = Mapping[str, str]  # key by KID, both in hex


def read_by(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    """Decrypt `sealed`, made of `clip`, by a peer. Raises PeerError with what the peer says."""
    return _READERS[program.name](program, sealed, clip, keys)


def _mp4decrypt(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    opened = program.folder / "by_mp4decrypt.mp4"
    words = [word for kid, key in keys.items() for word in ("--key", f"{kid}:{key}")]
    program.run(*words, sealed, opened, makes=opened)
    return samples_of(opened)


def _packager(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    """It writes a file for each track."""
    opened = {kind: program.folder / f"by_packager_{kind}.mp4" for kind in clip.kinds}
    streams = [f"in={sealed},stream={kind},output={path}" for kind, path in opened.items()]
    told = ",".join(f"label={number}:key_id={kid}:key={key}" for number, (kid, key) in enumerate(keys.items()))
    for path in opened.values():
        path.unlink(missing_ok=True)
    program.run(*streams, "--enable_raw_key_decryption", "--keys", told, "--quiet", makes=opened[clip.kinds[0]])
    return {kind: samples_of(path)[kind] for kind, path in opened.items()}


def _mp4box(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    opened = program.folder / "by_mp4box.mp4"
    program.run("-quiet", "-decrypt", _gpac_keys(program, clip, keys), sealed, "-out", opened, makes=opened)
    return samples_of(opened)


def _gpac(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    opened = program.folder / "by_gpac.mp4"
    program.run("-quiet", "-i", sealed, f"cdcrypt:cfile={_gpac_keys(program, clip, keys)}", "-o", opened, makes=opened)
    return samples_of(opened)


def _gpac_keys(program: Program, clip: Clip, keys: Keys) -> Path:
    told = "".join(f'<key KID="0x{kid}" value="0x{key}"/>' for kid, key in keys.items())
    tracks = [f'<CrypTrack trackID="{number}" IsEncrypted="1">{told}</CrypTrack>' for number in clip.track_ids.values()]
    path = program.folder / "gpac_keys.xml"
    path.write_text(f'<?xml version="1.0"?>\n<GPACDRM>{"".join(tracks)}</GPACDRM>\n', encoding="ascii")
    return path


def _ffmpeg_8(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    told = ":".join(f"{kid}={key}" for kid, key in keys.items())
    return _frame_hashes(program, clip.kinds, "-decryption_keys", told, "-i", sealed)


def _ffmpeg_5(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    """It knows one key at a time, so it is asked for one track at a time. `keys` are in the order of the tracks."""
    found: Hashes = {}
    in_turn = list(keys.values())
    for number, kind in enumerate(clip.kinds):
        key = in_turn[number * (len(in_turn) // len(clip.kinds))]  # with several, the first of the track
        found |= _frame_hashes(program, (kind,), "-decryption_key", key, "-i", sealed, "-map", f"0:{kind[0]}")
    return found


def _frame_hashes(program: Program, kinds: tuple[str, ...], *words: object) -> Hashes:
    listing = program.run("-v", "error", "-ignore_editlist", "1", *words, "-c", "copy", "-f", "framehash",
                          "-hash", "sha256", "-")  # fmt: skip
    found: Hashes = {kind: [] for kind in kinds}
    for line in listing.splitlines():
        if not line.startswith("#"):
            fields = line.split(",")
            found[kinds[int(fields[0])]].append(fields[5].strip())
    return found


def _pyav(program: Program, sealed: Path, clip: Clip, keys: Keys) -> Hashes:
    told = ":".join(f"{kid}={key}" for kid, key in keys.items())
    found: Hashes = {kind: [] for kind in clip.kinds}
    try:
        with av.open(str(sealed), options={"decryption_keys": told, "ignore_editlist": "1"}) as file:
            for packet in file.demux():
                if packet.size:
                    found[packet.stream.type].append(hashlib.sha256(bytes(packet)).hexdigest())
    except av.FFmpegError as error:
        raise PeerError(in_few_words(str(error)) or str(error)) from None
    return found


_READERS: Final[dict[str, Callable[[Program, Path, Clip, Keys], Hashes]]] = {
    "mp4decrypt": _mp4decrypt,
    "packager": _packager,
    "MP4Box": _mp4box,
    "gpac": _gpac,
    "ffmpeg 8": _ffmpeg_8,
    "ffmpeg 5": _ffmpeg_5,
    "PyAV": _pyav,
}
NAMES: Final = tuple(_READERS)
