"""Where keys come from, and what the rules that come with them do: `clearkey play` against real servers."""

import time

import pytest

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url, encode_license_request
from drm.rights.policy import Action, Policy
from tests.interop.command import Command, frames, is_one_paragraph, write_keys
from tests.interop.license.plain_server import plain_server
from tests.interop.reference import pyav_frames
from tests.interop.relays import ask, relay

PLAY_ALONE = Policy(actions=(Action.PLAY,))


@pytest.fixture
def film(vector):
    return vector("pk_cenc_iv8_v")


@pytest.fixture
def sound_film(vector):
    """Picture and sound under different keys."""
    return vector("b4_mpeg-cenc_av")


def content_keys(vector) -> dict[KeyId, ContentKey]:
    return {KeyId.parse(kid): ContentKey.parse(key) for kid, key in vector.keys}


def plain_keys(vector) -> dict[str, str]:
    return {kid.base64url: b64url(key.secret) for kid, key in content_keys(vector).items()}


def with_policy(vector, policy: Policy) -> dict:
    return {"keys": content_keys(vector), "policies": dict.fromkeys(content_keys(vector), policy)}


# ------------------------------------------------------------------------------------------------ which way
def test_our_server_gives_a_sealed_license(clearkey, clearkey_servers, sound_film, tmp_path) -> None:
    server = clearkey_servers(keys=content_keys(sound_film))
    hashes = tmp_path / "hashes"
    ran = clearkey("play", *sound_film.files, "--license-url", server.license_url, "--framemd5", hashes, "-v")
    assert ran.code == 0, ran.err
    assert "license_path: sealed" in ran.err
    assert ran.err.count("license_path=sealed") == 2, "one license for each track"
    assert "INDIVIDUALIZATION" in ran.err, "the first time, the device registers"
    assert frames(hashes.read_text())["video 1"] == pyav_frames(*sound_film.clear)["video 1"]


def test_a_known_device_registers_no_second_time(clearkey_servers, film, tmp_path) -> None:
    clearkey = Command(tmp_path / "home")
    server = clearkey_servers(keys=content_keys(film))
    first, second = (clearkey("play", *film.files, "--license-url", server.license_url, "-v") for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "INDIVIDUALIZATION_COMPLETED" in first.err
    assert "INDIVIDUALIZATION" not in second.err
    assert "license_path: sealed" in second.err


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "refuses-unknown-members"])
def test_a_plain_server_that_knows_nothing_of_us_gives_keys_in_clear(clearkey, sound_film, strict: bool) -> None:
    with plain_server(plain_keys(sound_film), refuse_unknown_members=strict) as url:
        ran = clearkey("play", *sound_film.files, "--license-url", url)
    assert ran.code == 0, ran.err
    assert "license_path: clear" in ran.err


def test_keys_of_ones_own_are_local(clearkey, film, keys_of) -> None:
    from_file = clearkey("play", *film.files, "--keys-file", keys_of(film))
    assert from_file.code == 0, from_file.err
    assert "license_path: local" in from_file.err
    assert "process list" not in from_file.err
    given = clearkey("play", *film.files, *(f"--key={kid}:{key}" for kid, key in film.keys))
    assert given.code == 0, given.err
    assert "license_path: local" in given.err
    assert given.err.count("visible to other users in the process list") == 1
    assert not [key for _kid, key in film.keys if key in given.said]


def test_the_keys_of_another_notation_play_too(clearkey, film, tmp_path) -> None:
    (kid, key), *_ = film.keys
    keys = write_keys(tmp_path / "keys", [(f"{{{KeyId.parse(kid)}}}".upper(), ContentKey.parse(key).secret.hex())])
    ran = clearkey("play", *film.files, "--keys-file", keys)
    assert ran.code == 0, ran.err


def test_a_server_and_keys_at_once_are_refused(clearkey, film, keys_of) -> None:
    ran = clearkey("play", *film.files, "--keys-file", keys_of(film), "--license-url", "http://127.0.0.1:9/")
    assert ran.code == 2
    assert is_one_paragraph(ran), ran.err


def test_nothing_to_get_rights_from_is_a_missing_key(clearkey, film) -> None:
    ran = clearkey("play", *film.files)
    assert ran.code == 4
    assert is_one_paragraph(ran), ran.err
    assert "--license-url" in ran.err


