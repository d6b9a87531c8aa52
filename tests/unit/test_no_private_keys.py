"""No file that git tracks holds a private key, in any of the forms that one is kept in.

The search runs twice: over what git tracks, where it must find nothing, and over keys made here, each of which it must
find. Content keys of samples are no private keys, and public keys and certificates are no secrets.
"""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

ROOT = Path(__file__).parents[2]

NAME = re.compile(r"(?:\.(?:pem|key|p8|p12|pfx|jks|ppk)|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)|_key\.json)$")
ARMOUR = re.compile(
    rb"-----? ?BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-\d|openssh-key-v1\0|b3BlbnNzaC1rZXktd[j]E"
)
# A JSON Web Key: no brace stands between its members (RFC 7517, RFC 8037; "priv": ML-DSA in draft-ietf-cose-dilithium).
KIND = rb"""["']kty["']\s*:\s*["'](?:OKP|EC|RSA|AKP)["']"""
PRIVATE = rb"""["'](?:d|priv)["']\s*:\s*["'][A-Za-z0-9_-]{20}"""
JWK = re.compile(KIND + rb"[^{}]*" + PRIVATE + rb"|" + PRIVATE + rb"[^{}]*" + KIND)
# The beginnings of the ASN.1 forms, in DER.
LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
ALGORITHM = (
    rb"\x06(?:\x03\x2b\x65[\x6e-\x71]|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01[\x01\x0a]"
)
ALGORITHM += rb"|\x07\x2a\x86\x48\xce\x38\x04\x01|\x09\x60\x86\x48\x01\x65\x03\x04\x03[\x11-\x1f])"
DER = re.compile(
    rb"\x30" + LENGTH + rb"(?:"
    rb"\x02\x01[\x00\x01]\x30" + LENGTH + ALGORITHM +  # PKCS #8, RFC 5958
    rb"|\x30" + LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05[\x03-\x0e]"  # the same, encrypted (PKCS #5)
    rb"|\x02\x01\x01\x04[\x1c-\x42]"  # an EC key, SEC 1 and RFC 5915
    rb"|\x02\x01\x00\x02\x82..\x00"  # an RSA key, PKCS #1
    rb"|\x02\x01\x00\x02\x81.\x00"
    rb"|\x02\x01\x03\x30" + LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01-\x06]"  # PKCS #12
    rb")",
    re.DOTALL,
)  # fmt: skip
# 0x30 begins as M in base64; both spellings of base64, and hexadecimal, as whole words.
BASE64 = re.compile(rb"(?<![A-Za-z0-9+/_-])M[A-P][A-Za-z0-9+/_-]{38}")
ONE_SPELLING = bytes.maketrans(b"-_", b"+/")
HEX = re.compile(rb"(?<![A-Za-z0-9])30[0-9A-Fa-f]{58}")


def key_forms(path: str, data: bytes) -> Iterator[str]:
    """Name every sign of a private key in a file."""
    if NAME.search(path):
        yield "is called as key files are"
    if ARMOUR.search(data):
        yield "holds an armoured private key"
    if JWK.search(data):
        yield "holds a private JSON Web Key"
    if DER.match(data):
        yield "is a private key in DER"
    if any(DER.match(base64.b64decode(word[0].translate(ONE_SPELLING))) for word in BASE64.finditer(data)):
        yield "holds a private key in base64"
    if any(DER.match(bytes.fromhex(word[0].decode())) for word in HEX.finditer(data)):
        yield "holds a private key in hexadecimal"


# ------------------------------------------------------------------------------------------------ what git tracks
def test_no_tracked_file_holds_a_private_key() -> None:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    paths = [path for path in listing.stdout.decode().split("\0") if path and (ROOT / path).is_file()]
    assert len(paths) > 500
    found = [f"{path} {form}" for path in paths for form in key_forms(path, (ROOT / path).read_bytes())]
    assert found == []


# ------------------------------------------------------------------------------------------------ planted keys
KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "x25519": x25519.X25519PrivateKey.generate(),
    "x448": x448.X448PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "dsa": dsa.generate_private_key(1024),
}
SECRET = BestAvailableEncryption(b"a passphrase")


def planted() -> Iterator[tuple[str, bytes]]:
    for name, key in KEYS.items():
        forms = [("pkcs8", PrivateFormat.PKCS8, NoEncryption()), ("encrypted", PrivateFormat.PKCS8, SECRET)]
        if name in ("p256", "p384", "p521", "rsa"):
            forms.append(("traditional", PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        for form, kind, encryption in forms:
            der = key.private_bytes(Encoding.DER, kind, encryption)
            yield f"{name}-{form}-pem", b"# notes\n" + key.private_bytes(Encoding.PEM, kind, encryption)
            yield f"{name}-{form}-der", der
            yield f"{name}-{form}-base64", b'{"key": "' + base64.b64encode(der) + b'"}\n'
            yield f"{name}-{form}-base64url", b"KEY=" + base64.urlsafe_b64encode(der).rstrip(b"=") + b"\n"
            yield f"{name}-{form}-hex", b"key = bytes.fromhex('" + der.hex().encode() + b"')\n"
    for name in ("ed25519", "p256", "rsa"):
        armoured = KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        body = b"".join(armoured.splitlines()[1:-1])
        yield f"{name}-ssh-pem", armoured
        yield f"{name}-ssh-base64", body
        yield f"{name}-ssh-raw", base64.b64decode(body)
    for name, jwk in {"okp": OKPKey.import_key, "ec": ECKey.import_key, "rsa": RSAKey.import_key}.items():
        key = KEYS[{"okp": "ed25519", "ec": "p256", "rsa": "rsa"}[name]]
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        members = jwk(pem).as_dict(private=True)
        for order in (sorted(members.items()), sorted(members.items(), reverse=True)):
            yield f"{name}-jwk-json", str(dict(order)).replace("'", '"').encode()
            yield f"{name}-jwk-python", str({"keys": [dict(order)]}).encode()
    yield "pgp", b"-----BEGIN PGP " + b"PRIVATE KEY BLOCK-----\n"
    yield "ssh2", b"---- BEGIN SSH2 ENCRYPTED " + b"PRIVATE KEY ----\n"
    yield "putty", b"PuTTY-User-Key" + b"-File-3: ssh-ed25519\n"


@pytest.mark.parametrize(("name", "data"), [pytest.param(*case, id=case[0]) for case in planted()])
def test_a_planted_private_key_is_found(name: str, data: bytes) -> None:
    assert list(key_forms("docs/notes.txt", data))


@pytest.mark.parametrize("path", ["a/device.pem", "server.key", "id_ed25519", "tests/data/signing_key.json", "a.p12"])
def test_a_file_called_as_a_key_is_found(path: str) -> None:
    assert list(key_forms(path, b""))


@pytest.mark.parametrize("name", KEYS)
def test_a_public_key_is_no_secret(name: str) -> None:
    public = KEYS[name].public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for data in (der, pem, base64.b64encode(der), der.hex().encode()):
        assert list(key_forms("docs/notes.txt", data)) == []


def test_a_public_or_symmetric_json_web_key_is_no_secret() -> None:
    public = ECKey.import_key(KEYS["p256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for members in (public.as_dict(private=False), OctKey.generate_key(128).as_dict(private=True)):
        assert list(key_forms("docs/notes.txt", str(members).replace("'", '"').encode())) == []
