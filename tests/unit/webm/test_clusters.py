"""The walk through a file: sizes that are not told, what stands between Clusters, and files that end early."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError
from drm.media import Sample
from drm.webm.ebml import encode_size
from drm.webm.names import id_of
from drm.webm.presentation import open_webm


def unknown(name: str, *payload: bytes, width: int = 8) -> bytes:
    return id_of(name).to_bytes(4, "big") + encode_size(None, width) + b"".join(payload)


def live(build, *parts: bytes) -> bytes:
    return build.HEADER + unknown("Segment", build.INFO, build.el("Tracks", build.entry()), *parts)


def payloads(build, data: bytes) -> list[bytes]:
    return [data[s.offset : s.offset + s.size] for s in build.open(data).samples(1)]


def body(build, time: int, *payload: bytes) -> bytes:
    return build.num("Timestamp", time) + b"".join(map(build.simple, payload))


@pytest.mark.parametrize("width", [1, 4, 8])
def test_segments_and_clusters_of_unknown_size(build, width: int) -> None:
    cues = build.el("Cues", bytes(30))
    first, second = body(build, 0, b"a", b"b"), body(build, 10, b"c")
    data = live(build, unknown("Cluster", first, width=width), cues, unknown("Cluster", second, width=width), cues)
    assert payloads(build, data) == [b"a", b"b", b"c"]
    known = live(build, build.el("Cluster", first), unknown("Cluster", second))
    assert payloads(build, known) == [b"a", b"b", b"c"]
    inside = build.HEADER + build.el(
        "Segment", build.el("Tracks", build.entry()), unknown("Cluster", first), unknown("Cluster", second)
    )
    assert payloads(build, inside + build.el("Void", bytes(9))) == [b"a", b"b", b"c"]


def test_what_follows_is_not_part_of_it(build) -> None:
    whole = build.file(build.cluster(0, build.simple(b"a")))
    opened = build.open(whole + whole)
    assert len(list(opened.samples(1))) == 1
    assert any(f"{len(whole)} bytes behind the Segment" in warning for warning in opened.warnings)
    assert payloads(build, live(build, unknown("Cluster", body(build, 0, b"a"))) + whole) == [b"a"]


def test_an_unknown_cluster_ends_with_its_segment(build) -> None:
    """Its last child may be as long as the Segment and no longer, though the Cluster tells no end."""
    block = build.simple(b"abc")
    segment = build.el("Tracks", build.entry()) + unknown("Cluster", build.num("Timestamp", 0), block)
    data = build.HEADER + build.el("Segment", segment)
    assert payloads(build, data) == [b"abc"]
    longer = data[: -len(block)] + block[:1] + encode_size(len(block) - 2 + 6) + block[2:] + bytes(20)
    with pytest.raises(MalformedMediaError, match="SimpleBlock element is longer than what is around it"):
        payloads(build, longer)


def test_elements_between_blocks_and_clusters_are_passed_over(build) -> None:
    junk = build.el("Void", bytes(5)) + build.el("CRC-32", bytes(4)) + b"\x7f\xfe\x83abc" + build.el("Void")
    cluster = build.el("Cluster", junk, build.num("Timestamp", 0), junk, build.simple(b"a"), junk, build.simple(b"b"))
    assert payloads(build, build.file(junk + cluster + junk + build.el("Tags", b"zz") + cluster)) == [b"a", b"b"] * 2


@pytest.mark.parametrize("inner", ["Cluster", "Segment", "EBML"])
def test_elements_that_do_not_belong_inside_a_cluster(build, inner: str) -> None:
    wrong = build.el(inner, build.num("Timestamp", 0))
    with pytest.raises(MalformedMediaError, match=f"{inner} element does not belong here"):
        payloads(build, build.file(build.el("Cluster", build.num("Timestamp", 0), wrong)))


def read_on(build, data: bytes) -> tuple[list[Sample], MediaError | None]:
    """The samples that come, and the error that ends them."""
    found: list[Sample] = []
    try:
        for sample in build.open(data).samples(1):
            found.append(sample)  # noqa: PERF402 - what came before the error counts
    except MediaError as error:
        return found, error
    return found, None


def test_an_early_end_is_said_and_what_stands_before_it_is_given(build) -> None:
    """Cut at every byte behind the head: sound samples first, then one error that names a place."""
    clusters = build.cluster(0, build.simple(b"aaaa"), build.group(b"bb", time=5)), build.cluster(9, build.simple(b"c"))
    data = build.file(*clusters)
    wanted, error = read_on(build, data)
    assert error is None
    counts = set()
    for end in range(len(data) - sum(map(len, clusters)), len(data)):
        found, error = read_on(build, data[:end])
        assert isinstance(error, TruncatedMediaError)
        assert "at byte" in error.where
        assert "Segment" in error.where
        assert [(s.dts, s.offset, s.size) for s in found] == [(s.dts, s.offset, s.size) for s in wanted[: len(found)]]
        assert all(s.offset + s.size <= end for s in found)
        counts.add(len(found))
    assert counts == {0, 1, 2}


def test_a_live_file_ends_where_it_ends(build) -> None:
    """Without announced sizes a cut between two elements is no error, and one inside an element is."""
    blocks = [build.simple(b"x" * n, n) for n in range(1, 5)]
    head = live(build, unknown("Cluster", build.num("Timestamp", 0)))
    ends = [len(head) + sum(map(len, blocks[:n])) for n in range(5)]
    data = head + b"".join(blocks)
    for end in range(len(head), len(data) + 1):
        if end in ends:
            assert len(payloads(build, data[:end])) == ends.index(end)
        else:
            with pytest.raises(TruncatedMediaError):
                payloads(build, data[:end])


def test_a_head_cut_anywhere_is_refused(build) -> None:
    data = build.file(entries=build.entry(build.encodings()))
    for end in range(len(data)):
        with pytest.raises(MediaError) as error:
            build.open(data[:end])
        assert error.value.where
        assert error.value.remedy


def test_only_headers_are_read(build) -> None:
    """A big file is not read through to find its samples."""
    data = build.file(*(build.cluster(n, build.simple(bytes(100_000))) for n in range(20)))
    source = build.Bytes(data)
    assert len(list(open_webm(source).samples(1))) == 20
    assert source.read < len(data) // 5
