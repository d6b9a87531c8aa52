"""The application attacks a worker of the PMP service, which runs under another account.

    service_worker.py SOCKET DEVICE_KEY

Prints one JSON object: for each attack "done", or "refused: " and why.
"""

import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path

from outside import Attacks

from drm.app.service_process import ServiceProcess


class OtherAccount(Attacks):
    """Those of any worker, and those that only another account withstands."""

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)

    def limit(self):
        resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, 0))

    def set_affinity(self):
        os.sched_setaffinity(self.pid, {0})

    def set_priority(self):
        os.setpriority(os.PRIO_PROCESS, self.pid, 19)

    def kill_service(self):
        parent = next(
            line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if line.startswith("PPid")
        )
        os.kill(int(parent.split()[1]), signal.SIGTERM)

    def read_device_key(self):
        Path(sys.argv[2]).read_bytes()


def main():
    worker = ServiceProcess(sys.argv[1], demanded_level=3)
    worker.channel_socket.settimeout(30)
    assert worker.channel_socket.recv(1 << 16), "the worker is not ready"
    attacks = OtherAccount(worker.pid)
    outcomes = {}
    for name in [name for name in dir(OtherAccount) if not name.startswith("_") and name != "pid"]:
        try:
            getattr(attacks, name)()
            outcomes[name] = "done"
        except OSError as error:
            outcomes[name] = f"refused: {errno.errorcode[error.errno]}"
    alive = not worker.wait(0)
    worker.close()
    print(json.dumps({"outcomes": outcomes, "alive": alive, "gone": not Path(f"/proc/{worker.pid}").exists()}))


main()
