"""Texts and tokens that come from outside, damaged: licenses, keys files, sealed envelopes, manifests, pssh data.

Sound documents are written here, and bent by number. All are the same on every machine but a sealed answer as a whole:
its one-time key cannot be chosen; what is inside it can, and is bent before it is sealed.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

from drm.errors import DRMError
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data, read_contents
from drm.keyfile.formats import parse_keys_file
from drm.keyfile.spellings import parse_keys
from drm.keyfile.writing import WRITERS
from drm.keys import ContentKey, KeyId
from drm.license import jose, sealed
from drm.license.clearkey import b64url, encode_jwk_set, parse_jwk_set, parse_license_request
from drm.rights.policy import Policy
from player.verbs.pssh.manifests import hls_statements, keyids_statements, mpd_statements

__all__ = ["KeyInErrorError", "document", "kinds", "read_document"]

KIDS: Final = (KeyId(bytes(range(16))), KeyId(bytes(range(100, 116))))
KEYS: Final = {kid: ContentKey(bytes(reversed(kid.value))) for kid in KIDS}
_SEED: Final = bytes(32)  # of a device key that exists here alone
_WORDS: Final = (
    b'"keys"', b'"kty"', b'"oct"', b'"kid"', b'"k"', b'"type"', b"null", b"true", b"-1", b"1e999", b"[]", b"{}", b'""',
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"=", b"==", b"&lt;", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;",
    b"]]>", b"<![CDATA[", b"0x", b"urn:uuid:", b"guid-le:", b":", b",", b"\r\n", b"#EXT-X-KEY:", b"data:;base64,",
    b"9" * 400, b"[" * 3000, b'{"a":' * 1500, b"<a>" * 1500, b"A" * 70_000,
)  # fmt: skip


class KeyInErrorError(Exception):
    """An error's text holds a key."""


Kind = tuple[bytes, Callable[[bytes], object]]


def document(seed: int, index: int) -> tuple[str, bytes]:
    """Document `index` of `seed`: which kind it is, and its bytes."""
    random = Random(f"document {seed}:{index}")
    kind = random.choice(sorted(kinds()))
    data = bytearray(kinds()[kind][0])
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        random.choice(_CHANGES)(random, data)
    return kind, bytes(data)


def read_document(kind: str, data: bytes) -> bool:
    """Give it to its reader; whether it was taken. Anything but an error of ours is a finding."""
    try:
        kinds()[kind][1](data)
    except DRMError as error:
        said = error.render()
        if any(shown in said for key in KEYS.values() for shown in (key.secret.hex(), b64url(key.secret))):
            raise KeyInErrorError from error
        return False
    return True


@functools.cache
def kinds() -> dict[str, Kind]:
    """Every kind: a sound document, and what reads it."""
    pairs = [(kid.hex, key.secret.hex()) for kid, key in KEYS.items()]
    lines = "\n".join(f"{kid}:{key}" for kid, key in pairs)
    jwk = encode_jwk_set(KEYS)
    request = sealed.SealedRequest.make(_SEED, KIDS, {"level": 2}, {"ita": "00"})
    verified = sealed.verify_request(request.jws)
    answer = sealed.seal(verified, KEYS, Policy())
    inner = encode_jwk_set(
        KEYS, policy=msgspec.to_builtins(Policy()), nonce=verified.nonce, kids=[kid.base64url for kid in KIDS]
    )
    body = json.dumps({"kids": [kid.base64url for kid in KIDS], "type": "temporary", "pmp": request.jws}).encode()
    plain = {"jwk": parse_jwk_set, "keys file": parse_keys_file}
    boxes = {name: base64.b64encode(make_data(system, KIDS, "cenc")).decode() for name, system in
             (("w", WIDEVINE), ("p", PLAYREADY))}  # fmt: skip
    return {
        "license": (jwk, plain["jwk"]),
        "license request": (body, parse_license_request),
        "keys of jwk": (jwk, plain["keys file"]),
        "keys of lines": (f"# mine\n{lines}\n".encode(), plain["keys file"]),
        "keys of json": (json.dumps(dict(pairs)).encode(), plain["keys file"]),
        "keys of gpac": (_gpac(pairs), plain["keys file"]),
        "keys of kodi's playlist": (_kodi_playlist(pairs), plain["keys file"]),
        **{f"keys for {form}": (write(KEYS).encode(), plain["keys file"]) for form, write in WRITERS.items()},
        "keys in words": (f"label=:key_id={pairs[0][0]}:key={pairs[0][1]}".encode(), _words),
        "sealed request": (request.jws.encode(), lambda data: sealed.verify_request(data.decode("latin-1"))),
        "registration": (sealed.make_registration(_SEED, {"level": 1}), sealed.verify_registration),
        "sealed answer": (answer, lambda data: _again(request).open(data)),
        "sealed license": (inner, lambda data: _again(request).open(_seal(verified, data))),
        "widevine data": (make_data(WIDEVINE, KIDS, "cbcs"), lambda data: read_contents(WIDEVINE, data)),
        "playready data": (make_data(PLAYREADY, KIDS, "cenc"), lambda data: read_contents(PLAYREADY, data)),
        "mpd": (_mpd(boxes), mpd_statements),
        "playlist": (_playlist(boxes), hls_statements),
        "keyids": (json.dumps({"kids": [kid.base64url for kid in KIDS]}).encode(), keyids_statements),
    }


