"""How often a license may be asked for, by a clock that the test holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.issuing import rate_limits
from license_server.issuing.rate_limits import DEFAULT_LIMIT, MOST_NEW_KEYS, Limit, RateLimit
from license_server.problems import ProblemError
from tests.clocks import HeldClock
from tests.unit.license_server.issuing.desk import VIDEO, desk
from tests.unit.license_server.issuing.test_entitlements import token


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    return HeldClock().hold(monkeypatch, rate_limits)


def tries(limit: RateLimit, count: int, who: str = "me", title: str = "film") -> list[str]:
    """What each of so many attempts comes to: "" or the seconds to wait."""
    found = []
    for _ in range(count):
        try:
            limit.count(who, title)
            found.append("")
        except ProblemError as problem:
            found.append(dict(problem.headers)["Retry-After"])
    return found


def test_the_window_moves_with_the_attempts(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    for second in range(8):
        assert tries(limit, 1) == [""], second
        clock.advance(1)
    assert tries(limit, 2) == ["2", "2"], "what was refused does not count again"
    clock.advance(1.5)
    assert tries(limit, 1) == ["1"], "half a second is a second to whoever waits"
    clock.advance(0.5)
    assert tries(limit, 2) == ["", "1"]
    clock.advance(1)
    assert tries(limit, 2) == ["", "1"]


def test_an_attempt_counts_for_as_long_as_the_window_and_no_longer(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    assert tries(limit, 9) == [""] * 8 + ["10"]
    clock.advance(9.99)
    assert tries(limit, 1) == ["1"]
    clock.advance(0.01)
    assert tries(limit, 9) == [""] * 8 + ["10"]


def test_what_was_counted_is_kept_over_the_turn_of_a_window(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    clock.advance(9)
    assert tries(limit, 8) == [""] * 8
    clock.advance(1)  # a new window begins, and the one before is looked at
    assert tries(limit, 1) == ["9"]
    clock.advance(8)
    assert tries(limit, 1) == ["1"]


def test_windows_that_are_over_are_forgotten(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    tries(limit, 8, "one")
    clock.advance(10)
    tries(limit, 1, "two")
    here = limit._window
    assert (set(here._now), set(here._before)) == ({("two", "film")}, {("one", "film")})
    clock.advance(19)
    tries(limit, 1, "three")
    assert (set(here._now), set(here._before)) == ({("three", "film")}, {("two", "film")})
    clock.advance(20)
    tries(limit, 1, "four")
    assert (set(here._now), set(here._before)) == ({("four", "film")}, set())


def test_what_others_do_in_between_makes_nobody_forgotten(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    tries(limit, 8, "one")
    for other in ("two", "three", "four"):
        clock.advance(1)
        assert tries(limit, 1, other) == [""]
    assert tries(limit, 1, "one") == ["7"]


def test_clients_and_titles_count_each_for_itself(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    assert tries(limit, 9) == [""] * 8 + ["10"]
    assert tries(limit, 1, "you") == tries(limit, 1, title="other") == [""]


# ------------------------------------------------------------------------------------------------ keys asked for anew
def kid(number: int) -> KeyId:
    return KeyId(number.to_bytes(16))


def asks(limit: RateLimit, numbers: Iterable[int], who: str = "me", title: str = "film") -> int:
    """How many of these requests, each for one key, are answered before one is refused."""
    for count, number in enumerate(numbers):
        try:
            limit.count(who, title, [kid(number)])
        except ProblemError:
            return count
    return count + 1


@pytest.mark.parametrize("storage", ["memory://", "memory://?anew"])
def test_the_keys_of_all_periods_may_be_asked_for_at_once_and_repeated_as_often_as_one(storage: str) -> None:
    """On the library's clock, too: a window of a day does not move while this runs."""
    limit = RateLimit(Limit(8, 86_400, storage))
    assert asks(limit, range(14)) == 14
    assert asks(limit, [0, 5, 13] * 5) == 7, "the first request and seven repetitions are eight attempts"
    assert asks(limit, [14]) == 1
    assert asks(limit, [14]) == 0


@pytest.mark.parametrize("storage", ["memory://", "memory://?bounded"])
def test_new_keys_of_one_client_are_bounded_over_all_titles(storage: str) -> None:
    limit = RateLimit(Limit(8, 86_400, storage))
    answered = sum(asks(limit, range(title * 40, title * 40 + 40), title=f"film {title}") for title in range(10))
    assert MOST_NEW_KEYS <= answered <= MOST_NEW_KEYS + 10 * 8
    assert asks(limit, range(900, 940), "you") == 40, "another client has keys of its own"


