"""An application that takes a protected film along one path, and stands still where it is told to be searched.

    canary_paths.py PATH FILE LICENSE_URL [SOCKET]

Prints one JSON line at each stand and waits for a line on stdin, as canary_play.py does. PATH is a name of `PATHS`. At
the end of it, at the stand "wants-keys", it takes keys, and does what it should not (canary_hold.py): the control. The
last line tells what the path came to: the session's last error, if there was one.
"""

import contextlib
import json
import os
import signal
import sys
import threading

from canary_hold import decrypt_here

from drm.app.byte_stream import FileByteStream
from drm.app.rights.enabler import EnableResult
from drm.app.rights.managers import LicenseManager
from drm.app.session_proxy import SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK
from drm.errors import DRMError, LicenseRefusedError
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology

PATH, FILM, URL, *MORE = sys.argv[1:]
LIMIT = 30.0  # seconds for one event
SEEN = {"worker": 0, "level": 0, "license_path": ""}
NAMES = []


def stand(name, **told):
    NAMES.append(name)
    print(json.dumps({"stand": name, "pid": os.getpid(), **SEEN, **told}), flush=True)
    return sys.stdin.readline()


class Manager(LicenseManager):
    """Stands still with the first answer that comes after the last start: its memory may be overwritten later."""

    is_done = False  # it brings no more licenses

    def begin_enable_content(self, enabler_activate, topology, callback, state=None):
        if self.is_done:
            refused = EnableResult(enabler_activate, state)
            refused.error = LicenseRefusedError("no more licenses")
            threading.Thread(target=callback, args=(refused,), daemon=True).start()
            return

        def called_back(done):
            if NAMES and NAMES[-1] != "answer in hand":
                stand("answer in hand")
            callback(done)

        super().begin_enable_content(enabler_activate, topology, called_back, state)


class Played:
    """A session with the film in it, each frame at its time."""

    def __init__(self, opened, url=URL, *, in_time=False, **more):
        self.manager = Manager(url)
        configuration = SessionConfiguration(content_protection_manager=self.manager, **more)
        self.session = opened.enter_context(create_pmp_media_session(configuration=configuration))
        SEEN["worker"], SEEN["level"] = self.session.pid, self.session.protection_report.level
        source = open_source(opened.enter_context(FileByteStream([FILM])))
        topology = Topology(source)
        for each in source.streams():
            topology.connect(each, SinkActivate(DISCARD_SINK, {"in_time": in_time}))
        self.session.set_topology(topology)
        self.until(E.SESSION_TOPOLOGY_SET)
        self.session.start()
        self.until(E.SESSION_STARTED)
        SEEN["license_path"] = self.session.license_path

    def until(self, kind):
        while (event := self.session.get_event(timeout=LIMIT)).type != kind:
            event.raise_if_fatal()
        event.raise_if_fatal()


def seek(opened):
    at = Played(opened, in_time=True)
    at.session.start(25_000_000)
    at.until(E.SESSION_STARTED)
    stand("sought")
    at.until(E.SESSION_ENDED)
    stand("ended")


def rotation(opened):
    """A license is asked for in mid-play, when the key changes."""
    at = Played(opened, in_time=True)
    stand("started")
    at.until(E.SESSION_ENDED)
    stand("ended")


def error(opened):
    """The license server does not have the key that the film goes on under."""
    Played(opened).until(E.SESSION_ENDED)


def expiry(opened):
    """The license is good for a part of the film, and there is no other."""
    at = Played(opened, in_time=True)
    at.manager.is_done = True
    at.until(E.SESSION_ENDED)


def renewal(opened):
    """It is over, and the server gives another one in mid-play."""
    at = Played(opened, in_time=True)
    stand("started")
    at.until(E.SESSION_ENDED)
    stand("ended")


def crash(opened):
    at = Played(opened, in_time=True)
    os.kill(at.session.pid, signal.SIGSEGV)
    at.until(E.SESSION_ENDED)


def service(opened):
    """At level 3: the worker is another account's."""
    at = Played(opened, in_time=True, service=MORE[0], min_level=3)
    at.session.start(25_000_000)
    at.until(E.SESSION_STARTED)
    stand("sought")
    at.until(E.SESSION_ENDED)
    stand("ended")


PATHS = {each.__name__: each for each in (seek, rotation, error, expiry, renewal, crash, service)}


def main():
    code = ""
    with contextlib.ExitStack() as opened:
        try:
            PATHS[PATH](opened)
        except DRMError as error:
            code = error.code
            stand("failed")
        held = decrypt_here(FILM, stand("wants-keys"))
        stand("holds", error=code, held=len(held))


main()
