"""Decrypts WebM to a file of the same size: what stood before a frame becomes a Void element behind it.

A block of an encrypted track begins with a signal byte, an IV and perhaps a table of partitions. They go away, the
block gets shorter, and a Void of as many bytes fills its place; a single byte, which no Void can fill, widens the
block's size field instead. So no offset moves, and the sizes of Clusters, `Cues`, `SeekHead`, `Position` and `PrevSize`
stay true. ContentEncodings become Void as well, and so does a CRC-32 over anything that changed (RFC 8794, 11.3.1).
Whatever is not named here is copied as it is: DiscardPadding, Tags, attachments, clear tracks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.decrypting.mp4 import MAX_SAMPLE, Needed, key_missing
from drm.decrypting.window_writer import Writer, windows
from drm.errors import UnsupportedMediaError
from drm.forked_work import share_out, write_at
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, TrackInfo
from drm.webm.block import frame_sizes
from drm.webm.clusters import Found, cluster_elements, found_in
from drm.webm.ebml import Ebml, Element, encode_size, encode_void
from drm.webm.encryption import read_frame_header
from drm.webm.names import id_of
from drm.webm.presentation import WebMPresentation, open_webm

if TYPE_CHECKING:
    from drm.decrypting.joined_files import JoinedFiles
    from drm.decrypting.window_writer import Progress

__all__ = ["decrypt_webm"]

_TRACKS, _TRACK_ENTRY, _NUMBER = id_of("Tracks"), id_of("TrackEntry"), id_of("TrackNumber")
_ENCODINGS, _ENCODING, _ENCRYPTION = id_of("ContentEncodings"), id_of("ContentEncoding"), id_of("ContentEncryption")
_BLOCK, _CRC, _MAX_SIZE_LENGTH = id_of("Block"), id_of("CRC-32"), id_of("EBMLMaxSizeLength")
_VOID_ID: Final = b"\xec"  # as long as the id of a CRC-32


class _Changed(NamedTuple):
    """A SimpleBlock or a Block that is rewritten. Its frame begins at `frame` of its bytes."""

    frame: int
    frame_size: int
    head: bytes  # the new id, size, track number, time and flags
    crypto: SampleCrypto | None

    def rewrite(self, data: memoryview, decrypters: Mapping[KeyId, SampleDecrypter]) -> None:
        """Do it in place: `data` is all its bytes."""
        end = len(self.head) + self.frame_size
        if self.crypto is not None:
            frame = data[self.frame : self.frame + self.frame_size]
            decrypt_sample(frame, self.crypto, frame, decrypters.__getitem__)
        data[len(self.head) : end] = data[self.frame : self.frame + self.frame_size]
        data[: len(self.head)] = self.head
        if end < len(data):
            data[end:] = encode_void(len(data) - end)


def decrypt_webm(
    source: JoinedFiles,
    target: int,
    keys: Mapping[KeyId, ContentKey],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[bool, tuple[str, ...]]:
    """Write `source` decrypted to the empty file `target`; return whether it was encrypted, and what was odd in it.

    Arguments and errors are those of `drm.decrypting.file.decrypt_file`; laced blocks of encrypted tracks are
    among what is refused.
    """
    opened = open_webm(source)
    head = _Head(Ebml(source), opened)
    if not head.tracks:
        Writer(source.fill, source.size, target, progress).copy(0, source.size)
        return False, opened.warnings
    checksums = array("Q", head.checksums)

    def work(share: int) -> None:
        decrypters = {kid: SampleDecrypter(key) for kid, key in keys.items()}
        found = _Blocks(source, opened, head, keys)

        def rewrite(piece: tuple[int, int, _Changed], buffer: memoryview, at: int) -> None:
            piece[2].rewrite(buffer[at : at + piece[1] - piece[0]], decrypters)

        writer = Writer(source.fill, source.size, target, None if share else progress)
        writer.write(windows(found.changed()), rewrite, share, jobs)
        if not share:
            checksums.extend(found.checksums)

    share_out(work, jobs)
    for element in head.encodings:
        assert element.end is not None
        write_at(target, memoryview(encode_void(element.end - element.start)), element.start)
    for at in checksums:
        write_at(target, memoryview(_VOID_ID), at)
    return True, opened.warnings


class _Head:
    """What changes before the first Cluster, and which tracks are encrypted."""

    def __init__(self, ebml: Ebml, opened: WebMPresentation) -> None:
        """Raises UnsupportedMediaError for a track that is encrypted in a way that is not read."""
        self.tracks: dict[int, tuple[TrackInfo, KeyId]] = {}
        self.encodings: list[Element] = []
        self.checksums: list[int] = []
        self.max_size_length = _max_size_length(ebml)
        infos = {info.track_id: info for info in opened.tracks}
        for element in _before(ebml, opened.segment, opened.media_start):
            if element.id == _CRC:
                self.checksums.append(element.start)
            elif element.id == _TRACKS:
                for entry in ebml.children(element):
                    if entry.id == _CRC:
                        self.checksums.append(entry.start)
                    elif entry.id == _TRACK_ENTRY:
                        self._entry(ebml, entry, opened, infos)
                break  # a second description of the tracks is not read, and not changed

    def _entry(self, ebml: Ebml, entry: Element, opened: WebMPresentation, infos: Mapping[int, TrackInfo]) -> None:
        children = list(ebml.children(entry))
        encodings = [child for child in children if child.id == _ENCODINGS]
        if not any(_is_encryption(ebml, each) for each in encodings):
            return
        info = infos[next(ebml.uint(child) for child in children if child.id == _NUMBER)]
        opened.samples(info.track_id)  # raises for what is not read
        protection = info.protections[0]
        assert protection is not None
        self.tracks[info.track_id] = info, protection.key_id
        self.encodings += encodings
        self.checksums += [child.start for child in children if child.id == _CRC]


def _before(ebml: Ebml, segment: Element, end: int) -> Iterator[Element]:
    at = segment.data
    while at < end:
        element = ebml.element(at, segment)
        yield element
        assert element.end is not None  # the presentation was opened
        at = element.end


def _is_encryption(ebml: Ebml, encodings: Element) -> bool:
    inner = (child for child in ebml.children(encodings) if child.id == _ENCODING)
    return any(each.id == _ENCRYPTION for encoding in inner for each in ebml.children(encoding))


def _max_size_length(ebml: Ebml) -> int:
    header = ebml.element(0, None)
    return next((ebml.uint(child) for child in ebml.children(header) if child.id == _MAX_SIZE_LENGTH), 8)


class _Blocks:
    """The walk through the Clusters of one process."""

    def __init__(
        self, source: JoinedFiles, opened: WebMPresentation, head: _Head, keys: Mapping[KeyId, ContentKey]
    ) -> None:
        self._source = source
        self._ebml = Ebml(source)
        self._opened = opened
        self._head = head
        self._keys = keys
        self.checksums = array("Q")  # of Clusters and BlockGroups in which something changed

    def changed(self) -> Iterator[tuple[int, int, _Changed]]:
        """Begin and end of every block of an encrypted track, and what it becomes.

        Raises KeyMissingError at the end, for all keys that were missing.
        """
        ebml, opened = self._ebml, self._opened
        missing: dict[KeyId, Needed] = {}
        checksum: int | None = None
        cluster = -1
        for element, time in cluster_elements(ebml, opened.segment, opened.media_start):
            assert element.parent is not None
            if element.parent.start != cluster:
                cluster, checksum = element.parent.start, None
            if element.id == _CRC:
                checksum = element.start
                continue
            found = found_in(ebml, element, time, self._head.tracks)
            if found is None:
                continue
            block, key_id = self._block(found)
            if block.crypto is not None and key_id not in self._keys and key_id not in missing:
                seconds = found.ticks * opened.timestamp_scale / 1e9
                missing[key_id] = self._head.tracks[found.block.track][0], seconds
            if missing:
                continue  # nothing more is written: the walk only goes on to name them all
            if checksum is not None:
                self.checksums.append(checksum)
                checksum = None
            if found.element.id == _BLOCK:
                self._group_checksum(element)
            yield found.element.start, found.block.end, block
        if missing:
            raise key_missing(self._source.name, missing, len(self._keys))

    def _group_checksum(self, group: Element) -> None:
        first = self._ebml.element(group.data, group)
        if first.id == _CRC:
            self.checksums.append(first.start)

    def _block(self, found: Found) -> tuple[_Changed, KeyId]:
        ebml, element, block = self._ebml, found.element, found.block
        key_id = self._head.tracks[block.track][1]
        if block.lacing:
            _, sizes = frame_sizes(ebml, block, element)
            ebml.refuse(
                "a block of an encrypted track is laced", block.start, element, seen=f"{len(sizes)} frames in one block"
            )
        if block.end - element.start > MAX_SAMPLE:
            ebml.refuse("a very large block", element.start, element, seen=f"{block.end - element.start} bytes")
        before, crypto = read_frame_header(ebml, key_id, block.start, block.end, element)
        frame = block.start + before
        head = self._new_head(element, block.start, block.end - frame, before)
        return _Changed(frame - element.start, block.end - frame, head, crypto), key_id

    def _new_head(self, element: Element, start: int, frame_size: int, room: int) -> bytes:
        """The block's header for a frame of `frame_size` bytes, `room` bytes being given up."""
        ident = self._ebml.peek(element.start, 1)
        fields = self._ebml.peek(element.data, start - element.data)
        size = len(fields) + frame_size
        width = element.data - element.start - 1
        for new in (width, width + 1, width - 1):
            left = room - (new - width)
            fits = 1 <= new <= self._head.max_size_length and size < (1 << 7 * new) - 1
            if fits and left != 1:
                return ident + encode_size(size, new) + fields
        raise UnsupportedMediaError(
            "a block cannot be made a byte shorter where it stands", where=self._ebml.where(element.start, element)
        )
