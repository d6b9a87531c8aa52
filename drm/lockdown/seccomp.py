"""The system calls of a locked worker: an allow-list, and its translation to the kernel's filter language.

What is allowed is what decrypting, decoding and talking over descriptors already open was seen to need, each call in a
run that ends without it (docs/reference/system-calls.md); no call that opens, connects, runs or inspects anything is.
The numbers are those of Linux's own tables, for the two machines in MACHINES.
The program is classic BPF over `struct seccomp_data` (Linux: Documentation/userspace-api/seccomp_filter.rst).

Runs in the worker, before the lock; it makes bytes and calls nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["MACHINES", "Machine", "assemble"]

# Syscall numbers: x86-64 (asm/unistd_64.h), aarch64 (asm-generic/unistd.h); -1: the machine has no such call.
_ALLOWED: Final = {
    "recvmsg": (47, 212),
    "sendmsg": (46, 211),
    "futex": (202, 98),
    "madvise": (28, 233),
    "munmap": (11, 215),
    "write": (1, 64),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "brk": (12, 214),
    "pread64": (17, 67),
    "lseek": (8, 62),
    "close": (3, 57),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "shutdown": (48, 210),
    "getsockopt": (55, 209),
    "getsockname": (51, 204),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "uname": (63, 160),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

# Refused with EACCES, so that Python sees an ordinary error; every call in no list gets EPERM.
_NO_ACCESS: Final = {
    "open": (2, -1),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, -1),
    "stat": (4, -1),
    "lstat": (6, -1),
    "statx": (332, 291),
    "access": (21, -1),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, -1),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "socket": (41, 198),
}

# Refused as by a descriptor that is no terminal, which is what Python asks with it.
_NO_TERMINAL: Final = {"ioctl": (16, 29)}

# Nothing in the worker has a reason to try these: the process ends at once.
_FATAL: Final = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, -1),
    "vfork": (58, -1),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
}

# Decided by their arguments, below.
_JUDGED: Final = {
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "clone": (56, 220),
    "clone3": (435, 435),
    "prctl": (157, 167),
    "fcntl": (72, 25),
    "tgkill": (234, 131),
    "newfstatat": (262, 79),
    "prlimit64": (302, 261),
}


_TABLES: Final = (_ALLOWED, _NO_ACCESS, _NO_TERMINAL, _FATAL, _JUDGED)


class Machine(NamedTuple):
    """One processor architecture: how the kernel names it, and its column in the tables above."""

    audit_arch: int  # AUDIT_ARCH_*, linux/audit.h
    column: int

    def number(self, name: str) -> int:
        """The number of a system call of the tables; -1 when this machine has none."""
        return next(table[name] for table in _TABLES if name in table)[self.column]


MACHINES: Final[Mapping[str, Machine]] = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}
"""The machines that have a table, by the name that uname gives them."""

# linux/filter.h
_LD_W_ABS, _JEQ, _JGE, _JSET, _JA, _RET = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
# struct seccomp_data on a little-endian machine: nr, arch, instruction pointer, six arguments of 64 bits
_NR, _ARCH = 0, 4
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _EACCES, _ENOTTY, _ENOSYS = 1, 13, 25, 38
_X32_BIT: Final = 0x40000000  # the x32 ABI's numbers, under the same arch value

_PROT_EXEC: Final = 4
_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW: Final = 0x7E020080  # every CLONE_NEW* that clone takes: NS, TIME, CGROUP, UTS, IPC, USER, PID, NET
_PRCTL_OPTIONS: Final = (2, 3, 15)  # PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME
_FCNTL_COMMANDS: Final = (3, 1030, 1034)  # F_GETFL, F_DUPFD_CLOEXEC, F_GET_SEALS
_AT_EMPTY_PATH: Final = 0x1000  # what glibc's fstat passes


class _Program:
    """Instructions with named jump targets; jumps only go forward, as the kernel demands."""

    def __init__(self) -> None:
        self._code: list[tuple[int, str, str, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def load(self, offset: int) -> None:
        self._code.append((_LD_W_ABS, "", "", offset))

    def load_argument(self, index: int, *, high: bool = False) -> None:
        self.load(16 + 8 * index + (4 if high else 0))

    def jump(self, test: int, value: int, *, yes: str = "", no: str = "") -> None:
        """Go to `yes` or `no`; an empty name means the next instruction."""
        self._code.append((test, yes, no, value))

    def go(self, target: str) -> None:
        self._code.append((_JA, target, "", 0))

    def give(self, name: str, action: int) -> None:
        self.label(name)
        self._code.append((_RET, "", "", action))

    def encode(self) -> bytes:
        """`struct sock_filter[]`: code u16, jt u8, jf u8, k u32."""
        out = bytearray()
        for here, (code, yes, no, value) in enumerate(self._code, start=1):
            after_yes = self._labels[yes] - here if yes else 0
            after_no = self._labels[no] - here if no else 0
            # An unconditional jump has its offset in k. A conditional one above 255 does not fit, and raises here.
            jump = (0, 0, after_yes) if code == _JA else (after_yes, after_no, value)
            out += struct.pack("<HBBI", code, *jump)
        return bytes(out)


def assemble(machine: Machine, pid: int) -> bytes:
    """Return the filter program of a worker with process id `pid` (0: for the program's hash alone)."""
    p = _Program()
    p.load(_ARCH)
    p.jump(_JEQ, machine.audit_arch, no="start-kill")
    p.load(_NR)
    p.jump(_JGE, _X32_BIT, no="calls")
    p.give("start-kill", _KILL)
    p.label("calls")
    _judge_calls(p, machine)
    _judge_arguments(p, pid)
    p.give("default", _ERRNO | _EPERM)
    p.give("allow", _ALLOW)
    p.give("kill", _KILL)
    p.give("no-access", _ERRNO | _EACCES)
    p.give("no-terminal", _ERRNO | _ENOTTY)
    p.give("no-call", _ERRNO | _ENOSYS)
    return p.encode()


def _judge_calls(p: _Program, machine: Machine) -> None:
    targets = {name: f"judge-{name}" for name in _JUDGED}
    # clone3 hides its flags behind a pointer; told that there is none, the C library falls back to clone.
    targets |= {"clone3": "no-call", "mprotect": "judge-mmap"}
    targets |= dict.fromkeys(_NO_TERMINAL, "no-terminal") | dict.fromkeys(_NO_ACCESS, "no-access")
    targets |= dict.fromkeys(_FATAL, "kill") | dict.fromkeys(_ALLOWED, "allow")
    for name in (
        "mmap",
        "mprotect",
        *_ALLOWED,
        *(n for n in _JUDGED if n not in ("mmap", "mprotect")),
        *_NO_ACCESS,
        *_NO_TERMINAL,
        *_FATAL,
    ):
        number = machine.number(name)
        if number >= 0:
            p.jump(_JEQ, number, yes=targets[name])
    p.go("default")


def _judge_arguments(p: _Program, pid: int) -> None:
    p.label("judge-mmap")  # int prot: neither mmap nor mprotect makes memory executable
    p.load_argument(2)
    p.jump(_JSET, _PROT_EXEC, yes="default", no="allow")

    p.label("judge-clone")  # threads, and nothing else
    p.load_argument(0)
    p.jump(_JSET, _CLONE_NEW, yes="default")
    p.jump(_JSET, _CLONE_THREAD, yes="allow", no="default")

    p.label("judge-prctl")
    p.load_argument(0)
    for option in _PRCTL_OPTIONS:
        p.jump(_JEQ, option, yes="allow")
    p.go("default")

    p.label("judge-fcntl")
    p.load_argument(1)
    for command in _FCNTL_COMMANDS:
        p.jump(_JEQ, command, yes="allow")
    p.go("default")

    p.label("judge-tgkill")  # a signal to a thread of this process (abort, faulting threads)
    p.load_argument(0)
    p.jump(_JEQ, pid, yes="allow", no="default")

    p.label("judge-newfstatat")
    p.load_argument(3)
    p.jump(_JSET, _AT_EMPTY_PATH, yes="allow", no="no-access")

    p.label("judge-prlimit64")  # reading one's own limits, as starting a thread does
    p.load_argument(0)
    p.jump(_JEQ, 0, no="default")
    p.load_argument(2)
    p.jump(_JEQ, 0, no="default")
    p.load_argument(2, high=True)
    p.jump(_JEQ, 0, yes="allow", no="default")