def test_one_key_has_as_many_attempts_as_before(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    assert asks(limit, [7] * 9) == 8
    clock.advance(10)
    assert asks(limit, [7] * 9) == 8


def test_a_request_for_many_keys_is_new_when_one_of_them_is_and_counts_all_of_them(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    limit.count("me", "film", [kid(number) for number in range(MOST_NEW_KEYS)])
    assert asks(limit, range(MOST_NEW_KEYS, 2 * MOST_NEW_KEYS)) == 7, "no key is new any more"


def test_keys_that_were_asked_for_are_forgotten_with_their_windows(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    assert asks(limit, range(MOST_NEW_KEYS + 20)) == MOST_NEW_KEYS + 7
    clock.advance(10)
    assert asks(limit, range(100, 120)) == 8, "they are known for the window after theirs"
    clock.advance(10)
    assert asks(limit, range(100, 140)) == 40
    here = limit._window
    clock.advance(20)
    asks(limit, [1], "you")
    assert (set(here._asked), set(here._asked_before)) == ({"you"}, set())


@pytest.mark.parametrize("what", ["unknown", "not covered"])
def test_guessing_a_key_is_an_attempt_each_time(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path, monkeypatch, with_tokens=True, limit=RateLimit(Limit(8, 10))) as office:
        exp = {"exp": int(office.clock.now) + 600}
        held = [kid(number) for number in range(40)]
        if what == "not covered":
            office.store.keys.add({each: ContentKey(b"h" * 16) for each in held})
        text = token(exp if what == "unknown" else {**exp, "kids": [VIDEO.base64url]})
        codes = [office.license(each, token=text).code for each in held]
        assert codes == ["key_unknown" if what == "unknown" else "token_kids"] * 8 + ["rate_limited"] * 32


def test_fourteen_periods_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path, monkeypatch, with_tokens=True, limit=RateLimit(DEFAULT_LIMIT)) as office:
        periods = [kid(number) for number in range(14)]
        office.store.keys.add({each: ContentKey(b"p" * 16) for each in periods})
        text = token({"exp": int(office.clock.now) + 600})
        assert [office.license(each, token=text).status for each in periods] == [200] * 14
        assert [office.license(periods[0], token=text).status for _ in range(9)] == [200] * 7 + [429] * 2


def test_the_detail_says_what_is_allowed(clock: HeldClock) -> None:
    limit = RateLimit(Limit(8, 10))
    tries(limit, 8)
    with pytest.raises(ProblemError) as refused:
        limit.count("me", "film")
    assert (refused.value.status, refused.value.code) == (429, "rate_limited")
    assert refused.value.detail == "8 attempts in 10 seconds are allowed for a title; come again in 10 seconds"


def test_a_shared_storage_counts_the_same() -> None:
    """By the library's own clock, which nobody holds: a window of a day does not move while this runs."""
    limit = RateLimit(Limit(8, 86_400, "memory://?shared"))
    found = tries(limit, 9)
    assert found[:8] == [""] * 8
    assert 86_000 < int(found[8]) <= 86_400
    often = tries(RateLimit(Limit(8, 1, "memory://?often")), 400)
    assert set(often) == {"", "1"}, "less than a second is a second"
    with pytest.raises(InvalidArgumentError, match="cannot be used") as refused:
        RateLimit(Limit(8, 10, "nothing://secret@here"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("8/10", Limit(8, 10)), (" 999999/999999 ", Limit(999_999, 999_999)), ("8/1", Limit(8, 1)), ("7/10", None),
     ("8/0", None), ("8", None), ("8/10/1", None), ("1000000/1", None), ("8/1000000", None), ("", None),
     ("-8/1", None)],
)  # fmt: skip
def test_how_a_limit_is_written(text: str, limit: Limit | None) -> None:
    if limit is not None:
        assert Limit.parse(text) == limit
        return
    with pytest.raises(InvalidArgumentError, match="no rate limit") as refused:
        Limit.parse(text)
    assert "8 attempts or more" in refused.value.remedy


def test_a_long_text_is_cut_and_the_default_is_what_players_need() -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Limit.parse("x" * 40)
    assert refused.value.seen == repr("x" * 32)
    assert Limit(8, 10) == DEFAULT_LIMIT
