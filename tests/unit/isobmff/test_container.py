"""What is not MP4, or only part of one, is refused by name and with the next step."""

from __future__ import annotations

import pytest

from drm.errors import InvalidArgumentError, MalformedMediaError, TruncatedMediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.protection import Frma, Schm, Tenc
from drm.isobmff.pssh.box import Pssh
from drm.keys import KeyId
from drm.media import TrackType

KID = KeyId(bytes(range(16)))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "WebM"),
        ((b"G" + bytes(187)) * 3, "transport stream"),
        ((b"G" + b"zavc" + bytes(183)) * 3, "encrypted samples"),
        ((b"G" + bytes(187)) * 20 + b"G" + bytes(100) + b"zaac" + bytes(83), "SAMPLE-AES"),
        (b"\xf8\x06iamf\0\0" + bytes(40), "IAMF"),
        (b"ID3\4" + bytes(40), "MPEG audio"),
        (b"\xff\xf1\x50\x80" + bytes(40), "MPEG audio"),
        (b"\xff\xfb\x90\x64" + bytes(40), "MPEG audio"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\xef\xbb\xbf\n<html>", "HTML"),
        (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "DASH"),
        (b'<?xml version="1.0"?><Error>', "XML"),
        (b"#EXTM3U\n", "HLS"),
        (b'{"keys": []}', "JSON"),
        (b"OggS" + bytes(40), "Ogg"),
        (bytes(1000), "zeros"),
        (b"neither fish nor flesh", "not MP4"),
        (b"x", "not MP4"),
    ],
)
def test_what_is_not_mp4_is_named(build, data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=name) as refused:
        build.open(data)
    assert refused.value.remedy
    assert refused.value.exit_code == 3


def test_media_segments_alone_ask_for_their_initialization(build) -> None:
    for first in (b"", encode_box("styp", b"msdh", bytes(4)), encode_box("sidx", bytes(24))):
        with pytest.raises(UnsupportedMediaError, match="without their initialization") as refused:
            build.open(first + build.fragment(bytes(30), [30]))
        assert "initialization segment first" in refused.value.remedy


def test_a_file_without_a_movie_box(build) -> None:
    with pytest.raises(UnsupportedMediaError, match="no movie box"):
        build.open(encode_box("ftyp", b"isom") + encode_box("mdat", bytes(9)))


@pytest.mark.parametrize("first", [b"ftyp|heic", b"ftyp|isom|meta"])
def test_a_brand_without_items_and_items_without_a_brand_are_no_still_image(build, first: bytes) -> None:
    """A live photo names a brand of images, and a film may have items: neither is to be sent to a reader of images."""
    _ftyp, brand, *items = first.decode().split("|")
    data = encode_box("ftyp", brand.encode(), bytes(4)) + b"".join(encode_box(kind, bytes(4)) for kind in items)
    with pytest.raises(UnsupportedMediaError, match="no movie box"):
        build.open(data + encode_box("mdat", bytes(9)))


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
@pytest.mark.parametrize("protected", [True, False])
def test_a_still_image_is_named(build, brand: bytes, protected: bool) -> None:
    items = encode_box("meta", bytes(4), encode_box("ienc" if protected else "iinf", bytes(8)))
    with pytest.raises(UnsupportedMediaError, match=r"still image \(HEIF\)") as refused:
        build.open(encode_box("ftyp", brand, bytes(4)) + items + encode_box("mdat", bytes(9)))
    assert ("some of them protected" in refused.value.seen) is protected
    assert "heif-info" in refused.value.remedy


@pytest.mark.parametrize(
    ("scheme", "boxes", "name"),
    [
        ("iAEC", b"", "ISMACryp"), (None, encode_box("iSFM", bytes(3)) + encode_box("iSLT", bytes(8)), "ISMACryp"),
        ("adkm", encode_box("adaf", bytes(8)), "Adobe"), ("itun", b"", "FairPlay"), ("odkm", b"", "OMA"),
        ("ACBC", b"", "Marlin"),
    ],
)  # fmt: skip
def test_protection_of_others_is_named(build, scheme: str | None, boxes: bytes, name: str) -> None:
    schm = Schm(scheme).encode() if scheme else b""
    sinf = encode_box("sinf", Frma("avc1").encode(), schm, encode_box("schi", boxes))
    init = build.init(encode_box("encv", bytes(78), sinf))
    with pytest.raises(UnsupportedMediaError, match=f"protected by .*{name}"):
        list(build.open(init + build.fragment(bytes(30), [30])).samples(1))


def test_every_truncation_of_an_initialization_segment_is_refused(build) -> None:
    whole = build.init(build.entry(Tenc(KID, 8)), build.entry(None), tracks=2)
    for end in range(len(whole)):
        with pytest.raises((TruncatedMediaError, UnsupportedMediaError, MalformedMediaError)):
            build.open(whole[:end])
    assert len(build.open(whole).tracks) == 2


def test_boxes_that_nobody_needs_are_passed_over(build) -> None:
    trak = build.trak((build.entry(None),), edits=encode_box("zzzz", b"\xff" * 9))
    data = build.moov(encode_box("udta", encode_box("meta", b"\xff" * 3)), trak)
    assert [track.codec for track in build.open(data).tracks] == ["avc1"]


def test_a_foreign_handler_is_a_track_of_another_type(build) -> None:
    data = build.init(build.entry(None)).replace(b"vide", b"text")
    assert build.open(data).tracks[0].type is TrackType.OTHER


def test_two_tracks_of_one_id_are_refused(build) -> None:
    trak = build.trak((build.entry(None),))
    with pytest.raises(MalformedMediaError, match="same id"):
        build.open(build.moov(trak, trak))


def test_a_broken_pssh_is_a_warning(build) -> None:
    good = Pssh.common(KID)
    broken = encode_box("pssh", b"\2" + bytes(40))
    opened = build.open(build.moov(build.trak((build.entry(None),)), broken, good.encode()))
    assert opened.pssh == (good,)
    assert "pssh" in opened.warnings[0]


def test_an_unknown_track_is_the_callers_mistake(build) -> None:
    with pytest.raises(InvalidArgumentError, match="no track 9"):
        build.open(build.init(build.entry(None))).samples(9)
