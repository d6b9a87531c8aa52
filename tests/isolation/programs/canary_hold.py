"""What no application should do: it takes keys, decrypts the film itself, and holds on to the samples."""

from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.cenc.decrypt import SampleDecrypter
from drm.keys import ContentKey, KeyId


def decrypt_here(film, words):
    """`words`: hex KID:KEY pairs on one line. Returns what it holds."""
    ciphers = {}
    for word in words.split():
        kid, key = word.split(":")
        ciphers[KeyId.parse(kid)] = SampleDecrypter(ContentKey.parse(key))
    held = []
    with FileByteStream([film]) as stream:
        source = open_source(stream)
        for descriptor in source.streams():
            source.select([descriptor.track.track_id])
            while sample := source.next_sample(descriptor.track.track_id):
                data, clear = bytearray(sample.size), bytearray(sample.size)
                source.read_into(sample, memoryview(data))
                ciphers[sample.crypto.key_id].decrypt_into(memoryview(data), sample.crypto, memoryview(clear))
                held.append(clear)
    return held, ciphers, words
