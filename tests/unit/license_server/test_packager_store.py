"""Keys that packagers ask for, in the real key store: made once, kept, and the same for requests at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

from drm.keys import ContentKey, KeyId
from license_server.key_store import Place
from license_server.packager_keys import Slot
from license_server.packager_store import StoredPackagerKeys
from license_server.store import open_store
from license_server.wrapping import find_kek

SLOTS = [Slot("SD"), Slot("HD"), Slot("AUDIO"), *(Slot("HD", period) for period in range(10))]


def test_keys_are_made_once_and_live_in_the_store(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with open_store(path, find_kek(path, None)) as store:
        first = StoredPackagerKeys(store.keys).keys_of("movie", SLOTS)
        assert len({kid for kid, _key in first}) == len({key.secret for _kid, key in first}) == len(SLOTS)
        held = store.keys.get_many([kid for kid, _key in first])
        assert all(held[kid].key == key for kid, key in first), "a license would hold another key"
        places = {row.kid: row.place for row in store.keys.rows("movie")}
        assert [places[kid] for kid, _key in first] == [Place("movie", slot.track, slot.period) for slot in SLOTS]
    with open_store(path, find_kek(path, None)) as store:
        assert StoredPackagerKeys(store.keys).keys_of("movie", SLOTS) == first
        other = StoredPackagerKeys(store.keys).keys_of("another", SLOTS)
        assert not {kid for kid, _key in first} & {kid for kid, _key in other}


def test_a_key_that_an_operator_stored_is_the_one_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    kid, key = KeyId(b"k" * 16), ContentKey(b"K" * 16)
    with open_store(path, find_kek(path, None)) as store:
        store.keys.add({kid: key}, places={kid: Place("movie", "HD", None)})
        sd, hd = StoredPackagerKeys(store.keys).keys_of("movie", [Slot("SD"), Slot("HD")])
    assert hd == (kid, key)
    assert sd[0] != kid


def test_requests_at_once_get_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    found: list[list[tuple[KeyId, ContentKey]]] = []
    with open_store(path, find_kek(path, None)) as store:
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
