"""A refusal in mid-entry, kept and thrown away as programs do it, must not bring the interpreter down with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import gc, sys
from drm.app.byte_stream import FileByteStream
from drm.errors import MediaError
from drm.isobmff.samples import open_presentation

def read():
    with FileByteStream(sys.argv[1:]) as stream:
        kept = None  # the exception, its traceback, this frame: a cycle
        try:
            list(open_presentation(stream).samples(1))
        except MediaError as error:
            kept = error
        return kept.what

for _ in range(20):
    what = read()
    gc.collect()
print(what)
"""


def test_a_subsample_of_a_key_that_is_not_there(own_vectors: Path, tmp_path: Path) -> None:
    film = bytearray((own_vectors / "generated" / "gp_multikey_prog_v.mp4").read_bytes())
    entry = film.find(b"senc") + 12
    key = entry + 2 + 2 * 18 + 4  # behind two keys with IVs of 16 bytes, and the count of subsamples
    assert film[key : key + 2] == b"\0\1"
    film[key : key + 2] = b"\0\x09"
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    program = [sys.executable, "-W", "error", "-c", PROGRAM, str(path)]
    ran = subprocess.run(program, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "protected by key 9" in ran.stdout
