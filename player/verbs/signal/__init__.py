"""`clearkey signal`: rewrite a manifest so that browsers' players play it with Clear Key, or say why they do not."""

from __future__ import annotations

import click

from drm.manifests.forms import Player
from drm.media import Scheme
from player.verbs.signal.run import SignalRequest, signal

__all__ = ["command"]

_ALL = "all"


@click.command("signal")
@click.argument("manifest", metavar="MANIFEST", type=click.Path())
@click.option("--license-url", metavar="URL", help="Where players ask for licenses.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Where to write, beside the manifest. [default: standard output]")  # fmt: skip
@click.option("--keys-base", metavar="URL",
              help="Where Shaka Player fetches keys of HLS. [default: hls/key beside the license URL]")  # fmt: skip
@click.option("--for", "player", type=click.Choice([_ALL, *(each.value for each in Player)]), default=_ALL,
              show_default=True, help="The player to write for; HLS with cbcs needs a playlist for each.")  # fmt: skip
@click.option("--kid", metavar="KID", help="The key id, where initialization segments cannot be read.")
@click.option("--scheme", type=click.Choice(["cenc", "cbcs"]), help="The scheme, likewise.")
@click.option("--only", is_flag=True, help="Take other protection systems out: browsers may choose them first.")
@click.option("--check", is_flag=True, help="Only say what players make of the manifest as it is.")
@click.option("--json", "as_json", is_flag=True, help="Print verdicts as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    manifest: str,
    license_url: str | None,
    output: str | None,
    keys_base: str | None,
    player: str,
    kid: str | None,
    scheme: str | None,
    only: bool,
    check: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Rewrite MANIFEST, an MPD or HLS playlist of any packager, into the form that plays with Clear Key.

    Only what signals Clear Key changes. Key ids come from the manifest, or from the initialization segments beside it.
    A multivariant playlist takes the playlists that it names along, each beside itself as OUTPUT-NAME.

    That it plays is said only where initialization segments were read and agree. Exit code 0: a player plays it, or it
    was rewritten and nothing contradicts it; 3: no player plays it; 4: not known with --check, and otherwise something
    is missing and nothing was written; 5: --kid is no KID of the media.
    """
    return signal(
        SignalRequest(
            manifest=manifest,
            output=output,
            license_url=license_url,
            keys_base=keys_base,
            player=None if player == _ALL else Player(player),
            kid=kid,
            scheme=Scheme(scheme) if scheme else None,
            only_clearkey=only,
            check=check,
            as_json=as_json,
            quiet=quiet,
        )
    )
