"""The filter program itself, judged by an interpreter of its language: also for the machine that is not at hand."""

import platform
import re
import shutil
import struct
import subprocess

import pytest

from drm.lockdown import seccomp

ALLOW, KILL, EPERM, EACCES, ENOTTY, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x5000D, 0x50019, 0x50026
PID = 4321
TABLES = (seccomp._ALLOWED, seccomp._NO_ACCESS, seccomp._NO_TERMINAL, seccomp._FATAL, seccomp._JUDGED)


@pytest.fixture(params=seccomp.MACHINES)
def machine(request: pytest.FixtureRequest) -> seccomp.Machine:
    return seccomp.MACHINES[request.param]


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a classic BPF program over a `struct seccomp_data`, as the kernel would."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        op, yes, no, k = code[at]
        at += 1
        match op:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x06:
                return k
            case 0x05:
                at += k
            case 0x15:
                at += yes if accumulator == k else no
            case 0x35:
                at += yes if accumulator >= k else no
            case 0x45:
                at += yes if accumulator & k else no
            case _:
                raise AssertionError(f"no such instruction: {op:#x}")


def judge(machine: seccomp.Machine, name: str, *arguments: int) -> int:
    return verdict(seccomp.assemble(machine, PID), machine.audit_arch, machine.number(name), *arguments)


def test_every_call_of_a_table_gets_its_tables_answer(machine: seccomp.Machine) -> None:
    for table, answer in ((seccomp._ALLOWED, ALLOW), (seccomp._NO_ACCESS, EACCES), (seccomp._FATAL, KILL)):
        for name in table:
            if machine.number(name) >= 0:
                assert judge(machine, name) == answer, name


def test_a_call_of_no_table_is_refused(machine: seccomp.Machine) -> None:
    listed = {table[name][machine.column] for table in TABLES for name in table}
    program = seccomp.assemble(machine, PID)
    for number in set(range(480)) - listed:
        assert verdict(program, machine.audit_arch, number) == EPERM, number


