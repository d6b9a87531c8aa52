"""What the worker gets instead of an output of the application's, and that all of it arrives."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
from pathlib import Path

import pytest

from drm.errors import DRMError
from player.worker_output import write_only


def mode_of(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE


def test_what_is_for_writing_alone_is_handed_on(tmp_path: Path) -> None:
    for descriptor in (os.pipe()[1], os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)):
        with write_only(descriptor) as handed:
            assert handed == descriptor
        os.close(descriptor)


@pytest.mark.parametrize("append", [0, os.O_APPEND])
def test_a_file_for_both_goes_on_where_it_stood(tmp_path: Path, append: int) -> None:
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | append)
    os.write(descriptor, b"before ")
    with write_only(descriptor) as handed:
        assert mode_of(handed) == os.O_WRONLY
        os.write(handed, b"inside ")
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert path.read_bytes() == b"before inside after"


def test_a_terminal_and_a_socket_get_a_copy() -> None:
    master, slave = pty.openpty()
    ours, theirs = socket.socketpair()
    for target, read in ((slave, lambda: os.read(master, 99)), (theirs.fileno(), lambda: ours.recv(99))):
        with write_only(target) as handed:
            assert not os.isatty(handed)
            assert mode_of(handed) == os.O_WRONLY
            os.write(handed, b"hello")
        assert read() == b"hello"
    for end in (ours, theirs):
        end.close()
    for descriptor in (master, slave):
        os.close(descriptor)


def test_a_full_device_is_said_at_the_end_and_nobody_waits() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(DRMError, match="cannot be written: No space left"), write_only(full) as handed:
        os.write(handed, b"hello")
    with pytest.raises(KeyError), write_only(full) as handed:
        raise KeyError(os.write(handed, b"hello"))  # what is on its way goes first
    os.close(full)
