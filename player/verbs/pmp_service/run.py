"""Starts the broker of level 3: the socket it listens on, the account it runs under, and its end."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import click

from drm.errors import InvalidArgumentError, IsolationError, StorageError
from drm.service.broker import Broker, BrokerLimits

__all__ = ["run"]

_FIRST_PASSED: Final = 3  # descriptor of systemd's first socket (sd_listen_fds(3))
_BACKLOG: Final = 64
_LAST_UID: Final = 0xFFFF_FFFD
_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def run(path: Path, state: Path, root: Path | None, limits: BrokerLimits, user: str | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        IsolationError: it would run as root.
        InvalidArgumentError: there is no such account, or `user` without being root.
        StorageError: the socket or the device key cannot be made.
    """
    account = _account(user)
    passed = _passed_socket()
    listener = passed or _listening(path)
    try:
        if account is not None:
            _own_folder(state, account)
            _become(account)
        if passed is None:
            listener.listen(_BACKLOG)  # not before: applications are told of the account that does this
        # What runs under this account is locked down; all the same, nothing of it is to trace this process.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        broker = Broker(listener, state, root.resolve() if root else None, limits)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: broker.stop())
        click.echo(f"PMP service on {listener.getsockname()} as user id {os.geteuid()}", err=True)
        broker.serve()
    finally:
        listener.close()
        if passed is None:
            with suppress(OSError):  # the folder is another account's by now: the next start takes the name over
                path.unlink()


class _Account(NamedTuple):
    uid: int
    gid: int


def _account(user: str | None) -> _Account | None:
    """The account to become, by name or by number; a number need not have a name, as in containers."""
    if user is None:
        return None
    try:
        named = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        account = _Account(named.pw_uid, named.pw_gid)
    except KeyError:
        if not user.isdecimal() or int(user) > _LAST_UID:
            raise InvalidArgumentError(
                f"there is no account {user}", remedy=f"make it: useradd --system --shell /usr/sbin/nologin {user}"
            ) from None
        account = _Account(int(user), int(user))
    if account.uid == 0:
        raise IsolationError("workers under root's account would be no level 3", remedy="--user clearkey-pmp")
    if os.geteuid() != 0:
        if account.uid == os.geteuid():
            return None
        raise InvalidArgumentError(f"only root can become {user}", remedy="leave --user out, or start it as root")
    return account


def _passed_socket() -> socket.socket | None:
    """The socket that systemd made; None: it did not start us."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()) or os.environ.pop("LISTEN_FDS", "") != "1":
        return None
    listener = socket.socket(fileno=_FIRST_PASSED)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_SEQPACKET:
        raise InvalidArgumentError("the socket unit must say ListenSequentialPacket", seen=str(listener))
    os.set_inheritable(_FIRST_PASSED, False)
    return listener


def _listening(path: Path) -> socket.socket:
    """A socket of our own at `path`; one that nobody listens on any more is taken over."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise InvalidArgumentError("what stands there is no socket", where=str(path), remedy="--socket PATH")
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with probe, suppress(ConnectionRefusedError):
                probe.connect(str(path))
                raise InvalidArgumentError(
                    "a PMP service listens there already", where=str(path), remedy="--socket PATH"
                )
            path.unlink()
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        listener.bind(str(path))
        path.chmod(0o666)  # whoever may connect gets a worker, within the limits, and nothing else
    except OSError as error:
        listener.close()
        raise StorageError(
            f"the socket cannot be made: {error.strerror}",
            where=str(path),
            remedy="--socket PATH in a folder of your own",
        ) from None
    except InvalidArgumentError:
        listener.close()
        raise
    return listener


def _own_folder(state: Path, account: _Account) -> None:
    try:
        state.mkdir(mode=0o700, parents=True)
        os.chown(state, account.uid, account.gid)
    except FileExistsError:
        if (owner := state.lstat().st_uid) != account.uid:  # it may be anybody's: root does not give it away
            raise StorageError(
                f"the folder of the device key belongs to user id {owner}, not to {account.uid}",
                where=str(state),
                remedy="--state DIR, one that is not there yet or is that account's own",
            ) from None
    except OSError as error:
        raise StorageError(
            f"the folder of the device key cannot be made: {error.strerror}", where=str(state), remedy="--state DIR"
        ) from None


def _become(account: _Account) -> None:
    """Give up root for good: groups first, for which root is needed."""
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
