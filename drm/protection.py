"""The protection report: what a PMP worker found when it probed its own lock-down, and the level that makes.

Shared by both processes and by the license server. Pure. A report is made in the worker, from probes and never from
intentions; whoever receives one learns no more than that its sender says so, unless the license request that carries
it is signed by a device that is enrolled.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from drm.errors import IsolationError

__all__ = [
    "ADVICE", "CONTAINED_LAYERS", "SERVICE_LAYERS", "WALL_LAYERS", "ComponentState", "Level", "ProtectionReport",
    "StartWindow",
    "TrustReport", "level_of", "missing", "require",
]  # fmt: skip

YES: Final = "yes"


class Level(enum.IntEnum):
    """Isolation levels of the worker, in rising order."""

    UNPROTECTED = 0  # a process of its own, and nothing more: refuses protected content
    CONTAINED = 1  # seccomp and prctl
    CONTAINED_PLUS = 2  # and, as a second wall, Landlock and namespaces of its own
    SERVICE = 3  # and an account of its own, which owns the device key

    @property
    def label(self) -> str:
        """The level's name, as documents and outputs write it."""
        return ("unprotected", "contained", "contained+", "service")[self]


CONTAINED_LAYERS: Final = (
    "no_new_privs",
    "not_dumpable",
    "fresh_memory",
    "no_core",
    "untraced",
    "userns_owner",
    "parent_death",
    "closed_fds",
    "no_capabilities",
    "seccomp",
    "open_refused",
    "socket_refused",
    "exec_memory_refused",
    "code_inventory",
    "limits",
)
"""What level 1 is made of."""

WALL_LAYERS: Final = (
    "landlock", "user_namespace", "network_namespace", "ipc_namespace", "uts_namespace", "chroot",
)  # fmt: skip
"""What level 2 adds: a second, independent wall."""

SERVICE_LAYERS: Final = ("own_account", "own_device_key", "code_not_writable")
"""What level 3 adds, in a worker that the service started: nothing of the application's account is in reach."""

ADVICE: Final[Mapping[str, str]] = {
    "no_new_privs": "needs Linux 3.5 or later",
    "not_dumpable": "a security module refuses prctl(PR_SET_DUMPABLE)",
    "fresh_memory": (
        "something around the application refuses clone(2) with CLONE_PARENT, or /proc is not there: what other "
        "processes opened of the worker before it hid would still read it"
    ),
    "no_core": "a security module refuses setrlimit(RLIMIT_CORE)",
    "untraced": "end the debugger or tracer (strace, gdb, rr) that the application runs under",
    "userns_owner": (
        "the application runs inside a user namespace of its own account (bubblewrap, unshare), which may then read "
        "the worker's memory: start the application outside it"
    ),
    "parent_death": "needs Linux; the worker was started by another process than the one it was told of",
    "closed_fds": "needs /proc mounted, to find what was inherited",
    "no_capabilities": "run as an ordinary user, or let the worker drop its capabilities (capset)",
    "seccomp": "needs Linux 4.14 or later with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64",
    "open_refused": "the seccomp filter is not in force",
    "socket_refused": "the seccomp filter is not in force",
    "exec_memory_refused": "the seccomp filter is not in force",
    "code_inventory": (
        "something put code into the worker that is no file as it lies on disk: a library that makes code while it "
        "loads, or one that was replaced meanwhile; start again, and see /etc/ld.so.preload"
    ),
    "limits": "a security module refuses setrlimit(RLIMIT_DATA, RLIMIT_NOFILE)",
    "landlock": "needs Linux 5.13 or later with `landlock` in the kernel's list of security modules (lsm=)",
    "user_namespace": (
        "unprivileged user namespaces are off here: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns, or the container's own filter"
    ),
    "network_namespace": "comes with the user namespace",
    "ipc_namespace": "comes with the user namespace",
    "uts_namespace": "comes with the user namespace",
    "chroot": "comes with the user namespace",
    "own_account": "level 3 is a service under an account of its own: clearkey pmp-service install --help",
    "own_device_key": "the device key must be a file that the service's account alone can read",
    "code_not_writable": "the service's account can write code that its workers load: install it as root",
}
"""What a machine lacks when a layer says no, and what to do."""


class ComponentState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One component that the worker runs, as it was verified."""

    name: str
    version: str
    class_id: str
    sha256: str  # of the archive that was signed
    signer: str  # id of a key that signed the metadata which lists it
    state: str  # "trusted" or "test-signed"


class TrustReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the worker's components are, by metadata that it verified itself."""

    signed: str  # "trusted": by the root that the package pins; "test-signed": any of them by another
    revocation_list: int = 0  # number of the list that they were held against
    freshness: str = ""  # of that list: fresh, stale or expired
    components: tuple[ComponentState, ...] = ()
    verify_ms: float = 0.0  # what the last verification took


class StartWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What could be done to a worker between its exec and the moment when it hid, by other processes of its account.

    Nothing that was opened in that time reads the worker (layer `fresh_memory`). What was written in it stays written,
    and no probe finds it; a performance counter that was opened in it goes on and samples registers and stacks.
    """

    dumpable: bool  # when it first looked at itself. False: its account cannot read the interpreter, and it never was
    ptrace_scope: int | None  # kernel.yama.ptrace_scope; None: there is no Yama
    perf_event_paranoid: int | None  # kernel.perf_event_paranoid; None: it cannot be read
    has_company: bool  # another process of the account was seen, at the lock; False proves nothing

    @property
    def is_open(self) -> bool:
        """Whether another process of the account could have written into the worker, or may sample it."""
        return self.dumpable and not (self._keeps_writers_out and self._keeps_counters_out)

    @property
    def _keeps_writers_out(self) -> bool:
        return (
            self.ptrace_scope or 0
        ) >= 2  # 1 leaves it to the ancestors: a shell or whatever started the application

    @property
    def _keeps_counters_out(self) -> bool:
        return (self.perf_event_paranoid or 0) >= 3  # in the kernels of Debian, Ubuntu and Android; others stop at 2

    def text(self) -> str:
        """For a user."""
        if not self.dumpable:
            return "closed: this account cannot read the interpreter, so the worker was hidden from its first moment"
        if not self.is_open:
            return "closed: the kernel keeps debuggers and performance counters from this account's processes"
        ways = []
        if not self._keeps_writers_out:
            who = "an ancestor of the worker" if self.ptrace_scope == 1 else "a process of this account"
            ways.append(f"{who} could write into the worker before it hid")
        if not self._keeps_counters_out:
            ways.append("a process of this account could open a performance counter that goes on sampling it")
        others = "there are others" if self.has_company else "no other was seen"
        return f"open: {', and '.join(ways)}; {others}"


class ProtectionReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one worker is, from probes made in that very process. Holds no secret."""

    level: int  # 0 to 3, see Level
    layers: dict[str, str]  # "yes", or "no: " and the errno's name or a reason
    landlock_abi: int = 0  # 0: none
    kernel: str = ""
    machine: str = ""
    filter_sha256: str = ""  # of the seccomp program, with 0 in place of the process id that it names
    untraced: bool = False
    start_window: StartWindow | None = None  # None: not looked at, as in an unprotected process
    userns_owner: str = ""  # "initial", "other", or "self": then the application may trace the worker
    threads: int = 0  # at the lock; the filter covers them all
    started: float = 0.0  # seconds since the epoch
    nonce: str = ""  # 32 hex digits, new for each worker
    components: dict[str, str] = {}  # name: sha256 of its manifest
    versions: dict[str, str] = {}  # of Python and of the libraries in the worker
    startup_ms: dict[str, float] = {}  # where the time until the report went
    license_path: str = ""  # how the keys came, once they have: sealed, clear or local
    memory: int = 0  # MiB that the worker may use, private and shared
    unlisted_code: tuple[str, ...] = ()  # files mapped to be run: not the interpreter's, the libraries', or root's
    trust: TrustReport | None = None  # None: nothing was verified, as in an unprotected process


def level_of(layers: Mapping[str, str]) -> Level:
    """Return the level that these probed layers make."""
    if any(layers.get(name) != YES for name in CONTAINED_LAYERS):
        return Level.UNPROTECTED
    if any(layers.get(name) != YES for name in WALL_LAYERS):
        return Level.CONTAINED
    if any(layers.get(name) != YES for name in SERVICE_LAYERS):
        return Level.CONTAINED_PLUS
    return Level.SERVICE


def missing(layers: Mapping[str, str], level: int) -> dict[str, str]:
    """Return the layers that `level` needs and that are not there, each with what its probe said."""
    needed: tuple[str, ...] = ()
    if level >= Level.CONTAINED:
        needed += CONTAINED_LAYERS
    if level >= Level.CONTAINED_PLUS:
        needed += WALL_LAYERS
    lacks = {name: layers.get(name, "no: not probed") for name in needed if layers.get(name) != YES}
    if level >= Level.SERVICE:
        other = "no: the worker runs under the application's account"
        lacks |= {name: layers.get(name, other) for name in SERVICE_LAYERS if layers.get(name) != YES}
    return lacks


def require(report: ProtectionReport, level: int) -> ProtectionReport:
    """Return `report` if it reaches `level`; otherwise raise IsolationError, which names the missing layers."""
    if report.level >= level:
        return report
    lacks = missing(report.layers, level) or {"level": f"no: the worker reports {report.level}"}
    raise IsolationError(
        f"isolation level {level} is demanded, and this worker has level {report.level}",
        where="the PMP worker's lock-down",
        seen="; ".join(f"{name} {said}" for name, said in lacks.items()),
        maybe=next((ADVICE[name] for name in lacks if name in ADVICE), ""),
        remedy="clearkey doctor",
    )
