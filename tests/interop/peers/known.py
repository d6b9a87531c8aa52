"""What is known not to work: which peer, which files, its words, and whose fault we take it to be.

Asserted like everything else: a fault that is gone, or that shows itself in other words, fails the suite.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault. `cases` are globs of the names of cases."""

    peers: tuple[str, ...]
    cases: tuple[str, ...]
    says: str  # a part of the outcome
    why: str


_BENTO4, _PACKAGER = ("mp4decrypt",), ("packager",)
_GPAC, _FFMPEG = ("MP4Box", "gpac"), ("ffmpeg 8", "ffmpeg 5", "PyAV")

# The peers' versions that the list was made with; with others a test that fails may tell of nothing worse.
VERSIONS = {
    "mp4decrypt": "1.6.0.0",
    "mp4encrypt": "1.6.0.0",
    "packager": "3.8.0-75b2faf-release",
    "MP4Box": "26.08-DEV-rev27-gd34570e3d-master",
    "gpac": "26.08-DEV-rev27-gd34570e3d-master",
    "ffmpeg 8": "8.1.2",
    "ffmpeg 5": "5.1.9-0+deb12u1",
    "PyAV": "18.1.0",
}

# The first that fits counts.
READING_OURS = (
    Fault(_PACKAGER, ("*, progressive, *",), "default_is_protected == 0",
          "its reader of progressive files takes none with an encrypted sample entry; so with everybody's"),
    Fault((*_PACKAGER, *_FFMPEG), ("*, a key a second*",), "48 of 72 video samples wrong",
          "knows one key for a track, and decrypts the samples of the later ones with it without a word"),
    Fault(_BENTO4, ("*, a key a second*",), "writes a file that we refuse",
          "knows one key for a track, and leaves the sample groups in a file whose descriptions it made clear"),
    Fault(_BENTO4, ("*, progressive, *",), "samples wrong",
          "copies progressive files as they are, still encrypted, and ends with exit status 0; so with everybody's"),
    Fault(_BENTO4, ("avc in slices, fragmented, cens",), "72 of 72 video samples wrong",
          "does not begin the pattern anew in each subsample"),
    Fault(_FFMPEG, tuple(f"avc, fragmented, *, pattern {pattern}" for pattern in ("5:5", "2:8", "10:0", "2:3")),
          "video samples wrong",
          "leaves a last run that is shorter than the pattern's encrypted part clear: the other dialect"),
)  # fmt: skip
WRITING_FOR_US = (
    Fault(("mp4encrypt",), ("mp4encrypt, MPEG-CENS, avc in slices, fragmented",), "65 of 72 video samples wrong",
          "does not begin the pattern anew in each subsample; of the others only mp4decrypt reads it so"),
    Fault(("ffmpeg 5",), ("ffmpeg 5, cenc, in fragments, *",), "encrypted samples lack their IVs",
          "writes fragments without any encryption data; nobody can decrypt them"),
    Fault(("ffmpeg 5",), ("ffmpeg 5, cenc, av1, progressive",), "senc does not match the samples",
          "writes AV1 without any encryption data; nobody can decrypt it"),
)  # fmt: skip


def fault(faults: Iterable[Fault], peer: str, case: str) -> Fault | None:
    """The fault that is known of a peer with a case."""
    for known in faults:
        if peer in known.peers and any(fnmatch.fnmatchcase(case, cases) for cases in known.cases):
            return known
    return None


def surprise(known: Fault | None, outcome: str) -> str:
    """How an outcome is another than the one expected; empty when it is that one."""
    if known is None:
        return outcome
    if not outcome:
        return f"all samples right, and it was known that it {known.why}: strike it from known.py"
    return "" if known.says in outcome else f"{outcome}; it was known that: {known.says}"
