"""The table of a locked worker's system calls: each with its condition, and a run that ends without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from drm.lockdown import seccomp

__all__ = ["CALLS", "RUNS", "AllowedCall", "system_calls"]

RUNS: Final = {
    "start": "a worker is started, reports, and ends when the application leaves",
    "play": "a protected film is played, its frames hashed",
    "sealed": "a protected film is played under a sealed license",
    "stop": "a worker is stopped in mid-play (SIGSTOP), and goes on",
    "interrupt": "a worker is interrupted (SIGINT)",
    "abort": "the C library gives up (`abort`)",
    "metadata": "ten megabytes of components' metadata are looked through",
    "publisher": "a sink of another publisher's writes as Python's files do, goes back in the file, and sleeps",
    "libraries": "a C library other than Debian 12's: glibc from 2.39 on, or a clock that the vDSO does not have",
}
"""The runs of tests/isolation/test_system_calls.py, by name."""


class AllowedCall(NamedTuple):
    """A call of the filter, or one way of making it."""

    name: str
    run: str  # of RUNS: it ends with SIGSYS when this is taken away
    condition: str = ""
    argument: int | None = None  # the place of the argument that the condition is about
    value: int = 0  # the one that is taken away


CALLS: Final = (
    *(
        AllowedCall(name, "start")
        for name in ("recvmsg", "sendmsg", "getsockopt", "getsockname", "getrandom", "getppid", "rt_sigaction",
                     "exit_group", "pread64", "uname")
    ),
    *(
        AllowedCall(name, "play")
        for name in ("write", "futex", "madvise", "munmap", "close", "gettid", "fstatfs", "shutdown",
                     "sched_getaffinity", "set_robust_list", "rseq", "rt_sigprocmask", "exit")
    ),
    AllowedCall("getpid", "sealed"),
    AllowedCall("restart_syscall", "stop"),
    AllowedCall("rt_sigreturn", "interrupt"),
    AllowedCall("brk", "metadata"),
    AllowedCall("lseek", "publisher"),
    AllowedCall("clock_nanosleep", "publisher"),
    AllowedCall("fstat", "libraries"),
    AllowedCall("clock_gettime", "libraries"),
    AllowedCall("mmap", "start", "not executable"),
    AllowedCall("mprotect", "play", "not executable"),
    AllowedCall("clone", "play", "a thread, and in no new namespace"),
    AllowedCall("clone3", "play", "never: ENOSYS, so that the C library takes `clone`"),
    AllowedCall("prctl", "start", "PR_GET_PDEATHSIG", 0, 2),
    AllowedCall("prctl", "start", "PR_GET_DUMPABLE", 0, 3),
    AllowedCall("prctl", "play", "PR_SET_NAME", 0, 15),
    AllowedCall("fcntl", "play", "F_GETFL", 1, 3),
    AllowedCall("fcntl", "play", "F_DUPFD_CLOEXEC", 1, 1030),
    AllowedCall("fcntl", "play", "F_GET_SEALS", 1, 1034),
    AllowedCall("tgkill", "abort", "to a thread of its own"),
    AllowedCall("newfstatat", "play", "with AT_EMPTY_PATH: of an open descriptor"),
    AllowedCall("prlimit64", "start", "reading its own limits"),
)  # fmt: skip
"""Every call that the filter lets through, on the machine whose runs these are: x86-64."""


def system_calls() -> Iterator[str]:
    """The page."""
    yield "What is in no row is refused; calls that nothing excuses (`execve`, `ptrace`, `connect` …) end the process."
    yield "Each row was taken away by itself: the run that it names then ended with SIGSYS, and a test does so again."
    yield ""
    yield "| run | what happens |"
    yield "| --- | --- |"
    for name, what in RUNS.items():
        yield f"| {name} | {what} |"
    yield ""
    yield "| call | condition | needed by the run |"
    yield "| --- | --- | --- |"
    for call in CALLS:
        yield f"| `{call.name}` | {call.condition} | {call.run} |"
    refused = ", ".join(f"`{name}`" for name in (*seccomp._NO_ACCESS, *seccomp._NO_TERMINAL))
    yield ""
    yield f"Refused with an error that Python understands (EACCES; for `ioctl` ENOTTY): {refused}."
    yield ""
    yield "The end of the process: " + ", ".join(f"`{name}`" for name in seccomp._FATAL) + "."
