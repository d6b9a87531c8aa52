"""The worker's end of a channel: raises each failure that it is told of, and answers with what it caught."""

from __future__ import annotations

import socket
import sys

import drm.trust.errors  # noqa: F401
from drm.errors import DRMError, error_from_record
from drm.wire.channel import worker_channel
from drm.wire.messages import EnablerFailed, Raised

channel = worker_channel(socket.socket(fileno=int(sys.argv[1])))
while (received := channel.receive()) is not None:
    message, _ = received
    assert isinstance(message, EnablerFailed)
    try:
        raise error_from_record(message.error)
    except DRMError as error:
        error.where += f", as {type(error).__name__}"
        channel.send(Raised(1, error.to_record()))
