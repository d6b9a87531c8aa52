"""The data of Widevine's and PlayReady's boxes: read as packagers wrote it, and written as they write it."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data, notes_for_players, read_contents
from drm.isobmff.pssh.playready import PlayReadyData
from drm.isobmff.pssh.widevine import WidevineData
from drm.keys import COMMON_SYSTEM, KeyId, SystemId

KID = KeyId.parse("00112233-4455-6677-8899-aabbccddeeff")
OTHER = KeyId.parse("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
NAMESPACE = 'xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"'

# What Shaka Packager 3.8 writes for KID and the scheme cbcs.
SHAKA_WIDEVINE = bytes.fromhex("12100011223344556677") + bytes.fromhex("8899aabbccddeeff48f3c6899b06")
SHAKA_PLAYREADY = (
    f'<WRMHEADER {NAMESPACE} version="4.3.0.0"><DATA><PROTECTINFO><KIDS>'
    '<KID ALGID="AESCBC" VALUE="MyIRAFVEd2aImaq7zN3u/w=="></KID></KIDS></PROTECTINFO></DATA></WRMHEADER>'
)
# Widevine's data and PlayReady's header of one file among mp4ff's test data: one KID, two byte orders.
PAIR = (
    base64.b64decode("EhAAAAAAFoMAu2MwICAgICAgSPPGiZsG"),
    f'<WRMHEADER {NAMESPACE} version="4.3.0.0"><DATA><PROTECTINFO><KIDS>'
    '<KID ALGID="AESCBC" VALUE="AAAAAIMWuwBjMCAgICAgIA=="></KID></KIDS></PROTECTINFO></DATA></WRMHEADER>',
)


def playready_object(header: str, *more: tuple[int, bytes]) -> bytes:
    records = [(1, header.encode("utf-16-le")), *more] if header else list(more)
    body = b"".join(struct.pack("<HH", kind, len(record)) + record for kind, record in records)
    return struct.pack("<IH", len(body) + 6, len(records)) + body


# ------------------------------------------------------------------------------------------------ as others write it
def test_the_same_as_shaka_packager_writes() -> None:
    assert WidevineData((KID,), "cbcs").encode() == SHAKA_WIDEVINE
    assert PlayReadyData((KID,), "AESCBC").encode() == playready_object(SHAKA_PLAYREADY)


def test_the_byte_order_trap() -> None:
    """The bytes in a PlayReady header are those of a GUID; whoever takes them as they stand finds no key."""
    widevine, playready = PAIR
    wanted = (KeyId.parse("00000000-1683-00bb-6330-202020202020"),)
    assert WidevineData.parse(widevine).key_ids == wanted
    assert PlayReadyData.parse(playready_object(playready)).key_ids == wanted
    assert base64.b64decode("AAAAAIMWuwBjMCAgICAgIA==") != wanted[0].value


@pytest.mark.parametrize(
    ("version", "data", "algorithm"),
    [
        ("4.0.0.0", "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{}</KID>", "AESCTR"),
        (
            "4.1.0.0",
            '<PROTECTINFO><KID VALUE="{}" ALGID="AESCTR" CHECKSUM="1/fwZuf25OY="></KID></PROTECTINFO>',
            "AESCTR",
        ),
        ("4.2.0.0", '<PROTECTINFO><KIDS><KID ALGID="AESCTR" VALUE="{}"/></KIDS></PROTECTINFO>', "AESCTR"),
        ("4.3.0.0", '<PROTECTINFO><KIDS><KID ALGID="AESCBC" VALUE="{}"/></KIDS></PROTECTINFO>', "AESCBC"),
        ("4.3.0.0", '<PROTECTINFO><KIDS><KID VALUE="{}"/></KIDS></PROTECTINFO>', ""),
    ],
)
def test_every_version_of_the_header(version: str, data: str, algorithm: str) -> None:
    inner = data.format("MyIRAFVEd2aImaq7zN3u/w==") + "<LA_URL> http://example.org/?a&amp;b </LA_URL>"
    header = f'<WRMHEADER {NAMESPACE} version="{version}"><DATA>{inner}</DATA></WRMHEADER>'
    wanted = PlayReadyData((KID,), algorithm, "http://example.org/?a&b", version)
    for written in (playready_object(header), header.encode("utf-16-le"), header.encode("utf-16"), header.encode()):
        assert PlayReadyData.parse(written) == wanted


@pytest.mark.parametrize(
    ("key_ids", "algorithm", "version"),
    [((KID,), "AESCTR", "4.0.0.0"), ((KID, OTHER), "AESCTR", "4.2.0.0"), ((KID, OTHER), "AESCBC", "4.3.0.0")],
)
def test_the_oldest_header_that_can_say_it(key_ids: tuple[KeyId, ...], algorithm: str, version: str) -> None:
    made = PlayReadyData(key_ids, algorithm, "http://x/?a&b<").encode()
    assert PlayReadyData.parse(made) == PlayReadyData(key_ids, algorithm, "http://x/?a&b<", version)


def test_a_license_store_beside_the_header() -> None:
    assert PlayReadyData.parse(playready_object(SHAKA_PLAYREADY, (3, bytes(9)))).has_license_store
    with pytest.raises(MalformedMediaError, match="holds no header"):
        PlayReadyData.parse(playready_object("", (3, bytes(9))))


def test_widevines_other_fields() -> None:
    whole = WidevineData((KID, OTHER), "cenc", "provider", b"content")
    assert WidevineData.parse(whole.encode()) == whole
    # algorithm 1, an unknown field of each wire type, a key id as text, the crypto period
    more = b"\x08\x01" + b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4) + b"\x12\x20" + KID.hex.encode() + b"\x38\x02"
    found = WidevineData.parse(whole.encode() + more)
    assert (found.key_ids, found.odd_key_ids, found.crypto_period) == ((KID, OTHER), (KID.hex.encode(),), 2)
    assert "written as text" in read_contents(WIDEVINE, whole.encode() + more).problem


def test_a_length_of_two_bytes_whose_first_holds_no_bit() -> None:
    """128 is 80 01: who ends the number at its first byte reads the rest of the message as something else."""
    found = WidevineData.parse(b"\x22\x80\x01" + b"c" * 128 + b"\x12\x10" + KID.value)
    assert (found.content_id, found.key_ids) == (b"c" * 128, (KID,))


def test_the_key_ids_of_entitled_keys_are_those_of_the_content() -> None:
    key = b"\x0a\x10" + bytes(16) + b"\x12\x10" + KID.value + b"\x1a\x20" + bytes(32)
    found = WidevineData.parse(b"\x58\x02" + b"\x72" + bytes((len(key),)) + key)
    assert (found.key_ids, found.entitled) == ((KID,), True)


@pytest.mark.parametrize(
    "data",
    [
        b"\x12",  # no length
        b"\x12\x10" + bytes(15),  # a byte is missing
        b"\x12\xff\xff\xff\xff\x0f" + bytes(16),  # 4 GiB
        b"\xff" * 11,  # a number without end
        b"\x02\x01\x00",  # field 0
        b"\x80\x80\x80\x80\x10\x00",  # field 2**29, one more than there may be
        b"\x0b",  # a group, which the message does not have
        b"\x00\x00",
        bytes((1 << 20) + 1),
    ],
)
def test_what_is_not_widevines(data: bytes) -> None:
    with pytest.raises(MalformedMediaError):
        WidevineData.parse(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a PlayReady Object"),
        (playready_object(SHAKA_PLAYREADY)[:-1], "it says that it has"),
        (struct.pack("<IH", 6, 65535), "65535 records"),
        (struct.pack("<IHHH", 10, 1, 1, 60000), "a record of 60000 bytes"),
        (playready_object("<WRMHEADER><DATA><KID>AAAA</KID></DATA></WRMHEADER>"), "not the base64 of sixteen"),
        (playready_object("<WRMHEADER><DATA>"), "is not XML"),
        (playready_object("<a/>"), "not WRMHEADER"),
        (playready_object('<!DOCTYPE a [<!ENTITY e "ee">]><WRMHEADER/>'), "document type"),
        (playready_object("", (1, b"<\0\0\xd8")), "not UTF-16"),
    ],
)
def test_what_is_not_playreadys(data: bytes, words: str) -> None:
    with pytest.raises(MalformedMediaError) as raised:
        PlayReadyData.parse(data)
    assert words in raised.value.render()
    assert read_contents(PLAYREADY, data).problem


def test_what_cannot_be_written() -> None:
    with pytest.raises(InvalidArgumentError, match="needs a key id"):
        make_data(PLAYREADY, ())
    with pytest.raises(InvalidArgumentError, match="knows no scheme cens"):
        make_data(PLAYREADY, (KID,), "cens")
    with pytest.raises(InvalidArgumentError, match="up to 65535"):
        make_data(PLAYREADY, (KID,), license_url="x" * 40_000)
    assert make_data(SystemId(bytes(16)), (KID,)) == b""


# ------------------------------------------------------------------------------------------------ damage
REAL = [(WIDEVINE, SHAKA_WIDEVINE), (WIDEVINE, PAIR[0]), (PLAYREADY, playready_object(PAIR[1]))]


@pytest.mark.parametrize(("system", "data"), REAL)
@given(at=st.integers(0, 1 << 16), put=st.binary(max_size=8), cut=st.integers(0, 8))
def test_damaged_data_is_said_and_never_raises(system: SystemId, data: bytes, at: int, put: bytes, cut: int) -> None:
    at %= len(data) + 1
    contents = read_contents(system, data[:at] + put + data[at + cut :])
    assert all(isinstance(kid, KeyId) for kid in contents.key_ids)


def said_or_read(system: SystemId, data: bytes) -> bool:
    """Whether it was refused. Nothing but our error is raised, and it becomes the problem that is told of the box."""
    parse = WidevineData.parse if system == WIDEVINE else PlayReadyData.parse
    contents = read_contents(system, data)
    try:
        read = parse(data)
    except MalformedMediaError:
        read = None
    if read is None:
        assert contents.problem
    assert contents.key_ids == (read.key_ids if read else ())
    assert all(len(key_id.value) == 16 for key_id in contents.key_ids)
    return read is None


@given(data=st.binary(max_size=300))
def test_garbage_is_an_error_of_ours(data: bytes) -> None:
    said_or_read(WIDEVINE, data)
    said_or_read(PLAYREADY, data)


@pytest.mark.parametrize(("system", "data"), REAL)
def test_every_bit_of_real_data_turned_around(system: SystemId, data: bytes) -> None:
    refused = 0
    for at in range(8 * len(data)):
        turned = bytearray(data)
        turned[at // 8] ^= 1 << at % 8
        refused += said_or_read(system, bytes(turned))
    assert 8 < refused < 8 * len(data) - 8, "some are refused and some are read, or this says nothing of either"


@given(kids=st.lists(st.binary(min_size=16, max_size=16).map(KeyId), min_size=1, max_size=5, unique=True))
def test_what_is_made_is_read(kids: list[KeyId]) -> None:
    for system in (WIDEVINE, PLAYREADY):
        for scheme in ("cenc", "cbcs"):
            contents = read_contents(system, make_data(system, tuple(kids), scheme, "http://x"))
            assert (contents.key_ids, contents.scheme, contents.problem) == (tuple(kids), scheme, "")


# ------------------------------------------------------------------------------------------------ notes
def test_notes_say_what_browsers_lack() -> None:
    widevine = Pssh(WIDEVINE, (), WidevineData((KID,)).encode(), 0)
    (note,) = notes_for_players([widevine], [KID], "a.mp4")
    assert f"no pssh box of the common system for KID {KID} (Widevine's names {KID})" in note
    assert note.endswith("clearkey pssh insert a.mp4 -o OUT")
    assert notes_for_players([widevine, Pssh.common(KID)], [KID], "a.mp4") == ()
    assert "no pssh box of the common system names" in notes_for_players([Pssh.common(OTHER)], [KID], "a.mp4")[0]
    assert notes_for_players([], [KID], "a.mp4") == (), "a file without any box may have its ids elsewhere"


def test_notes_tell_a_reversed_kid() -> None:
    box = Pssh(WIDEVINE, (), WidevineData((KID.byte_reversed,)).encode(), 0)
    notes = notes_for_players([box, Pssh.common(KID)], [KID], "a.mp4")
    assert notes == (f"Widevine's pssh names {KID.byte_reversed}, which is a KID of the media in GUID order",)


def test_notes_tell_data_that_cannot_be_read() -> None:
    box = Pssh(WIDEVINE, (), b"\x12\x10short", 0)
    notes = notes_for_players([box, Pssh.common(KID)], [KID], "a.mp4")
    assert len(notes) == 1
    assert notes[0].startswith("Widevine's pssh: ")
    assert "not the data of Widevine's pssh box" in notes[0]


def test_what_a_header_says_of_itself_is_told_and_kept_to_a_line() -> None:
    """The words come from a stranger's file: an algorithm of a mebibyte would be printed whole."""
    assert read_contents(PLAYREADY, playready_object(SHAKA_PLAYREADY)).details == ("header version 4.3.0.0", "AESCBC")
    silent = SHAKA_PLAYREADY.replace(' ALGID="AESCBC"', "").replace(' version="4.3.0.0"', "")
    assert read_contents(PLAYREADY, playready_object(silent)).details == ()
    long = SHAKA_PLAYREADY.replace("AESCBC", "A" * 30).replace("4.3.0.0", "4" * 30)
    found = PlayReadyData.parse(playready_object(long))
    assert (found.algorithm, found.version) == ("A" * 20, "4" * 20)


def test_data_of_the_common_system_is_said() -> None:
    assert "players ignore" in read_contents(COMMON_SYSTEM, b"x").problem
