"""Encrypted subtitles and metadata: read by the format that they were, and never more than their own loss."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.errors import UnsupportedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey
from tests.sample_tables import Stco, Stsc, Stsz, Stts
from tests.unit.isobmff.field_files import FIELD, KID, digests, keys_of, written

# ------------------------------------------------------------------------------------------------ encrypted text
TEXT = FIELD / "encrypted_text"
FIELDS = {
    "stpp": b"http://www.w3.org/ns/ttml\0\0\0", "metx": b"\0urn:x\0\0", "sbtt": b"\0text/vtt\0", "mett": b"\0a/b\0",
    "stxt": b"gzip\0text/plain\0", "tx3g": bytes(30), "wvtt": b"", "mp4s": b"", "abcd": b"\0x\0",
}  # fmt: skip


@pytest.mark.parametrize(("name", "track", "begins"), [("P_stpp_enct", 1, b"cue number"), ("S_tx3g", 3, b"<tt ")])
def test_encrypted_subtitles_are_decrypted(tmp_path: Path, name: str, track: int, begins: bytes) -> None:
    sealed, opened = TEXT / f"{name}.mp4", tmp_path / "opened.mp4"
    decrypt_file(sealed, opened, keys_of("encrypted_text"))
    assert digests("encrypted_text", sealed) == digests("encrypted_text", opened)
    with FileByteStream([str(opened)]) as stream:
        media = open_presentation(stream)
        assert media.sample_entries(track) == (name[2:6],)
        for sample in media.samples(track):
            assert sample.crypto is None
            assert begins in stream.read_at(sample.offset, sample.size)[:120]


def _with_text(build, fields: bytes, sinf: bytes, tenc: Tenc | None = None) -> bytes:
    """One picture, encrypted by `tenc`, and one sample of text in an entry with these fields and boxes."""

    def tables(at: int) -> tuple[bytes, ...]:
        ones = Stts(array("I", [1, 1])), Stsc(array("I", [1, 1, 1])), Stsz(1, 4), Stco(array("I", [at]))
        return tuple(box.encode() for box in ones)

    def moov(at: int) -> bytes:
        picture = build.trak([build.entry(tenc)], *tables(at), track_id=1)
        text = build.trak([encode_box("enct", bytes(8), fields, sinf)], *tables(at + 4), track_id=2)
        return build.moov(picture, text.replace(b"vide", b"text"))

    at = len(moov(0)) + 8
    return moov(at) + encode_box("mdat", b"abcdefgh")


@pytest.mark.parametrize("format_", FIELDS)
def test_each_format_has_its_fields_before_its_boxes(build, format_: str) -> None:
    tenc = Tenc(KID, 0, bytes(16), 0, 0, version=1)
    opened = build.open(_with_text(build, FIELDS[format_], Sinf(Frma(format_), Schm("cenc"), tenc).encode()))
    assert opened.sample_entries(2) == (f"enct/{format_}",)
    assert [s.crypto.key_id for s in opened.samples(2) if s.crypto] == [KID]


@pytest.mark.parametrize(
    "boxes", [Sinf(Frma("stpp"), Schm("abcd")).encode(), b"", b"\xff" * 40], ids=["scheme", "no-sinf", "damage"]
)
def test_text_that_cannot_be_decrypted_takes_no_pictures_with_it(build, tmp_path: Path, boxes: bytes) -> None:
    film = written(tmp_path, [_with_text(build, FIELDS["stpp"], boxes)])
    with FileByteStream([str(film)]) as stream:
        opened = open_presentation(stream)
        assert len(list(opened.samples(1))) == 1
        assert any("track 2: " in warning for warning in opened.warnings)
        assert opened.left_out(2)
        assert not opened.left_out(1)
        with pytest.raises(UnsupportedMediaError, match="track 2"):
            list(opened.samples(2))
    assert list(digests("encrypted_text", film)) == [1]
    with pytest.raises(UnsupportedMediaError, match="track 2"):
        decrypt_file(film, tmp_path / "out.mp4", {})


def test_beside_decrypted_pictures_such_text_stays_encrypted_and_marked_so(build, tmp_path: Path) -> None:
    text = Sinf(Frma("stpp"), Schm("abcd")).encode()
    film = written(tmp_path, [_with_text(build, FIELDS["stpp"], text, Tenc(KID, 0, bytes(16), version=1))])
    done = decrypt_file(film, tmp_path / "out.mp4", {KID: ContentKey(bytes(16))})
    assert "track 2 stays encrypted" in done.warnings
    with FileByteStream([str(tmp_path / "out.mp4")]) as stream:
        media = open_presentation(stream)
        assert media.sample_entries(1) == ("avc1",)
        assert media.sample_entries(2) == ("enct/stpp",)
        assert stream.read_at(stream.size - 4, 4) == b"efgh"
        assert stream.read_at(stream.size - 8, 4) != b"abcd"
