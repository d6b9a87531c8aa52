"""The key-server protocol of Shaka Packager: who is answered, with what, and that keys stay what they were."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from Crypto.Cipher import AES  # not the library under test
from Crypto.Util.Padding import pad
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from drm.errors import KeysFileError, StorageError
from drm.isobmff.pssh.box import Pssh
from drm.keys import COMMON_SYSTEM, ContentKey, KeyId
from license_server.packagers.key_server import MAX_REQUEST, PackagerStatus, Slot, answer, packager_keys
from license_server.packagers.signers import parse_signers

AES_KEY, AES_IV = bytes(range(32)), bytes(range(16, 32))
SIGNERS = parse_signers(json.dumps({"me": {"aes_key": AES_KEY.hex(), "aes_iv": AES_IV.hex()}}).encode())
# As Shaka Packager 3.8.0 sends it.
RECORDED = {
    "content_id": "bW92aWU=", "policy": "", "drm_types": ["WIDEVINE"], "protection_scheme": "CENC",
    "tracks": [{"type": "SD"}, {"type": "HD"}, {"type": "UHD1"}, {"type": "UHD2"}, {"type": "AUDIO"}],
}  # fmt: skip


class Keys:
    """Keys in memory, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Slot]]] = []
        self._made: dict[tuple[str, Slot], tuple[KeyId, ContentKey]] = {}

    def keys_of(self, content: str, slots: Sequence[Slot]) -> list[tuple[KeyId, ContentKey]]:
        self.asked.append((content, list(slots)))
        new = lambda: (KeyId(os.urandom(16)), ContentKey(os.urandom(16)))  # noqa: E731
        return [self._made.setdefault((content, slot), new()) for slot in slots]


def sign(request: bytes) -> bytes:
    return AES.new(AES_KEY, AES.MODE_CBC, AES_IV).encrypt(pad(hashlib.sha1(request).digest(), 16))


def signed(told: object, signer: str = "me", **other: str) -> bytes:
    request = told if isinstance(told, bytes) else json.dumps(told).encode()
    fields = {"request": request, "signature": sign(request)}
    words = {name: base64.b64encode(value).decode() for name, value in fields.items()}
    return json.dumps({**words, "signer": signer, **other}).encode()


def opened(data: bytes) -> dict[str, Any]:
    return json.loads(base64.b64decode(json.loads(data)["response"]))


def ask(told: object, keys: Keys, **other: Any) -> tuple[str, dict[str, Any]]:
    decision = answer(signed(told, **other), keys, SIGNERS)
    response = opened(decision.body)
    status = response["status"]
    assert decision.code == ("issued" if status == "OK" else status.lower())
    assert (status == "OK") == bool(response.get("tracks")), "keys without a good status, or the reverse"
    return status, response


def test_what_the_packager_asks_is_answered_with_a_key_for_each_track() -> None:
    keys = Keys()
    status, told = ask(RECORDED, keys)
    assert status == PackagerStatus.OK
    assert [track["type"] for track in told["tracks"]] == ["SD", "HD", "UHD1", "UHD2", "AUDIO"]
    assert len({track["key"] for track in told["tracks"]}) == 5
    for track, (kid, key) in zip(told["tracks"], keys.keys_of("movie", keys.asked[0][1]), strict=True):
        assert base64.b64decode(track["key_id"]) == kid.value
        assert base64.b64decode(track["key"]) == key.secret
        (box,) = track["pssh"]
        assert box["drm_type"] == "WIDEVINE"
        assert Pssh.parse_all(base64.b64decode(box["boxes"])) == (Pssh(COMMON_SYSTEM, (kid,)),)
        assert "crypto_period_index" not in track
    assert told["drm"] == [{"type": "WIDEVINE", "system_id": "edef8ba979d64acea3c827dcd51d21ed"}]
    assert ask(RECORDED, keys)[1] == told


