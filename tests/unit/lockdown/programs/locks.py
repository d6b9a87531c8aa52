"""One part of the lock-down, in a process of its own that then tries what the part is against.

    locks.py PART [WORDS]

Prints one JSON object. Whatever is needed afterwards is opened, imported or mapped before.
"""

# The attempts are the plain calls themselves.
# ruff: noqa: PTH102, PTH109, PTH116, PTH108, PTH208, PTH211, PTH104, PTH106

import ctypes
import errno
import gc
import json
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import sys
import threading
import time
from pathlib import Path

from drm.lockdown import fresh_memory, landlock, libc, limits, lockdown, namespaces, probe

NAMES = ("user", "net", "ipc", "uts", "mnt", "pid")


def tried(attempts):
    """What each attempt comes to: "done", or the name of the error."""
    told = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            told[name] = "done"
        except OSError as error:
            told[name] = errno.errorcode.get(error.errno, str(error))
    return told


def file_rights(folder):
    """An attempt at each right over the file system that Landlock knows, in the order of its bits."""
    return {
        "execute": lambda: os.posix_spawn(f"{folder}/run", ["run"], {}),
        "write_file": lambda: os.close(os.open(f"{folder}/file", os.O_WRONLY)),
        "read_file": lambda: os.close(os.open(f"{folder}/file", os.O_RDONLY)),
        "read_dir": lambda: os.listdir(folder),
        "remove_dir": lambda: os.rmdir(f"{folder}/empty"),
        "remove_file": lambda: os.unlink(f"{folder}/gone"),
        "make_char": lambda: os.mknod(f"{folder}/char", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        "make_dir": lambda: os.mkdir(f"{folder}/made"),
        "make_reg": lambda: os.mknod(f"{folder}/regular", stat.S_IFREG | 0o600),
        "make_sock": lambda: os.mknod(f"{folder}/socket", stat.S_IFSOCK | 0o600),
        "make_fifo": lambda: os.mkfifo(f"{folder}/fifo"),
        "make_block": lambda: os.mknod(f"{folder}/block", stat.S_IFBLK | 0o600, os.makedev(7, 200)),
        "make_sym": lambda: os.symlink("file", f"{folder}/link"),
        "refer": lambda: os.rename(f"{folder}/moved", f"{folder}/other/moved"),
        "truncate": lambda: os.truncate(f"{folder}/file", 0),
    }


def reach(port):
    """What lies beyond files: TCP, a socket by an abstract name, a signal."""

    def connect():
        with socket.socket() as made:
            made.connect(("127.0.0.1", port))

    def bind():
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))

    def abstract():
        with socket.socket(socket.AF_UNIX) as made:
            made.connect("\0clearkey-test-" + str(os.getppid()))

    return {"connect": connect, "bind": bind, "abstract": abstract, "signal": lambda: os.kill(os.getppid(), 0)}


def landlocked(folder, port, lock, files="0", net="0", scopes="0"):
    """All rights are taken but those named, as bits."""
    attempts = file_rights(folder) | reach(int(port))
    abi = 0
    if lock == "yes":
        libc.prctl(38, 1)
        before = len(os.listdir("/proc/self/fd"))
        fds = os.open("/proc/self/fd", os.O_RDONLY)
        abi = landlock.abi_version()
        every = landlock.rights(landlock.kernel_takes)
        ruleset = landlock.create_ruleset(
            landlock.Rights(every.files & ~int(files), every.net & ~int(net), every.scopes & ~int(scopes))
        )
        left = landlock.leaves_out(ruleset)
        landlock.restrict(ruleset)
        os.close(ruleset)
        spare = os.dup(fds)  # the lowest number that is free: a ruleset that stays open would have it
        return {"abi": abi, "spare": spare - before, "told": tried(attempts), "left": left}
    return {"abi": landlock.abi_version(), "told": tried(attempts)}


def reported(files, net, scopes, restrict):
    """What the report says when our own code takes every right but those named, or restricts nothing."""
    every = landlock.rights(landlock.kernel_takes)
    fewer = landlock.Rights(every.files & ~int(files), every.net & ~int(net), every.scopes & ~int(scopes))
    landlock.rights = lambda _takes: fewer
    if restrict == "no":
        landlock.restrict = lambda _ruleset: None
    return _locked(lockdown.Lockdown(os.getppid()))


def without_namespace(flag):
    """What the report says when our own code enters all namespaces but this one."""
    usual = libc.unshare
    libc.unshare = lambda flags: usual(flags & ~int(flag))
    return _locked(lockdown.Lockdown(os.getppid()))


