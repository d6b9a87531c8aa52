"""`clearkey pmp-service`: level 3. Runs PMP workers under an account of their own, or installs what systemd needs."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from drm.service.broker import BrokerLimits
from drm.wire.service import DEFAULT_SOCKET
from player.verbs.pmp_service.run import run
from player.verbs.pmp_service.units import install

__all__ = ["command"]


@click.group("pmp-service", invoke_without_command=True)
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_SOCKET,
    show_default=True,
    help="Where to listen.",
)
@click.option(
    "--state", type=click.Path(path_type=Path), default="/var/lib/clearkey-pmp", show_default=True,
    help="Folder of the device key, which this account alone may reach.",
)  # fmt: skip
@click.option("--user", metavar="NAME", help="Started as root: become this account once the socket is there.")
@click.option("--root", type=click.Path(path_type=Path), help="Root that vouches for components instead of our own.")
@click.option("--workers", type=click.IntRange(1, 256), default=64, show_default=True, help="Workers in all.")
@click.option("--workers-per-user", type=click.IntRange(1, 256), default=8, show_default=True, help="Of one account.")
@click.option("--worker-memory", type=click.IntRange(256, 65536), default=4096, show_default=True, help="MiB, of one.")
@click.pass_context
def command(
    context: click.Context,
    path: Path,
    state: Path,
    user: str | None,
    root: Path | None,
    workers: int,
    workers_per_user: int,
    worker_memory: int,
) -> None:
    """Run PMP workers under this account, for applications of other accounts (isolation level 3).

    An application gets a worker's channel over the socket, and neither the device key nor the worker's memory. Code
    and interpreter belong to root, and this account can write none of it. Under systemd the socket comes from its
    unit: see `clearkey pmp-service install`. In a container: clearkey pmp-service --user clearkey-pmp.
    """
    if context.invoked_subcommand is not None:
        return
    logging.getLogger("drm.service").setLevel(logging.INFO)
    run(
        path,
        state,
        root,
        BrokerLimits(workers=workers, workers_per_user=workers_per_user, worker_memory=worker_memory),
        user,
    )


command.add_command(install)