def test_another_architecture_or_abi_ends_the_process(machine: seccomp.Machine) -> None:
    program = seccomp.assemble(machine, PID)
    assert verdict(program, 0x40000003, 0) == KILL  # 32-bit x86, where 0 is another call
    assert verdict(program, machine.audit_arch, 0x40000000) == KILL
    assert verdict(program, machine.audit_arch, 0xFFFFFFFF) == KILL


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("mmap", (0, 4096, 3), ALLOW),
        ("mmap", (0, 4096, 5), EPERM),
        ("mmap", (0, 4096, 4), EPERM),
        ("mprotect", (0, 4096, 3), ALLOW),
        ("mprotect", (0, 4096, 7), EPERM),
        ("clone", (0x3D0F00,), ALLOW),  # what glibc's pthread_create passes
        ("clone", (17,), EPERM),  # what its fork passes
        ("clone", (0x3D0F00 | 0x10000000,), EPERM),
        ("clone", (0x3D0F00 | 0x80,), EPERM),
        ("clone3", (1, 88), ENOSYS),
        ("prctl", (15, 1), ALLOW),
        ("prctl", (4, 1), EPERM),
        ("prctl", (22, 2), EPERM),
        ("prctl", (1, 0), EPERM),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 8, 1), EPERM),  # F_SETOWN
        ("ioctl", (0, 0x5412), ENOTTY),  # TIOCSTI
        ("ioctl", (3, 0x5421), ENOTTY),  # FIONBIO
        ("tgkill", (PID, PID, 6), ALLOW),
        ("tgkill", (PID + 1, PID, 6), EPERM),
        ("newfstatat", (3, 0, 0, 0x1000), ALLOW),
        ("newfstatat", (3, 0, 0, 0), EACCES),
        ("newfstatat", (3, 0, 0, 0x100), EACCES),
        ("newfstatat", (3, 0, 0, 1), EACCES),
        ("prlimit64", (0, 7, 0), ALLOW),
        ("prlimit64", (0, 7, 0x1000), EPERM),
        ("prlimit64", (0, 7, 0x1_0000_0000), EPERM),
        ("prlimit64", (1, 7, 0), EPERM),
    ],
)
def test_arguments_are_judged(machine: seccomp.Machine, name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert judge(machine, name, *arguments) == answer


# fcntl(2): F_GETFL, F_DUPFD_CLOEXEC and F_GET_SEALS; linux/prctl.h, linux/sched.h
FCNTL = {3, 1030, 1034}
PRCTL = {2, 3, 15}
NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
THREAD = 0x10000


def test_no_other_command_or_option_passes(machine: seccomp.Machine) -> None:
    program = seccomp.assemble(machine, PID)
    for name, at, allowed, tried in (
        ("fcntl", 1, FCNTL, {*range(64), *range(1020, 1050)}),
        ("prctl", 0, PRCTL, {*range(128), *range(0x53564D30, 0x53564D50), 0x59616D61}),
    ):
        for value in tried:
            arguments = (0,) * at + (value,)
            answer = verdict(program, machine.audit_arch, machine.number(name), *arguments)
            assert answer == (ALLOW if value in allowed else EPERM), (name, value)


def test_a_thread_is_made_with_every_flag_but_those_of_namespaces(machine: seccomp.Machine) -> None:
    for bit in (1 << number for number in range(32)):
        answer = EPERM if bit in NAMESPACES else ALLOW
        assert judge(machine, "clone", THREAD | bit) == answer, hex(bit)
        assert judge(machine, "clone", bit) == (ALLOW if bit == THREAD else EPERM), hex(bit)


def test_the_machines_are_named_as_the_kernel_names_them() -> None:
    """AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of linux/audit.h."""
    assert {name: machine.audit_arch for name, machine in seccomp.MACHINES.items()} == {
        "x86_64": 0xC000003E,
        "aarch64": 0xC00000B7,
    }


def test_the_tables_do_not_overlap() -> None:
    names = [name for table in TABLES for name in table]
    assert len(names) == len(set(names))
    for column in (0, 1):
        numbers = [n for table in TABLES for pair in table.values() if (n := pair[column]) >= 0]
        assert len(numbers) == len(set(numbers))


def test_the_programs_fit_what_the_kernel_takes(machine: seccomp.Machine) -> None:
    assert len(seccomp.assemble(machine, PID)) // 8 < 256


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not there to read the kernel's headers")
@pytest.mark.parametrize(("column", "header"), [(0, "asm/unistd.h"), (1, "asm-generic/unistd.h")])
def test_the_numbers_are_those_of_the_kernels_headers(column: int, header: str) -> None:
    if column == 0 and platform.machine() != "x86_64":
        pytest.skip("asm/unistd.h is that of another machine here")
    source = f"""
    #define __BITS_PER_LONG 64
    #define __ARCH_WANT_NEW_STAT
    #define __ARCH_WANT_SET_GET_RLIMIT
    #define __ARCH_WANT_SYS_CLONE3
    #include <{header}>
    """
    run = subprocess.run(["gcc", "-E", "-dM", "-"], input=source, text=True, capture_output=True, check=False)
    if run.returncode:
        pytest.skip("the kernel's headers are not there (apt-get install linux-libc-dev)")
    defined = dict(re.findall(r"#define (__NR\w+) (\S+)", run.stdout))
    for table in TABLES:
        for name, numbers in table.items():
            value = defined.get(f"__NR_{name}", "-1")
            assert int(defined.get(value, value)) == numbers[column], name


def test_the_numbers_that_matter_most_also_where_no_headers_are() -> None:
    x86, arm = seccomp.MACHINES["x86_64"], seccomp.MACHINES["aarch64"]
    assert [x86.number(n) for n in ("openat", "socket", "execve", "ptrace", "clone")] == [257, 41, 59, 101, 56]
    assert [arm.number(n) for n in ("openat", "socket", "execve", "ptrace", "clone")] == [56, 198, 221, 117, 220]
