"""Keys that packagers ask for, in the real key store: made once, kept, and the same for requests at the same time."""

from __future__ import annotations

import threading

from drm.keys import ContentKey, KeyId
from license_server.packagers.key_server import Slot
from license_server.packagers.keys import StoredPackagerKeys
from license_server.store.keys import Place
from tests.unit.license_server.store_places import StorePlace

SLOTS = [Slot("SD"), Slot("HD"), Slot("AUDIO"), *(Slot("HD", period) for period in range(10))]


def test_keys_are_made_once_and_live_in_the_store(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        first = StoredPackagerKeys(store.keys).keys_of("movie", SLOTS)
        assert len({kid for kid, _key in first}) == len({key.secret for _kid, key in first}) == len(SLOTS)
        held = store.keys.get_many([kid for kid, _key in first])
        assert all(held[kid].key == key for kid, key in first), "a license would hold another key"
        places = {row.kid: row.place for row in store.keys.rows("movie")}
        assert [places[kid] for kid, _key in first] == [Place("movie", slot.track, slot.period) for slot in SLOTS]
    with store_place.opened() as store:
        assert StoredPackagerKeys(store.keys).keys_of("movie", SLOTS) == first
        other = StoredPackagerKeys(store.keys).keys_of("another", SLOTS)
        assert not {kid for kid, _key in first} & {kid for kid, _key in other}


def test_a_key_that_an_operator_stored_is_the_one_that_is_given(store_place: StorePlace) -> None:
    kid, key = KeyId(b"k" * 16), ContentKey(b"K" * 16)
    with store_place.opened() as store:
        store.keys.add({kid: key}, places={kid: Place("movie", "HD", None)})
        sd, hd = StoredPackagerKeys(store.keys).keys_of("movie", [Slot("SD"), Slot("HD")])
    assert hd == (kid, key)
    assert sd[0] != kid


def test_requests_at_once_get_the_same_keys(store_place: StorePlace) -> None:
    found: list[list[tuple[KeyId, ContentKey]]] = []
    with store_place.opened() as store:
        start = threading.Barrier(4)

        def ask() -> None:
            start.wait(10)
            found.append(StoredPackagerKeys(store.keys).keys_of("movie", SLOTS))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert all(each == found[0] for each in found)