def without_step(step):
    """What the report says when our own code leaves out this step of the lock-down."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    prctl, setrlimit, numbers = (
        libc.prctl,
        resource.setrlimit,
        {"parent_death": 1, "not_dumpable": 4, "no_new_privs": 38},
    )
    if step in numbers:
        libc.prctl = lambda option, value=0: (
            0 if (option, value) == (numbers[step], SET[step]) else prctl(option, value)
        )
    elif step == "no_core":
        resource.setrlimit = lambda what, most: None if what == resource.RLIMIT_CORE else setrlimit(what, most)
    elif step == "closed_fds":
        stranger = os.open("/dev/null", os.O_RDONLY)
        close = os.close
        os.close = lambda descriptor: None if descriptor == stranger else close(descriptor)
    elif step == "chroot":
        os.chroot = lambda _folder: None
    else:
        place = {"limits": (limits, "apply"), "no_capabilities": (lockdown, "drop_capabilities"),
                 "seccomp": (lockdown, "_install_filter")}[step]  # fmt: skip
        setattr(*place, lambda *_words: "")
    return {**_locked(lockdown.Lockdown(os.getppid())), "hard": hard}


SET = {"parent_death": 9, "not_dumpable": 0, "no_new_privs": 1}


def uncapable(drop):
    """What root may do with capabilities, and nothing but they."""
    if drop == "yes":
        lockdown.drop_capabilities()
    theirs = f"/tmp/clearkey-locks-{os.getpid()}"
    return {"told": tried({
        "chroot": lambda: os.chroot("/"), "device": lambda: _made_device(theirs), "nice": lambda: os.nice(-1),
        "name": lambda: socket.sethostname(socket.gethostname()), "setuid": lambda: os.setuid(1),
    })}  # fmt: skip


def _made_device(path):
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.unlink(path)


def own_namespaces(port):
    folder = os.open("/proc/self/ns", os.O_RDONLY)
    before = {name: os.readlink(name, dir_fd=folder) for name in NAMES}
    layers = namespaces.enter_own()
    after = {name: os.readlink(name, dir_fd=folder) for name in NAMES}
    seen = tried({"proc": lambda: os.stat("/proc"), "here": lambda: os.listdir("/"), "cwd": os.getcwd})
    return {"layers": layers, "new": [name for name in NAMES if after[name] != before[name]], "seen": seen,
            "reached": tried(reach(int(port))), "cwd": os.getcwd(),
            "files": sorted(os.listdir("/"), key=int)[:3]}  # fmt: skip


def in_a_namespace_of(owner):
    """Where a process of root made the namespace: `owner` is who lives in it, its own account or another."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        libc.unshare(libc.CLONE_NEWUSER)
        theirs.send(b"x")
        theirs.recv(1)
        if owner == "other":
            os.setuid(1000)
        libc.prctl(4, 1)  # a change of account made it undumpable, and its /proc root's
        theirs.send(namespaces.userns_owner().encode())
        os._exit(0)
    ours.recv(1)
    lines = "0 0 1\n1000 1000 1\n" if owner != "unmapped" else "0 1000 1\n"
    Path(f"/proc/{child}/uid_map").write_text(lines)
    ours.send(b"x")
    told = ours.recv(64).decode()
    os.waitpid(child, 0)
    return {"owner": told}


def born_initial():
    return {"owner": namespaces.userns_owner()}


def hidden(what):
    """`hide`, or the part of it that an unprotected worker does."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    kept, stranger = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
    lock = lockdown.Lockdown(os.getppid())
    (lock.hide if what == "hide" else lock.tie_to_parent)([kept])
    signal_of_death = ctypes.c_int(0)
    libc.prctl(2, ctypes.addressof(signal_of_death))
    status = lock.status.read()
    return {
        "said": lock._said, "owner": lock.userns_owner, "dumpable": libc.prctl(3), "death": signal_of_death.value,
        "not_yet": [lock.landlock_abi, lock.filter_sha256, lock.threads], "no_new_privs": status["NoNewPrivs"],
        "core": resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
        "open": tried({"kept": lambda: os.fstat(kept), "stranger": lambda: os.fstat(stranger),
                       "input": lambda: os.fstat(0), "output": lambda: os.fstat(1), "errors": lambda: os.fstat(2),
                       "status": lambda: os.fstat(lock.status.descriptor)}),
    }  # fmt: skip


def orphaned():
    lockdown.Lockdown(1 << 22).hide([])
    return {"alive": True}


def contained(calls):
    """Under an outer filter that, as a container's, has no kernel behind these calls: NUMBER=ERRNO with commas."""
    code = [(0x20, 0, 0, 0)]
    for call in calls.split(","):
        number, error = map(int, call.split("="))
        code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
    lock = lockdown.Lockdown(os.getppid())
    _filter(code)
    return _locked(lock)


