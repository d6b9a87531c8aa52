"""What components may import in the worker: a reviewed list, all of it imported and tried out before the lock.

After the lock no file can be opened, so what is imported late fails there, and in a library's error path it may fail
badly: a refused import inside a bad signature's error path has been seen to abort the process. So failures are
provoked here on purpose, next to successes. To add a module: name it here, try out what it imports late in
`warm_up`, and add its root to tests/data/worker_roots.txt.

The names are the component API: whoever publishes a component imports them. From the first release on, moving or
renaming one needs a new `api` number in component.toml, so that an older component is refused by that and not by an
ImportError.
"""

from __future__ import annotations

import base64
import codecs
import importlib
import sys
import time
from fractions import Fraction
from types import ModuleType
from typing import Final

__all__ = ["COMPONENTS_MAY_IMPORT", "FORBIDDEN", "load", "load_trust", "names", "versions", "warm_up", "warm_up_trust"]

_STANDARD: Final = (
    "array", "base64", "binascii", "bisect", "collections", "collections.abc", "contextlib", "copy", "dataclasses",
    "datetime", "enum", "errno", "fractions", "functools", "hashlib", "heapq", "hmac", "io", "itertools", "json",
    "logging", "math", "mmap", "operator", "os", "queue", "re", "secrets", "string", "struct", "textwrap", "threading",
    "time", "traceback", "types", "typing", "uuid", "warnings", "weakref", "zlib",
)  # fmt: skip

_THIRD_PARTY: Final = (
    "av",
    "av.audio.frame",
    "av.audio.resampler",
    "av.codec.context",
    "av.error",
    "av.logging",
    "av.packet",
    "av.video.frame",
    "av.video.plane",
    "av.video.reformatter",
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.asymmetric.x25519",
    "cryptography.hazmat.primitives.ciphers",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.ciphers.algorithms",
    "cryptography.hazmat.primitives.ciphers.modes",
    "joserfc.errors",
    "joserfc.jwe",
    "joserfc.jwk",
    "joserfc.jws",
    "msgspec",
)

_SHARED: Final = (
    "drm.cenc.decrypt",
    "drm.cenc.dialect",
    "drm.cenc.engines",
    "drm.cenc.layout",
    "drm.class_ids",
    "drm.license.clearkey",
    "drm.component",
    "drm.descriptors",
    "drm.errors",
    "drm.hresult",
    "drm.isobmff.samples",
    "drm.license.jose",
    "drm.keys",
    "drm.media",
    "drm.rights.coded_forms",
    "drm.rights.output_policy",
    "drm.rights.output_schema",
    "drm.rights.output_trust",
    "drm.rights.policy",
    "drm.presentation_source",
    "drm.protection",
    "drm.rights.enablers",
    "drm.license.sealed",
    "drm.webm.presentation",
    "drm.rights.authorities",
)

COMPONENTS_MAY_IMPORT: Final = (*_STANDARD, *_THIRD_PARTY, *_SHARED)
"""The list. A component's own folder comes on top, and nothing else."""

_TRUST: Final = (
    "drm.trust.errors",
    "drm.trust.verifier",
    "tuf.api.metadata",
    "tuf.api.serialization.json",
)
"""What the worker verifies components with: no component has a use for it."""

_ENGINES: Final = {"cryptography": "drm.cenc.cryptography_engine", "pycryptodome": "drm.cenc.pycryptodome_engine"}

FORBIDDEN: Final = (
    "asyncio", "concurrent.futures", "flask", "http.client", "http.server", "multiprocessing", "numpy", "pickle",
    "requests", "sqlite3", "ssl", "subprocess", "urllib.request", "urllib3", "werkzeug",
)  # fmt: skip
"""What must not be in the worker, whoever imported it."""

_CODECS: Final = ("ascii", "latin-1", "cp1252", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "idna")

# One black picture of 16x16 (H.264 in Annex B form) and one silent frame (AAC LC, 48 kHz, mono).
_H264: Final = base64.b64decode("AAAAAWdCwArd6EAAAAMAQAAADIPEieAAAAABaM4PyAAAAAFliIQ6J4A=")
_AAC_CONFIG, _AAC = bytes.fromhex("1188"), bytes.fromhex("01182007")


_DESCRIPTION: Final = b"""
name = "none"
class_id = "00000000-0000-0000-0000-000000000000"
version = "1.0"
api = 1
entry_point = "ita.none:None"
"""


def load(engine: str) -> None:
    """Import the list and the cipher engine called `engine`."""
    for name in (*COMPONENTS_MAY_IMPORT, _ENGINES[engine]):
        importlib.import_module(name)


def load_trust() -> None:
    """Import what components are verified with.

    Its library names `subprocess`, for signers that run gpg; verifying has no use for it. An empty module stands in, so
    that what could start programs never comes into this process.
    """
    stand_in = ModuleType("subprocess", "Not in this process.")
    sys.modules.setdefault("subprocess", stand_in)
    try:
        for name in _TRUST:
            importlib.import_module(name)
    finally:
        if sys.modules["subprocess"] is stand_in:
            del sys.modules["subprocess"]


