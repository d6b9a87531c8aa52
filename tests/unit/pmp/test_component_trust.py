"""What a worker believes of an application that hands over metadata: one word of each authority, and never an older."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drm.class_ids import BUILT_IN
from drm.errors import RestartRequiredError, TrustError
from drm.pmp.component_trust import ComponentTrust
from drm.rights.policy import Policy
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.rotating import rotate
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.entry import target_path
from drm.trust.errors import ListTooOldError, RollbackError
from drm.trust.snapshot import StoredTrust, TrustSnapshot, pack_snapshot
from drm.trust.state import check_demands
from drm.trust.verifier import COMPONENTS
from tests.publisher import MARKED, Publisher


@pytest.fixture
def released() -> Publisher:
    """The authority whose root the package pins."""
    return Publisher()


@pytest.fixture(scope="module")
def application() -> Publisher:
    """Anybody can be an authority: this one's list is number 99, of today, and revokes nothing."""
    made = Publisher(another=True)
    made.files99 = made.sign(lambda repository: repository.set_list(encode_list(99, made.now, ())))  # type: ignore[attr-defined]
    return made


def snapshot(publisher: Publisher, *sources: StoredTrust) -> bytes:
    return pack_snapshot(TrustSnapshot(sources, tuple(publisher.archives()), BUILT_IN))


def pinned(files: Mapping[str, bytes]) -> StoredTrust:
    return StoredTrust(dict(files))


DEMANDS = Policy(min_revocation_list=2, allow_test_signed=False)


def test_a_worker_that_has_judged_by_one_authority_is_not_talked_into_another(
    released: Publisher, application: Publisher
) -> None:
    """It would meet any demand of a license: the components stay those of the pinned root, and the list would not."""
    trust = ComponentTrust(released.root)
    trust.load(snapshot(released, pinned(released.files())))
    with pytest.raises(ListTooOldError):
        check_demands(DEMANDS, trust.state())
    theirs = StoredTrust(application.files99, application.root)  # type: ignore[attr-defined]
    with pytest.raises(RestartRequiredError):
        trust.renew(snapshot(application, theirs))
    state = trust.state()
    assert (state.revocation_list, state.is_test_signed) == (1, False)
    with pytest.raises(ListTooOldError):
        check_demands(DEMANDS, state)


def test_the_order_of_two_authorities_does_not_hide_an_older_list(released: Publisher, application: Publisher) -> None:
    theirs = StoredTrust(application.files(), application.root)
    before = pinned(released.files())
    released.revoke(sha256=("00" * 32,))
    trust = ComponentTrust(released.root)
    trust.load(snapshot(released, pinned(released.files()), theirs))
    for sources, error in (((before, theirs), RollbackError), ((theirs, before), RestartRequiredError)):
        with pytest.raises(error):
            trust.renew(snapshot(released, *sources))
        assert trust.state().revocation_list == 2
    trust.renew(snapshot(released, pinned(released.files()), theirs))


def test_what_the_pinned_authority_lists_no_more_is_not_brought_back_by_what_it_said_before(
    released: Publisher,
) -> None:
    """Its word of today for the list, its word of yesterday for the components: one of them at a time."""
    released.publish_marked()
    yesterday, archives = pinned(released.files()), released.archives()

    def delist(repository: StagedRepository) -> None:
        with repository.edit_targets(COMPONENTS) as listed:
            del listed.targets[target_path(MARKED, "1.0.0")]

    today = pinned(released.sign(delist))

    def runs(*sources: StoredTrust) -> bool:
        data = pack_snapshot(TrustSnapshot(sources, tuple(archives), BUILT_IN))
        loaded = ComponentTrust(released.root).load(data)
        return "marked" in {component.manifest.name for component in loaded.components}

    assert runs(yesterday)
    assert not runs(today)
    for sources in ((today, yesterday), (yesterday, today)):
        with pytest.raises(TrustError):
            runs(*sources)


def test_new_keys_of_the_same_authority_are_no_other_authority(released: Publisher) -> None:
    """Recovery: rotated keys may begin where they like, and a worker that is kept goes on."""
    trust = ComponentTrust(released.root)
    trust.load(snapshot(released, pinned(released.files())))
    rotate(released.home, "timestamp")
    rotate(released.home, "revocations")
    trust.renew(snapshot(released, pinned(released.files())))
    assert trust.state().revocation_list == 1


def test_what_only_the_application_vouches_for_is_test_signed_though_it_is_nothing(
    released: Publisher, application: Publisher
) -> None:
    trust = ComponentTrust(released.root)
    trust.load(pack_snapshot(TrustSnapshot((StoredTrust(application.files(), application.root),))))
    assert trust.state().is_test_signed
