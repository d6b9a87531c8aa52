"""The MP4 media source: independent streams, bytes as stored, authorities made by the host once."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.byte_stream import FileByteStream
from drm.class_ids import CLEARKEY_ITA, MP4_SOURCE
from drm.component import PMPClient
from drm.components.mp4_source.source import Mp4Source
from drm.errors import InvalidArgumentError, InvalidRequestError, TruncatedMediaError
from drm.isobmff.pssh.box import Pssh
from drm.wire.messages import RemoteObject


class Host:
    """The other side of the seam: remembers what it was asked to make."""

    def __init__(self) -> None:
        self.made: list[tuple[UUID, bytes | None]] = []

    def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
        self.made.append((class_id, stream))
        return RemoteObject(len(self.made), class_id)


@pytest.fixture
def source(own_vectors: Path):
    with FileByteStream(own_vectors / "generated" / "gp_roll_frag_v.mp4") as stream:
        yield Mp4Source(stream)


def test_streams_are_marked(own_vectors: Path) -> None:
    with FileByteStream(own_vectors / "generated" / "b4_mpeg-cenc_1track_av.mp4") as stream:
        found = Mp4Source(stream).streams()
    assert [(s.track.track_id, s.is_protected, len(s.key_ids)) for s in found] == [(1, True, 1), (2, False, 0)]


def test_each_stream_is_read_on_its_own_and_selecting_starts_anew(source: Mp4Source) -> None:
    source.select([1, 2])
    first = source.next_sample(1), source.next_sample(2)
    ones = [sample for _ in range(100) if (sample := source.next_sample(1))]
    assert len(ones) == 71
    assert source.next_sample(1) is None
    assert source.next_sample(1) is None
    assert source.next_sample(2) is not None
    source.select([1])
    assert source.next_sample(1) == first[0]
    with pytest.raises(InvalidRequestError, match="not selected"):
        source.next_sample(2)


def test_bytes_come_as_stored(source: Mp4Source, own_vectors: Path) -> None:
    raw = (own_vectors / "generated" / "gp_roll_frag_v.mp4").read_bytes()
    source.select([1])
    sample = source.next_sample(1)
    assert sample is not None
    data = bytearray(sample.size)
    source.read_into(sample, memoryview(data))
    assert data == raw[sample.offset : sample.offset + sample.size]
    with pytest.raises(InvalidArgumentError):
        source.read_into(sample, memoryview(bytearray(sample.size + 1)))


def test_a_file_that_shrinks_is_truncated_media(own_vectors: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((own_vectors / "generated" / "pk_cenc_iv8_a.mp4").read_bytes())
    with FileByteStream(copy) as stream:
        source = Mp4Source(stream)
        source.select([1])
        sample = source.next_sample(1)
        assert sample is not None
        with copy.open("r+b") as file:
            file.truncate(sample.offset + 1)
        with pytest.raises(TruncatedMediaError):
            source.read_into(sample, memoryview(bytearray(sample.size)))


def test_an_authority_is_made_once_for_each_protected_stream(source: Mp4Source) -> None:
    assert isinstance(source, PMPClient)
    with pytest.raises(InvalidRequestError, match="set_pmp_host"):
        source.get_input_trust_authority(1)
    host = Host()
    source.set_pmp_host(host)
    one, two = source.get_input_trust_authority(1), source.get_input_trust_authority(2)
    assert source.get_input_trust_authority(1) is one
    assert one != two
    assert [class_id for class_id, _ in host.made] == [CLEARKEY_ITA] * 2
    told = json.loads(host.made[0][1] or b"")
    assert (told["track_id"], told["scheme"]) == (1, "cenc")
    assert told["key_ids"] == ["10000000-1000-1000-1000-100000000001", "30000000-3000-3000-3000-300000000003"]
    assert Pssh.parse_all(base64.b64decode(told["pssh"][0]))[0].key_ids


def test_a_clear_stream_has_no_authority(own_vectors: Path) -> None:
    with FileByteStream(own_vectors / "clear" / "src_avc_aac.mp4") as stream:
        assert Mp4Source(stream).get_input_trust_authority(1) is None


def test_its_manifest_names_it() -> None:
    folder = Path(__file__).parents[3] / "drm" / "components" / "mp4_source"
    manifest = tomllib.loads((folder / "component.toml").read_text())
    assert UUID(manifest["class_id"]) == MP4_SOURCE
    assert manifest["entry_point"] == f"{Mp4Source.__module__}:{Mp4Source.__qualname__}"
