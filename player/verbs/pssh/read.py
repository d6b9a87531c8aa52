"""`clearkey pssh show` and `compare`: what inputs say about key ids and systems."""

from __future__ import annotations

from typing import Final

import click

from drm.errors import ExitCode
from player.json_output import encode_json
from player.one_line import echo_line
from player.verbs.pssh.comparison import compare_inputs, compare_within
from player.verbs.pssh.inputs import read_input
from player.verbs.pssh.lines import as_json, as_lines

__all__ = ["COMMANDS"]


@click.command("show")
@click.argument("told", metavar="FILE|BASE64|HEX|-")
@click.option("--json", "json", is_flag=True, help="Print one JSON object.")
def _show(told: str, *, json: bool) -> None:
    """Show the pssh boxes and key ids of an MP4, a WebM, an MPD, an HLS playlist, "keyids" JSON, base64 or hex.

    Of Widevine's and PlayReady's boxes the data is read too; of an MP4 also the KIDs that its samples use.
    """
    found = read_input(told)
    if json:
        click.echo(encode_json(as_json(found)))
        return
    for line in as_lines(found):
        echo_line(line)


@click.command("compare")
@click.argument("one", metavar="A")
@click.argument("other", metavar="[B]", required=False)
@click.option("--json", "json", is_flag=True, help="Print one JSON object.")
def _compare(one: str, other: str | None, *, json: bool) -> int:
    """Say how A and B differ in key ids and systems. A alone: do its boxes name the KIDs that its samples use?

    A and B are what `show` takes. Exit code 0: nothing differs in meaning; 1: something does.
    """
    first = read_input(one)
    found = compare_within(first) if other is None else compare_inputs(first, read_input(other))
    differs = any(each.differs for each in found)
    if json:
        click.echo(encode_json({"schema": "clearkey-pssh-compare", "version": 1, "findings": found}))
    else:
        for each in found:
            echo_line(each.text if each.differs else f"note: {each.text}")
        if not differs:
            click.echo("no difference")
    return ExitCode.UNEXPECTED if differs else ExitCode.GOOD


COMMANDS: Final = {"show": _show, "compare": _compare}
