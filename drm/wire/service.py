"""What an application and the PMP service say to each other: one request for a worker, and what becomes of it.

Over a connection of the service's Unix socket (SOCK_SEQPACKET), one JSON message a packet. The worker's own channel
comes as a descriptor beside `Started`: the service neither reads nor changes what goes over it. Both sides are hostile
to one another: messages are bounded and typed, and one that is not understood ends the connection. Shared, pure.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from drm.errors import ErrorRecord, WireError
from drm.worker_memory import DEFAULT_MEMORY

__all__ = [
    "DEFAULT_SOCKET", "ENGINES", "MAX_MESSAGE", "VERSION", "End", "Ended", "FromService", "Refused", "Start", "Started",
    "ToService", "decode_message", "encode_message",
]  # fmt: skip

VERSION: Final = 1
MAX_MESSAGE: Final = 64 << 10  # bytes
DEFAULT_SOCKET: Final = "/run/clearkey/pmp.sock"
ENGINES: Final = ("cryptography", "pycryptodome")


class Start(msgspec.Struct, frozen=True, tag="start", forbid_unknown_fields=True):
    """To the service: run a worker for this connection. It ends with the connection."""

    version: int
    engine: str
    level: int  # below it the worker ends instead of serving
    memory: int = DEFAULT_MEMORY  # MiB that it may use
    report_only: bool = False  # it sends its protection report as JSON over its channel, and ends


class End(msgspec.Struct, frozen=True, tag="end", forbid_unknown_fields=True):
    """To the service: end the worker at once. The application cannot: it belongs to another account."""


class Started(msgspec.Struct, frozen=True, tag="started", forbid_unknown_fields=True):
    """From the service: the worker runs; one descriptor comes along, the worker's channel."""

    pid: int


class Refused(msgspec.Struct, frozen=True, tag="refused", forbid_unknown_fields=True):
    """From the service: there is no worker, and why."""

    error: ErrorRecord


class Ended(msgspec.Struct, frozen=True, tag="ended", forbid_unknown_fields=True):
    """From the service, the last message: how the worker ended."""

    said: str  # in words for a user: the signal or status
    error: ErrorRecord | None = None  # why it refused to serve


ToService = Start | End
FromService = Started | Refused | Ended
_Message = TypeVar("_Message")


def encode_message(message: ToService | FromService) -> bytes:
    """Return the packet of a message."""
    return msgspec.json.encode(message)


def decode_message(packet: bytes, kind: type[_Message]) -> _Message:
    """Return the message of a packet. Raises WireError: it is none of `kind`."""
    try:
        return msgspec.json.decode(packet, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("a message of the PMP service's protocol is not understood", seen=str(error)) from None
