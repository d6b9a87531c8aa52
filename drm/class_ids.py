"""Class ids of the platform's components (CLSIDs). A component.toml registers one of these."""

from typing import Final
from uuid import UUID

__all__ = [
    "AV_DECODER",
    "BUILT_IN",
    "CLEARKEY_ITA",
    "DISCARD_SINK",
    "HASH_SINK",
    "MP4_SOURCE",
    "SNAPSHOT_SINK",
    "SOURCE_RESOLVER",
    "VIDEO_CONSTRICTOR",
    "WEBM_SOURCE",
]

CLEARKEY_ITA: Final = UUID("f5aa2c2c-0c3c-4c33-9b45-6f1a2e31d0c1")
AV_DECODER: Final = UUID("3b0f6a53-9d0e-4c55-a7e1-5d7c40a0b6f2")
HASH_SINK: Final = UUID("8f6c2d0a-54b7-4a0e-8c39-0f6e7a1d9b13")
SNAPSHOT_SINK: Final = UUID("c1d7a9e4-2f3b-4d68-9a70-b4e85f02c3d6")
DISCARD_SINK: Final = UUID("5e92b7f0-6a1c-4f8d-8d24-7c3f90e1a5b8")
MP4_SOURCE: Final = UUID("bcd29b17-bbb7-42e2-88eb-1077c7c155d2")
WEBM_SOURCE: Final = UUID("7d1e4c90-52a6-4b3e-9f07-c8a15d6be342")
SOURCE_RESOLVER: Final = UUID("90eab60f-e43a-4188-bcc4-e47fdf04868c")
"""CLSID_MFSourceResolver (mfidl.h): no component, a part of the worker itself."""
VIDEO_CONSTRICTOR: Final = UUID("d4a86f13-0e7b-49c2-b5f1-93c27a60e8d4")

BUILT_IN: Final = (
    CLEARKEY_ITA, AV_DECODER, HASH_SINK, SNAPSHOT_SINK, DISCARD_SINK, MP4_SOURCE, WEBM_SOURCE, VIDEO_CONSTRICTOR,
)  # fmt: skip
"""The platform's own components: without any of them no protected session is made."""
