"""Stands in for drm/pmp/__main__.py: runs that very file, with a filter that ends the process at one call more.

Words of its own: `entry=` that file; `without=NUMBER` or `NUMBER:ARGUMENT:VALUE` the call, or the call with this value
of this argument; `then=NAME` what it does instead of serving, once it is locked.
"""

import ctypes
import os
import struct
import sys

OWN = ("entry", "without", "then")
WORDS = dict(word.split("=", 1) for word in sys.argv[1:] if word.partition("=")[0] in OWN)
sys.argv = [word for word in sys.argv if word.partition("=")[0] not in OWN]
LOAD, EQUAL, RETURN, KILL = 0x20, 0x15, 0x06, 0x80000000  # linux/filter.h, linux/seccomp.h


def taken_away(number, argument=None, value=None):
    """The instructions that come before the filter's own."""
    code = [(LOAD, 0, 0, 0), (EQUAL, 0, 1 if argument is None else 3, int(number))]
    if argument is not None:
        code += [(LOAD, 0, 0, 16 + 8 * int(argument)), (EQUAL, 0, 1, int(value))]
    return b"".join(struct.pack("<HBBI", *each) for each in [*code, (RETURN, 0, 0, KILL)])


def other_libraries():
    """What glibc 2.39 and later have for fstat, and what every C library does about a clock that the vDSO has not."""
    import time

    number = {"x86_64": 5, "aarch64": 80}[os.uname().machine]
    if LIBC.syscall(number, 1, ctypes.create_string_buffer(256)):
        raise OSError(ctypes.get_errno(), "fstat")
    time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


LIBC = ctypes.CDLL(None, use_errno=True)
THEN = {"other_libraries": other_libraries, "abort": os.abort}


def main():
    with open(WORDS["entry"], encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be one more module
        code = compile(file.read(), WORDS["entry"], "exec")
    sys.path += [word.partition("=")[2] for word in sys.argv if word.startswith("path=")]
    from drm.lockdown import seccomp

    usual = seccomp.assemble
    if "without" in WORDS:
        seccomp.assemble = lambda *words: taken_away(*WORDS["without"].split(":")) + usual(*words)
    names = {"__name__": "worker", "__file__": WORDS["entry"]}
    exec(code, names)
    if "then" in WORDS:
        names["born"](names["Arguments"].parse(sys.argv[1:]))
        THEN[WORDS["then"]]()
    else:
        names["main"]()


main()
