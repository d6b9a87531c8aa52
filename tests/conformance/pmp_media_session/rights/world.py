"""Managers that keep a record of what they are asked, and a license server with a door in front of it."""

from __future__ import annotations

import contextlib
import http.server
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from drm.app.byte_stream import FileByteStream
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnableCallback, EnablerActivation, EnableResult
from drm.app.rights.managers import LicenseManager
from drm.errors import DRMError
from drm.isobmff.box import encode_box, top_boxes
from drm.isobmff.pssh.box import Pssh
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import FORMS_HEADER, encode_jwk_set
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEvent
from drm.session.topology import Topology
from tests.interop.relays import ask, serving

PICTURE, SOUND = KeyId(bytes(range(16))), KeyId(bytes(range(32, 48)))
KEYS = {PICTURE: ContentKey(b"the picture's key"[:16]), SOUND: ContentKey(b"and the sound's!")}
LIMIT = 20.0  # seconds


class Asked:
    """What one `begin_enable_content` was given, and what its callback did."""

    def __init__(self, activate: EnablerActivation, topology: Topology, callback: EnableCallback, state: object):
        self.activate, self.topology, self.callback, self.state = activate, topology, callback, state
        self.result = EnableResult(activate, state)
        self.ended: list[tuple[EnableResult, threading.Thread]] = []

    @property
    def enabler(self) -> ContentEnabler:
        return self.activate.activate_object()

    def answer(self, error: DRMError | None = None) -> None:
        self.result.error = error
        self.callback(self.result)

    def give_keys(self, keys: dict[KeyId, ContentKey] = KEYS) -> None:
        """Do what a manager that has the keys at hand does."""
        self.enabler.complete(encode_jwk_set(keys), LicensePath.LOCAL)
        self.answer()


class ByHand:
    """A manager that does nothing: the test does it, when and how it wants."""

    def __init__(self, act: Callable[[Asked], None] | None = None) -> None:
        """`act` is done on a thread of its own for each enabler."""
        self.asked: list[Asked] = []
        self._act = act
        self._changed = threading.Condition()

    def begin_enable_content(self, *arguments: Any) -> None:
        with self._changed:
            self.asked.append(asked := Asked(*arguments))
            self._changed.notify_all()
        if self._act is not None:
            threading.Thread(target=self._act, args=(asked,)).start()

    def end_enable_content(self, result: EnableResult) -> None:
        for asked in self.asked:
            if asked.result is result:
                asked.ended.append((result, threading.current_thread()))
        result.raise_for_status()

    def wait(self, count: int = 1) -> Asked:
        """Wait until it was asked so many times; return the last."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= count, LIMIT)
            return self.asked[count - 1]


class Recorded(LicenseManager):
    """The player's own manager, with a record."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self.asked: list[Asked] = []

    def begin_enable_content(self, *arguments: Any) -> None:
        self.asked.append(Asked(*arguments))
        super().begin_enable_content(*arguments)

    def end_enable_content(self, result: EnableResult) -> None:
        self.asked[-1].ended.append((result, threading.current_thread()))
        super().end_enable_content(result)


class Door:
    """An endpoint in front of a license server: counts what comes, and can keep it out."""

    url = ""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.refuses = 0  # so many are answered with 503 before one is let through
        self.held = threading.Event()  # while it is not set, no answer is given
        self.held.set()
        self.at_request: Callable[[], None] = lambda: None


@contextlib.contextmanager
def door(target: str, *, offers: bool = False) -> Iterator[Door]:
    """Open one in front of the license endpoint `target`. `offers`: it says which forms of licenses there are."""
    made = Door()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            if not offers:
                self.send_error(501)
                return
            asked = urllib.request.Request(target.removesuffix("/license") + self.path, method="OPTIONS")
            with urllib.request.urlopen(asked, timeout=LIMIT) as answer:
                self.send_response(answer.status)
                self.send_header(FORMS_HEADER, answer.headers[FORMS_HEADER])
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.bodies.append(body)
            made.at_request()
            made.held.wait(LIMIT)
            status, kind, answer = 503, "text/plain", b""
            if made.refuses:
                made.refuses -= 1
            else:
                place = target.removesuffix("/license") + self.path
                status, kind, answer = ask(place, body, self.headers["Content-Type"])
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_words: object) -> None:
            pass

    with serving(Handler) as made.url:
        yield made
        made.held.set()


def with_pssh(path: Path, target: Path, box: Pssh) -> Path:
    """Copy the film with one more `pssh` in its movie box, which moves to the end: no offset changes."""
    data = path.read_bytes()
    with FileByteStream(path) as stream:
        movie = next(top for top in top_boxes(stream) if top.type == "moov")
    start, end = movie.start, movie.start + movie.size
    moved = encode_box("moov", data[start + 8 : end], box.encode())
    target.write_bytes(data[:start] + encode_box("free", data[start + 8 : end]) + data[end:] + moved)
    return target


def shown(events: list[MediaEvent]) -> list[int]:
    """Event numbers in order, a run of progress as one."""
    numbers = [int(event.type) for event in events]
    return [number for at, number in enumerate(numbers) if number != 118 or numbers[at - 1 : at] != [118]]
