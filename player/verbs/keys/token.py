"""`clearkey keys token`: make a token as the operator's own service would, to try a server that asks for one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from drm.rights.policy import parse_policy
from license_server.issuing.token_minting import TokenClaims, make_signing_key, read_signing_key

__all__ = ["COMMANDS"]


@click.command("token")
@click.argument("kids", metavar="[KID]...", nargs=-1)
@click.option(
    "--signing-key", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="A private Ed25519 JWK; made if it is absent, for you alone to read.",
)  # fmt: skip
@click.option(
    "--verifying-key", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the JWK Set for `clearkey serve --tokens-file FILE` there.",
)  # fmt: skip
@click.option("--content", "contents", metavar="NAME", multiple=True, help="Cover the keys of this content.")
@click.option("--life", metavar="SECONDS", type=click.IntRange(1), default=3600, show_default=True)
@click.option("--audience", metavar="NAME", help="The server that it is for.")
@click.option("--subject", metavar="NAME", default="", help="The viewer, as the audit log shows it.")
@click.option("--id", "token_id", metavar="JTI", help="Its id: it is good for one license then.")
@click.option("--reusable", is_flag=True, help="With --id: for any number, until it is revoked.")
@click.option("--policy", "rules", metavar="JSON", help='Rules of its own, as in {"sealed_only": true}.')
def _token(
    kids: tuple[str, ...],
    signing_key: Path,
    verifying_key: Path | None,
    contents: tuple[str, ...],
    life: int,
    audience: str | None,
    subject: str,
    token_id: str | None,
    reusable: bool,
    rules: str | None,
) -> None:
    """Print a token for these KIDs, and for every key if neither KIDs nor contents are named."""
    if signing_key.exists():
        key = read_signing_key(signing_key)
    else:
        key = make_signing_key(signing_key)
        click.echo(f"made a signing key in {signing_key}", err=True)
    if verifying_key is not None:
        verifying_key.write_text(json.dumps({"keys": [key.public()]}) + "\n", encoding="utf-8")
    claims = TokenClaims(
        kids=tuple(KeyId.parse(text) for text in kids),
        contents=contents,
        life=life,
        audience=audience,
        subject=subject,
        token_id=token_id,
        reusable=reusable,
        policy=None if rules is None else parse_policy(_json(rules)),
    )
    click.echo(key.mint(claims, int(time.time())))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgumentError("the rules are not JSON", remedy='as in {"sealed_only": true}') from None


COMMANDS: Final = {"token": _token}