def names() -> frozenset[str]:
    """What a component.toml's `requires` may name: every module of the list, and the packages that hold them."""
    parts = [name.split(".") for name in COMPONENTS_MAY_IMPORT]
    return frozenset(".".join(p[:length]) for p in parts for length in range(1, len(p) + 1))


def versions() -> dict[str, str]:
    """Of Python, of the libraries in this process and of FFmpeg's parts."""
    import av  # noqa: PLC0415 - the list is also read where PyAV is not wanted

    found = {"python": sys.version.split()[0]}
    found |= {name: str(sys.modules[name].__version__) for name in ("av", "cryptography", "joserfc", "msgspec")}
    return found | {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}


def warm_up(engine: str) -> None:
    """Try out every library, good input and bad, so that nothing is left for it to import."""
    for name in _CODECS:
        codecs.lookup(name)
    time.strftime("%Y", time.localtime(0))
    _try_ciphers(engine)
    _try_licenses()
    _try_decoders()
    _try_pictures_and_sound()


def _try_ciphers(engine: str) -> None:
    from drm.cenc.decrypt import SampleDecrypter  # noqa: PLC0415
    from drm.cenc.engines import engine as engine_called  # noqa: PLC0415
    from drm.errors import DRMError  # noqa: PLC0415
    from drm.keys import ContentKey, KeyId  # noqa: PLC0415
    from drm.media import SampleCrypto, Scheme  # noqa: PLC0415

    kid = KeyId(bytes(16))
    decrypter = SampleDecrypter(ContentKey(bytes(16)), engine=engine_called(engine))
    for scheme in Scheme:
        for subsamples in ((), ((4, 60),), ((4, 999_999),)):
            crypto = SampleCrypto(kid, scheme, bytes(16), subsamples, 1, 9)
            try:
                decrypter.decrypt_into(memoryview(bytes(64)), crypto, memoryview(bytearray(64)))
            except DRMError:
                continue


def _try_licenses() -> None:
    from drm.errors import DRMError  # noqa: PLC0415
    from drm.license import sealed  # noqa: PLC0415
    from drm.license.clearkey import parse_jwk_set  # noqa: PLC0415

    sealed.warm_up()
    for spoilt in (b"", b"\xff", b'{"keys": [{"kty": "oct", "kid": "!", "k": "!"}]}', b"[" * 5000):
        try:
            parse_jwk_set(spoilt)
        except DRMError:
            continue


def warm_up_trust() -> None:
    """Verify a root that is sound and others that are not, with a key of this moment that vouches for nothing."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415

    from drm.errors import TrustError  # noqa: PLC0415
    from drm.trust.component_archive import pack_archive, read_component  # noqa: PLC0415
    from drm.trust.verifier import verify_trust  # noqa: PLC0415

    signer = CryptoSigner(Ed25519PrivateKey.generate())
    root = Root()
    for role in root.roles:
        root.add_key(signer.public_key, role)
    metadata = Metadata(root)
    metadata.sign(signer)
    sound = metadata.to_bytes()
    for stored in (sound, b"{}", b"\xff", b"[", sound[:-9], sound.replace(b"expires", b"expired")):
        try:
            verify_trust(sound, {"timestamp.json": stored, "root_history/2.root.json": stored})
        except TrustError:
            continue
    for description in (_DESCRIPTION, b"[", b"\xff", b"name = 1"):
        try:
            read_component(pack_archive({"component.toml": description}), "nowhere")
        except TrustError:
            continue


def _try_decoders() -> None:
    import av  # noqa: PLC0415

    for name, config, good in (("h264", b"", _H264), ("aac", _AAC_CONFIG, _AAC)):
        for data in (good, b"\xff" * 64, b""):
            context = av.CodecContext.create(name, "r")
            assert isinstance(context, av.VideoCodecContext | av.AudioCodecContext)
            context.extradata = config or None
            context.thread_count = 2
            try:
                for packet in (av.Packet(data), None):
                    _ = [frame.pts for frame in context.decode(packet)]
            except (av.error.FFmpegError, ValueError):
                continue


def _try_pictures_and_sound() -> None:
    import av  # noqa: PLC0415

    picture = av.VideoFrame(16, 16, "yuv420p")
    for name, pixels in (("png", "rgb24"), ("mjpeg", "yuvj420p")):
        encoder = av.CodecContext.create(name, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = 16, 16, pixels
        encoder.time_base = Fraction(1, 25)
        small = picture.reformat(8, 8, "rgb24").reformat(16, 16, pixels)
        _ = [bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None))]
    sound = av.AudioFrame(format="fltp", layout="stereo", samples=64)
    sound.sample_rate = 48000
    for frame in av.AudioResampler(format="s16", layout="mono", rate=44100).resample(sound):
        _ = [bytes(plane) for plane in frame.planes]
