"""`clearkey pmp-service install`: writes what systemd needs to run the service, and says what comes next."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

import click

from drm.errors import IsolationError
from drm.launch.interpreter import INSTALLED, install_interpreter
from drm.launch.process import import_folders
from drm.whole_file import write_whole

__all__ = ["install", "unit_files"]

_SOCKET: Final = """\
# Clear Key PMP service: where applications ask for workers (isolation level 3).
[Unit]
Description=Socket of the Clear Key PMP service

[Socket]
ListenSequentialPacket=/run/clearkey/pmp.sock
# Whoever may connect gets workers within the limits. To allow one group alone: SocketGroup= and SocketMode=0660.
SocketMode=0666
DirectoryMode=0755

[Install]
WantedBy=sockets.target
"""

_SERVICE: Final = """\
# Clear Key PMP service: runs workers under an account of its own (isolation level 3).
[Unit]
Description=Clear Key PMP service
Requires=clearkey-pmp.socket
After=clearkey-pmp.socket

[Service]
Type=exec
ExecStart={command} pmp-service --state /var/lib/clearkey-pmp
User=clearkey-pmp
Group=clearkey-pmp
StateDirectory=clearkey-pmp
StateDirectoryMode=0700
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
LimitCORE=0
LimitNOFILE=4096
TasksMax=4096
Restart=on-failure
"""

_SYSUSERS: Final = """\
# The account that PMP workers run under, and that alone can read their device key.
u clearkey-pmp - "Clear Key PMP workers" /var/lib/clearkey-pmp
"""

_TMPFILES: Final = """\
d /run/clearkey 0755 root root -
d /var/lib/clearkey-pmp 0700 clearkey-pmp clearkey-pmp -
"""

_NEXT: Final = (
    "systemd-sysusers",
    "systemd-tmpfiles --create",
    "systemctl daemon-reload",
    "systemctl enable --now clearkey-pmp.socket",
    "clearkey doctor --service /run/clearkey/pmp.sock",
)


def unit_files(command: str) -> dict[str, str]:
    """Return the files to write, by their path below the root folder; `command` is the absolute path of clearkey."""
    return {
        "usr/lib/systemd/system/clearkey-pmp.socket": _SOCKET,
        "usr/lib/systemd/system/clearkey-pmp.service": _SERVICE.format(command=command),
        "usr/lib/sysusers.d/clearkey-pmp.conf": _SYSUSERS,
        "usr/lib/tmpfiles.d/clearkey-pmp.conf": _TMPFILES,
    }


@click.command("install")
@click.option("--destdir", type=click.Path(path_type=Path), default="/", show_default=True, help="Write below this.")
@click.option("--print", "only_print", is_flag=True, help="Print the files instead of writing them.")
def install(destdir: Path, *, only_print: bool) -> None:
    """Write the units, the account and the folders of the service for systemd, and an interpreter; start nothing.

    The interpreter is a copy that everybody can run and root alone read. Workers of the service, and of every account
    that uses this clearkey, are then started with it: nobody reaches into them before they hide. Repeat this when
    Python is updated; until then the copy is left alone.

    This clearkey must be installed where root alone can write, since the service's workers run its code.
    """
    command = Path(sys.argv[0]).resolve()
    files = unit_files(str(command))
    if only_print:
        for name, text in files.items():
            click.echo(f"# /{name}\n{text}")
        return
    require_roots_own([command, Path(sys.executable), *map(Path, import_folders())])
    for name, text in files.items():
        path = destdir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), mode=0o644)
        click.echo(f"written: {path}", err=True)
    interpreter = destdir / INSTALLED.relative_to("/")
    install_interpreter(interpreter)
    click.echo(f"written: {interpreter}, which everybody can run and root alone read", err=True)
    for word in _NEXT:
        click.echo(f"next: {word}", err=True)


def require_roots_own(paths: list[Path]) -> None:
    """Return when nobody but root can change these or what leads to them. Raises IsolationError, which names one."""
    seen: set[Path] = set()
    for start in paths:
        for path in (start.resolve(), *start.resolve().parents):
            if path in seen:
                continue
            seen.add(path)
            told = path.stat()
            others = told.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not told.st_mode & stat.S_ISVTX
            if told.st_uid != 0 or others:
                raise IsolationError(
                    "this clearkey can be changed by others than root, so the service's workers would run their code",
                    where=str(path),
                    seen=f"owner {told.st_uid}, mode {stat.S_IMODE(told.st_mode):o}",
                    remedy="python3 -m venv /opt/clearkey && /opt/clearkey/bin/pip install clearkey; then "
                    "/opt/clearkey/bin/clearkey pmp-service install",
                )
        if not os.access(start, os.R_OK):
            raise IsolationError("this clearkey cannot be read by the service's account", where=str(start))
