"""An application that plays a protected film and stands still where it is told to be searched.

    canary_play.py FILE LICENSE_URL [decrypt-here | remote-source]

Prints one JSON line at each stand and waits for a line on stdin: while each answer of the license server is in hand,
when the session has started, at the end, and when the session is gone. With `decrypt-here` it also does what no
application should: takes keys (hex KID:KEY words, one line of stdin), decrypts the film itself and holds on to the
samples. With `remote-source`, the worker reads the container.
"""

import json
import os
import sys

from drm.app.rights.managers import LicenseManager
from drm.session.events import MediaEventType
from player.playback import Playback

if "decrypt-here" in sys.argv:
    from canary_hold import decrypt_here

FILM, URL, *OPTIONS = sys.argv[1:]
STANDS = {
    MediaEventType.SESSION_STARTED: "started",
    MediaEventType.SESSION_ENDED: "ended",
}
SEEN = {"worker": 0}


def stand(name, **told):
    print(json.dumps({"stand": name, "pid": os.getpid(), **SEEN, **told}), flush=True)
    return sys.stdin.readline()


class Manager(LicenseManager):
    """Stands still while it holds an answer: after that its memory is free, and may be overwritten."""

    def begin_enable_content(self, enabler_activate, topology, callback, state=None):
        def called_back(done):
            stand("answer in hand")
            callback(done)

        super().begin_enable_content(enabler_activate, topology, called_back, state)


def on_event(event):
    name = STANDS.pop(event.type, None)
    if name:
        stand(name)


def on_ready(session):
    SEEN["worker"] = session.pid


def main():
    hashes = os.memfd_create("framemd5")
    held = decrypt_here(FILM, stand("wants-keys")) if "decrypt-here" in OPTIONS else ()
    playback = Playback([FILM], manager=Manager(URL), framemd5=hashes, on_event=on_event, on_ready=on_ready,
                        remote_source="remote-source" in OPTIONS)  # fmt: skip
    result = playback.run()
    stand("gone", frames=result.frames, level=result.report.level, license_path=result.license_path.value,
          held=bool(held), hashes=os.pread(hashes, 1 << 20, 0).decode())  # fmt: skip


main()
