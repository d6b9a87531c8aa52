"""One component as one file: a ZIP of which every byte is determined by the files in it.

Members are stored, in order of their names after component.toml, dated 1980-01-01, mode 0644, with nothing between or
behind them. So an archive has one hash wherever it was made, and the reader accepts that form alone: what it read,
packed again, must be the very bytes it was given. No ZIP library takes part; two readers cannot disagree about what
is inside. Any ZIP program can open it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from drm.errors import DuplicateFileError, TrustError, WrongNamespaceError
from drm.trust.archive import Component
from drm.trust.manifest import DESCRIPTION, MAX_FILES, parse_description

__all__ = ["MAX_ARCHIVE", "MAX_MEMBER", "MAX_TOGETHER", "pack_archive", "read_component", "unpack_archive"]

MAX_ARCHIVE: Final = 16 << 20  # bytes
MAX_MEMBER: Final = 1 << 20  # bytes of one file
MAX_TOGETHER: Final = 48 << 20  # bytes of all archives that one worker is given

# APPNOTE.TXT (the ZIP format) 4.3.7, 4.3.12 and 4.3.16
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_END_SIGNATURE: Final = b"PK\x05\x06"
_NEEDED: Final = 10  # version 1.0: stored members
_MADE_BY: Final = 3 << 8 | _NEEDED  # Unix
_DATE: Final = 0x21  # 1980-01-01
_MODE: Final = 0o100644 << 16
_LONGEST_NAME: Final = 200  # bytes


def pack_archive(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of a component's files, named relative to its folder. Raises TrustError as the reader does."""
    _check_count(len(files))
    for name, data in files.items():
        _check_member(name, len(data))
    if DESCRIPTION not in files:
        raise TrustError(f"a component's archive holds no {DESCRIPTION}")
    packed = _pack(files)
    if len(packed) > MAX_ARCHIVE:
        raise TrustError(f"a component's archive has {len(packed)} bytes, more than {MAX_ARCHIVE}")
    return packed


def unpack_archive(data: bytes) -> dict[str, bytes]:
    """Return the files in an archive from anywhere.

    Raises:
        WrongNamespaceError: a name is absolute, leads out of the archive, or is no plain name.
        DuplicateFileError: a name stands twice.
        TrustError: too large, too many, or not in the one form that an archive has.
    """
    if len(data) > MAX_ARCHIVE:
        raise TrustError(f"a component's archive has {len(data)} bytes, more than {MAX_ARCHIVE}")
    files: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == _LOCAL_SIGNATURE:
        _check_count(len(files) + 1)
        name, start, size = _member(data, at)
        if name in files:
            raise DuplicateFileError(f"a component's archive holds {name} twice")
        at = start + size
        files[name] = data[start:at]
    if next(iter(files), "") != DESCRIPTION:
        raise TrustError(f"a component's archive begins with {DESCRIPTION}, and this one does not")
    if _pack(files) != data:
        raise TrustError(
            "this is not a component's archive in its one form",
            remedy="make it with `clearkey authority sign`",
        )
    return files


def read_component(data: bytes, where: str) -> Component:
    """Read an archive as the component that its description says it is; `where` names it in errors. Raises TrustError.

    Its files take the places that the description claims, which lie in the component's own folder.
    """
    files = unpack_archive(data)
    described = parse_description(files[DESCRIPTION], where)
    return Component.of(described, {described.folder + name: content for name, content in files.items()})


def _member(data: bytes, at: int) -> tuple[str, int, int]:
    """Return name, start and size of the member whose header stands at `at`; its bytes are all there."""
    if len(data) - at < _LOCAL.size:
        raise TrustError("a component's archive ends within a header")
    *_, size, name_size, extra_size = _LOCAL.unpack_from(data, at)
    start = at + _LOCAL.size + name_size
    if name_size > _LONGEST_NAME or extra_size:
        raise TrustError("a component's archive holds a name that is too long, or extra fields")
    try:
        name = data[at + _LOCAL.size : start].decode("ascii")
    except UnicodeDecodeError:
        raise WrongNamespaceError("a component's archive holds a name that is not ASCII") from None
    _check_member(name, size)
    if len(data) - start < size:
        raise TrustError(f"a component's archive ends within {name}")
    return name, start, size


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise TrustError(f"a component's archive holds more than {MAX_FILES} files")


def _check_member(name: str, size: int) -> None:
    parts = name.split("/")
    if not name.isascii() or len(name) > _LONGEST_NAME or "\\" in name or "\0" in name or ":" in name:
        raise WrongNamespaceError(f"a component's archive holds {name[:200]!r}, which is no plain name")
    if any(part in ("", ".", "..") for part in parts):
        raise WrongNamespaceError(f"a component's archive holds {name!r}, which leads out of the component's folder")
    if size > MAX_MEMBER:
        raise TrustError(f"{name} in a component's archive has {size} bytes, more than {MAX_MEMBER}")


def _pack(files: Mapping[str, bytes]) -> bytes:
    bodies: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name in sorted(files, key=lambda name: (name != DESCRIPTION, name)):
        content, encoded = files[name], name.encode()
        # flags, method, time, date, checksum, size twice, length of the name, of the extra field
        facts = (0, 0, 0, _DATE, zlib.crc32(content), len(content), len(content), len(encoded), 0)
        local = _LOCAL.pack(_LOCAL_SIGNATURE, _NEEDED, *facts)
        directory += _CENTRAL.pack(_CENTRAL_SIGNATURE, _MADE_BY, _NEEDED, *facts, 0, 0, 0, _MODE, offset), encoded
        bodies += local, encoded, content
        offset += len(local) + len(encoded) + len(content)
    central = b"".join(directory)
    end = _END.pack(_END_SIGNATURE, 0, 0, len(files), len(files), len(central), offset, 0)
    return b"".join((*bodies, central, end))
