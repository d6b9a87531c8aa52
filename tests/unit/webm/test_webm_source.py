"""The WebM source component: what the session and the trust authority are told."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from uuid import UUID

import pytest

import drm
from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.class_ids import CLEARKEY_ITA, WEBM_SOURCE
from drm.component import PMPClient
from drm.components.webm_source.source import WebmSource
from drm.errors import InvalidArgumentError, InvalidRequestError, TruncatedMediaError
from drm.wire.messages import RemoteObject


class Host:
    """Stands for the worker: notes what is created in it."""

    def __init__(self) -> None:
        self.made: list[tuple[UUID, bytes | None]] = []

    def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
        self.made.append((class_id, stream))
        return RemoteObject(len(self.made), class_id)


@pytest.fixture
def source(own_vectors: Path):
    with FileByteStream(own_vectors / "generated" / "pk_webm_vp9_v.webm") as stream:
        yield WebmSource(stream)


def test_the_source_is_chosen_by_what_the_file_begins_with(own_vectors: Path) -> None:
    for name, kind in (("pk_webm_vp9_v.webm", "WebmSource"), ("pk_cenc_iv8_v.mp4", "Mp4Source")):
        with FileByteStream(own_vectors / "generated" / name) as stream:
            assert type(open_source(stream)).__name__ == kind


def test_the_authority_is_told_the_key_id_and_made_once(source: WebmSource) -> None:
    assert isinstance(source, PMPClient)
    with pytest.raises(InvalidRequestError, match="set_pmp_host"):
        source.get_input_trust_authority(1)
    host = Host()
    source.set_pmp_host(host)
    one = source.get_input_trust_authority(1)
    assert source.get_input_trust_authority(1) is one
    assert [class_id for class_id, _ in host.made] == [CLEARKEY_ITA]
    told = json.loads(host.made[0][1] or b"")
    key_ids = ["10000000-1000-1000-1000-100000000001"]
    assert told == {"track_id": 1, "scheme": "cenc", "key_ids": key_ids, "pssh": []}


def test_a_clear_stream_has_no_authority(own_vectors: Path) -> None:
    with FileByteStream(own_vectors / "clear" / "src_opus.webm") as stream:
        source = WebmSource(stream)
        assert source.get_input_trust_authority(1) is None
        assert [descriptor.is_protected for descriptor in source.streams()] == [False]


def test_selecting_starts_anew_and_bytes_come_as_stored(source: WebmSource, own_vectors: Path) -> None:
    raw = (own_vectors / "generated" / "pk_webm_vp9_v.webm").read_bytes()
    with pytest.raises(InvalidRequestError, match="not selected"):
        source.next_sample(1)
    source.select([1])
    first = source.next_sample(1)
    assert first is not None
    data = bytearray(first.size)
    source.read_into(first, memoryview(data))
    assert data == raw[first.offset : first.offset + first.size]
    assert sum(1 for _ in iter(lambda: source.next_sample(1), None)) == 71
    source.select([1])
    assert source.next_sample(1) == first
    with pytest.raises(InvalidArgumentError):
        source.read_into(first, memoryview(bytearray(first.size + 1)))
    with pytest.raises(InvalidArgumentError, match="no stream 2"):
        source.select([2])


def test_a_file_that_shrinks_is_truncated_media(own_vectors: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.webm"
    copy.write_bytes((own_vectors / "generated" / "pk_webm_opus_a.webm").read_bytes())
    with FileByteStream(copy) as stream:
        source = WebmSource(stream)
        source.select([1])
        sample = source.next_sample(1)
        assert sample is not None
        with copy.open("r+b") as file:
            file.truncate(sample.offset + 1)
        with pytest.raises(TruncatedMediaError):
            source.read_into(sample, memoryview(bytearray(sample.size)))


def test_a_stream_that_gives_less_than_it_said(build) -> None:
    class Short(build.Bytes):
        def read_into(self, offset: int, into: memoryview) -> int:
            return len(into) - 1

    source = WebmSource(Short(build.encrypted(build.simple(build.frame(b"abc")))))
    source.select([1])
    sample = source.next_sample(1)
    assert sample is not None
    with pytest.raises(TruncatedMediaError, match="inside a sample") as error:
        source.read_into(sample, memoryview(bytearray(3)))
    assert error.value.seen == "2 of 3 bytes"


def test_its_manifest_names_it() -> None:
    folder = Path(drm.__file__).parent / "components" / "webm_source"
    manifest = tomllib.loads((folder / "component.toml").read_text())
    assert UUID(manifest["class_id"]) == WEBM_SOURCE
    assert manifest["entry_point"] == f"{WebmSource.__module__}:{WebmSource.__qualname__}"
