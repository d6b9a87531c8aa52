"""Stands in the worker's place, is born as a worker is, and then attacks from the inside.

    inside.py MODE ATTACKS name=value...

MODE: open (no lock-down at all: the control), locked, or contained (under an outer filter that, like a container's,
has neither Landlock nor namespaces). ATTACKS: names with commas between. Each one's outcome goes to the channel:
"done", or "refused: " and why. What kills the process is seen by its parent.
"""

# The attacks are the plain calls themselves.
# ruff: noqa: PTH116, PTH123, PTH208

import contextlib
import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
X86 = os.uname().machine == "x86_64"
NUMBERS = {  # x86-64, aarch64
    "connect": (42, 203), "fork": (57, -1), "io_uring_setup": (425, 425), "bpf": (321, 280),
    "pidfd_getfd": (438, 438), "keyctl": (250, 219), "getpid": (39, 172),
}  # fmt: skip


def number(name):
    return NUMBERS[name][0 if X86 else 1]


def syscall(name_or_number, *words):
    value = number(name_or_number) if isinstance(name_or_number, str) else name_or_number
    result = LIBC.syscall(ctypes.c_long(value), *(ctypes.c_long(w) if isinstance(w, int) else w for w in words))
    if result < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return result


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "libc")
    return result


@contextlib.contextmanager
def reaching_the_kernel():
    """Any answer will do but EPERM, which is what a filter around us says."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPERM:
            raise


class Attacks:
    def __init__(self, told):
        self.parent = int(told["parent"])
        self.home = told["home"]
        self.channel = int(told["channel"])
        self.port = int(told["port"])
        self.secret_at = int(told["secret_at"])
        self.secret_size = int(told["secret_size"])
        self.stranger = int(told["stranger"])

    # files
    def open_for_writing(self):
        os.write(os.open(f"{self.home}/notes.txt", os.O_WRONLY | os.O_CREAT), b"x")

    def read_private_file(self):
        with open(f"{self.home}/.ssh/id_ed25519", "rb") as file:
            assert file.read().startswith(b"PRIVATE")

    def read_password_file(self):
        open("/etc/passwd").close()

    def open_own_memory(self):
        open("/proc/self/mem", "rb").close()

    def list_root(self):
        assert "proc" in os.listdir("/")

    def stat_path(self):
        os.stat(f"{self.home}/.ssh/id_ed25519")

    def list_descriptors_of_parent(self):
        os.listdir(f"/proc/{self.parent}/fd")

    def change_folder(self):
        os.chdir("/")

    def use_inherited_descriptor(self):
        os.fstat(self.stranger)

    # network
    def make_inet_socket(self):
        socket.socket(socket.AF_INET).close()

    def make_unix_socket(self):
        socket.socket(socket.AF_UNIX).close()

    def connect_tcp(self):
        with socket.socket(socket.AF_INET) as s:
            s.connect(("127.0.0.1", self.port))

    def make_socket_pair(self):
        socket.socketpair()

    # processes
    def fork(self):
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def spawn(self):
        os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}), 0)

    def signal_parent(self):
        os.kill(self.parent, 0)

    def limit_parent(self):
        import resource

        resource.prlimit(self.parent, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))

    # memory, and the lock itself
    def map_executable(self):
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()

    def make_executable(self):
        area = mmap.mmap(-1, 4096)
        place = ctypes.addressof(ctypes.c_char.from_buffer(area))
        checked(LIBC.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(4096), 5))

    def become_dumpable(self):
        checked(LIBC.prctl(4, ctypes.c_ulong(1), 0, 0, 0))

    def add_filter(self):
        allow_all = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000))
        program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(allow_all)))
        LIBC.prctl(38, ctypes.c_ulong(1), 0, 0, 0)
        checked(LIBC.prctl(22, ctypes.c_ulong(2), program, 0, 0))

    def import_late(self):
        try:
            import wave  # noqa: F401 - of the standard library, and on no list
        except ImportError as error:
            raise OSError(errno.ENOENT, str(error)) from None

    # each of these ends a locked process
    def execute(self):
        os.execv("/bin/sh", ["sh", "-c", "exit 7"])

    def trace_parent(self):
        checked(LIBC.ptrace(0x4206, self.parent, None, None))  # PTRACE_SEIZE

    def read_memory_of_parent(self):
        into = ctypes.create_string_buffer(self.secret_size)
        local = struct.pack("QQ", ctypes.addressof(into), self.secret_size)
        remote = struct.pack("QQ", self.secret_at, self.secret_size)
        checked(LIBC.process_vm_readv(self.parent, local, 1, remote, 1, 0))
        assert into.raw.startswith(b"SECRET OF THE PARENT")

    def unshare(self):
        checked(LIBC.unshare(0x10000000))

    def connect_by_number(self):
        address = b"\x01\x00/nowhere"
        with reaching_the_kernel():
            syscall("connect", self.channel, ctypes.c_char_p(address), len(address))

    def fork_by_number(self):
        if syscall("fork") == 0:
            os._exit(0)

    def take_descriptor_of_parent(self):
        pidfd = LIBC.syscall(ctypes.c_long(434), self.parent, 0)
        with reaching_the_kernel():
            syscall("pidfd_getfd", pidfd, 0, 0)

    def make_ring(self):
        with reaching_the_kernel():
            syscall("io_uring_setup", 0, 0)

    def call_x32(self):
        with reaching_the_kernel():
            syscall(number("getpid") | 0x40000000)

    def crash(self):
        self.kept = b"SECRET OF THE WORKER" * 100
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)

    # no attacks: what a test wants to know of a locked process
    def tell_modules(self):
        return sorted(sys.modules)

    def start_thread(self):
        import threading

        seen = []
        thread = threading.Thread(target=seen.append, args=(1,))
        thread.start()
        thread.join()
        assert seen


def outer_filter(number_of, deny):
    """What a container's filter does: these calls have no kernel behind them."""
    code = [(0x20, 0, 0, 0)]
    for value, error in deny:
        code += [(0x15, 0, 1, value), (0x06, 0, 0, 0x00050000 | error)]
    code.append((0x06, 0, 0, 0x7FFF0000))
    raw = b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(raw, len(raw))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(buffer)))
    checked(LIBC.prctl(38, ctypes.c_ulong(1), 0, 0, 0))
    checked(LIBC.prctl(22, ctypes.c_ulong(2), program, 0, 0))


def main():
    mode, names, *words = sys.argv[1:]
    pairs = [word.partition("=")[::2] for word in words]
    told = dict(pairs)
    sys.path += [value for name, value in pairs if name == "path"]
    attacks = Attacks(told)
    if mode == "contained":
        unshare = 272 if X86 else 97
        outer_filter(None, [(444, errno.ENOSYS), (445, errno.ENOSYS), (446, errno.ENOSYS), (unshare, errno.EPERM)])
    if mode == "open":
        os.write(attacks.channel, b"\0")  # as `born` announces a worker
    else:
        from drm.pmp.__main__ import Arguments, born

        report = born(Arguments.parse(words)).report
        tell(attacks.channel, "report", {"level": report.level, "layers": report.layers, "abi": report.landlock_abi})
    for name in names.split(","):
        try:
            outcome = getattr(attacks, name)() or "done"
        except OSError as error:
            outcome = f"refused: {errno.errorcode.get(error.errno, error)}"
        tell(attacks.channel, name, outcome)


def tell(channel, name, outcome):
    os.write(channel, json.dumps([name, outcome]).encode())


main()
