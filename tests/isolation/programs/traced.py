"""Runs the command given under a tracer that was there before, and that follows every process which it starts.

traced.py PYTHON WORDS...
"""

import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
TRACEME, CONT, SETOPTIONS = 0, 7, 0x4200
FOLLOW = 0x2 | 0x4 | 0x8  # PTRACE_O_TRACEFORK, PTRACE_O_TRACEVFORK, PTRACE_O_TRACECLONE
WALL = 0x40000000  # __WALL: threads, too
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def main():
    first = os.fork()
    if first == 0:
        LIBC.ptrace(TRACEME, 0, None, None)
        os.execv(sys.argv[1], sys.argv[1:])
    known, code = set(), 1
    while True:
        try:
            pid, status = os.waitpid(-1, WALL)
        except ChildProcessError:
            sys.exit(code)
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status) if pid == first else code
            continue
        number = os.WSTOPSIG(status)
        is_new = pid not in known
        known.add(pid)
        if is_new:
            LIBC.ptrace(SETOPTIONS, pid, None, FOLLOW)
        ours = number == signal.SIGTRAP or (is_new and number == signal.SIGSTOP)
        LIBC.ptrace(CONT, pid, None, 0 if ours else number)


main()
