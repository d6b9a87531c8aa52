"""Several keys in one license: the strictest of each rule."""

from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Action, Policy
from license_server.policies import combine, permit_plain, permit_sealed
from license_server.problems import ProblemError
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek


def test_the_strictest_of_each_rule() -> None:
    one = Policy(actions=(Action.PLAY, Action.SNAPSHOT), not_before=10, expires=100, min_level=1)
    other = Policy(actions=(Action.SNAPSHOT, Action.EXPORT), not_before=20, expires=50, sealed_only=True)
    whole = Policy(actions=(Action.SNAPSHOT,), not_before=20, expires=50, min_level=1, sealed_only=True)
    assert combine([one, other]) == combine([other, one]) == whole


def test_a_rule_that_only_one_has_holds() -> None:
    assert combine([Policy(), Policy(expires=5)]).expires == 5
    assert combine([Policy(not_before=5), Policy()]).not_before == 5
    assert combine([Policy()]) == Policy()


@pytest.mark.parametrize(
    "rules",
    [{"hdcp": 1}, {"cgms_a": 1}, {"digital_only": 1}, {"constrict": True}, {"play_duration": 60}, {"rental": 60},
     {"min_revocation_list": 1}, {"min_level": 1}, {"sealed_only": True}],
    ids=lambda rules: next(iter(rules)),
)  # fmt: skip
def test_rules_that_only_a_worker_can_keep_are_not_issued_in_the_clear(rules: dict[str, int]) -> None:
    kid = KeyId(bytes(16))
    with pytest.raises(ProblemError) as refused:
        permit_plain({kid: Policy(**rules)}, 0.0)
    assert (refused.value.status, refused.value.kids) == (403, (kid,))
    permit_plain({kid: Policy(expires=5)}, 0.0)
    permit_sealed({kid: Policy(**rules)}, 0.0, level=1, enrolled=True)


def test_output_rules_are_kept_in_the_store(tmp_path: Path) -> None:
    kid = KeyId(bytes(16))
    told = Policy(hdcp=2, cgms_a=5, digital_only=1, constrict=True, play_duration=9, rental=8, min_revocation_list=7)
    with open_store(tmp_path / "keys.db", Kek(bytes(32), "of a test")) as store:
        store.keys.add({kid: ContentKey(bytes(16))})
        store.keys.set_policy(kid, told)
        (row,) = store.keys.rows()
    assert row.policy == told