def _words(data: bytes) -> object:
    return parse_keys(data.decode("latin-1"))


def _again(request: sealed.SealedRequest) -> sealed.SealedRequest:
    """The same request, its answer not given yet: one that was opened opens no other."""
    assert request._one_time is not None
    return sealed.SealedRequest(request.jws, request._nonce, request._key_ids, request._one_time)


def _seal(verified: sealed.VerifiedRequest, plaintext: bytes) -> bytes:
    recipient = jose.import_public(jose.PublicJwk(**verified.recipient_jwk), "X25519", "the recipient")
    return jose.encrypt(plaintext, recipient, "jwk-set+json")


def _gpac(pairs: list[tuple[str, str]]) -> bytes:
    keys = "".join(f'<key KID="0x{kid}" value="0x{key}"/>' for kid, key in pairs)
    return f'<?xml version="1.0" />\n<GPACDRM><DRMInfo/><CrypTrack trackID="1">{keys}</CrypTrack></GPACDRM>\n'.encode()


def _kodi_playlist(pairs: list[tuple[str, str]]) -> bytes:
    keys = ",".join(map(":".join, pairs))
    return (
        f"#EXTM3U\n#KODIPROP:inputstream.adaptive.drm_legacy=org.w3.clearkey|{keys}\nhttps://a.example/a.mpd\n"
        '#KODIPROP:inputstream.adaptive.drm={"org.w3.clearkey": {"license": {"keyids": '
        f"{json.dumps(dict(pairs))}}}}}}}\n"
    ).encode()


def _mpd(boxes: dict[str, str]) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" '
        'xmlns:mspr="urn:microsoft:playready"><Period><AdaptationSet>'
        f'<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="{KIDS[0]}"/>'
        f'<ContentProtection schemeIdUri="urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95"><mspr:pro>{boxes["p"]}'
        "</mspr:pro></ContentProtection>"
        f'<ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"><cenc:pssh>{boxes["w"]}'
        "</cenc:pssh></ContentProtection></AdaptationSet></Period></MPD>"
    ).encode()


def _playlist(boxes: dict[str, str]) -> bytes:
    return (
        "#EXTM3U\n#EXT-X-VERSION:6\n"
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,{boxes["w"]}",KEYID=0x{KIDS[0].hex},'
        'KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",KEYFORMATVERSIONS="1"\n'
        f'#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:text/plain;charset=UTF-16;base64,{boxes["p"]}",'
        'KEYFORMAT="com.microsoft.playready"\n#EXTINF:2,\na.m4s\n#EXT-X-ENDLIST\n'
    ).encode()


# ------------------------------------------------------------------------------------------------ changes
def _flip(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _cut(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data) + 1) :]


def _delete(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.randint(1, 24)]


def _word(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data) + 1)
    data[at : at + random.choice((0, 0, 4, 20))] = random.choice(_WORDS)


def _again_inside(random: Random, data: bytearray) -> None:
    """A part of it once more, somewhere in it."""
    at, start = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    data[at:at] = data[start : start + random.randint(1, 400)]


_CHANGES = (_flip, _flip, _byte, _byte, _cut, _delete, _word, _word, _again_inside)
