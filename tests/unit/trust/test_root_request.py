"""Root keys that are kept offline: what is carried to them, what of it is believed, and what becomes of it."""

from __future__ import annotations

import json

import pytest

from drm.errors import AuthorityError, InvalidArgumentError, PassphraseError, SigningKeyMissingError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.publishing import publish
from drm.trust.authority.root_request import MAX_REQUEST, accept, countersign, prepare
from drm.trust.authority.rotating import rotate
from drm.trust.authority.signing_keys import KeyFolders

PASSPHRASE = "correct horse battery"


@pytest.fixture
def sticks(home, tmp_path):
    """The three root keys, each where it is kept."""
    made = []
    for number, key_id in enumerate(home.trust().key_ids["root"]):
        stick = tmp_path / f"stick-{number}"
        stick.mkdir(mode=0o700)
        (home.folder / f"keys/{key_id}.pem").rename(stick / f"{key_id}.pem")
        made.append(KeyFolders(tmp_path / "none", lambda _key: PASSPHRASE, [stick]))
    return made


def online(home):
    """The authority as another process finds it, which has opened no root key yet."""
    return AuthorityHome(home.folder, lambda _key: PASSPHRASE, now=home.now)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_new_keys_of_a_role_that_root_lists(home, sticks, client, component, role):
    publish(home, [component()])
    assert client.has("1.0.0")
    old = home.trust().key_ids[role]
    data = prepare(online(home), role)
    with pytest.raises(SigningKeyMissingError, match="root 2 is not signed"):
        accept(online(home), data)
    data, lines = countersign(data, sticks[0])
    assert f"root 3: {role} loses the key {old[0]}" in lines
    assert "root 2: 1 of 2 signatures" in lines
    with pytest.raises(SigningKeyMissingError):
        accept(online(home), data)
    data, _ = countersign(data, sticks[0])  # the same holder again
    with pytest.raises(SigningKeyMissingError):
        accept(online(home), data)
    data, lines = countersign(data, sticks[2])
    assert "root 3: 2 of 2 signatures" in lines
    assert accept(online(home), data) == [2, 3]
    assert not set(old) & set(home.trust().key_ids[role])
    assert client.has("1.0.0")
    publish(online(home), [component("1.1.0")])
    assert client.has("1.1.0")


def test_a_root_with_a_later_end(home, sticks, client, clock):
    clock.advance(days=300)
    data = prepare(online(home), "root")
    for stick in sticks[:2]:
        data, _ = countersign(data, stick)
    assert accept(online(home), data) == [2]
    trust = home.trust()
    assert (trust.expiries["root"] - clock.now).days in (364, 365)
    assert client.update()


def test_it_is_good_for_the_root_that_it_was_made_for_alone(home, sticks):
    data = prepare(online(home), "timestamp")
    later = prepare(online(home), "snapshot")
    for stick in sticks[:2]:
        data, later = countersign(data, stick)[0], countersign(later, stick)[0]
    accept(online(home), data)
    before = home.trees.number()
    for stale in (data, later):
        with pytest.raises(AuthorityError, match="another is published"):
            accept(online(home), stale)
    assert home.trees.number() == before


def test_what_is_changed_on_the_way_is_not_published(home, sticks):
    data = prepare(online(home), "timestamp")
    for stick in sticks[:2]:
        data, _ = countersign(data, stick)
    request = json.loads(data)
    evil = json.loads(request["roots"][1])
    evil["signed"]["roles"]["timestamp"]["threshold"] = 2
    evil["signed"]["roles"]["targets"]["keyids"] = evil["signed"]["roles"]["timestamp"]["keyids"]
    request["roots"][1] = json.dumps(evil)
    with pytest.raises(SigningKeyMissingError):
        accept(online(home), json.dumps(request).encode())
    assert home.trust().versions["root"] == 1


def test_what_is_no_request(home, sticks):
    sound = prepare(online(home), "timestamp")
    request = json.loads(sound)
    timestamp = (home.trees.published / "metadata/timestamp.json").read_text()
    bad = [
        b"", b"{}", b"\xff", b"[" * 50_000, sound[:-1], b" " * (MAX_REQUEST + 1),
        json.dumps(request | {"roots": []}).encode(),
        json.dumps(request | {"roots": request["roots"][::-1]}).encode(),
        json.dumps(request | {"roots": [timestamp, timestamp]}).encode(),
        json.dumps(request | {"roots": request["roots"] * 2}).encode(),
        json.dumps(request | {"more": 1}).encode(),
        json.dumps(request | {"role": "nobody"}).encode(),
    ]  # fmt: skip
    for data in bad:
        with pytest.raises(InvalidArgumentError, match="no request for a new root"):
            countersign(data, sticks[0])
        with pytest.raises(InvalidArgumentError, match="no request for a new root"):
            accept(online(home), data)
    with pytest.raises(AuthorityError):
        accept(online(home), json.dumps(request | {"role": "root"}).encode())
    for role in ("components", "revocations"):
        with pytest.raises(InvalidArgumentError, match="listed by targets"):
            prepare(online(home), role)


# --------------------------------------------------------------------------------------------------------- passphrases
def test_each_key_has_its_own_passphrase(home, component, tmp_path):
    key_id = home.trust().key_ids["components"][0]
    home.keys.change_passphrase(key_id, "components", "another passphrase")
    with pytest.raises(PassphraseError, match="does not open"):
        publish(online(home), [component()])
    asked = []

    def answer(called: str) -> str:
        asked.append(called)
        return "another passphrase" if key_id[:12] in called else PASSPHRASE

    publish(AuthorityHome(home.folder, answer, now=home.now), [component()])
    assert any(key_id[:12] in called for called in asked)
    assert len(asked) == len(set(asked)) <= 2, "an answer that opened one key is tried on the next"
    lines = AuthorityHome(home.folder, lambda _key: f"{PASSPHRASE}\nanother passphrase", now=home.now)
    rotate(lines, "components")


def test_a_passphrase_that_is_too_short_changes_nothing(home):
    key_id = home.trust().key_ids["components"][0]
    path = home.folder / f"keys/{key_id}.pem"
    before = path.read_bytes()
    with pytest.raises(PassphraseError, match="at least"):
        home.keys.change_passphrase(key_id, "components", "short")
    assert path.read_bytes() == before
