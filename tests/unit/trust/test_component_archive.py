"""Archives of components: one form for one content, and everything else is refused before any of it could run."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import DuplicateFileError, ShadowingError, TrustError, WrongNamespaceError
from drm.trust import component_archive
from drm.trust.component_archive import MAX_MEMBER, pack_archive, read_component, unpack_archive

DESCRIPTION = b"""name = "null-sink"
class_id = "8f6c2d0a-54b7-4a0e-8c39-0f6e7a1d9b13"
version = "1.0.0"
api = 1
entry_point = "drm.components.null_sink.sink:NullSink"
"""
FILES = {"sink.py": b"class NullSink: ...\n", "component.toml": DESCRIPTION, "deep/__init__.py": b""}


def raw(*members: tuple[str, bytes], announced: int | None = None) -> bytes:
    """An archive of any names, in our form as far as they allow it."""
    body, central = b"", b""
    for name, data in members:
        size = len(data) if announced is None else announced
        facts = struct.pack("<3HH3L2H", 0, 0, 0, 0x21, zlib.crc32(data), size, size, len(name), 0)
        central += b"PK\x01\x02" + struct.pack("<2H", 3 << 8 | 10, 10) + facts
        central += struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, len(body)) + name.encode()
        body += b"PK\x03\x04" + struct.pack("<H", 10) + facts + name.encode() + data
    count = len(members)
    return body + central + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, count, count, len(central), len(body), 0)


def test_one_content_is_one_archive_whatever_the_order():
    packed = pack_archive(FILES)
    assert packed == pack_archive(dict(reversed(FILES.items())))
    assert packed == raw(*((name, FILES[name]) for name in ("component.toml", "deep/__init__.py", "sink.py")))
    assert unpack_archive(packed) == FILES


def test_any_zip_program_reads_it():
    with zipfile.ZipFile(io.BytesIO(pack_archive(FILES))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        assert archive.namelist()[0] == "component.toml"
        first = archive.infolist()[0]
        assert (first.date_time, first.external_attr >> 16) == ((1980, 1, 1, 0, 0, 0), 0o100644)


def test_a_component_takes_its_own_folder():
    component = read_component(pack_archive(FILES), "here")
    assert set(component.files) == {f"drm/components/null_sink/{name}" for name in FILES}
    assert component.manifest.version == "1.0.0"


TOML = ("component.toml", DESCRIPTION)
HOSTILE = {
    "leads out": (raw(TOML, ("../x.py", b"")), WrongNamespaceError),
    "leads out later": (raw(TOML, ("a/../../x.py", b"")), WrongNamespaceError),
    "absolute": (raw(TOML, ("/tmp/x.py", b"")), WrongNamespaceError),
    "backslash": (raw(TOML, ("..\\x.py", b"")), WrongNamespaceError),
    "not ASCII": (raw(TOML, ("x.py", b"")).replace(b"x.py", b"x\xffpy"), WrongNamespaceError),
    "a folder": (raw(TOML, ("a/", b"")), WrongNamespaceError),
    "no name": (raw(TOML, ("", b"")), WrongNamespaceError),
    "twice": (raw(TOML, ("a.py", b"1"), ("a.py", b"2")), DuplicateFileError),
    "description twice": (raw(TOML, TOML), DuplicateFileError),
    "1 GB announced": (raw(TOML, ("a.py", b""), announced=1 << 30), TrustError),
    "more than there is": (raw(TOML, announced=len(DESCRIPTION) + 500), TrustError),
    "257 files": (raw(TOML, *((f"f{n}.py", b"") for n in range(256))), TrustError),
    "description not first": (raw(("a.py", b""), TOML), TrustError),
    "no description": (raw(("a.py", b"")), TrustError),
    "out of order": (raw(TOML, ("b.py", b""), ("a.py", b"")), TrustError),
    "bytes behind": (raw(TOML) + b"#", TrustError),
    "bytes before": (b"#!/bin/sh\n" + raw(TOML), TrustError),
    "other directory": (raw(TOML) + raw(("a.py", b"")), TrustError),
    "empty": (b"", TrustError),
}


@pytest.mark.parametrize(("data", "error"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused(data, error):
    with pytest.raises(error):
        unpack_archive(data)


@pytest.mark.parametrize("name_size", [201, len("component.toml")])
def test_a_name_that_is_too_long_and_extra_fields_are_each_refused_before_they_are_read(name_size):
    data = bytearray(raw(TOML))
    data[26:30] = struct.pack("<2H", name_size, 0 if name_size == 201 else 1)
    with pytest.raises(TrustError, match="a name that is too long, or extra fields"):
        unpack_archive(bytes(data))


def test_a_component_has_at_most_256_files():
    """In order and otherwise sound: so many files are what is wrong with it, for the packer and for the reader."""
    names = sorted(f"f{n}.py" for n in range(256))
    assert len(unpack_archive(raw(TOML, *((name, b"") for name in names[1:])))) == 256
    with pytest.raises(TrustError, match="more than 256 files"):
        unpack_archive(raw(TOML, *((name, b"") for name in names)))
    with pytest.raises(TrustError, match="more than 256 files"):
        pack_archive({"component.toml": DESCRIPTION, **dict.fromkeys(names, b"")})


def test_a_file_may_have_a_mebibyte():
    files = {**FILES, "big.py": bytes(MAX_MEMBER)}
    assert unpack_archive(pack_archive(files)) == files


def test_what_zip_programs_write_is_refused_in_favour_of_the_one_form():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("component.toml", DESCRIPTION)
    with pytest.raises(TrustError):
        unpack_archive(made.getvalue())


def test_an_archive_over_the_limit_is_not_read(monkeypatch):
    with pytest.raises(TrustError, match="bytes, more than"):
        unpack_archive(bytes(component_archive.MAX_ARCHIVE + 1))


def test_the_packer_refuses_what_the_reader_would():
    with pytest.raises(WrongNamespaceError):
        pack_archive({**FILES, "../x.py": b""})
    with pytest.raises(TrustError, match="more than"):
        pack_archive({**FILES, "big.py": bytes(MAX_MEMBER + 1)})
    with pytest.raises(TrustError, match="holds no"):
        pack_archive({"sink.py": b""})


def test_a_component_cannot_claim_a_place_of_the_platform():
    toml = DESCRIPTION.replace(b"drm.components.null_sink.sink", b"drm.app.sink")
    with pytest.raises(TrustError):
        read_component(pack_archive({**FILES, "component.toml": toml}), "here")
    with pytest.raises((WrongNamespaceError, ShadowingError)):
        read_component(pack_archive({**FILES, "sink.so": b"\x7fELF"}), "here")


@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000))
def test_no_change_goes_unseen(at, byte, cut):
    sound = pack_archive(FILES)
    changed = bytearray(sound)
    changed[at % len(sound)] = byte
    for data in (bytes(changed), sound[: cut % len(sound)]):
        if data == sound:
            continue
        try:
            files = unpack_archive(data)
        except TrustError:
            continue
        assert pack_archive(files) == data  # another archive, whole in itself: its hash is another's
