"""The options by which a verb is told what to ask a license server for: `--sealed` and `--plain`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import click

from drm.app.rights.license_forms import LicenseForm
from drm.errors import InvalidArgumentError

__all__ = ["form_options"]

_Result = TypeVar("_Result")


def form_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` the two options; it gets one argument `form: LicenseForm`. Both at once are a usage error."""

    @click.option(
        "--sealed", is_flag=True, help="Take sealed licenses alone. [default: if the server says that it has them]"
    )
    @click.option("--plain", is_flag=True, help="Ask for plain Clear Key licenses, without asking what there is.")
    @functools.wraps(command)
    def with_form(*args: object, sealed: bool, plain: bool, **options: object) -> _Result:
        if sealed and plain:
            raise InvalidArgumentError("--sealed and --plain exclude each other", remedy="leave one of them out")
        form = LicenseForm.SEALED if sealed else LicenseForm.PLAIN if plain else LicenseForm.AUTO
        return command(*args, form=form, **options)

    return with_form
