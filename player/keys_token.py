"""`clearkey keys token`: make a token as the operator's own service would, to try a server that asks for one."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import OKPKey

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from drm.policy import parse_policy

__all__ = ["COMMANDS"]

_REGISTRY: Final = jws.JWSRegistry(algorithms=["Ed25519"])


@click.command("token")
@click.argument("kids", metavar="[KID]...", nargs=-1)
@click.option(
    "--signing-key", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="A private Ed25519 JWK; made if it is absent, for you alone to read.",
)  # fmt: skip
@click.option(
    "--verifying-key", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the JWK Set for `clearkey serve --tokens-file` there.",
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
    key = _signer(signing_key)
    if verifying_key is not None:
        verifying_key.write_text(json.dumps({"keys": [_public(key)]}) + "\n", encoding="utf-8")
    claims: dict[str, object] = {"iat": int(time.time()), "exp": int(time.time()) + life}
    claims["kids"] = [KeyId.parse(text).base64url for text in kids] if kids or contents else "*"
    told = {"contents": list(contents), "aud": audience, "sub": subject, "jti": token_id, "reusable": reusable}
    claims |= {name: value for name, value in told.items() if value}
    if rules is not None:
        claims["policy"] = msgspec.to_builtins(parse_policy(_json(rules)))
    header = {"alg": "Ed25519", "typ": "JWT", "kid": key.thumbprint()}
    click.echo(jws.serialize_compact(header, msgspec.json.encode(claims), key, registry=_REGISTRY))


def _signer(path: Path) -> OKPKey:
    if not path.exists():
        made = OKPKey.import_key(Ed25519PrivateKey.generate())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made.as_dict(private=True), file)
        click.echo(f"made a signing key in {path}", err=True)
        return made
    try:
        key = OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
        if key.is_private and key.curve_name == "Ed25519":
            return key
    except Exception:  # noqa: BLE001, S110 - whatever a library makes of a bad key; its words may repeat it
        pass
    raise InvalidArgumentError("this is no private Ed25519 JWK", where=str(path))


def _public(key: OKPKey) -> dict[str, str]:
    whole = key.as_dict(private=False)
    return {name: str(whole[name]) for name in ("kty", "crv", "x")} | {"kid": key.thumbprint(), "alg": "Ed25519"}


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgumentError("the rules are not JSON", remedy='as in {"sealed_only": true}') from None


COMMANDS: Final = {"token": _token}
