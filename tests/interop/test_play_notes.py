"""What is odd in a file and was played all the same is said when it has been played."""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.interop.command import Command
from tests.interop.vectors import Vector


def test_fragments_of_a_track_that_the_movie_does_not_have(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path], tmp_path: Path
) -> None:
    original = vector("pk_cenc_iv8_v")
    data = bytearray(original.files[0].read_bytes())
    tfhd = data.index(b"tfhd", data.index(b"moof"))
    data[tfhd + 8 : tfhd + 12] = struct.pack(">I", 99)
    changed = tmp_path / "stranger.mp4"
    changed.write_bytes(data)
    ran = clearkey("play", changed, "--keys-file", keys_of(original))
    assert ran.code == 0, ran.said
    assert "fragments of track 99, which the movie does not have, are left out" in ran.err
    assert "48 frames" in ran.err


def test_what_comes_up_only_while_the_file_is_read(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path]
) -> None:
    """FFmpeg's writer leaves too many entries in `senc`; nobody sees that before the fragment is read."""
    odd = vector("ff_cenc_frag_av")
    ran = clearkey("play", *odd.files, "--keys-file", keys_of(odd))
    assert ran.code == 0, ran.said
    assert "note: " in ran.err
    assert "senc" in ran.err


def test_a_file_with_nothing_odd_gets_no_note(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Callable[[Vector], Path]
) -> None:
    plain = vector("pk_cenc_iv8_v")
    ran = clearkey("play", *plain.files, "--keys-file", keys_of(plain))
    assert ran.code == 0, ran.said
    assert "note: " not in ran.err
