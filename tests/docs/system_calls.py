"""The table of a locked worker's system calls: each with its condition, and which run of it ends without the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drm.lockdown import seccomp

__all__ = ["KEPT", "NEEDED", "system_calls"]

# Taken away one at a time, with hashes, with the source in the worker and with a contact sheet of a small clear film:
# all of the three runs ended with SIGSYS, or those that are named.
_ALL: Final = "every playback"
NEEDED: Final[dict[str, str]] = {
    **dict.fromkeys((
        "read", "recvmsg", "sendmsg", "futex", "madvise", "munmap", "pread64", "close", "getsockopt", "getsockname",
        "getrandom", "getppid", "gettid", "uname", "sched_getaffinity", "set_robust_list", "rseq",
        "rt_sigprocmask", "exit",
    ), _ALL),
    "write": "playback with `--framemd5` or `--snapshot`",
}  # fmt: skip

KEPT: Final[dict[str, str]] = {
    **dict.fromkeys(("poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"),
                    "waiting for a descriptor"),
    **dict.fromkeys(("clock_gettime", "clock_getres", "gettimeofday", "times", "getrusage"),
                    "clocks, where the vDSO has none"),
    **dict.fromkeys(("clock_nanosleep", "nanosleep", "sched_yield", "membarrier"),
                    "waiting, and locks of the C library"),
    **dict.fromkeys(("mremap", "brk", "mlock", "munlock"), "memory, as the C library takes it for larger films"),
    **dict.fromkeys(("readv", "writev", "pwrite64", "recvfrom", "sendto", "lseek", "fstat", "dup", "shutdown"),
                    "files and sockets that are open already, in other forms"),
    **dict.fromkeys(("close_range", "ftruncate", "fsync", "memfd_create", "pipe2"), "descriptors that name no file"),
    **dict.fromkeys(("getpid", "getuid", "geteuid", "getgid", "getegid"), "questions about itself"),
    **dict.fromkeys(("rt_sigaction", "rt_sigreturn", "sigaltstack", "restart_syscall"), "signals: a crash, a stop"),
    "fstatfs": "what kind of file a descriptor is that was handed over",
    "exit_group": "the end of the process by itself",
}  # fmt: skip

_CONDITIONS: Final[dict[str, str]] = {
    "mmap": "not executable",
    "mprotect": "not executable",
    "clone": "a thread, and in no new namespace",
    "clone3": "never: ENOSYS, so that the C library takes `clone`",
    "prctl": "PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_SET_VMA",
    "fcntl": "DUPFD, GETFD, SETFD, GETFL, SETFL, DUPFD_CLOEXEC, ADD_SEALS, GET_SEALS",
    "ioctl": "FIONBIO",
    "tgkill": "to a thread of its own",
    "newfstatat": "with AT_EMPTY_PATH: of an open descriptor",
    "prlimit64": "reading its own limits",
}


def system_calls() -> Iterator[str]:
    """The page. Raises KeyError for a call of the filter that has no row."""
    yield "What is in no row is refused; calls that nothing excuses (`execve`, `ptrace`, `connect` …) end the process."
    yield ""
    yield "| call | condition | needed by |"
    yield "| --- | --- | --- |"
    for name in seccomp._ALLOWED:
        why = NEEDED[name] if name in NEEDED else f"kept for: {KEPT[name]}"
        yield f"| `{name}` | | {why} |"
    for name in seccomp._JUDGED:
        yield f"| `{name}` | {_CONDITIONS[name]} | see its condition |"
