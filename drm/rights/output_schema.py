"""What a policy asks of an output: protection schemas, connectors and attributes of outputs (IMFOutputSchema).

GUIDs and numbers are those of the Windows headers (mfidl.h). Not everything in here can be had on Linux: what an output
cannot do, it does not list, and a license that asks for it is refused there.
"""

from __future__ import annotations

import enum
from typing import Final
from uuid import UUID

import msgspec

__all__ = ["CGMSA_VALUES", "Connector", "OutputAttribute", "OutputSchema", "Schema"]


class Schema(enum.Enum):
    """Kinds of output protection (MFPROTECTION_*)."""

    DISABLE = UUID("8cc6d81b-fec6-4d8f-964b-cfba0b0dad0d")
    CONSTRICTVIDEO = UUID("193370ce-c5e4-4c3a-8a66-6959b4da4442")
    CONSTRICTVIDEO_NOOPM = UUID("a580e8cd-c247-4957-b983-3c2eebd1ff59")
    CONSTRICTAUDIO = UUID("ffc99b44-df48-4e16-8e66-096892c1578a")
    TRUSTEDAUDIODRIVERS = UUID("65bdf3d2-0168-4816-a533-55d47b027101")
    HDCP = UUID("ae7cc03d-c828-4021-acb7-d578d27aaf13")
    HDCP_WITH_TYPE_ENFORCEMENT = UUID("a4a585e8-ed60-442d-814d-db4d4220a06d")
    CGMSA = UUID("e57e69e9-226b-4d31-b4e3-d3db008736dd")
    ACP = UUID("c3fd11c6-f8b7-4d20-b008-1db17d61f2da")
    WMDRMOTA = UUID("a267a6a1-362e-47d0-8805-4628598a23e4")
    FFT = UUID("462a56b2-2866-4bb6-980d-6d8d9edb1a8c")
    PROTECTED_SURFACE = UUID("4f5d9566-e742-4a25-8d1f-d287b5fa0ade")
    DISABLE_SCREEN_SCRAPE = UUID("a21179a4-b7cd-40d8-9614-8ef2371ba78d")
    VIDEO_FRAMES = UUID("36a59cbc-7401-4a8c-bc20-46a7c9e597f0")
    HARDWARE = UUID("4ee7f0c1-9ed7-424f-b6be-996b33528856")
    GRAPHICS_TRANSFER_AES_ENCRYPTION = UUID("c873de64-d8a5-49e6-88bb-fb963fd3d4ce")


class Connector(enum.Enum):
    """How an output is connected (MFCONNECTOR_*)."""

    UNKNOWN = UUID("ac3aef5c-ce43-11d9-92db-000bdb28ff98")
    PCI = UUID("ac3aef5d-ce43-11d9-92db-000bdb28ff98")
    PCIX = UUID("ac3aef5e-ce43-11d9-92db-000bdb28ff98")
    PCI_EXPRESS = UUID("ac3aef5f-ce43-11d9-92db-000bdb28ff98")
    AGP = UUID("ac3aef60-ce43-11d9-92db-000bdb28ff98")
    VGA = UUID("57cd5968-ce47-11d9-92db-000bdb28ff98")
    SVIDEO = UUID("57cd5969-ce47-11d9-92db-000bdb28ff98")
    COMPOSITE = UUID("57cd596a-ce47-11d9-92db-000bdb28ff98")
    COMPONENT = UUID("57cd596b-ce47-11d9-92db-000bdb28ff98")
    DVI = UUID("57cd596c-ce47-11d9-92db-000bdb28ff98")
    HDMI = UUID("57cd596d-ce47-11d9-92db-000bdb28ff98")

    @property
    def is_internal(self) -> bool:
        """A bus inside the machine that the action NO may be on."""
        return self in (Connector.PCI, Connector.PCIX, Connector.PCI_EXPRESS, Connector.AGP)

    @property
    def is_analog_tv(self) -> bool:
        """One whose signal can carry CGMS-A."""
        return self in (Connector.SVIDEO, Connector.COMPOSITE, Connector.COMPONENT)


class OutputAttribute(enum.IntFlag):
    """What kind of output it is (MFOUTPUTATTRIBUTE_*). Without DIGITAL it is analog, without VIDEO it is sound."""

    DIGITAL = 0x1
    NONSTANDARD_IMPLEMENTATION = 0x2
    VIDEO = 0x4
    COMPRESSED = 0x8
    SOFTWARE = 0x10
    BUS = 0x20


CGMSA_VALUES: Final = {1: 1, 2: 3, 3: 4, 4: 1, 5: 3, 6: 4}
"""A policy's `cgms_a` to what the CGMSA schema is given: copy freely 1, one generation 3, never 4."""


class OutputSchema(msgspec.Struct, frozen=True):
    """One protection that an output must apply (IMFOutputSchema)."""

    schema_type: Schema
    configuration_data: int  # 32 bits, whose meaning is the schema's
    originator_id: UUID  # of the policy that asks for it
    best_effort: bool = False  # a failure to apply it is ignored, and what is marked `fail_over` is applied
    fail_over: bool = False  # applied only when a best effort failed
