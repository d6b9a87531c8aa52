"""What the head of a file says: containers, tracks, encryption; what is not read is refused by name."""

from __future__ import annotations

from struct import pack

import pytest

from drm.errors import InvalidArgumentError, MalformedMediaError, TruncatedMediaError, UnsupportedMediaError
from drm.media import Protection, Scheme, TrackType
from drm.webm.ebml import encode_size
from drm.webm.names import id_of


def test_a_track_in_full(build) -> None:
    el, num = build.el, build.num
    sound = el("Audio", el("SamplingFrequency", pack(">f", 48000.0)), num("Channels", 2))
    entry = build.entry(
        el("Language", b"fre"), el("CodecPrivate", b"config"), num("DefaultDuration", 20_000_000), sound,
        number=7, codec=b"A_VORBIS", kind=2,
    )  # fmt: skip
    picture = build.entry(el("Video", num("PixelWidth", 640), num("PixelHeight", 360)), build.encodings())
    info = el("Info", num("TimestampScale", 500_000), el("Duration", pack(">d", 4000.0)))
    opened = build.open(build.file(entries=entry + picture, info=info))
    first, second = opened.tracks
    assert (first.track_id, first.type, first.codec, first.decoder) == (7, TrackType.AUDIO, "A_VORBIS", "vorbis")
    assert (first.sample_rate, first.channels, first.language, first.codec_config) == (48000, 2, "fre", b"config")
    assert (first.timescale, first.duration) == (10**9, 2 * 10**9)
    assert (first.is_protected, first.scheme, first.key_ids, opened.scheme_type(7)) == (False, "", (), "")
    assert (second.width, second.height, second.language) == (640, 360, "eng")
    assert second.protections == (Protection(Scheme.CENC, build.KID, 8),)
    assert opened.scheme_type(1) == "webm-aes-ctr"
    assert [stream.key_ids for stream in opened.streams()] == [(), (build.KID,)]
    assert opened.sample_entries(1) == ("V_VP8",)
    assert opened.pssh == ()
    with pytest.raises(InvalidArgumentError, match="no track 9"):
        opened.samples(9)


@pytest.mark.parametrize(
    ("codec", "decoder"),
    [(b"V_VP8", "vp8"), (b"V_VP9", "vp9"), (b"V_AV1", "libdav1d"), (b"V_MPEG4/ISO/AVC", "h264"), (b"A_OPUS", "opus"),
     (b"A_VORBIS", "vorbis"), (b"S_TEXT/WEBVTT", "")],
)  # fmt: skip
def test_codecs(build, codec: bytes, decoder: str) -> None:
    assert build.open(build.file(entries=build.entry(codec=codec))).tracks[0].decoder == decoder


def test_an_ordinary_track_gives_no_warning(build) -> None:
    """A warning that is always there is one that nobody reads."""
    assert build.open(build.file()).warnings == ()
    odd = build.entry(build.el("TrackTimestampScale", pack(">f", 2.0)))
    (warning,) = build.open(build.file(entries=odd)).warnings
    assert "TrackTimestampScale of 2 is passed over" in warning


def test_codec_delay_is_taken_from_every_time(build) -> None:
    delay = build.num("CodecDelay", 6_500_000)
    block = build.cluster(0, build.simple(b"a"), build.simple(b"b", 20))
    opus = build.open(build.file(block, entries=build.entry(delay, codec=b"A_OPUS", kind=2)))
    assert opus.tracks[0].edits == ()
    assert [sample.dts for sample in opus.samples(1)] == [0, 13_500_000]


def refused(build, *fields: bytes) -> str:
    """Open, see that the track is there with a warning, and return what its samples are refused with."""
    data = build.file(build.cluster(0, build.simple(b"x")), entries=build.entry(*fields))
    opened = build.open(data)
    assert any("track 1" in warning for warning in opened.warnings)
    assert not opened.streams()[0].is_protected
    with pytest.raises(UnsupportedMediaError) as error:
        list(opened.samples(1))
    assert error.value.remedy
    return error.value.what


@pytest.mark.parametrize(
    ("algorithm", "mode", "size", "says"),
    [
        (1, 1, 16, "algorithm 1 (DES)"),
        (0, 1, 16, "algorithm 0 (none)"),
        (5, 2, 16, "cipher mode 2 (CBC)"),
        (5, 0, 16, "cipher mode 0 (none)"),
        (5, 1, 15, "a key id of 15 bytes"),
        (5, 1, 0, "a key id of 0 bytes"),
        (5, 1, 17, "a key id of 17 bytes"),
    ],
)
def test_other_encryption_is_refused_by_name(build, algorithm: int, mode: int, size: int, says: str) -> None:
    assert says in refused(build, build.encodings(build.encryption(algorithm, mode, bytes(size))))


