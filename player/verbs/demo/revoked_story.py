"""What `clearkey demo --revoked` shows: a component is revoked, a session is refused, its enabler replaces it.

Everything is real but the reason. A throw-away authority in a temporary folder, outside any work tree, publishes the
platform's own components; the license server serves them; a store is filled from there, and the worker verifies it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click

from drm.app.byte_stream import FileByteStream
from drm.app.components.installed import component_folders
from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.app.sources import open_source
from drm.class_ids import AV_DECODER
from drm.errors import InvalidArgumentError, TrustError
from drm.hresult import name_of
from drm.keys import KeyId
from drm.protection import ComponentState, ProtectionReport
from drm.rights.policy import Action, Policy
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import root_bytes
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.manifest import DESCRIPTION, parse_description
from drm.trust.revocations import Reason, Renewal, Revocation
from player.component_renewal import Renewal as DoneRenewal
from player.progress import Progress
from player.verbs.demo.pictures import FlowEvent
from player.verbs.demo.report import StoryStep

__all__ = ["RevokedStory"]

_LIST: Final = 2  # number of the revocation list once something was revoked
_REASON: Final = "reads past the end of a sample (said for this demo)"


class RevokedStory:
    """The story, from the authority to the second call. Keeps `player.component_renewal.RenewalWatch`."""

    def __init__(self, store: Path) -> None:
        """`store` is a folder of this demo's own: what an earlier run left there is removed."""
        self._store = store
        self._work = tempfile.TemporaryDirectory(prefix="clearkey-demo-")
        # Not encrypted, as a developer's: the keys are gone with this process, and vouch for nothing that lasts.
        self._home = AuthorityHome(Path(self._work.name) / "authority", str, encrypted=False)
        self._progress = Progress(quiet=False, what="updating")
        self._moments: list[FlowEvent] = []
        self.steps: list[StoryStep] = []
        self.trust = ComponentTrust()

    @property
    def repository(self) -> Path:
        """What the license server is to serve."""
        return self._home.trees.shown

    def publish(self) -> None:
        """Make the authority, and sign the platform's components as they are."""
        _clear(self._store)
        create_authority(self._home)
        listed = publish(self._home, component_folders())
        click.echo(f"authority:       throw-away, in {self._work.name}; signed {len(listed)} components")

    def policies(self, sample: Path) -> Mapping[KeyId, Policy]:
        """A policy for each key of `sample`, which demands the list in which something will have been revoked."""
        policy = Policy(actions=(Action.PLAY, Action.SNAPSHOT, Action.HASH), min_revocation_list=_LIST)
        with FileByteStream(sample) as stream:
            return {kid: policy for found in open_source(stream).streams() for kid in found.track.key_ids}

    def install(self, url: str) -> None:
        """Fill the store from the server, as an application does that starts for the first time."""
        self.trust = ComponentTrust(root=root_bytes(self.repository, 1), store=self._store, repository=url)
        got = ComponentSupply(self.trust).update().downloaded
        size = sum(entry.length for entry in got)
        version = next(entry.version for entry in got if entry.class_id == AV_DECODER)
        click.echo(f"installed:       {len(got)} components, {size:,} bytes, among them av-decoder {version}")
        self.steps.append(StoryStep("installed", f"{len(got)} components, {size:,} bytes; av-decoder {version}"))

    def revoke(self) -> None:
        """Publish a newer decoder, revoke the one that is installed, and have the application take the new list."""
        old, new, folder = self._newer_decoder()
        publish(self._home, [folder])
        entry = revoke(
            self._home,
            Revocation(
                id="-",
                reason=Reason.FLAW,
                text=_REASON,
                class_id=AV_DECODER,
                versions=(old,),
                renewal=Renewal(version=new),
            ),
        )
        number = ComponentSupply(self.trust).update(replacements=False).trust.revocations.version
        said = f"av-decoder {old} by list {number}, which the application took; {new} is published"
        click.echo(f"revoked:         {said}")
        self.steps.append(StoryStep("revoked", f"{said}. {entry.describe()}", tone="warn"))

    # ------------------------------------------------------------------ while sessions are made

    def refused(self, error: TrustError) -> None:
        """The first call failed."""
        code = f"0x{error.hresult:08X} {name_of(error.hresult)}"
        click.echo(f"first call:      {code}\n                 {error.what} ({error.seen})")
        self.steps.append(StoryStep("refused", f"{code}: {error.what}, {error.seen}", tone="bad"))
        self._note("PMP worker", "session refused", name_of(error.hresult))

    def step(self, line: str) -> None:
        """The bar's name."""
        self._progress.name(line)

    def received(self, got: int, total: int) -> None:
        """How far it is."""
        self._progress.show(got, total)

    def renewed(self, renewal: DoneRenewal) -> None:
        """The enabler is through."""
        self._progress.clear()
        said = f"{renewal.received:,} bytes in {renewal.seconds:.2f} s"
        click.echo(f"its enabler:     fetched {said}")
        self.steps.append(StoryStep("updated", f"the enabler fetched {said}"))
        self._note("application", "component enabler", said)
        self._note("application", "create_pmp_media_session", "the second call")

    def played(self, report: ProtectionReport, frames: int) -> None:
        """The second call made a session, and it played."""
        trust = report.trust
        assert trust is not None
        decoder = _decoder(trust.components)
        said = f"av-decoder {decoder.version} runs, {trust.signed}; the license demanded list {_LIST}"
        click.echo(f"second call:     {said}")
        self.steps.append(StoryStep("played", f"{frames} frames: {said}"))

    def flow(self, begin: float) -> list[FlowEvent]:
        """What the picture of the flow shows of it; `begin` in monotonic seconds."""
        return [FlowEvent(event.seconds - begin, event.lane, event.name, event.detail) for event in self._moments]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.close()
        self._work.cleanup()

    def _note(self, lane: str, name: str, detail: str) -> None:
        self._moments.append(FlowEvent(time.monotonic(), lane, name, detail))

    def _newer_decoder(self) -> tuple[str, str, Path]:
        """The decoder's version, the next one, and a folder that holds that: the same code under a new number."""
        for source in component_folders():
            text = (source / DESCRIPTION).read_text(encoding="utf-8")
            described = parse_description(text.encode(), str(source))
            if described.class_id == AV_DECODER:
                first, _, last = described.version.rpartition(".")
                newer = f"{first}.{int(last) + 1}"
                folder = Path(self._work.name) / "newer"
                shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
                changed = text.replace(f'version = "{described.version}"', f'version = "{newer}"')
                (folder / DESCRIPTION).write_text(changed, encoding="utf-8")
                return described.version, newer, folder
        raise AssertionError("the platform has a decoder")


def _decoder(components: tuple[ComponentState, ...]) -> ComponentState:
    return next(found for found in components if found.class_id == str(AV_DECODER))


def _clear(store: Path) -> None:
    """Remove the store of an earlier run: its authority is gone. Raises InvalidArgumentError for any other folder."""
    if not store.exists():
        return
    if not (store / "lock").is_file():
        raise InvalidArgumentError(
            f"{store} is not a store of components that this demo made", remedy="give another folder with --output"
        )
    shutil.rmtree(store)
