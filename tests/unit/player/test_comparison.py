"""What is said of two lists of hashes."""

import os

import pytest

from player.comparison import _verdict, hashes_by_stream

HASHES = [f"{number:032x}" for number in range(6)]


@pytest.mark.parametrize(
    ("mine", "dropped", "equal", "words"),
    [
        (HASHES, False, True, "all 6 frames are equal to those of"),
        (["aa", *HASHES], True, True, "1 leading priming frame came out too; the other 6 are equal"),
        (["aa", "bb", *HASHES], True, True, "2 leading priming frames came out too"),
        (["aa", *HASHES], False, False, "different from frame 0 on (7 frames against 6)"),
        ([*HASHES[:3], "aa", *HASHES[4:]], False, False, "different from frame 3 on (6 frames against 6)"),
        ([*HASHES[:3], "aa", *HASHES[4:]], True, False, "different from frame 3 on"),
        (HASHES[:4], False, False, "different from frame 4 on (4 frames against 6)"),
        ([*HASHES, "aa"], True, False, "different from frame 6 on (7 frames against 6)"),
        ([], False, False, "different from frame 0 on (0 frames against 6)"),
    ],
)
def test_verdicts(mine: list[str], dropped: bool, equal: bool, words: str) -> None:
    said, is_equal = _verdict(mine, HASHES, edit_list_dropped=dropped)
    assert is_equal is equal
    assert words in said


def test_hashes_are_read_by_stream_in_order() -> None:
    lines = ["#format: frame checksums", "#media_type 0: video", "#media_type 1: audio", "#stream#, dts, pts"]
    lines += ["1, 0, 0, 1024, 4096, bb", "0, 0, 0, 512, 100, aa", "1, 9, 9, 1024, 4096, cc"]
    # Another presentation of the same row, whose streams come in another order.
    lines += ["#format: frame checksums", "#media_type 0: audio", "#media_type 1: video", "0, 0, 0, 1, 1, dd", ""]
    descriptor = os.memfd_create("hashes")
    try:
        os.write(descriptor, "\n".join(lines).encode())
        assert hashes_by_stream(descriptor) == {"video 1": ["aa"], "audio 1": ["bb", "cc", "dd"]}
    finally:
        os.close(descriptor)
