"""Shaka Packager itself asks our key server for keys; what it makes of them decrypts, and is signalled to play."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from drm.encrypting.source_file import SourceFile
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from drm.manifests.judging.verdicts import Plays
from drm.manifests.rewrite import check_manifest, manifest_initializations, signal_manifest
from license_server.packagers.key_server import Slot, packager_keys
from license_server.packagers.signers import AesSigner, RsaSigner, Signer
from player.verbs.signal.beside import Beside
from tests.interop.peers.clips import PROGRESSIVE, Clips
from tests.interop.peers.programs import PeerError, Program
from tests.interop.peers.samples import samples_of

AES_KEY, AES_IV = os.urandom(32), os.urandom(16)


class Keys:
    """Keys in memory, made once for each slot."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, Slot], tuple[KeyId, ContentKey]] = {}

    def keys_of(self, content: str, slots: Sequence[Slot]) -> list[tuple[KeyId, ContentKey]]:
        return [
            self.made.setdefault((content, slot), (KeyId(os.urandom(16)), ContentKey(os.urandom(16)))) for slot in slots
        ]

    def pairs(self) -> dict[KeyId, ContentKey]:
        return dict(self.made.values())


class Server:
    """Our key server, with one AES signer `aes` and one RSA signer `rsa`."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys()
        private = rsa.generate_private_key(65537, 2048)
        der = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.private_key = folder / "rsa.der"
        self.private_key.write_bytes(der)
        signers: dict[str, Signer] = {"aes": AesSigner(AES_KEY, AES_IV), "rsa": RsaSigner(private.public_key())}
        app = Flask(__name__)
        app.register_blueprint(packager_keys(self.keys, signers))
        self.wsgi: BaseWSGIServer = make_server("127.0.0.1", 0, app, threaded=True)

    @property
    def words(self) -> tuple[str, ...]:
        url = f"http://127.0.0.1:{self.wsgi.port}/packager/getkey"
        return ("--enable_widevine_encryption", "--key_server_url", url, "--content_id", b"movie".hex())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    thread = threading.Thread(target=made.wsgi.serve_forever)
    thread.start()
    yield made
    made.wsgi.shutdown()
    thread.join()
    made.wsgi.server_close()


@pytest.fixture
def packager(programs: dict[str, Program]) -> Program:
    if "packager" not in programs:
        pytest.skip("peer not on PATH: packager")
    return programs["packager"]


def package(packager: Program, clips: Clips, folder: Path, *words: object) -> dict[str, Path]:
    source = clips("avc+aac", PROGRESSIVE).path
    made = {kind: folder / f"{kind}.mp4" for kind in ("video", "audio")}
    streams = [f"in={source},stream={kind},output={path}" for kind, path in made.items()]
    packager.run(*streams, "--quiet", "--clear_lead", 0, "--segment_duration", 1, "--mpd_output", folder / "m.mpd",
                 *words, makes=folder / "m.mpd")  # fmt: skip
    return made


def aes(key: bytes = AES_KEY, signer: str = "aes") -> tuple[str, ...]:
    return ("--signer", signer, "--aes_signing_key", key.hex(), "--aes_signing_iv", AES_IV.hex())


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
@pytest.mark.parametrize("how", ["aes", "rsa"])
def test_the_packager_encrypts_with_our_keys(
    packager: Program, clips: Clips, tmp_path: Path, server: Server, scheme: str, how: str
) -> None:
    signed = aes() if how == "aes" else ("--signer", "rsa", "--rsa_signing_key_path", server.private_key)
    made = package(packager, clips, tmp_path, *server.words, *signed, "--protection_scheme", scheme)
    clear = samples_of(clips("avc+aac", PROGRESSIVE).path)
    for kind, track in (("video", "SD"), ("audio", "AUDIO")):
        kid, _key = server.keys.made["movie", Slot(track)]
        with SourceFile(made[kind]) as source:
            opened = open_presentation(source)
        assert opened.tracks[0].key_ids == (kid,)
        assert opened.tracks[0].scheme == scheme
        assert samples_of(made[kind], server.keys.pairs())[kind] == clear[kind]
    mpd = (tmp_path / "m.mpd").read_bytes()
    kids = Beside(tmp_path, None).kids(manifest_initializations(mpd, "m"))
    assert Plays.FROM_MANIFEST not in {verdict.plays for verdict in check_manifest(mpd, "m", kids).verdicts}
    for only in (False, True):
        done = signal_manifest(mpd, "m", "http://localhost/license", None, kids, only_clearkey=only)
        assert [verdict.plays for verdict in done.verdicts] == [Plays.FROM_MANIFEST] * 2
        assert (b"edef8ba9" in done.data) is not only


def test_the_packager_changes_keys_with_our_periods(
    packager: Program, clips: Clips, tmp_path: Path, server: Server
) -> None:
    made = package(packager, clips, tmp_path, *server.words, *aes(), "--crypto_period_duration", 1)
    clear = samples_of(clips("avc+aac", PROGRESSIVE).path)
    assert samples_of(made["video"], server.keys.pairs())["video"] == clear["video"]
    with SourceFile(made["video"]) as source:
        opened = open_presentation(source)
        used = {sample.crypto.key_id for sample in opened.samples(1) if sample.crypto}
    assert len(used) > 1
    assert used <= {kid for (_content, slot), (kid, _key) in server.keys.made.items() if slot.track == "SD"}
    assert all(slot.period is not None for (_c, slot), (kid, _k) in server.keys.made.items() if kid in used)


def test_a_packager_with_another_key_or_name_gets_none(
    packager: Program, clips: Clips, tmp_path: Path, server: Server
) -> None:
    for signed in (aes(bytes(32)), aes(signer="nobody")):
        with pytest.raises(PeerError):
            package(packager, clips, tmp_path, *server.words, *signed)
    assert not server.keys.made