# ------------------------------------------------------------------------------------------------ who may
def test_a_header_reaches_the_server(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(keys=content_keys(film))
    with relay(server.license_url, wanted=("Authorization", "Bearer let-me-in")) as url:
        without = clearkey("play", *film.files, "--license-url", url)
        having = clearkey("play", *film.files, "--license-url", url, "--header", "Authorization: Bearer let-me-in")
    assert without.code == 8
    assert is_one_paragraph(without), without.err
    assert "401" in without.err
    assert "--header" in without.err
    assert having.code == 0, having.err
    assert "license_path: sealed" in having.err
    assert "let-me-in" not in having.said


def test_a_server_of_enrolled_devices_refuses_a_stranger(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(keys=content_keys(film), enrolled_only=True)
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 8
    assert is_one_paragraph(ran), ran.err
    assert "device_refused" in ran.err
    assert "enrolled" in ran.err


def test_a_server_of_enrolled_devices_serves_one_that_was_enrolled(clearkey_servers, film, keys_of, tmp_path) -> None:
    clearkey, store = Command(tmp_path / "home"), tmp_path / "keys.db"
    assert clearkey("keys", "import", "--store", store, keys_of(film)).code == 0
    with_strangers = clearkey_servers(store=store)
    assert clearkey("play", *film.files, "--license-url", with_strangers.license_url).code == 0
    listed = clearkey("keys", "devices", "--store", store)
    assert listed.code == 0, listed.err
    device = listed.out.split()[0]
    enrolled = clearkey("keys", "devices", "--store", store, "--enrol", device)
    assert enrolled.code == 0, enrolled.err
    server = clearkey_servers(store=store, enrolled_only=True)
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 0, ran.err
    assert "license_path: sealed" in ran.err
    stranger = Command(tmp_path / "another-home")("play", *film.files, "--license-url", server.license_url)
    assert stranger.code == 8, stranger.err


def test_what_is_sealed_only_is_not_given_to_a_plain_request(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(**with_policy(film, Policy(actions=(Action.PLAY,), sealed_only=True)))
    kids = list(content_keys(film))
    status, kind, body = ask(server.license_url, encode_license_request(kids))
    assert (status, kind) == (403, "application/problem+json")
    assert b"sealed_required" in body
    assert not [key for key in plain_keys(film).values() if key.encode() in body]
    with relay(server.license_url, drop_pmp=True) as url:
        stripped = clearkey("play", *film.files, "--license-url", url)
    assert stripped.code == 8
    assert is_one_paragraph(stripped), stripped.err
    assert "sealed_required" in stripped.err
    direct = clearkey("play", *film.files, "--license-url", server.license_url)
    assert direct.code == 0, direct.err
    assert "license_path: sealed" in direct.err


def test_a_sealed_license_called_plain_on_its_way_opens_nothing(clearkey, clearkey_servers, film) -> None:
    """And the word of the application about the way is not believed: the report cannot be made to lie."""
    server = clearkey_servers(keys=content_keys(film))
    with relay(server.license_url, content_type="application/json") as url:
        ran = clearkey("play", *film.files, "--license-url", url)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err


def test_a_plain_license_called_sealed_on_its_way_is_refused(clearkey, film) -> None:
    with plain_server(plain_keys(film)) as plain, relay(plain, content_type="application/jose") as url:
        ran = clearkey("play", *film.files, "--license-url", url)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert not [key for _kid, key in film.keys if key in ran.said]


# ------------------------------------------------------------------------------------------------ what for
def test_a_license_for_playing_alone_gives_no_hash_and_says_how_it_is_granted(
    clearkey, clearkey_servers, film, tmp_path
) -> None:
    server = clearkey_servers(**with_policy(film, Policy(actions=(Action.PLAY,), sealed_only=True)))
    for words in (("--framemd5", tmp_path / "hashes"), ("--compare", film.clear[0])):
        refused = clearkey("play", *film.files, "--license-url", server.license_url, *words)
        assert refused.code == 6, refused.err
        assert is_one_paragraph(refused), refused.err
        assert "does not grant 'hash'" in refused.err
        assert "clearkey keys policy KID --actions play,hash" in refused.err
        assert "docs/how-to/license-server.md" in refused.err
    assert not (tmp_path / "hashes").exists()
    assert clearkey("play", *film.files, "--license-url", server.license_url).code == 0


def test_a_license_without_snapshot_gives_no_picture_and_still_plays(
    clearkey, clearkey_servers, film, tmp_path
) -> None:
    server = clearkey_servers(**with_policy(film, Policy(actions=(Action.PLAY, Action.HASH))))
    folder = tmp_path / "out"
    folder.mkdir()
    refused = clearkey("play", *film.files, "--license-url", server.license_url, "--snapshot", folder / "sheet.png",
                       "--framemd5", folder / "hashes")  # fmt: skip
    assert refused.code == 6
    assert is_one_paragraph(refused), refused.err
    assert "'snapshot'" in refused.err
    assert list(folder.iterdir()) == [], "neither a picture nor half of one, nor hashes of a playback that was none"
    played = clearkey("play", *film.files, "--license-url", server.license_url, "--framemd5", folder / "hashes")
    assert played.code == 0, played.err
    assert frames((folder / "hashes").read_text()) == {"video 1": pyav_frames(*film.clear)["video 1"]}


def test_a_license_with_snapshot_gives_a_picture(clearkey, clearkey_servers, film, tmp_path) -> None:
    granting = Policy(actions=(Action.PLAY, Action.SNAPSHOT))
    server = clearkey_servers(**with_policy(film, granting))
    sheet = tmp_path / "sheet.png"
    ran = clearkey("play", *film.files, "--license-url", server.license_url, "--snapshot", sheet)
    assert ran.code == 0, ran.err
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_the_strictest_policy_of_two_tracks_holds(clearkey, clearkey_servers, sound_film, tmp_path) -> None:
    """Each track has its own license; that of the picture decides about pictures."""
    picture, sound = content_keys(sound_film)
    server = clearkey_servers(keys=content_keys(sound_film), policies={picture: PLAY_ALONE})
    ran = clearkey("play", *sound_film.files, "--license-url", server.license_url, "--snapshot", tmp_path / "a.png")
    assert ran.code == 6, ran.err
    server = clearkey_servers(keys=content_keys(sound_film), policies={sound: PLAY_ALONE})
    ran = clearkey("play", *sound_film.files, "--license-url", server.license_url, "--snapshot", tmp_path / "b.png")
    assert ran.code == 0, ran.err


def test_a_license_that_expires_on_its_way_is_refused_in_the_worker(clearkey, clearkey_servers, film) -> None:
    """The server issued it in time; the worker looks at the clock itself."""
    server = clearkey_servers(**with_policy(film, Policy(expires=int(time.time()) + 5)))
    in_time = clearkey("play", *film.files, "--license-url", server.license_url)
    assert in_time.code == 0, in_time.err
    with relay(server.license_url, keep=5) as url:
        ran = clearkey("play", *film.files, "--license-url", url)
    assert ran.code == 6, ran.err
    assert is_one_paragraph(ran), ran.err
    assert "expired" in ran.err


def test_a_license_that_expired_is_not_issued(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(**with_policy(film, Policy(expires=1_000_000_000)))
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 8, ran.err  # the server refused; in the worker it would be 6
    assert is_one_paragraph(ran), ran.err
    assert "2001-09-09" in ran.err


def test_a_license_that_demands_more_isolation_than_there_is(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(**with_policy(film, Policy(min_level=3)))
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert "level_too_low" in ran.err
    assert "isolation level 3 is required" in ran.err


def test_a_level_that_is_demanded_and_not_there_names_what_it_needs(clearkey, film, keys_of, tmp_path) -> None:
    ran = clearkey("play", *film.files, "--keys-file", keys_of(film), "--min-level", 3, "--framemd5", tmp_path / "out")
    assert ran.code == 9
    assert is_one_paragraph(ran), ran.err
    assert "/run/clearkey/pmp.sock" in ran.err
    assert "clearkey pmp-service install" in ran.err
    assert not (tmp_path / "out").exists()


def test_hashes_and_pictures_do_not_go_to_one_file(clearkey, film, keys_of, tmp_path) -> None:
    """The one that is written last would be all that is left, and the exit code would say that both are there."""
    target, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(target)
    words = ("play", *film.files, "--keys-file", keys_of(film), "--framemd5", target, "--snapshot")
    for name in (target, link, f"{tmp_path}/../{tmp_path.name}/out"):
        ran = clearkey(*words, name)
        assert (ran.code, target.exists()) == (2, False), ran.err
    assert clearkey("play", *film.files, "--keys-file", keys_of(film), "--framemd5", "/dev/null").code == 0


def test_an_unprotected_worker_plays_no_protected_content(clearkey, film, keys_of) -> None:
    ran = clearkey("play", *film.files, "--keys-file", keys_of(film), "--unprotected")
    assert ran.code == 9
    assert is_one_paragraph(ran), ran.err
    clear = clearkey("play", *film.clear, "--unprotected")
    assert clear.code == 0, clear.err
    assert "isolation level 0 (unprotected)" in clear.err
