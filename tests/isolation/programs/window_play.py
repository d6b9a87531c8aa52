"""An application that plays a film time and again, each time in a new worker, and stands still in the middle of it.

    window_play.py FILE LICENSE_URL TIMES [without-fork]

At each stand it prints one line of JSON and waits for a line on stdin. `without-fork`: in workers that do not fork when
they have hidden (window_worker.py).
"""

import json
import os
import sys
from pathlib import Path

from drm.app.rights.managers import LicenseManager
from drm.launch import process
from drm.session.events import MediaEventType
from player.playback import Playback

FILM, URL, TIMES, *OPTIONS = sys.argv[1:]
usual = process.worker_command


def command(*words):
    made = usual(*words)
    entry = next(index for index, word in enumerate(made) if word.endswith("__main__.py"))
    made[entry : entry + 1] = [str(Path(__file__).with_name("window_worker.py")), f"entry={made[entry]}"]
    return made


def play():
    sessions = []

    def on_event(event):
        if event.type == MediaEventType.SESSION_STARTED:
            report = sessions[0].protection_report
            print(json.dumps({"worker": sessions[0].pid, "level": report.level, "license_path": report.license_path}),
                  flush=True)  # fmt: skip
            sys.stdin.readline()

    hashes = os.memfd_create("framemd5")
    playback = Playback([FILM], manager=LicenseManager(URL), framemd5=hashes, on_event=on_event,
                        on_ready=sessions.append)  # fmt: skip
    assert playback.run().frames == 231
    os.close(hashes)


def main():
    if "without-fork" in OPTIONS:
        process.worker_command = command
    for _ in range(int(TIMES)):
        play()


main()