def test_other_encodings_are_refused_by_name(build) -> None:
    el, num, encryption = build.el, build.num, build.encryption()
    stripping = el("ContentCompression", num("ContentCompAlgo", 3), el("ContentCompSettings", b"\0\0\1"))
    assert "compressed frames (header stripping)" in refused(build, build.encodings(stripping, kind=0))
    assert "compressed frames (zlib)" in refused(build, build.encodings(el("ContentCompression"), kind=0))
    assert "scope 3" in refused(build, build.encodings(scope=3))
    assert "type 7" in refused(build, build.encodings(kind=7))
    both = el("ContentEncoding", num("ContentEncodingType", 1), encryption)
    assert "2 content encodings" in refused(build, el("ContentEncodings", both, both))
    no_settings = el("ContentEncryption", num("ContentEncAlgo", 5), el("ContentEncKeyID", build.KID.value))
    assert "cipher mode 0" in refused(build, build.encodings(no_settings))


def test_document_types(build) -> None:
    plain = build.file()
    assert build.open(plain).container == "WebM"
    other = build.el("EBML", build.el("DocType", b"matroska"))
    assert build.open(other + plain[len(build.HEADER) :]).container == "Matroska"
    with pytest.raises(UnsupportedMediaError, match="neither WebM nor Matroska but 'klingon'"):
        build.open(build.el("EBML", build.el("DocType", b"klingon")) + plain[len(build.HEADER) :])
    for name, value in (("EBMLReadVersion", 2), ("EBMLMaxIDLength", 5), ("EBMLMaxSizeLength", 9)):
        header = build.el("EBML", build.el("DocType", b"webm"), build.num(name, value))
        with pytest.raises(UnsupportedMediaError, match=f"{name} {value}"):
            build.open(header + plain[len(build.HEADER) :])
    with pytest.raises(UnsupportedMediaError, match="not WebM"):
        build.open(b"\0\0\0\x20ftypisom" + bytes(30))


def test_a_file_without_tracks_says_why(build) -> None:
    cluster = build.cluster(0, build.simple(b"x"))
    with pytest.raises(UnsupportedMediaError, match="no Tracks element") as error:
        build.open(build.HEADER + build.el("Segment", build.INFO, cluster))
    assert "initialization segment" in error.value.maybe
    whole = build.HEADER + build.el("Segment", build.INFO, build.el("Tracks", build.entry()))
    with pytest.raises(TruncatedMediaError, match="before its tracks"):
        build.open(whole[: whole.index(id_of("Tracks").to_bytes(4, "big"))])
    with pytest.raises(UnsupportedMediaError, match="no Tracks element"):
        build.open(build.HEADER + build.el("Segment", build.INFO))  # a whole file: nothing of it is cut off
    with pytest.raises(MalformedMediaError, match="Info element where the Segment belongs"):
        build.open(build.HEADER + build.INFO)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (lambda b: b.entry() + b.entry(), "two tracks have the number 1"),
        (lambda b: b.entry(number=0), "no number"),
        (lambda b: b.entry(codec=b""), "no CodecID"),
        (lambda b: b.entry(codec=b"V_\x1b[31m"), "no CodecID"),
        (lambda b: b"".join(b.entry(number=n) for n in range(1, 67)), "more than 64 tracks"),
        (lambda b: b.entry(b.el("Video", b.num("PixelWidth", 1 << 20))), "pictures of 1048576x0"),
        (lambda b: b.entry(b.el("Audio", b.num("Channels", 0))), "0 channels"),
        (lambda b: b.entry(b.el("Audio", b.el("SamplingFrequency", b"\x7f\xc0\0\0"))), "nan Hz"),
        (lambda b: b.entry(b.el("Audio", b.el("SamplingFrequency", pack(">f", 2.0**24 + 2)))), "16777218.0 Hz"),
        (lambda b: b.entry(b.el("CodecPrivate", bytes(1 << 17))), "CodecPrivate of 131072 bytes"),
    ],
)
def test_unsound_tracks(build, entries, says: str) -> None:
    with pytest.raises(MalformedMediaError, match=says) as error:
        build.open(build.file(entries=entries(build)))
    assert "Segment/Tracks" in error.value.where
    assert "at byte" in error.value.where


def test_unsound_times_of_the_file(build) -> None:
    for scale in (0, 1 << 50):
        with pytest.raises(MalformedMediaError, match="TimestampScale"):
            build.open(build.file(info=build.el("Info", build.num("TimestampScale", scale))))
    for duration in (float("nan"), float("inf"), -1.0, 1e300):
        opened = build.open(build.file(info=build.el("Info", build.el("Duration", pack(">d", duration)))))
        assert opened.tracks[0].duration == 0


def test_a_cluster_inside_the_tracks_is_no_loop(build) -> None:
    inner = id_of("Cluster").to_bytes(4, "big") + encode_size(None)
    with pytest.raises(MalformedMediaError, match="Cluster element does not belong here"):
        build.open(build.HEADER + build.el("Segment", build.el("Tracks", inner)))
