"""`python like_docker.py PROGRAM ARGUMENT…`: run it under a filter that refuses what Docker's own refuses the worker.

Namespaces and mounts are refused with EPERM, and clone3 with ENOSYS so that the C library takes clone; Landlock and
filters of one's own pass. (Docker's profiles/seccomp/default.json, for a container without CAP_SYS_ADMIN.)
"""

import ctypes
import errno
import os
import platform
import struct
import sys

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
CLONE3 = 435
NUMBERS = {  # clone; unshare, setns, mount, umount2
    "x86_64": (56, (272, 308, 165, 166)),
    "aarch64": (220, (97, 268, 40, 39)),
}

clone, refused = NUMBERS[platform.machine()]
program = [(LOAD, 0, 0, 0)]
for number, error in [*((number, errno.EPERM) for number in refused), (CLONE3, errno.ENOSYS)]:
    program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | error)]
program += [
    (EQUAL, 0, 3, clone),
    (LOAD, 0, 0, 16),
    (ANY_BIT, 0, 1, NEW_NAMESPACES),
    (RETURN, 0, 0, REFUSE | errno.EPERM),
]
program += [(RETURN, 0, 0, ALLOW)]
code = b"".join(struct.pack("=HBBI", *line) for line in program)


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


libc = ctypes.CDLL(None, use_errno=True)
for words in ((38, 1, 0), (22, 2, ctypes.byref(Program(len(program), code)))):  # NO_NEW_PRIVS, SECCOMP
    if libc.prctl(*words, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
os.execvp(sys.argv[1], sys.argv[1:])
