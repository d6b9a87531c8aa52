"""The readers under attack, each as a function of bytes that says how far it came.

Only an error of our own tree may come out, and only sound values: everything else is a finding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import islice

from drm.errors import DRMError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.reader import Reader
from drm.isobmff.samples import open_presentation
from drm.media import Sample, SampleCrypto
from drm.webm.presentation import open_webm
from player.verbs.inspect.box_listing import list_boxes
from tests.fuzz.files import decrypt_one
from tests.fuzz.mutation import Bytes, Seed

READ = 20_000  # samples of a track: more than any vector has
FILES = 64  # one input in so many is decrypted to a file, and beside another one a clear file is encrypted


def sound(sample: Sample, size: int) -> None:
    """Assert what `drm.isobmff.samples` and `drm.webm` promise about every sample."""
    assert sample.offset >= 0
    assert sample.size >= 0
    assert sample.offset + sample.size <= size
    if sample.crypto is not None:
        sound_crypto(sample.crypto, sample.size)


def sound_crypto(crypto: SampleCrypto, size: int) -> None:
    for part in crypto.parts():
        assert len(part.iv) in {8, 16}
        assert sum(map(sum, part.subsamples)) <= size
        assert all(clear >= 0 and protected >= 0 for clear, protected in part.subsamples)
    assert all(part.subsamples for part in crypto.others)
    assert 0 <= crypto.crypt_blocks <= 15
    assert 0 <= crypto.skip_blocks <= 15


def samples_of(data: bytes, *, is_mp4: bool) -> tuple[bool, int]:
    """Read every track to its end. Return whether the head was read, and how many samples came behind it."""
    stream = Bytes(data)
    opened, count = False, 0
    with contextlib.suppress(DRMError):
        presentation = open_presentation(stream) if is_mp4 else open_webm(stream)
        opened = True
        for descriptor in presentation.streams():
            with contextlib.suppress(DRMError):  # one broken track keeps none of the others from being read
                for sample in islice(presentation.samples(descriptor.track.track_id), READ):
                    sound(sample, stream.size)
                    count += 1
    return opened, count


def boxes_of(data: bytes) -> bool:
    """List the boxes, as `clearkey inspect` does."""
    seen = set()
    with contextlib.suppress(DRMError):
        for listed in list_boxes(Bytes(data)):
            seen.add(listed.type)
    return "moov" in seen


def pssh_of(data: bytes) -> bool:
    """Read a pssh box wherever one seems to stand; what was read is what encodes to the same again."""
    at, found = data.find(b"pssh"), 0
    while at >= 0:
        with contextlib.suppress(DRMError):
            box = Pssh.parse(Reader(data[at + 4 : at + 4096]))
            assert Pssh.parse(Reader(box.encode()).next_box()) == box
            found += 1
        at = data.find(b"pssh", at + 4)
    return found > 0


def read(origin: Seed, data: bytes, index: int) -> tuple[bool, int]:
    """Give one input to its readers: samples always, the listings and what writes files in turn."""
    went_in = samples_of(data, is_mp4=origin.is_mp4)
    if index % FILES == 1:
        decrypt_one(data, ".mp4" if origin.is_mp4 else ".webm")
    if origin.is_mp4 and index % 16 == 0:
        boxes_of(data)
        pssh_of(data)
    return went_in


Read = Callable[[Seed, bytes, int], tuple[bool, int]]
