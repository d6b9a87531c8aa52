"""A session in a real locked worker, sealed licenses of a real server, and sources that lie, for the trusted chain."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import UUID

import msgspec

from drm.app.byte_stream import FileByteStream
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnableResult
from drm.app.session_proxy import PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.errors import DRMError, LicenseRefusedError, SessionShutdownError
from drm.keys import ContentKey, KeyId
from drm.license.sealed import seal, verify_request
from drm.media import Sample
from drm.rights.enablers import EnableType, LicensePath
from drm.rights.policy import Policy, strictest
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from tests.outputs import for_writing

LIMIT = 20.0  # seconds within which anything here happens
COMPONENTS = Path(__file__).parent / "components"
WAITING_SINK = UUID("7b0c1d7e-5a34-4e0e-9d5e-3f6f0b8a2c11")
UNBOUND_ITA = UUID("0f9d3b6e-8d36-4a0b-bb10-77c85c9a1e02")


class Source:
    """A source of ours, whose samples and trust authorities a test may change."""

    def __init__(
        self,
        path: Path,
        spoil: Callable[[int, Sample], Sample] | None = None,
        authority: tuple[UUID, bytes] | None = None,
    ) -> None:
        """`spoil` gets each sample and its number, `authority` takes the place of Clear Key's."""
        self.stream = FileByteStream(path)
        self._media = open_source(self.stream)
        self._spoil, self._authority = spoil, authority
        self._number = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._media, name)

    def set_pmp_host(self, host) -> None:
        self._host = host
        self._media.set_pmp_host(host)

    def get_input_trust_authority(self, stream_id: int):
        if self._authority is None:
            return self._media.get_input_trust_authority(stream_id)
        return self._host.create_object(*self._authority)

    def select(self, stream_ids, position: int = 0) -> None:
        self._number = 0
        self._media.select(stream_ids, position)

    def next_sample(self, stream_id: int) -> Sample | None:
        sample = self._media.next_sample(stream_id)
        if sample is not None and self._spoil is not None:
            sample = self._spoil(self._number, sample)
        self._number += 1
        return sample


class SealingManager:
    """A content protection manager that is the license server as well: it seals these keys under these rules."""

    def __init__(self, keys: Mapping[KeyId, ContentKey], rules: Policy | Mapping[KeyId, Policy]) -> None:
        self._keys = keys
        self._rules = rules
        self.left: int | None = None  # so many licenses are given yet; None: any number

    def begin_enable_content(self, enabler_activate, topology, callback, state=None) -> None:
        enabler, result = enabler_activate.activate_object(), EnableResult(enabler_activate, state)

        def work() -> None:
            if self.left is not None:
                if not self.left:
                    result.error = LicenseRefusedError("no more licenses")
                    callback(result)
                    return
                self.left -= 1
            request = verify_request(msgspec.json.decode(enabler.get_enable_data())["pmp"])
            keys = {kid: self._keys[kid] for kid in request.kids}
            rules = self._rules
            policy = rules if isinstance(rules, Policy) else strictest(rules[kid] for kid in keys)
            enabler.complete(seal(request, keys, policy), LicensePath.SEALED)
            callback(result)

        threading.Thread(target=work, daemon=True).start()

    def end_enable_content(self, result) -> None:
        result.raise_for_status()


class RenewingManager(SealingManager):
    """Lets the enablers of revocation lists do their work too, if they can, and notes what it is asked for."""

    def __init__(self, keys: Mapping[KeyId, ContentKey], rules: Policy) -> None:
        super().__init__(keys, rules)
        self.asked: list[ContentEnabler] = []

    @property
    def kinds(self) -> list[EnableType]:
        return [enabler.get_enable_type() for enabler in self.asked]

    def begin_enable_content(self, enabler_activate, topology, callback, state=None) -> None:
        enabler, result = enabler_activate.activate_object(), EnableResult(enabler_activate, state)
        self.asked.append(enabler)
        if enabler.get_enable_type() is EnableType.LICENSE_ACQUISITION:
            super().begin_enable_content(enabler_activate, topology, callback, state)
            return

        def work() -> None:
            try:
                enabler.automatic_enable()
                enabler.wait_completed().raise_for_status()
            except DRMError as error:
                result.error = error
            callback(result)

        threading.Thread(target=work, daemon=True).start()

    def end_enable_content(self, result) -> None:
        result.raise_for_status()


class Playing:
    """One session and what it says."""

    def __init__(self, source: Source, manager: object | None, *components: str) -> None:
        self.source = source
        configuration = SessionConfiguration(
            content_protection_manager=manager, components=tuple(COMPONENTS / name for name in components)
        )
        self.session = create_pmp_media_session(PMPSessionFlags.NONE, configuration)
        self.output = os.memfd_create("framemd5")
        self.handed = for_writing(self.output)
        self.said: list[MediaEvent] = []

    def set(self, *sinks: SinkActivate) -> None:
        topology: Topology = Topology(self.source)
        outputs = sinks or (SinkActivate(HASH_SINK, {}, self.handed),)
        for stream in self.source.streams():
            topology.connect(stream, *outputs)
        self.session.set_topology(topology)

    def until(self, *kinds: E) -> MediaEvent:
        """Read events up to the first of one of these kinds, and return it."""
        while True:
            event = self.session.get_event(timeout=LIMIT)
            self.said.append(event)
            if event.type in kinds:
                return event

    def set_up(self, *sinks: SinkActivate) -> MediaEvent:
        """How setting the topology ended."""
        self.set(*sinks)
        return self.until(E.SESSION_TOPOLOGY_SET)

    def play(self, *sinks: SinkActivate) -> MediaEvent:
        """Set the topology, which goes well, start, and return how it ended."""
        self.set_up(*sinks).raise_for_status()
        self.session.start()
        return self.until(E.SESSION_ENDED, E.ERROR, E.POLICY_ERROR)

    def numbers(self) -> list[int]:
        return [event.type for event in self.said]

    def lines(self) -> list[str]:
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def close(self) -> None:
        with contextlib.suppress(SessionShutdownError):
            self.session.shutdown()
        self.source.stream.close()
        os.close(self.output)
        os.close(self.handed)


@contextlib.contextmanager
def playing(source: Source, manager: object | None, *components: str) -> Iterator[Playing]:
    made = Playing(source, manager, *components)
    try:
        yield made
    finally:
        made.close()


def simulated(connector: str, *supports: str, **more: object) -> SinkActivate:
    """The discard sink, which pretends to be this output."""
    return SinkActivate(DISCARD_SINK, {"simulation": {"connector": connector, "supports": supports, **more}})
