"""The samples of a file, each as its SHA-256, and in which of them two files differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from drm.app.byte_stream import FileByteStream
from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.container import open_container
from drm.keys import ContentKey, KeyId

Hashes = dict[str, list[str]]  # by "video" or "audio": one track of each at most


def samples_of(path: Path, keys: Mapping[KeyId, ContentKey] | None = None) -> Hashes:
    """Read by our own reader, decrypted with `keys` where the file says that a sample is encrypted."""
    decrypters = {kid: SampleDecrypter(key) for kid, key in (keys or {}).items()}
    found: Hashes = {}
    with FileByteStream([path]) as stream:
        presentation = open_container(stream)
        for track in presentation.tracks:
            hashes = found.setdefault(track.type.value, [])
            for sample in presentation.samples(track.track_id):
                data = memoryview(bytearray(sample.size))
                assert stream.read_into(sample.offset, data) == sample.size
                if sample.crypto is not None and decrypters:
                    decrypt_sample(data, sample.crypto, data, decrypters.__getitem__)
                hashes.append(hashlib.sha256(data).hexdigest())
    return found


def difference(read: Hashes, clear: Hashes) -> str:
    """Say how what was read is not the original; empty when it is, sample for sample."""
    told = []
    for kind, wanted in clear.items():
        got = read.get(kind, [])
        right = sum(a == b for a, b in zip(got, wanted, strict=False))
        if got == wanted:
            continue
        if not got:
            told.append(f"no {kind}")
        elif len(got) == len(wanted):
            told.append(f"{len(wanted) - right} of {len(wanted)} {kind} samples wrong")
        else:
            told.append(f"{len(got)} {kind} samples of {len(wanted)}, {right} right")
    return "; ".join(told)
