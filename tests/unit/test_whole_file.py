"""Files of a playback: whole or not there, whatever happens in between."""

import os
from pathlib import Path

import pytest

from drm.errors import InvalidArgumentError
from player.outputs import AtomicOutput


def test_it_appears_at_the_end_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with AtomicOutput(str(target)) as output:
        os.write(output.descriptor, b"first ")
        assert not target.exists()
        os.write(output.descriptor, b"second")
    assert target.read_bytes() == b"first second"
    assert list(tmp_path.iterdir()) == [target]


def test_after_an_error_nothing_new_is_there_and_what_was_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"of yesterday")
    with pytest.raises(KeyboardInterrupt):
        interrupted_in_the_middle(target)
    assert target.read_bytes() == b"of yesterday"
    assert list(tmp_path.iterdir()) == [target]


def interrupted_in_the_middle(target: Path) -> None:
    with AtomicOutput(str(target)) as output:
        os.write(output.descriptor, b"half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("fails", [False, True])
def test_its_descriptor_is_closed(tmp_path: Path, fails: bool) -> None:
    output = AtomicOutput(str(tmp_path / "out"))
    try:
        with output:
            assert fails is False
    except AssertionError:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(output.descriptor)


def test_a_device_or_a_pipe_is_written_in_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with AtomicOutput(str(pipe)) as output:
            os.write(output.descriptor, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("place", ["nowhere/out", "file/out"])
def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgumentError, match=place), AtomicOutput(str(tmp_path / place)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
