"""The application attacks its own worker: a real one, or the same one started unprotected (the control).

    outside.py protected|unprotected

Prints one JSON object: for each attack "done", or "refused: " and why. Every attack would give the worker's memory,
environment or descriptors to the application.
"""

# The attacks are the plain calls themselves.
# ruff: noqa: PTH123, PTH208, SIM115

import ctypes
import errno
import json
import os
import struct
import sys

from drm.launch.process import PMPProcess

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ATTACH, SEIZE, DETACH = 16, 0x4206, 17


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "libc")
    return result


class Attacks:
    def __init__(self, pid):
        self.pid = pid

    def _writable_area(self):
        try:
            with open(f"/proc/{self.pid}/maps") as maps:
                line = next(line for line in maps if "[stack]" in line)
            _, end = line.split()[0].split("-")
            return int(end, 16) - 4096
        except OSError:
            return 0x10000  # the kernel asks who we are before it looks at the address

    def read_maps(self):
        with open(f"/proc/{self.pid}/maps") as maps:
            assert "python" in maps.read()

    def read_memory_file(self):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self._writable_area())
            assert len(memory.read(4096)) == 4096

    def read_environment(self):
        open(f"/proc/{self.pid}/environ", "rb").read()

    def list_descriptors(self):
        assert os.listdir(f"/proc/{self.pid}/fd")

    def read_registers(self):
        with open(f"/proc/{self.pid}/syscall") as file:
            assert file.read()

    def attach(self):
        checked(LIBC.ptrace(ATTACH, self.pid, None, None))
        os.waitpid(self.pid, 0)
        LIBC.ptrace(DETACH, self.pid, None, None)

    def seize(self):
        checked(LIBC.ptrace(SEIZE, self.pid, None, None))
        LIBC.ptrace(0x4207, self.pid, None, None)  # PTRACE_INTERRUPT: it must stop to be let go
        os.waitpid(self.pid, 0)
        LIBC.ptrace(DETACH, self.pid, None, None)

    def read_memory(self):
        into = ctypes.create_string_buffer(64)
        local = struct.pack("QQ", ctypes.addressof(into), 64)
        remote = struct.pack("QQ", self._writable_area(), 64)
        checked(LIBC.process_vm_readv(self.pid, local, 1, remote, 1, 0))

    def write_memory(self):
        data = ctypes.create_string_buffer(8)
        local = struct.pack("QQ", ctypes.addressof(data), 8)
        remote = struct.pack("QQ", self._writable_area() + 4088, 8)
        checked(LIBC.process_vm_writev(self.pid, local, 1, remote, 1, 0))

    def take_descriptor(self):
        pidfd = os.pidfd_open(self.pid)
        os.close(checked(LIBC.syscall(ctypes.c_long(438), pidfd, 0, 0)))


def main():
    protected = sys.argv[1] == "protected"
    with PMPProcess(unprotected=not protected, demanded_level=1 if protected else 0) as worker:
        worker.channel_socket.settimeout(30)
        assert worker.channel_socket.recv(1 << 16), "the worker is not ready"
        attacks = Attacks(worker.pid)
        outcomes = {}
        for name in [name for name in vars(Attacks) if not name.startswith("_")]:
            try:
                getattr(attacks, name)()
                outcomes[name] = "done"
            except OSError as error:
                outcomes[name] = f"refused: {errno.errorcode[error.errno]}"
        alive = worker.exit_code is None
    print(json.dumps({"outcomes": outcomes, "alive": alive}))


if __name__ == "__main__":
    main()
