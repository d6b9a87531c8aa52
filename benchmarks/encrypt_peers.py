"""How each peer is told to encrypt a file with one track."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.peers import Job, Peer

__all__ = ["NAMES", "encrypting"]

NAMES: Final = ("mp4encrypt", "packager", "ffmpeg", "MP4Box", "gpac")
"""Those that encrypt: Bento4, Shaka Packager, FFmpeg (cenc alone), and the two of GPAC."""

_IV: Final = "0123456789abcdef"


def encrypting(peer: Peer, job: Job) -> list[str] | None:
    """The words that make `peer` encrypt as `job` says, or None: it does not know the scheme."""
    words = _COMMANDS[peer.name.split(" ")[0]](job)
    return [peer.path, *words] if words else None


def _mp4encrypt(job: Job) -> list[str]:
    iv = _IV if job.scheme in {"cenc", "cens"} else 2 * _IV
    return [
        "--method",
        f"MPEG-{job.scheme.upper()}",
        "--key",
        f"1:{job.key}:{iv}",
        "--property",
        f"1:KID:{job.kid}",
        str(job.source),
        str(job.target),
    ]


def _packager(job: Job) -> list[str]:
    return [
        f"in={job.source},stream={job.kind},output={job.target}",
        "--enable_raw_key_encryption",
        "--keys",
        f"label=:key_id={job.kid}:key={job.key}",
        "--protection_scheme",
        job.scheme,
        "--clear_lead",
        "0",
        "--quiet",
    ]


def _ffmpeg(job: Job) -> list[str]:
    if job.scheme != "cenc":
        return []
    how = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", job.key, "-encryption_kid", job.kid]
    layout = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"]
    if job.kind == "audio":
        layout = ["-movflags", "empty_moov+default_base_moof", "-frag_duration", "2000000"]
    return ["-v", "error", "-y", "-i", str(job.source), "-c", "copy", *how, *layout, str(job.target)]


def _gpac_file(job: Job) -> Path:
    path = job.folder / f"gpac_{job.scheme}_{job.kind}_{job.kid}.xml"
    iv = f'IV_size="8" first_IV="0x{_IV}"'
    if job.scheme == "cbcs":
        pattern = 'crypt_byte_block="1" skip_byte_block="9"' if job.kind == "video" else ""
        iv = f'constant_IV_size="16" constant_IV="0x{2 * _IV}" {pattern}'
    path.write_text(
        f'<?xml version="1.0"?>\n<GPACDRM type="{job.scheme}">\n<CrypTrack trackID="1" IsEncrypted="1" {iv} '
        f'saiSavedBox="senc">\n<key KID="0x{job.kid}" value="0x{job.key}"/>\n</CrypTrack>\n</GPACDRM>\n'
    )
    return path


def _mp4box(job: Job) -> list[str]:
    return ["-quiet", "-crypt", str(_gpac_file(job)), str(job.source), "-out", str(job.target)]


def _gpac(job: Job) -> list[str]:
    return ["-quiet", "-i", str(job.source), f"cecrypt:cfile={_gpac_file(job)}", "-o", f"{job.target}:frag"]


_COMMANDS: Final[dict[str, Callable[[Job], list[str]]]] = {
    "mp4encrypt": _mp4encrypt,
    "packager": _packager,
    "ffmpeg": _ffmpeg,
    "MP4Box": _mp4box,
    "gpac": _gpac,
}
