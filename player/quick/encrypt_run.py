"""What `clearkey encrypt` does once its words are read, with click or without: encrypt, and say what came of it.

player/schemas/encrypt-1.json describes what `--json` prints.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drm.encrypting.file import EncryptedTrack, Encryption, TrackEncryption, encrypt_file
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.media import Scheme
from player.json_output import encode_json
from player.quick.common import KEY_IS_VISIBLE, end_tidily, require_no_url, useful_jobs
from player.quick.encrypt_keys import Chooser, Label, parse_label, parse_labelled_keys

__all__ = ["IV_SIZES", "PSSH", "SCHEMA", "VERSION", "Request", "encrypt"]

SCHEMA: Final = "clearkey-encrypt"
VERSION: Final = 1
IV_SIZES: Final = ("0", "8", "16")
PSSH: Final = ("common", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The words of the command, of the right kind each."""

    source: str
    output: str
    key_words: Sequence[str] = ()
    keys_file: str | None = None
    keys_of_file: Sequence[tuple[KeyId, ContentKey]] = ()
    scheme: str = Scheme.CENC.value
    pattern: str | None = None
    iv_size: str | None = None
    clear_lead: float = 0.0  # seconds
    rotate: float | None = None  # seconds
    clear_words: Sequence[str] = ()
    pssh: str = PSSH[0]
    jobs: int = 1
    as_json: bool = False
    quiet: bool = False
    in_place: bool = False


def encrypt(request: Request) -> None:
    """Do it, with a progress bar where one can be seen. Raises DRMError and OSError."""
    if request.in_place and request.output != request.source:
        raise InvalidArgumentError("--in-place writes INPUT itself", remedy="leave -o out")
    if request.output == "-":
        raise InvalidArgumentError("encrypt writes a file, not a stream", remedy="give a name to -o")
    keys: list[tuple[Label, KeyId, ContentKey]] = [(None, *pair) for pair in request.keys_of_file]
    for word in request.key_words:
        keys += parse_labelled_keys(word)
    chooser = Chooser(keys, map(parse_label, request.clear_words), _settings(request))
    jobs = useful_jobs(request.jobs, _size(request.source))
    end_tidily()
    bar = _bar(request)
    try:
        done = encrypt_file(
            request.source,
            request.output,
            scheme=Scheme(request.scheme),
            tracks=chooser,
            pssh=request.pssh == "common",
            jobs=jobs,
            progress=None if bar is None else bar.show,
            in_place=request.in_place,
        )
    finally:
        if bar is not None:
            bar.close()
    if request.as_json:
        sys.stdout.write(encode_json(_told(request, done)) + "\n")
    if not request.quiet:
        sys.stderr.write("".join(f"{line}\n" for line in _said(request, done)))


def _settings(request: Request) -> TrackEncryption:
    """What holds for every track. Each gets keys of its own; the one in here is never used."""
    if request.rotate is not None and not request.rotate > 0:
        raise InvalidArgumentError(
            f"periods of {request.rotate} seconds", remedy="say after how many seconds the key changes"
        )
    return TrackEncryption(
        KeyId(bytes(16)),
        ContentKey(bytes(16)),
        iv_size=None if request.iv_size is None else int(request.iv_size),
        pattern=None if request.pattern is None else _pattern(request.pattern),
        clear_lead=request.clear_lead,
        period=request.rotate or 0.0,
    )


def _pattern(text: str) -> tuple[int, int]:
    crypt, _, skip = text.partition(":")
    if not (crypt.isascii() and crypt.isdigit() and skip.isascii() and skip.isdigit() and len(text) <= 5):
        raise InvalidArgumentError(
            f"{text[:16]!r} is no pattern", remedy="write the blocks that are encrypted and those that stay clear: 1:9"
        )
    return int(crypt), int(skip)


def _bar(request: Request):  # type: ignore[no-untyped-def]  # noqa: ANN202 - its module is imported when needed
    if request.quiet or not sys.stderr.isatty():
        return None
    from player.progress import Progress  # noqa: PLC0415 - see above

    return Progress(quiet=False, what="encrypting")


def _size(path: str) -> int:
    """Bytes of the input. Raises InvalidArgumentError: it is no file that can be read at any place."""
    require_no_url(path, "encrypt")
    try:
        status = os.stat(path)  # noqa: PTH116 - a string is at hand
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgumentError(
            f"{path} is no regular file", remedy="write what comes out of a pipe to a file first"
        )
    return status.st_size


def _told(request: Request, done: Encryption) -> dict[str, object]:
    tracks = [
        {
            "track_id": track.track_id,
            "type": str(track.type),
            "codec": track.codec,
            "samples": track.samples,
            "encrypted_samples": track.encrypted,
            "too_short_samples": track.too_short,
            "key_ids": [str(kid) for kid in track.key_ids],
        }
        for track in done.tracks
    ]
    head = {"schema": SCHEMA, "version": VERSION, "input": request.source, "output": request.output}
    return {**head, "scheme": done.scheme.value, "tracks": tracks, "warnings": list(done.warnings)}


def _said(request: Request, done: Encryption) -> list[str]:
    """What was done, and what can be done now."""
    lines = [KEY_IS_VISIBLE] if request.key_words else []
    lines += [f"note: {warning}" for warning in done.warnings]
    lines += [f"track {track.track_id} ({track.type} {track.codec}): {_what(track, done)}" for track in done.tracks]
    key_ids = dict.fromkeys(kid for track in done.tracks for kid in track.key_ids)
    from_file = request.keys_file is not None and request.keys_file != "-"
    given = f"--keys-file {request.keys_file}" if from_file else " ".join(f"--key {kid}:KEY" for kid in key_ids)
    return [*lines, f"written: {request.output}", f"next: clearkey play {request.output} {given}"]


def _what(track: EncryptedTrack, done: Encryption) -> str:
    if not track.key_ids:
        return "stays clear"
    kids = ", ".join(str(kid) for kid in track.key_ids)
    short = f" ({track.too_short} are too short for it)" if track.too_short else ""
    return f"{done.scheme.value}, {track.encrypted} of {track.samples} samples encrypted{short}, KID {kids}"
