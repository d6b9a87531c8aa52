"""Progressive films of any number of samples, in a moment: their tables are written in bulk, their media is a hole."""

from __future__ import annotations

from array import array
from pathlib import Path
from struct import pack

from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.movie import Hdlr, Mdhd, Mvhd, Tkhd
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.sample_aux import Saio, Saiz, Senc
from drm.keys import KeyId
from tests.sample_tables import Ctts, Stco, Stsc, Stss, Stsz, Stts

__all__ = ["KID", "write_film"]

KID = KeyId(bytes(range(16)))
SIZES = (48, 52)  # bytes of every other sample
DURATION = 40  # thousandths of a second
_SUBSAMPLE = pack(">HHI", 1, 16, 32)  # one: clear bytes, protected bytes


def write_film(path: Path, samples: int, *, senc: bool, reordered: bool, codec: bytes = b"") -> None:
    """Write a film of one encrypted video track (`cenc`, IVs of 8 bytes); `samples` is even.

    `senc`: a `senc` tells of the encryption, and else `saiz` with `saio` behind the media. `reordered`: there are
    `ctts` and `stss`, a row for each sample or fifty, and `stts` has a row for each; else none has more than one.
    Two samples lie in a chunk.
    """
    ftyp = encode_box("ftyp", b"isom", bytes(4))
    size = sum(SIZES) * samples // 2
    entries = b"".join([(number << 8).to_bytes(8, "big") + _SUBSAMPLE for number in range(samples)])
    media, aux = len(ftyp) + 16, len(ftyp) + 16 + size
    if senc:
        crypto = Senc(samples, entries, has_subsamples=True).encode()
    else:
        crypto = Saiz(samples, 16).encode() + Saio((aux,)).encode()
    tables: list[Stts | Ctts | Stsc | Stsz | Stco | Stss] = [
        Stts(array("I", [1, DURATION] * samples if reordered else [samples, DURATION])),
        Stsc(array("I", [1, 2, 1])),
        Stsz(samples, 0, array("I", SIZES * (samples // 2))),
        Stco(array("Q", range(media, aux, sum(SIZES)))),
    ]
    if reordered:
        tables += [
            Ctts(array("i", [1, 2 * DURATION, 1, -DURATION] * (samples // 2))),
            Stss(array("I", range(1, samples + 1, 50))),
        ]
    sinf = Sinf(Frma("avc1"), Schm("cenc"), Tenc(KID, 8)).encode()
    stsd = encode_full_box("stsd", 0, 0, pack(">I", 1), encode_box("encv", bytes(78), codec, sinf))
    stbl = encode_box("stbl", stsd, *(table.encode() for table in tables), crypto)
    mdia = encode_box("mdia", Mdhd(1000).encode(), Hdlr("vide").encode(), encode_box("minf", stbl))
    moov = encode_box("moov", Mvhd(1000).encode(), encode_box("trak", Tkhd(1).encode(), mdia))
    with path.open("wb") as file:
        file.write(ftyp)
        file.write(pack(">I4sQ", 1, b"mdat", 16 + size + (0 if senc else len(entries))))
        file.seek(size, 1)
        file.write((b"" if senc else entries) + moov)
