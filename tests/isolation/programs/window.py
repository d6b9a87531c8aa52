"""Another process of the account, which tries to hold on to a worker from before it hides.

    window.py FILE LICENSE_URL LAUNCHES [without-fork]

Starts window_play.py, and while that launches workers and plays in them opens mem, maps and fd/* of each of its
children, over and over. At each stand in mid-play it searches what it holds for needles: one line of JSON on stdin,
name to hex, and the device key. Prints one JSON object: what it held and what it found there.
"""

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

from drm.launch.device_key import home_folder

LARGEST = 16 << 20  # bytes that are read at once


class Held:
    """What could be opened of one process."""

    def __init__(self):
        self.files = {}

    def reach(self, pid):
        """Open all of it anew; what was opened before stays where that is refused. Returns whether it was not."""
        try:
            mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
            self._keep("mem", mem)
            self._keep("maps", os.open(f"/proc/{pid}/maps", os.O_RDONLY))
            for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - numbers
                name = f"/proc/{pid}/fd/{number}"
                if name not in self.files and stat.S_ISREG(os.stat(name).st_mode):  # noqa: PTH116
                    self._keep(name, os.open(name, os.O_RDONLY))
        except OSError:
            return False
        return True

    def _keep(self, name, descriptor):
        if name in self.files:
            os.close(self.files[name])
        self.files[name] = descriptor

    def search(self, needles):
        found, size = set(), 0
        for name, descriptor in self.files.items():
            if name not in ("mem", "maps"):
                data = os.pread(descriptor, LARGEST, 0)
                found |= {needle for needle, form in needles.items() if form in data}
        for start, end in self._areas():
            for at in range(start, end, LARGEST):
                with contextlib.suppress(OSError):  # what lies past the end of a file
                    data = os.pread(self.files["mem"], min(LARGEST + 64, end - at), at)
                    size += len(data)
                    found |= {needle for needle, form in needles.items() if form in data}
        return found, size

    def _areas(self):
        """What can be written, as the file that was opened before tells it now."""
        if "maps" not in self.files:
            return
        with os.fdopen(os.dup(self.files["maps"])) as maps, contextlib.suppress(OSError):
            maps.seek(0)
            for line in maps:
                area, rights = line.split()[:2]
                if rights.startswith("rw"):
                    yield tuple(int(word, 16) for word in area.split("-"))

    def close(self):
        for descriptor in self.files.values():
            os.close(descriptor)


class Watch(threading.Thread):
    """Reaches for the children of the application until it is told to end."""

    def __init__(self, application):
        super().__init__(daemon=True)
        self.tasks = Path(f"/proc/{application}/task")
        self.held, self.ending = {}, False
        self.resting = threading.Lock()  # nothing is launched while the application stands still

    def run(self):
        while not self.ending:
            with self.resting, contextlib.suppress(OSError):
                for task in os.listdir(self.tasks):  # noqa: PTH208 - numbers
                    for pid in map(int, (self.tasks / task / "children").read_text().split()):
                        self._reach(pid)

    def _reach(self, pid):
        # Until it executes, a child has the memory of the application.
        if pid not in self.held and b"channel=" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        self.held.setdefault(pid, Held()).reach(pid)


def forms(secret):
    return {"raw": secret, "reversed": secret[::-1], "hex": secret.hex().encode()}


def main():
    film, url, launches, *options = sys.argv[1:]
    needles = {name: bytes.fromhex(text) for name, text in json.loads(sys.stdin.readline()).items()}
    program = str(Path(__file__).with_name("window_play.py"))
    told = {"launches": 0, "reached": 0, "worker_reached": 0, "searched": 0, "found": [], "levels": [], "paths": []}
    found, levels, paths = set(), set(), set()
    with subprocess.Popen([sys.executable, program, film, url, launches, *options], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as application:  # fmt: skip
        watch = Watch(application.pid)
        watch.start()
        for line in application.stdout:
            stand = json.loads(line)
            key = (home_folder() / "device.key").read_bytes()
            sought = needles | {f"{form} of the device key": needle for form, needle in forms(key).items()}
            with watch.resting:
                held = watch.held
                for each in held.values():
                    hits, size = each.search(sought)
                    found |= hits
                    told["searched"] += size
                told["launches"] += 1
                told["reached"] += any(each.files for each in held.values())
                told["worker_reached"] += bool(held.get(stand["worker"], Held()).files)
                levels.add(stand["level"])
                paths.add(stand["license_path"])
                for each in held.values():
                    each.close()
                held.clear()
            application.stdin.write("\n")
            application.stdin.flush()
        watch.ending = True
        watch.join()
    assert application.returncode == 0
    print(json.dumps(told | {"found": sorted(found), "levels": sorted(levels), "paths": sorted(paths)}))


main()
