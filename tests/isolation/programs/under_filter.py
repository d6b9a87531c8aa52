"""Installs what a container's filter does, and goes on as the command given: neither Landlock nor unshare is there.

    under_filter.py PYTHON WORDS...

The filter comes down on everything that is started from here, the worker among it.
"""

import ctypes
import errno
import os
import struct
import sys

UNSHARE = 272 if os.uname().machine == "x86_64" else 97
DENIED = [(444, errno.ENOSYS), (445, errno.ENOSYS), (446, errno.ENOSYS), (UNSHARE, errno.EPERM)]  # 444 to 446: Landlock

libc = ctypes.CDLL(None, use_errno=True)
code = [(0x20, 0, 0, 0)]
for number, error in DENIED:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
code.append((0x06, 0, 0, 0x7FFF0000))
raw = b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
instructions = ctypes.create_string_buffer(raw, len(raw))
program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(instructions)))
for option, value, more in ((38, 1, None), (22, 2, program)):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
    if libc.prctl(option, ctypes.c_ulong(value), more or 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
os.execv(sys.argv[1], sys.argv[1:])
