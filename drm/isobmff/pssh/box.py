"""Protection System Specific Header: what a protection system wants to know (ISO/IEC 23001-7, clause 8.1)."""

from __future__ import annotations

from struct import pack
from typing import ClassVar

import msgspec

from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.isobmff.box import encode_full_box
from drm.isobmff.reader import Reader
from drm.keys import COMMON_SYSTEM, KeyId, SystemId

__all__ = ["Pssh"]


class Pssh(msgspec.Struct, frozen=True):
    """One `pssh` box. Only version 1 lists key ids."""

    TYPE: ClassVar[str] = "pssh"

    system_id: SystemId
    key_ids: tuple[KeyId, ...] = ()
    data: bytes = b""
    version: int = 1

    @classmethod
    def parse(cls, r: Reader) -> Pssh:
        """Read it. A version above 1, or a data size that is not the rest of the box, is refused, as ExoPlayer does."""
        version, _flags = r.full_box()
        if version > 1:
            r.fail(f"a pssh box of version {version}; versions 0 and 1 are defined")
        system_id = SystemId(r.take(16))
        count = r.u32() if version else 0
        if 16 * count > r.remaining:
            r.fail("the pssh box ends before its key ids do", seen=f"{count} key ids, {r.remaining} bytes are left")
        key_ids = tuple(KeyId(r.take(16)) for _ in range(count))
        data = r.take(r.u32())
        r.expect_end()
        return cls(system_id, key_ids, data, version)

    def encode(self) -> bytes:
        """Return the whole box."""
        if self.version == 0 and self.key_ids:
            raise InvalidArgumentError("a pssh box of version 0 lists no key ids")
        kids = pack(">I", len(self.key_ids)) + b"".join(k.value for k in self.key_ids) if self.version else b""
        return encode_full_box(
            self.TYPE, self.version, 0, self.system_id.value, kids, pack(">I", len(self.data)), self.data
        )

    @classmethod
    def common(cls, *key_ids: KeyId) -> Pssh:
        """The box of W3C's common system: version 1, key ids, no data."""
        return cls(COMMON_SYSTEM, key_ids)

    @classmethod
    def parse_all(cls, init_data: bytes) -> tuple[Pssh, ...]:
        """Read concatenated boxes, as EME's "cenc" initialization data has them.

        Raises:
            MalformedMediaError: anything else stands among them, or nothing is there.
        """
        found = []
        for box in Reader(init_data).boxes():
            if box.type != cls.TYPE:
                box.fail(f"a {box.type!r} box among the pssh boxes")
            found.append(cls.parse(box))
        if not found:
            raise MalformedMediaError("there is no pssh box in the initialization data")
        return tuple(found)