def _filter(code):
    """Have this thread judged by such a program, which allows the rest."""
    raw = b"".join(struct.pack("<HBBI", *each) for each in [*code, (0x06, 0, 0, 0x7FFF0000)])
    buffer = ctypes.create_string_buffer(raw, len(raw))
    libc.prctl(38, 1)
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code) + 1, ctypes.addressof(buffer)))
    libc.syscall(lockdown._SECCOMP[os.uname().machine], 1, 0, header)


def locked():
    return _locked(lockdown.Lockdown(os.getppid()))


def _fork():
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _locked(lock):
    early = lock.layers()
    lock.hide([])
    lock.bound(512)
    lock.apply()
    attempts = {"open": lambda: os.open("/", os.O_RDONLY), "socket": socket.socket, "fork": _fork,
                "executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)}  # fmt: skip
    return {"early": early, "layers": lock.layers(), "abi": lock.landlock_abi, "sha256": lock.filter_sha256,
            "threads": lock.threads, "told": tried(attempts)}  # fmt: skip


def with_another_thread():
    """unshare needs a single thread; the filter is for all of them."""
    told, go, done = {}, threading.Event(), threading.Event()

    def other():
        go.wait()
        told.update(tried({"socket": socket.socket, "open": lambda: os.open("/", os.O_RDONLY)}))
        done.set()

    threading.Thread(target=other, daemon=True).start()
    lock = lockdown.Lockdown(os.getppid())
    lock.hide([])
    lock.apply()
    go.set()
    done.wait(20)
    return {"layers": lock.layers(), "threads": lock.threads, "other": told}


def on_another_machine():
    """As far as uname says: a 32-bit personality."""
    ctypes.CDLL(None).personality(8)
    return {"machine": os.uname().machine, **_locked(lockdown.Lockdown(os.getppid()))}


def with_a_thread_of_another_filter():
    """The kernel cannot give such a thread ours."""
    ready = threading.Event()

    def other():
        _filter([(0x20, 0, 0, 0)])
        ready.set()
        threading.Event().wait()

    threading.Thread(target=other, daemon=True).start()
    ready.wait()
    lock = lockdown.Lockdown(os.getppid())
    lock.hide([])
    lock.apply()
    return {"layers": lock.layers(), "sha256": lock.filter_sha256}


def with_a_forgotten_pool():
    """A thread that ends with the object that owns it, which nobody holds but itself."""
    gc.disable()

    class Pool:
        def __init__(self):
            self.itself, self.ended = self, threading.Event()
            self.thread = threading.Thread(target=self.ended.wait, daemon=True)
            self.thread.start()

        def __del__(self):
            self.ended.set()
            self.thread.join()
            while lock.status.threads > 1:  # it is not in the kernel's list any more
                time.sleep(0.001)

    lock = lockdown.Lockdown(os.getppid())
    Pool()
    before = lock.status.threads
    lock.hide([])
    lock.apply()
    return {"before": before, "threads": lock.threads, "layers": lock.layers()}


def _landlock_unlocked():
    with probe.reachable() as made:
        return probe.landlock_holds(made, 6)


def unlocked():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    status = probe.Status()
    return {"layers": probe.layers(status, os.getppid()), "landlock": _landlock_unlocked(), "tracer": status.tracer,
            "threads": status.threads, "hard": hard}  # fmt: skip


def dumpable_again():
    """Not dumpable, and nothing that keeps it so: the probe must not be satisfied, and must not undo it silently."""
    libc.prctl(4, 0)
    return {"layers": probe.layers(probe.Status(), os.getppid())}


def traced():
    """Stopped by whoever traces it; the tracer is told by its number."""
    status = probe.Status()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        parent = os.getppid()
        attached = ctypes.CDLL(None).ptrace(0x4206, parent, None, None)
        theirs.send(b"x")
        theirs.recv(1)
        os._exit(0 if attached == 0 else 1)
    ours.recv(1)
    found = {"tracer": status.tracer, "child": child, "layers": probe.layers(status, os.getppid())}
    ours.send(b"x")
    os.waitpid(child, 0)
    return found


def forked(hide, calls=""):
    """`fresh_memory.enter`, here or under an outer filter as in `contained`."""
    code = []
    for call in filter(None, calls.split(",")):
        number, error = map(int, call.split("="))
        code += [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
    if code:
        _filter(code)
    before = os.getpid()
    start = fresh_memory.enter(hide=hide == "yes")
    flag = []
    thread = threading.Thread(target=flag.append, args=[1])
    thread.start()
    thread.join()
    # The C library must know the number of the thread that it goes on in.
    signal.signal(signal.SIGUSR1, lambda *_: flag.append(2))
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    return {"start": start, "is_same": before == os.getpid(), "parent": os.getppid(), "dumpable": libc.prctl(3),
            "flag": flag}  # fmt: skip


def main():
    part, *words = sys.argv[1:]
    signal.alarm(60)
    os.write(1, json.dumps(globals()[part](*words)).encode())


main()
