"""What the application may hand to the worker as a descriptor, and in which mode; everything else is refused by name.

A descriptor is a capability: whoever holds a terminal reads its keyboard, and whoever holds /proc/PID/mem reads that
process. So the worker looks at each one before it keeps it, and what it does not know is not kept. Worker only, also
inside the lock.
"""

from __future__ import annotations

import enum
import fcntl
import os
import stat
from collections.abc import Sequence
from typing import Final

from drm.descriptors import close_quietly
from drm.errors import InvalidArgumentError
from drm.lockdown import libc

__all__ = ["DescriptorError", "DescriptorKind", "kind_of", "require_media_file", "require_output", "take_outputs"]


class DescriptorError(InvalidArgumentError):
    """A descriptor that was handed in is of another kind, or opened in another mode, than its use allows."""


class DescriptorKind(enum.StrEnum):
    """What is behind a descriptor, in the words of a message."""

    FILE = "a regular file"
    PIPE = "a pipe"
    FOLDER = "a folder"
    TERMINAL = "a terminal"
    DEVICE = "a device"
    SOCKET = "a socket"
    PLACE = "a place in the file system that was not opened (O_PATH)"
    KERNEL = "a file that the kernel makes up, such as those in /proc"
    OTHER = "an object of the kernel, such as a pidfd or an eventfd"


_OUTPUTS: Final = frozenset({DescriptorKind.FILE, DescriptorKind.PIPE})
_MODES: Final = {
    os.O_RDONLY: "opened for reading",
    os.O_WRONLY: "opened for writing",
    os.O_RDWR: "opened for reading and writing",
}
# linux/major.h and Documentation/admin-guide/devices.txt: virtual consoles and serial lines; tty, console and ptmx;
# pseudo terminals, their masters before them.
_TERMINALS: Final = frozenset({4, 5, *range(128, 144)})
# linux/magic.h: file systems whose files are no storage. Reading or writing one asks the kernel for something.
_MADE_UP: Final = frozenset({
    0x9FA0,  # proc
    0x62656572,  # sysfs
    0x27E0EB, 0x63677270,  # cgroup, cgroup2
    0x64626720, 0x74726163,  # debugfs, tracefs
    0x73636673, 0xF97CFF8C, 0x43415D53, 0x5A3C69F0,  # securityfs, selinuxfs, smackfs, apparmorfs
    0xCAFE4A11,  # bpf
    0xDE5E81E4, 0x6165676C,  # efivarfs, pstore
    0x62656570, 0x42494E4D,  # configfs, binfmt_misc
    0x6E736673, 0x50494446, 0x09041934,  # nsfs, pidfs, anonymous inodes
    0x19800202, 0x07655821, 0x65735543, 0x1CD1,  # mqueue, resctrl, fusectl, devpts
    0x5345434D,  # secretmem
})  # fmt: skip


def kind_of(descriptor: int) -> DescriptorKind:
    """What is behind `descriptor`. Raises OSError: nothing is."""
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH:
        return DescriptorKind.PLACE
    told = os.fstat(descriptor)
    if stat.S_ISREG(told.st_mode):
        return DescriptorKind.KERNEL if libc.file_system_of(descriptor) in _MADE_UP else DescriptorKind.FILE
    if stat.S_ISFIFO(told.st_mode):
        return DescriptorKind.PIPE
    if stat.S_ISDIR(told.st_mode):
        return DescriptorKind.FOLDER
    if stat.S_ISSOCK(told.st_mode):
        return DescriptorKind.SOCKET
    if stat.S_ISCHR(told.st_mode):
        return DescriptorKind.TERMINAL if os.major(told.st_rdev) in _TERMINALS else DescriptorKind.DEVICE
    return DescriptorKind.DEVICE if stat.S_ISBLK(told.st_mode) else DescriptorKind.OTHER


def require_output(descriptor: int, *, takes: frozenset[DescriptorKind] = _OUTPUTS) -> None:
    """Raise DescriptorError unless a sink may write to `descriptor`, and do nothing else with it.

    `takes`: the kinds that the sink knows; one that draws in a window would name a connected socket, and no other mode
    than that of a socket exists.
    """
    kind, mode = _looked_at(descriptor)
    if kind in takes and (mode == os.O_WRONLY or kind is DescriptorKind.SOCKET):
        return
    raise DescriptorError(
        "a sink writes to a pipe or a file that was opened for writing alone",
        seen=f"{kind}, {_MODES.get(mode, 'opened in an unknown mode')}",
        remedy="hand it the writing end of a pipe, and copy what comes out of it; or open the file with os.O_WRONLY",
    )


def require_media_file(descriptor: int) -> None:
    """Raise DescriptorError unless media may be read from `descriptor`: a regular file, for reading alone."""
    kind, mode = _looked_at(descriptor)
    if kind is not DescriptorKind.FILE or mode != os.O_RDONLY:
        raise DescriptorError(
            "media are read from a regular file that was opened for reading alone",
            seen=f"{kind}, {_MODES.get(mode, 'opened in an unknown mode')}",
            remedy="open the file with os.O_RDONLY; what is no file is read through a byte stream of the application",
        )


def take_outputs(wanted: Sequence[int], handed: list[int]) -> list[int | None]:
    """Give each sink its own descriptor, and close those that no sink names.

    Args:
        wanted: for each sink the index of its descriptor in `handed`, all of them in range; -1: it has none.
        handed: what came beside the message; those that no sink names are closed, and taken out of it.

    Raises:
        DescriptorError: two sinks name one descriptor, or a sink may not have what it names. `handed` is as it was, the
            caller's to close.
    """
    named = [index for index in wanted if index >= 0]
    for index in named:
        if named.count(index) > 1:
            raise DescriptorError(
                "two sinks name one descriptor",
                seen=f"descriptor {index} of those beside the topology",
                remedy="hand each sink a descriptor of its own",
            )
        require_output(handed[index])
    outputs = [handed[index] if index >= 0 else None for index in wanted]
    for descriptor in set(handed) - set(outputs):
        close_quietly(descriptor)
    handed[:] = [descriptor for descriptor in outputs if descriptor is not None]
    return outputs


def _looked_at(descriptor: int) -> tuple[DescriptorKind, int]:
    """The kind and the access mode. Raises DescriptorError: it cannot be looked at, and so it is not kept."""
    try:
        return kind_of(descriptor), fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError as error:
        raise DescriptorError("a descriptor cannot be looked at", seen=libc.said(error)) from None
