"""Several keys in one license: the strictest of each rule."""

from drm.policy import Action, Policy
from license_server.policies import combine


def test_the_strictest_of_each_rule() -> None:
    one = Policy(actions=(Action.PLAY, Action.SNAPSHOT), not_before=10, expires=100, min_level=1)
    other = Policy(actions=(Action.SNAPSHOT, Action.EXPORT), not_before=20, expires=50, sealed_only=True)
    whole = Policy(actions=(Action.SNAPSHOT,), not_before=20, expires=50, min_level=1, sealed_only=True)
    assert combine([one, other]) == combine([other, one]) == whole


def test_a_rule_that_only_one_has_holds() -> None:
    assert combine([Policy(), Policy(expires=5)]).expires == 5
    assert combine([Policy(not_before=5), Policy()]).not_before == 5
    assert combine([Policy()]) == Policy()
