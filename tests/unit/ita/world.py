"""An authority with its environment, its keys and its licenses, as the tests of this folder speak of them."""

from __future__ import annotations

import msgspec
import pytest

from drm.app.sources import component_loader
from drm.class_ids import CLEARKEY_ITA
from drm.errors import (
    DRMError,
    LicenseRequiredError,
)
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.media import SampleCrypto, Scheme
from drm.rights.authorities import AccessParameters
from drm.rights.enablers import LicensePath
from drm.rights.policy import Action

A, B, C = (KeyId(bytes([n]) * 16) for n in (1, 2, 3))
SECRETS = {A: b"secret content A", B: b"secret content B", C: b"secret content C"}
KEYS = {kid: ContentKey(secret) for kid, secret in SECRETS.items()}
CRYPTO = SampleCrypto(A, Scheme.CENC, bytes(8))
CLEAR = b"sixteen letters!"
# What `decrypt` gets is encrypted with another library than the one under test.


class Environment:
    """A worker, as its authorities see it."""

    def __init__(self, level: int = 1, device_key: bytes | None = None, engine: str = "cryptography") -> None:
        self.level, self.device_key, self.engine = level, device_key, engine
        self.dialects: tuple[str, ...] = ()

    def report(self) -> dict[str, object]:
        return {"level": self.level}

    def component_digests(self) -> dict[str, str]:
        return {"ita": "00"}


def authority(environment: Environment | None = None, *kids: KeyId) -> object:
    made = component_loader().create(CLEARKEY_ITA)
    made.set_environment(environment or Environment())
    made.load(msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [str(kid) for kid in kids or (A,)]}))
    return made


def asked(ita: object, action: Action = Action.PLAY) -> object:
    """The enabler that `request_access` wants."""
    with pytest.raises(LicenseRequiredError) as required:
        ita.request_access(action)
    assert required.value.hresult == HResult.NS_E_LICENSE_REQUIRED == 0xC00D0BBE
    return required.value.enabler_activate


def licensed(*kids: KeyId, environment: Environment | None = None) -> object:
    ita = authority(environment, *kids)
    ita.accept(asked(ita), encode_jwk_set({kid: KEYS[kid] for kid in kids or (A,)}), LicensePath.CLEAR)
    return ita


def bind(ita: object, *actions: Action, version: int = 0) -> None:
    ita.bind_access(AccessParameters(tuple((action, b"") for action in actions or (Action.PLAY,)), version, "h264"))


def enabled(ita: object, *actions: Action) -> object:
    """A decrypter whose outputs apply what the licenses of now ask, as the policy engine leaves it."""
    for action in actions or (Action.PLAY,):
        ita.get_policy(action)
    bind(ita, *actions)
    decrypter = ita.get_decrypter()
    decrypter.policy_set(0)
    return decrypter


def decrypt(decrypter: object, crypto: SampleCrypto = CRYPTO) -> bytes:
    from Crypto.Cipher import AES

    cipher = AES.new(SECRETS[crypto.key_id], AES.MODE_CTR, nonce=crypto.iv, initial_value=bytes(8))
    target = bytearray(16)
    decrypter.decrypt_into(memoryview(cipher.encrypt(CLEAR)), crypto, memoryview(target))
    return bytes(target)


def refused(call: object) -> int:
    with pytest.raises(DRMError) as error:
        call()
    return error.value.hresult
