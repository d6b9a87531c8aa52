"""The ring: the writer overwrites nothing that was not released, and the reader maps nothing that could shrink."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import WireError
from drm.wire.ring import MAX_RING, RingReader, RingWriter, read_memfd, sealed_memfd

SIZE = 4096


@pytest.fixture
def ring() -> Iterator[RingWriter]:
    writer = RingWriter(SIZE)
    yield writer
    writer.close()


def put(ring: RingWriter, size: int) -> int:
    """Place and take; the offset."""
    offset, position = ring.place(size)
    ring.take(position)
    return offset


def test_places_follow_one_another_until_it_is_full(ring: RingWriter) -> None:
    assert [put(ring, 1024) for _ in range(4)] == [0, 1024, 2048, 3072]
    assert ring.place(1) is None
    ring.release(1024)
    assert put(ring, 1024) == 0
    assert ring.place(1) is None


def test_a_sample_is_never_split(ring: RingWriter) -> None:
    put(ring, 3000)
    ring.release(1500)
    assert ring.place(1200) is not None  # over the end: the rest is passed over
    assert put(ring, 1200) == 0
    assert ring.place(1000) is None  # 1200 to 1500 is what is free


def test_a_large_sample_fits_an_empty_ring_wherever_it_stands(ring: RingWriter) -> None:
    put(ring, 3000)
    ring.release(3000)
    assert put(ring, SIZE) == 0
    assert ring.place(0) is not None
    assert ring.place(1) is None


def test_what_could_never_fit_is_refused(ring: RingWriter) -> None:
    with pytest.raises(WireError, match="does not fit"):
        ring.place(SIZE + 1)


def test_a_release_of_what_was_not_sent_is_refused(ring: RingWriter) -> None:
    put(ring, 100)
    for position in (101, 2**63, -1):
        with pytest.raises(WireError):
            ring.release(position)
    ring.release(100)


def test_a_release_that_is_told_twice_is_in_order_after_a_skip(ring: RingWriter) -> None:
    """An empty sample releases nothing new; the word of it may come when the writer has passed over the end."""
    put(ring, 3000)
    ring.release(3000)
    put(ring, 2000)  # does not fit behind: passes over the end
    ring.release(3000)


@given(data=st.data(), size=st.sampled_from([64, 100, 4096]))
def test_writer_and_reader_agree(data: st.DataObject, size: int) -> None:
    """Random sizes and releases in order: bytes are those that were written, until they are released."""
    writer = RingWriter(size)
    reader = RingReader(writer.fd, size)
    under_way: deque[tuple[int, int, int, bytes]] = deque()  # offset, size, the reader's position behind it, bytes
    released = told = 0
    try:
        for number in range(data.draw(st.integers(1, 40))):
            wanted = data.draw(st.integers(0, size))
            while (place := writer.place(wanted)) is None:
                assert under_way or told < released, "an empty ring has room for whatever fits it"
                if under_way:
                    released = under_way.popleft()[2]
                writer.release(released)
                told = released
            offset, position = place
            content = bytes([number % 251 + 1]) * wanted
            with writer.view(offset, wanted) as into:
                into[:] = content
            writer.take(position)
            under_way.append((offset, wanted, reader.passed(offset, wanted), content))
            for at, length, _, expected in under_way:
                with reader.view(at, length) as seen:
                    assert seen == expected
            for _ in range(data.draw(st.integers(0, len(under_way)))):
                released = under_way.popleft()[2]
                if data.draw(st.booleans()):
                    writer.release(released)
                    told = released
            if data.draw(st.integers(0, 9)) == 0:
                writer.reset()
                reader.reset()
                under_way.clear()
                released = told = 0
    finally:
        reader.close()
        writer.close()


# ------------------------------------------------------------------------------------------------ the reader's doubts
_FIXED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | 0x10  # and F_SEAL_FUTURE_WRITE


def memfd(size: int, seals: int) -> int:
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@pytest.mark.parametrize(
    ("size", "announced", "seals"),
    [
        (SIZE, SIZE, 0),
        (SIZE, SIZE, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE),
        (SIZE, SIZE, fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE),
        (SIZE, SIZE + 1, _FIXED),
        (SIZE, SIZE - 1, _FIXED),
        (SIZE, 0, _FIXED),
        (SIZE, -1, _FIXED),
        (SIZE, MAX_RING + 1, _FIXED),
    ],
)
def test_memory_that_could_change_its_size_is_not_mapped(size: int, announced: int, seals: int) -> None:
    fd = memfd(size, seals)
    try:
        with pytest.raises(WireError):
            RingReader(fd, announced)
        if announced != 0:
            with pytest.raises(WireError):
                read_memfd(fd, announced, SIZE)
    finally:
        os.close(fd)


def test_memory_that_its_holder_could_write_is_not_taken() -> None:
    fd = memfd(SIZE, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    for take in (lambda: RingReader(fd, SIZE), lambda: read_memfd(fd, SIZE, SIZE)):
        with pytest.raises(WireError, match="sealed against writing"):
            take()
    os.close(fd)


def test_nobody_but_its_maker_ever_writes_to_a_ring(ring: RingWriter) -> None:
    """Not even with the writable descriptor that the other process gets: the kernel maps it for reading alone."""
    with pytest.raises(PermissionError):
        mmap.mmap(ring.fd, SIZE)
    with pytest.raises(PermissionError):
        os.pwrite(ring.fd, b"x", 0)
    with ring.view(0, 4) as place:
        place[:] = b"mine"
    assert os.pread(ring.fd, 4, 0) == b"mine"


def test_what_is_no_memory_is_refused(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    for make in (lambda: os.open(path, os.O_RDWR), lambda: os.open("/dev/zero", os.O_RDONLY), lambda: os.pipe()[0]):
        fd = make()
        with pytest.raises(WireError):
            RingReader(fd, SIZE)
        with pytest.raises(WireError):
            read_memfd(fd, SIZE, SIZE)
        os.close(fd)


def test_offsets_outside_are_refused(ring: RingWriter) -> None:
    reader = RingReader(ring.fd, SIZE)
    for offset, size in ((-1, 1), (0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2), (1, -1), (2**63, 1), (-(2**63), 2**63)):
        with pytest.raises(WireError):
            reader.view(offset, size)
    reader.close()


def test_samples_out_of_order_are_refused(ring: RingWriter) -> None:
    reader = RingReader(ring.fd, SIZE)
    assert reader.passed(0, 100) == 100
    with pytest.raises(WireError, match="order"):
        reader.passed(50, 10)
    with pytest.raises(WireError, match="order"):
        reader.passed(200, 10)
    reader.close()


def test_the_reader_cannot_write(ring: RingWriter) -> None:
    reader = RingReader(ring.fd, SIZE)
    assert reader.view(0, 10).readonly
    reader.close()


def test_a_sealed_value_cannot_be_changed_and_reads_back() -> None:
    value = os.urandom(200_000)
    fd = sealed_memfd("license", value)
    assert read_memfd(fd, len(value), 1 << 20) == value
    with pytest.raises(WireError, match="limit"):
        read_memfd(fd, len(value), len(value) - 1)
    for change in (lambda: os.write(fd, b"x"), lambda: os.ftruncate(fd, 1)):
        with pytest.raises(PermissionError):
            change()
    os.close(fd)
