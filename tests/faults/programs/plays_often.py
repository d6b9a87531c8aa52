"""An application that plays the same film again and again in one process, well and badly by turns.

    plays_often.py COUNT FILE KEYS_FILE

Prints one JSON object: descriptors, threads and children after each play.
"""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from drm.app.rights.managers import LocalKeysManager
from drm.errors import KeyWrongError
from drm.keyfile.formats import parse_keys_file
from drm.keys import ContentKey
from player.playback import Playback


def held():
    return {
        "descriptors": sorted(links()),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(),
        "mappings": sum("memfd" in line for line in Path("/proc/self/maps").read_text().splitlines()),
    }


def links():
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            yield str(path.readlink())


def main():
    count, film, keys_file = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    keys = parse_keys_file(keys_file.read_bytes())
    wrong = dict.fromkeys(keys, ContentKey(bytes(range(16))))
    seen = []
    for _ in range(count):
        hashes = os.memfd_create("hashes")
        assert Playback([film], manager=LocalKeysManager(keys), framemd5=hashes).run().frames == 72
        try:
            Playback([film], manager=LocalKeysManager(wrong), framemd5=hashes).run()
        except KeyWrongError:
            pass
        else:
            raise AssertionError("a wrong key went unseen")
        os.close(hashes)
        settle()
        seen.append(held())
    print(json.dumps(seen))


def settle():
    """Threads that were told to end may take a moment."""
    ends = time.monotonic() + 1.0
    while threading.active_count() > 1 and time.monotonic() < ends:
        time.sleep(0.01)


main()
