"""Files as one stream of bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.errors import InvalidArgumentError, TruncatedMediaError


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    parts = [b"abc", b"", b"defgh", b"i"]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).write_bytes(part)
    whole = b"".join(parts)
    with FileByteStream([tmp_path / str(number) for number in range(4)]) as stream:
        assert stream.size == 9
        assert stream.name.endswith("0 and 3 more")
        for offset in range(11):
            for size in range(11):
                assert stream.read_at(offset, size) == whole[offset : offset + size]
        into = bytearray(12)
        assert stream.read_into(2, memoryview(into)) == 7
        assert into == b"cdefghi" + bytes(5)


def test_a_huge_size_asks_for_no_more_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with FileByteStream(tmp_path / "a") as stream:
        assert stream.read_at(1, 1 << 60) == b"bc"
        assert stream.read_at(1 << 60, 5) == b""


def test_a_file_that_shrinks_is_truncated_and_one_that_grows_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    with FileByteStream(path) as stream:
        with path.open("ab") as file:
            file.write(b"ghi")
        assert stream.read_at(0, 100) == b"abcdef"
        os.truncate(path, 3)
        assert stream.read_at(0, 3) == b"abc"
        with pytest.raises(TruncatedMediaError, match="shorter"):
            stream.read_at(2, 4)


def test_what_cannot_be_opened_is_said_plainly_and_nothing_stays_open(tmp_path: Path) -> None:
    good = tmp_path / "a"
    good.write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for wrong, says in ((tmp_path, "directory"), (tmp_path / "none", "No such file"), (tmp_path / "pipe", "pipe")):
        with pytest.raises(InvalidArgumentError, match=says) as refused:
            FileByteStream([good, wrong])
        assert refused.value.where == str(wrong)
    with pytest.raises(InvalidArgumentError):
        FileByteStream([])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
