"""Revoked, renewed, called again: from a license's demand for a newer list to a film that plays with the new component.

One story with everything real: an authority, its repository over HTTP, worker processes, sealed licenses, an encrypted
file. MFCreatePMPMediaSession documents the end of it: the first call fails with the activation of an enabler, and after
that has done its work the second call succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.class_ids import AV_DECODER
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import RestartRequiredError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from drm.rights.enablers import EnableType, EnableURL, LicensePath, URLTrustStatus
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.trust.errors import ComponentRevokedError
from drm.trust.renewal import parse_renewals
from tests.conformance.mfcreatemediasession.world import Stage
from tests.conformance.pmp_media_session.trusted_world import RenewingManager
from tests.interop.command import frames
from tests.interop.reference import pyav_frames
from tests.publisher import Publisher, User, completed, short_film

PICTURE, SOUND = KeyId(bytes(range(64, 80))), KeyId(bytes(range(80, 96)))
KEYS = {PICTURE: ContentKey(bytes(range(16))), SOUND: ContentKey(bytes(range(16, 32)))}
DEMANDS_LIST_2 = Policy(actions=(Action.PLAY, Action.HASH), min_revocation_list=2)
LICENSE, LIST, COMPONENT = (
    EnableType.LICENSE_ACQUISITION, EnableType.UPDATE_REVOCATION_INFORMATION, EnableType.UPDATE_UNTRUSTED_COMPONENT,
)  # fmt: skip


@pytest.fixture
def film(tmp_path: Path) -> Path:
    tracks = {TrackType.VIDEO: PICTURE, TrackType.AUDIO: SOUND}
    keys = {kind: TrackEncryption(kid, KEYS[kid]) for kind, kid in tracks.items()}
    encrypt_file(short_film(), tmp_path / "film.mp4", scheme=Scheme.CBCS, tracks=keys)
    return tmp_path / "film.mp4"


@pytest.fixture
def user(publisher: Publisher) -> Iterator[User]:
    """Somebody whose store was filled by an update from the server, as a first one does it."""
    made = publisher.user(empty=True)
    made.supply().update()
    yield made
    assert not list((made.store / "tmp").iterdir()), "an update left something half done"


class Viewer:
    """Creates sessions for one film, and notes what the content protection manager was asked for."""

    def __init__(self, user: User, film: Path) -> None:
        self._user, self._film = user, film
        self.manager: RenewingManager

    def create(self) -> Stage:
        self.manager = RenewingManager(KEYS, DEMANDS_LIST_2)
        told = SessionConfiguration(trust=self._user.trust, content_protection_manager=self.manager)
        return Stage(create_pmp_media_session(configuration=told), self._film)


def archives(publisher: Publisher) -> list[str]:
    """The archives that were asked for."""
    return [path for path in publisher.asked if path.endswith(".zip")]


def version(at: Stage) -> str:
    trust = at.session.protection_report.trust
    assert trust is not None
    return {component.name: component.version for component in trust.components}["av-decoder"]


def test_a_revoked_component_is_renewed_and_the_second_call_plays(publisher: Publisher, user: User, film: Path) -> None:
    viewer = Viewer(user, film)

    # The license demands a list that is not published yet: the enabler for it comes, and cannot help.
    with closing(viewer.create()) as at:
        assert version(at) == "1.0.0"
        at.session.set_topology(at.topology())
        assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.MF_E_GRL_VERSION_TOO_LOW == 0xC00D715F
        assert viewer.manager.kinds == [LICENSE, LIST]
        assert at.lines() == []

    # It is published now, and revokes what runs in the worker of the session that fetches it.
    with closing(viewer.create()) as at:
        revoked = publisher.sha256(AV_DECODER)
        publisher.publish_built_in("av_decoder", "1.1.0")
        publisher.revoke(class_id=AV_DECODER, below="1.1.0")
        publisher.asked.clear()
        at.session.set_topology(at.topology())
        end = at.until(E.SESSION_TOPOLOGY_SET)[-1]
        assert end.status == HResult.MF_E_PROCESS_RESTART_REQUIRED == 0xC00D716D
        with pytest.raises(RestartRequiredError) as ended:
            end.raise_for_status()
        assert ended.value.seen == "av-decoder v1.0.0: R-2-1: flaw, reads too far"
        assert viewer.manager.kinds == [LICENSE, LIST]
        demanded = parse_renewals(viewer.manager.asked[1].get_enable_data())
        assert (demanded.list_demanded, demanded.list_held) == (2, 1)
        # The list is as new as the license wants now; but what it revokes runs here still.
        at.session.set_topology(at.topology())
        assert at.outcome(E.SESSION_TOPOLOGY_SET) == HResult.MF_E_PROCESS_RESTART_REQUIRED
        assert at.lines() == []
    assert any(path.endswith(".revocations.json") for path in publisher.asked)
    assert archives(publisher) == [], "the list comes before any replacement"

    # Call 1.
    with pytest.raises(ComponentRevokedError) as failed:
        viewer.create()
    assert failed.value.hresult == HResult.MF_E_COMPONENT_REVOKED == 0xC00D7151
    assert isinstance(failed.value.enabler_activate, EnablerActivation)
    enabler: ContentEnabler = failed.value.enabler_activate.activate_object()
    assert enabler.get_enable_type() is COMPONENT
    assert enabler.get_enable_url() == EnableURL(publisher.url, URLTrustStatus.TRUSTED)
    (component,) = parse_renewals(enabler.get_enable_data()).components
    assert (component.name, component.header_hash, component.replacement) == ("av-decoder", revoked, "1.1.0")

    # Its enabler.
    texts, end = completed(enabler)
    assert (end.status, end.error) == (HResult.S_OK, None)
    assert any("av-decoder v1.1.0" in text for text in texts)
    (downloaded,) = archives(publisher)
    assert downloaded.endswith(".1.1.0.zip")

    # Call 2: no enabler but the license's, and the film as its clear original.
    with closing(viewer.create()) as at:
        assert version(at) == "1.1.0"
        at.set()
        at.to_the_end()
        assert viewer.manager.kinds == [LICENSE, LICENSE], "one for each stream"
        assert at.session.license_path is LicensePath.SEALED
        assert frames(Path(f"/proc/self/fd/{at.output}").read_text()) == pyav_frames(short_film())
