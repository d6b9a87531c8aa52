"""The attacks, by where they come from: from inside a worker that was taken over, and from outside, by its application.

Each name is that of a method of `InsideCalls` or `OutsideCalls`. Those that end the process come last. Pure.
"""

from __future__ import annotations

from typing import Final

from player.attacks.attack import NO_CORE, SIGSYS, Attack

__all__ = ["INSIDE", "OUTSIDE", "SERVICE"]

_ACCESS: Final = "refused: EACCES"
_PERMISSION: Final = "refused: EPERM"

INSIDE: Final = (
    Attack("open_for_writing", "a file of the user is written", _ACCESS),
    Attack("read_private_file", "a private file of the user is read", _ACCESS),
    Attack("read_password_file", "the machine's list of accounts is read", _ACCESS),
    Attack("open_own_memory", "code in memory is overwritten past its protection", _ACCESS),
    Attack("list_root", "the machine's files are listed", _ACCESS),
    Attack("stat_path", "it is learned which files there are", _ACCESS),
    Attack("list_descriptors_of_parent", "it is learned what the application has open", _ACCESS),
    Attack("change_folder", "relative paths lead somewhere", _PERMISSION),
    Attack("use_inherited_descriptor", "a file that the application left open is used", "refused: EBADF"),
    Attack("make_inet_socket", "what was decrypted is sent to the network", _ACCESS),
    Attack("make_unix_socket", "a service of the machine is asked", _ACCESS),
    Attack("connect_tcp", "a server of this machine is reached", _ACCESS),
    Attack("make_socket_pair", "a channel that the filter does not know is made", _PERMISSION),
    Attack("fork", "a process that outlives the session is made", _PERMISSION),
    Attack("spawn", "a program is run", _PERMISSION),
    Attack("signal_parent", "the application is signalled", _PERMISSION),
    Attack("limit_parent", "the application's limits are changed", _PERMISSION),
    Attack("bind_parent_to_processor", "the application is bound to one processor", _PERMISSION),
    Attack("change_user", "another account is taken", _PERMISSION),
    Attack("map_executable", "code of the attacker's own is run", _PERMISSION),
    Attack("make_executable", "written memory is run", _PERMISSION),
    Attack("become_dumpable", "the worker is opened to other processes again", _PERMISSION),
    Attack("add_filter", "the worker's own system calls are bent", _PERMISSION),
    Attack("import_late", "code that nobody verified is imported", "refused: ENOENT"),
    Attack("execute", "the process becomes another program", SIGSYS),
    Attack("trace_parent", "the application is controlled as by a debugger", SIGSYS),
    Attack("read_memory_of_parent", "the application's memory is read", SIGSYS),
    Attack("write_memory_of_parent", "the application's memory is written", SIGSYS),
    Attack("connect_by_number", "a socket at hand is connected elsewhere", SIGSYS),
    Attack("fork_by_number", "a process is made past the C library", SIGSYS, x86_only=True),
    Attack("take_descriptor_of_parent", "a file that the application has open is taken", SIGSYS),
    Attack("make_ring", "system calls are made past the filter (io_uring)", SIGSYS),
    Attack("load_into_kernel", "a program is loaded into the kernel (bpf)", SIGSYS),
    Attack("reach_keyring", "keys that the kernel keeps for the user are reached", SIGSYS),
    Attack("call_x32", "system calls are made under other numbers (x32)", SIGSYS, x86_only=True),
    # Where it is done, nothing of the parent is in reach any more.
    Attack("unshare", "a namespace with more rights is made", SIGSYS),
    Attack("crash", "a core file with the worker's memory is left", NO_CORE),
)

OUTSIDE: Final = (
    Attack("read_maps", "it is learned where the worker's code and data lie", _ACCESS),
    Attack("read_memory_file", "the worker's memory, keys in it, is read as a file", _ACCESS),
    Attack("read_environment", "the worker's environment is read", _ACCESS),
    Attack("list_descriptors", "what the worker has open is listed, and opened anew", _ACCESS),
    Attack("read_registers", "the worker's registers are read", _ACCESS),
    Attack("attach", "the worker is controlled as by a debugger", _PERMISSION),
    Attack("seize", "the worker is controlled without being stopped", _PERMISSION),
    Attack("read_memory", "the worker's memory, keys in it, is copied", _PERMISSION),
    Attack("write_memory", "the worker's memory is written", _PERMISSION),
    Attack("take_descriptor", "a file or socket of the worker's is taken", _PERMISSION),
    Attack("attach_gdb", "gdb shows the worker from inside", _PERMISSION),
    Attack("dump_with_gdb", "gdb writes the worker's memory to a core file (gcore)", _PERMISSION),
    Attack("limit", "the worker's limits are lowered", _PERMISSION, is_availability=True),
    Attack("set_affinity", "the worker is bound to one processor", _PERMISSION, is_availability=True),
    Attack("set_priority", "the worker gets the last turn", _PERMISSION, is_availability=True),
    Attack("stop", "the worker stands still (SIGSTOP)", _PERMISSION, is_availability=True),
    Attack("kill", "the worker ends (SIGKILL)", _PERMISSION, is_availability=True),
)

SERVICE: Final = (
    Attack("read_device_key", "the device key is copied, and signs reports elsewhere", _ACCESS),
    Attack("kill_service", "the service ends, and every worker with it", _PERMISSION, is_availability=True),
)
"""What comes on top, from outside, when it is a service that runs the worker."""
