"""Attacks from inside: the plain calls, made by a process that stands in the worker's place.

Every method is one attack. It returns when it was done, raises OSError when it was refused, and may not return at all.
Standard library alone, all of it loaded before the lock.
"""

# The attacks are the plain calls themselves.
# ruff: noqa: D102, PTH116, PTH123, PTH208, S606 - player/attacks/tables.py says of each what it would give

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Final

from player.attacks.kernel import LIBC, checked, copy_memory, ptrace, reaching_the_kernel, syscall

__all__ = ["EXECUTED", "SECRET_OF_PARENT", "SECRET_OF_WORKER", "InsideCalls"]

EXECUTED: Final = 7
"""Exit status of the program that `execute` runs."""
SECRET_OF_PARENT: Final = b"SECRET OF THE PARENT" * 4
SECRET_OF_WORKER: Final = b"SECRET OF THE WORKER" * 10

# linux/prctl.h, linux/ptrace.h, linux/sched.h
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 4, 22, 38, 2
_PTRACE_SEIZE: Final = 0x4206
_CLONE_NEWUSER: Final = 0x10000000
_PROT_READ_EXEC: Final = 5


class InsideCalls:
    """`told` is what the application says of itself on the command line; inside.py makes it."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self.parent = int(told["parent"])
        self.channel = int(told["channel"])
        self._home = told["home"]
        self._port = int(told["port"])
        self._secret_at = int(told["secret_at"])
        self._stranger = int(told["stranger"])
        self._kept = b""

    # ------------------------------------------------------------------ files
    def open_for_writing(self) -> None:
        os.write(os.open(f"{self._home}/notes.txt", os.O_WRONLY | os.O_CREAT), b"x")

    def read_private_file(self) -> None:
        with open(f"{self._home}/private", "rb") as file:
            assert file.read() == SECRET_OF_PARENT

    def read_password_file(self) -> None:
        open("/etc/passwd").close()

    def open_own_memory(self) -> None:
        open("/proc/self/mem", "rb").close()

    def list_root(self) -> None:
        assert "proc" in os.listdir("/")

    def stat_path(self) -> None:
        os.stat(f"{self._home}/private")

    def list_descriptors_of_parent(self) -> None:
        os.listdir(f"/proc/{self.parent}/fd")

    def change_folder(self) -> None:
        os.chdir("/")
        os.chdir(self._home)  # where a core file goes

    def use_inherited_descriptor(self) -> None:
        os.fstat(self._stranger)

    # ------------------------------------------------------------------ network
    def make_inet_socket(self) -> None:
        socket.socket(socket.AF_INET).close()

    def make_unix_socket(self) -> None:
        socket.socket(socket.AF_UNIX).close()

    def connect_tcp(self) -> None:
        with socket.socket(socket.AF_INET) as connection:
            connection.connect(("127.0.0.1", self._port))

    def make_socket_pair(self) -> None:
        for end in socket.socketpair():
            end.close()

    # ------------------------------------------------------------------ processes
    def fork(self) -> None:
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def spawn(self) -> None:
        os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}), 0)

    def signal_parent(self) -> None:
        os.kill(self.parent, 0)

    def limit_parent(self) -> None:
        resource.prlimit(self.parent, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))

    def bind_parent_to_processor(self) -> None:
        os.sched_setaffinity(self.parent, os.sched_getaffinity(0))

    def change_user(self) -> None:
        os.setuid(os.getuid())  # the one that any account may take

    # ------------------------------------------------------------------ memory, and the lock itself
    def map_executable(self) -> None:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()

    def make_executable(self) -> None:
        area = mmap.mmap(-1, mmap.PAGESIZE)
        place = ctypes.addressof(ctypes.c_char.from_buffer(area))
        checked(LIBC.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(mmap.PAGESIZE), _PROT_READ_EXEC))

    def become_dumpable(self) -> None:
        checked(LIBC.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0))

    def add_filter(self) -> None:
        allow_all = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000))
        program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(allow_all)))
        LIBC.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
        checked(LIBC.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), program, 0, 0))

    def import_late(self) -> None:
        try:
            import wave  # noqa: F401, PLC0415 - of the standard library, and on no list
        except ImportError as error:
            raise OSError(errno.ENOENT, str(error)) from None

    # ------------------------------------------------------------------ each of these ends a locked process
    def execute(self) -> None:
        os.execv("/bin/sh", ["sh", "-c", f"exit {EXECUTED}"])

    def trace_parent(self) -> None:
        ptrace(_PTRACE_SEIZE, self.parent)

    def read_memory_of_parent(self) -> None:
        assert copy_memory(self.parent, self._secret_at, len(SECRET_OF_PARENT)) == SECRET_OF_PARENT

    def write_memory_of_parent(self) -> None:
        copy_memory(self.parent, self._secret_at + len(SECRET_OF_PARENT), 1, write=True)  # the zero behind it

    def unshare(self) -> None:
        checked(LIBC.unshare(_CLONE_NEWUSER))

    def connect_by_number(self) -> None:
        address = b"\x01\x00/nowhere"  # AF_UNIX
        with reaching_the_kernel():
            syscall("connect", self.channel, ctypes.c_char_p(address), len(address))

    def fork_by_number(self) -> None:
        if syscall("fork") == 0:
            os._exit(0)

    def take_descriptor_of_parent(self) -> None:
        try:
            pidfd = syscall("pidfd_open", self.parent, 0)
        except OSError:
            pidfd = -1  # refused as well; what counts is the call that takes
        with reaching_the_kernel():
            syscall("pidfd_getfd", pidfd, 0, 0)

    def make_ring(self) -> None:
        with reaching_the_kernel():
            syscall("io_uring_setup", 0, 0)

    def load_into_kernel(self) -> None:
        with reaching_the_kernel():
            syscall("bpf", 0, 0, 0)

    def reach_keyring(self) -> None:
        with reaching_the_kernel():
            syscall("keyctl", 0, -4, 0)  # KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING

    def call_x32(self) -> None:
        with reaching_the_kernel():
            syscall("getpid", x32=True)

    def crash(self) -> None:
        self._kept = SECRET_OF_WORKER * 10
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)

    # ------------------------------------------------------------------ no attacks
    def wait(self) -> None:
        threading.Event().wait()  # until whoever started this ends it

    def start_thread(self) -> None:
        seen: list[int] = []
        thread = threading.Thread(target=seen.append, args=(1,))
        thread.start()
        thread.join()
        assert seen
