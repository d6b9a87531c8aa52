"""What the operator takes back is refused by every running worker. How soon, a clock shows that tests hold."""

import time
from collections.abc import Callable, Iterator

import pytest
import requests

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.process import LicenseServer
from license_server.store import key_rows
from license_server.store.key_rows import CACHE_SECONDS
from license_server.store.keys import Place
from license_server.store.opening import Store
from tests.clocks import HeldClock
from tests.unit.license_server.issuing.test_entitlements import JWKS, token
from tests.unit.license_server.store_places import StorePlace

ONE, OTHER = KeyId(b"1" * 16), KeyId(b"2" * 16)
KEYS = {ONE: ContentKey(b"x" * 16), OTHER: ContentKey(b"y" * 16)}
LIMIT = 20.0  # seconds within which anything here happens


@pytest.fixture
def store(store_place: StorePlace) -> Iterator[Store]:
    with store_place.opened() as opened:
        opened.keys.add(KEYS, places={ONE: Place("movie", "HD"), OTHER: Place("other", "HD")})
        yield opened


@pytest.fixture
def server(store_place: StorePlace, store: Store) -> Iterator[LicenseServer]:
    with LicenseServer(tokens=JWKS, audience="clearkey", workers=2, **store_place.named) as running:
        yield running


def codes(server: LicenseServer, text: str, kid: KeyId = ONE) -> set[str]:
    """Of several requests, so that every worker is asked."""
    body = b'{"kids":["%b"]}' % kid.base64url.encode()
    found = set()
    for _ in range(8):
        answer = requests.post(server.license_url, data=body, headers={"Authorization": f"Bearer {text}"}, timeout=5)
        found.add(answer.json().get("code", "issued"))
    return found


def becomes(code: str, server: LicenseServer, text: str) -> bool:
    """Whether all of several requests come to be answered so."""
    ends = time.monotonic() + LIMIT
    while (found := codes(server, text)) != {code} and time.monotonic() < ends:
        time.sleep(0.02)
    return found == {code}


@pytest.mark.parametrize(
    ("take", "give", "code"),
    [
        (lambda store: store.keys.revoke(ONE), lambda store: store.keys.revoke(ONE, restore=True), "key_revoked"),
        (
            lambda store: store.contents.revoke("movie"),
            lambda store: store.contents.revoke("movie", restore=True),
            "content_revoked",
        ),
        (
            lambda store: store.tokens.revoke("the id"),
            lambda store: store.tokens.revoke("the id", restore=True),
            "token_revoked",
        ),
        (
            lambda store: store.contents.set_policy("movie", Policy(sealed_only=True)),
            lambda store: store.contents.set_policy("movie", None),
            "sealed_required",
        ),
        (
            lambda store: store.keys.remove(ONE),
            lambda store: store.keys.add({ONE: KEYS[ONE]}, places={ONE: Place("movie", "HD")}),
            "key_unknown",
        ),
    ],
    ids=["a key", "a content", "a token", "the rules of a content", "a key that is removed"],
)
def test_it_is_in_force_in_every_worker_and_given_back_as_well(
    server: LicenseServer, store: Store, take: Callable[[Store], None], give: Callable[[Store], None], code: str
) -> None:
    text = token({"jti": "the id", "reusable": True})
    assert codes(server, text) == {"issued"}  # now every worker keeps the row and the token
    take(store)
    assert becomes(code, server, text)
    if code != "token_revoked":
        assert codes(server, text, OTHER) == {"issued"}
    give(store)
    assert becomes("issued", server, text)


def test_rows_are_kept_as_long_as_nothing_changes_and_for_a_second_more(
    store_place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the first, the bound would be met by keeping nothing."""
    clock = HeldClock().hold(monkeypatch, key_rows)
    with store_place.opened() as store:
        store.keys.add(KEYS)
        assert store.licenses.get_many([ONE, OTHER]).keys() == KEYS.keys()
        with store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM content_keys")  # behind the back of the epoch
        assert store.licenses.get_many([ONE, OTHER])[ONE].key == KEYS[ONE]
        store.keys.add({KeyId(b"3" * 16): ContentKey(b"z" * 16)})
        clock.advance(CACHE_SECONDS - 0.01)
        assert store.licenses.get_many([ONE, OTHER]).keys() == KEYS.keys()
        clock.advance(0.01)
        assert store.licenses.get_many([ONE, OTHER]) == {}


def test_the_content_of_a_token_covers_the_keys_of_later_periods(server: LicenseServer, store: Store) -> None:
    text = token({"kids": None, "contents": ["movie"]})
    assert codes(server, text) == {"issued"}
    assert codes(server, text, OTHER) == {"token_kids"}
    made = store.contents.next_period("movie")
    assert [(row.place.content, row.place.track, row.place.period) for row in made] == [("movie", "HD", 1)]
    assert codes(server, text, made[0].kid) == {"issued"}
    again = store.contents.next_period("movie")
    assert again[0].place.period == 2
    assert again[0].kid != made[0].kid
