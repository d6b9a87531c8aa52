"""The application of the attack tests: launches inside.py exactly as drm.launch.process launches a worker.

    launch.py MODE ATTACKS [traced]

Prints one JSON object: what inside.py told, by name, and how it ended. `traced`: by a tracer from before the start,
which follows forks.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from drm.launch import process, worker_child

SECRET = ctypes.create_string_buffer(b"SECRET OF THE PARENT" * 4)
LIBC = ctypes.CDLL(None, use_errno=True)


def main():
    mode, attacks, *options = sys.argv[1:]
    home = Path.cwd()
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (home / ".ssh" / "id_ed25519").write_bytes(b"PRIVATE KEY")
    LIBC.prctl(0x59616D61, ctypes.c_ulong(0xFFFFFFFFFFFFFFFF), 0, 0, 0)  # PR_SET_PTRACER_ANY, for machines with Yama
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    server = socket.create_server(("127.0.0.1", 0))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stranger = os.open(home / ".ssh" / "id_ed25519", os.O_RDONLY)
    command = process._command(theirs.fileno(), False, "cryptography", 1, False)
    entry = next(index for index, word in enumerate(command) if word.endswith("__main__.py"))
    command[entry : entry + 1] = [str(Path(__file__).with_name("inside.py")), mode, attacks]
    command += [f"home={home}", f"port={server.getsockname()[1]}", f"stranger={stranger}"]
    command += [f"secret_at={ctypes.addressof(SECRET)}", f"secret_size={len(SECRET)}"]
    traced = "traced" in options
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    worker = subprocess.Popen(
        command, pass_fds=[theirs.fileno(), stranger], env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True, cwd=home, preexec_fn=be_traced if traced else None,  # noqa: PLW1509 - there is one thread
    )  # fmt: skip
    theirs.close()
    told, announced = {}, Future()
    listener = threading.Thread(target=listen, args=(ours, told, announced))
    listener.start()
    ended = follow() if traced else end_of(worker, announced.result(40))
    listener.join(10)
    errors = worker.stderr.read().decode(errors="replace")
    cores = [path.name for path in home.glob("core*") if b"SECRET OF THE WORKER" * 10 in path.read_bytes()]
    for path in home.glob("core*"):
        path.unlink()
    print(json.dumps({"told": told, "ended": ended, "stderr": errors, "cores": cores}))


def listen(ours, told, announced):
    announced.set_result(worker_child._announced(ours, 40))
    while message := ours.recv(1 << 18):
        name, outcome = json.loads(message)
        told[name] = outcome


def end_of(launched, pid):
    code = launched.wait(40)
    return code if pid in (0, launched.pid) else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def be_traced():
    LIBC.ptrace(0, 0, None, None)  # PTRACE_TRACEME


def follow():
    """Let traced processes run on from each of their stops; returns how the last of them ended, as Popen.wait does."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return code
        if os.WIFSTOPPED(status):
            number = os.WSTOPSIG(status)
            LIBC.ptrace(0x4200, pid, None, ctypes.c_void_p(2))  # PTRACE_SETOPTIONS, PTRACE_O_TRACEFORK
            ours = number in (signal.SIGTRAP, signal.SIGSTOP)
            LIBC.ptrace(7, pid, None, ctypes.c_void_p(0 if ours else number))  # PTRACE_CONT
        else:
            code = os.waitstatus_to_exitcode(status)


main()
