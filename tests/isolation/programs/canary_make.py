"""Makes a film whose key is random and stands in no file.

    canary_make.py FOLDER

Leaves FOLDER/film.mp4, FOLDER/rotating.mp4 and FOLDER/clear.mp4 and prints one JSON object: `keys`, KID to key in hex,
those of the film and then a third one, which the picture of the rotating film goes on under; and `clear`, pieces of
clear samples in hex that no encrypted film contains.
"""

import json
import secrets
import struct
import sys
from pathlib import Path

from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.isobmff.box import encode_box, encode_full_box, top_boxes
from drm.isobmff.samples import SURVEYED
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    clear, film = folder / "clear.mp4", folder / "film.mp4"
    make_clip(clear, Clip(width=320, height=180, frames=90, fragmented=True))
    keys = {kind: (secrets.token_bytes(16), secrets.token_bytes(16)) for kind in (TrackType.VIDEO, TrackType.AUDIO)}
    tracks = {kind: TrackEncryption(KeyId(kid), ContentKey(key)) for kind, (kid, key) in keys.items()}
    encrypt_file(clear, film, scheme=Scheme.CENC, tracks=tracks)
    later = secrets.token_bytes(16), secrets.token_bytes(16)
    (kid, key), rotating = keys[TrackType.VIDEO], folder / "rotating.mp4"
    picture = TrackEncryption(
        KeyId(kid), ContentKey(key), period=2.0, later_keys=((KeyId(later[0]), ContentKey(later[1])),)
    )
    encrypt_file(clear, rotating, scheme=Scheme.CENC, tracks=tracks | {TrackType.VIDEO: picture})
    put_off(rotating)
    encrypted = film.read_bytes() + rotating.read_bytes()
    pieces = [piece for piece in clear_pieces(clear) if piece not in encrypted][::20]
    print(json.dumps({
        "keys": {kid.hex(): key.hex() for kid, key in (*keys.values(), later)},
        "clear": [piece.hex() for piece in pieces],
    }))  # fmt: skip


def put_off(path):
    """A source looks through the first fragments for key ids: after so many, one is named by its samples alone."""
    data = path.read_bytes()
    with FileByteStream([str(path)]) as stream:
        moofs = [top.start for top in top_boxes(stream) if top.type == "moof"]
    empty = encode_box("moof", encode_full_box("mfhd", 0, 0, struct.pack(">I", 9)))
    path.write_bytes(data[: moofs[1]] + empty * SURVEYED + data[moofs[1] :])


def clear_pieces(path):
    """32 bytes out of the middle of samples, where Common Encryption leaves nothing clear."""
    with FileByteStream([str(path)]) as stream:
        source = open_source(stream)
        for descriptor in source.streams():
            track_id = descriptor.track.track_id
            source.select([track_id])
            while sample := source.next_sample(track_id):
                data = bytearray(sample.size)
                source.read_into(sample, memoryview(data))
                if sample.size > 300:
                    yield bytes(data[sample.size // 2 : sample.size // 2 + 32])


main()
