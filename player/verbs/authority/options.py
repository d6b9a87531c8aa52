"""What every verb of `clearkey authority` takes: the authority's folder, and the passphrase of its keys."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import platformdirs

from drm.errors import PassphraseError
from drm.trust.authority.home import DEVELOPMENT, AuthorityHome

__all__ = ["PASSPHRASE_VARIABLE", "authority_options", "say_notes"]

PASSPHRASE_VARIABLE: Final = "CLEARKEY_AUTHORITY_PASSPHRASE"  # noqa: S105 - its name, not its value

_F = TypeVar("_F", bound=Callable[..., Any])


def authority_options(*, makes: bool = False) -> Callable[[_F], _F]:
    """Give a verb the parameter `home`. `makes`: the passphrase is new, and asked for twice."""

    def decorate(function: _F) -> _F:
        @click.option(
            "--authority",
            "folder",
            metavar="FOLDER",
            envvar="CLEARKEY_AUTHORITY",
            type=click.Path(file_okay=False, path_type=Path),
            help="The authority's folder, outside any git work tree. [default: in the user's data folder]",
        )
        @click.option(
            "--keys",
            "more_keys",
            metavar="FOLDER",
            multiple=True,
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Another folder with signing keys, such as a mounted stick. Repeatable.",
        )
        @functools.wraps(function)
        def wrapped(*args: Any, folder: Path | None, more_keys: tuple[Path, ...], **more: Any) -> Any:  # noqa: ANN401
            place = folder or Path(platformdirs.user_data_dir("clearkey")) / "authority"
            home = AuthorityHome(
                place,
                lambda called: _passphrase(called, confirm=makes),
                more_keys=more_keys,
                encrypted=not (place / DEVELOPMENT).exists(),
            )
            return function(*args, home=home, **more)

        return wrapped  # type: ignore[return-value]  # click's decorators forget what they wrap

    return decorate


def say_notes(home: AuthorityHome) -> None:
    """Print what the authority wants known beside the result."""
    for note in home.notes:
        click.echo(f"note: {note}", err=True)


def _passphrase(called: str, *, confirm: bool) -> str:
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase is not None:
        return passphrase
    if not (sys.stdin and sys.stdin.isatty()):
        raise PassphraseError(
            f"there is nobody to ask for the passphrase of {called}",
            remedy=f"set {PASSPHRASE_VARIABLE} in the environment",
        )
    answer = click.prompt(f"Passphrase of {called}", hide_input=True, confirmation_prompt=confirm, err=True)
    assert isinstance(answer, str)
    return answer
