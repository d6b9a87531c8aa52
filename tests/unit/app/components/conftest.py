"""The authority, the components and the TUF client of the tests of trust, for the half that fetches and keeps."""

from tests.unit.trust.conftest import (
    client,
    clock,
    component,
    founded,
    home,
    http_server,
    installation,
    memory,
    tmp_path,
)

__all__ = ["client", "clock", "component", "founded", "home", "http_server", "installation", "memory", "tmp_path"]