def test_crypto_periods_are_answered_each_with_its_index() -> None:
    keys = Keys()
    told = {**RECORDED, "tracks": [{"type": "HD"}, {"type": "AUDIO"}]}
    _status, response = ask({**told, "first_crypto_period_index": 7, "crypto_period_count": 3}, keys)
    found = [(track["crypto_period_index"], track["type"]) for track in response["tracks"]]
    assert found == [(period, kind) for period in (7, 8, 9) for kind in ("HD", "AUDIO")]
    assert len({track["key_id"] for track in response["tracks"]}) == 6
    _status, later = ask({**told, "first_crypto_period_index": 9, "crypto_period_count": 2}, keys)
    assert later["tracks"][:2] == response["tracks"][4:], "a period that was asked for twice changed its keys"
    assert len(ask({**told, "first_crypto_period_index": 1}, keys)[1]["tracks"]) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"content_id": ""}, "CONTENT_ID_MISSING"),
        ({"content_id": "not base64!"}, "MALFORMED_REQUEST"),
        ({"content_id": base64.b64encode(b"x" * 65).decode()}, "MALFORMED_REQUEST"),
        ({"content_id": 7}, "MALFORMED_REQUEST"),
        ({"tracks": []}, "TRACK_TYPE_MISSING"),
        ({"tracks": [{}]}, "TRACK_TYPE_MISSING"),
        ({"tracks": [{"type": "8K"}]}, "TRACK_TYPE_UNKNOWN"),
        ({"protection_scheme": "ROT13"}, "MALFORMED_REQUEST"),
        ({"crypto_period_count": 1}, "NO_REQUESTED_CRYPTO_PERIODS"),
        ({"first_crypto_period_index": 0, "crypto_period_count": 0}, "NO_REQUESTED_CRYPTO_PERIODS"),
        ({"first_crypto_period_index": 0, "crypto_period_count": 1_000_000}, "MALFORMED_REQUEST"),
        ({"first_crypto_period_index": 2**40, "crypto_period_count": 1}, "MALFORMED_REQUEST"),
        ({"first_crypto_period_index": -1, "crypto_period_count": 1}, "MALFORMED_REQUEST"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_in_the_protocols_words(change: dict[str, object], status: str) -> None:
    keys = Keys()
    assert ask({**RECORDED, **change}, keys)[0] == status
    assert not keys.asked, "keys were made for a request that is refused"


def test_a_foreign_signature_or_signer_gets_nothing_and_is_not_told_which() -> None:
    keys = Keys()
    good = json.dumps(RECORDED).encode()
    refused = [
        ask(RECORDED, keys, signer="somebody"),
        ask(RECORDED, keys, signature=base64.b64encode(sign(good + b" ")).decode()),
        ask(RECORDED, keys, signature=base64.b64encode(sign(good)[:-1]).decode()),
        ask(RECORDED, keys, signature=""),
        ask(RECORDED, keys, request=base64.b64encode(good.replace(b"movie", b"other") + b" ").decode()),
    ]
    assert refused == [("SIGNATURE_FAILED", {"status": "SIGNATURE_FAILED"})] * 5
    assert not keys.asked


def test_contents_that_are_not_text_have_names_of_their_own() -> None:
    keys = Keys()
    for value in (b"movie", b"\x00\xff", b"hex:00ff", b" movie", b"movie ", "é".encode(), b"a b"):
        ask({**RECORDED, "content_id": base64.b64encode(value).decode()}, keys)
    names = [content for content, _slots in keys.asked]
    hexed = [f"hex:{each.hex()}" for each in (b"hex:00ff", b" movie", b"movie ", "é".encode())]
    assert names == ["movie", "hex:00ff", *hexed, "a b"]


def test_a_store_that_fails_is_said_so_and_gives_nothing() -> None:
    class Broken:
        def keys_of(self, content: str, slots: Sequence[Slot]) -> list[tuple[KeyId, ContentKey]]:
            raise StorageError("a row that does not unwrap")

    decision = answer(signed(RECORDED), Broken(), SIGNERS)
    assert (decision.status, opened(decision.body)) == (500, {"status": "INTERNAL_ERROR"})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RECORDED, "type"]), inner, max_size=4)
    ),
)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(signed), VALUES.map(signed)))
def test_any_bytes_are_answered(body: bytes) -> None:
    decision = answer(body, Keys(), SIGNERS)
    status = opened(decision.body)["status"]
    assert decision.code == ("issued" if status == "OK" else status.lower())


# ------------------------------------------------------------------------------------------------ signers
def test_rsa_signers_are_known_by_their_public_key() -> None:
    private, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    signer = parse_signers(json.dumps({"r": {"rsa_public_key": pem}}).encode())["r"]
    made = [key.sign(b"request", PSS(MGF1(SHA1()), 20), SHA1()) for key in (private, other)]
    assert [signer.has_signed(b"request", each) for each in made] == [True, False]
    assert not signer.has_signed(b"another", made[0])
    assert not signer.has_signed(b"request", b"")


@pytest.mark.parametrize(
    "told",
    [
        b"[]", b"{", b"\xff", b'{"n": {}}', b'{"": {"rsa_public_key": "x"}}', b'{"n": {"rsa_public_key": "x"}}',
        b'{"n": {"aes_key": "5ec2e75ec2e75ec2e75ec2e75ec2e75e"}}', b'{"n": {"aes_kex": "5ec2e7"}}',
        b'{"n": {"aes_key": "5ec2e7zz", "aes_iv": "5ec2e7"}}', b'{"n": {"aes_key": 5}}',
        json.dumps({"n": {"aes_key": "5ec2e7" * 8, "aes_iv": "00" * 15}}).encode(),
        json.dumps({"n": {"aes_key": "5ec2e7", "aes_iv": "00" * 16}}).encode(),
        json.dumps({"n": {"rsa_public_key": rsa.generate_private_key(65537, 1024).public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}}).encode(),
    ],
)  # fmt: skip
def test_a_file_of_signers_that_is_off_is_refused_without_its_secrets(told: bytes) -> None:
    with pytest.raises(KeysFileError) as caught:
        parse_signers(told)
    assert "5ec2e7" not in caught.value.render()


# ------------------------------------------------------------------------------------------------ HTTP
@pytest.fixture
def port() -> Iterator[int]:
    app = Flask(__name__)
    app.register_blueprint(packager_keys(Keys(), SIGNERS))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


def post(port: int, head: str, *chunks: bytes) -> tuple[int, bytes, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(f"POST /packager/getkey HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{head}\r\n\r\n".encode())
        for chunk in chunks:
            wire.sendall(chunk)
        got = b""
        while part := wire.recv(65536):
            got += part
    top, _, body = got.partition(b"\r\n\r\n")
    return int(top.split()[1]), top, body


def test_bodies_in_chunks_without_a_length_are_read_whole(port: int) -> None:
    body = signed(RECORDED)
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:700], body[700:]) if part]
    status, top, answered = post(port, "Transfer-Encoding: chunked", *chunks, b"0\r\n\r\n")
    assert status == 200
    assert len(opened(answered)["tracks"]) == 5
    assert b"no-store" in top
    assert post(port, f"Content-Length: {len(body)}", body)[2] == answered


def test_refusals_are_http_errors_too(port: int) -> None:
    large = b"[" * (MAX_REQUEST + 1)
    for body, status in ((signed(RECORDED, signer="x"), 403), (b"{}", 403), (b"", 400), (large, 400)):
        assert post(port, f"Content-Length: {len(body)}", body)[0] == status
