"""Writes the number of frames behind room for it, goes back to fill that in, and waits a moment for each frame."""

import time

from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action


class FileWriter:
    is_rateless = True

    def load(self, stream):
        pass

    def output_trust_authorities(self):
        return (OutputTrust(Action.PLAY),)

    def open(self, tracks, descriptor):
        self._file = open(descriptor, "wb")  # noqa: PTH123, SIM115 - it is open; closed with the sink
        self._file.write(bytes(4))
        self._frames = 0

    def write(self, track_id, frame):
        time.sleep(0.0001)
        self._frames += 1

    def finish(self):
        self._file.seek(0)
        self._file.write(self._frames.to_bytes(4, "big"))
        return {"frames": self._frames}

    def close(self):
        self._file.close()
