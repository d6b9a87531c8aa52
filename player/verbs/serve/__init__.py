"""`clearkey serve`: the license server, until it is told to stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError
from drm.launch.device_key import home_folder
from license_server.cors import Cors
from license_server.decisions import DeviceRules
from license_server.issuing.rate_limits import DEFAULT_LIMIT, Limit
from license_server.issuing.token_keys import MAX_TOKENS_FILE, TokenKeys, parse_token_keys
from license_server.packagers.signers import MAX_SIGNERS_FILE, Signer, parse_signers
from license_server.pages.admission import PageRules
from license_server.rules import ServerRules
from license_server.serving.log import log_to_stderr
from license_server.serving.serve import DEFAULT_PORT, Settings, serve
from license_server.serving.tls import Certificate, load_certificate, make_certificate
from license_server.store.audit import AuditMode
from player.options import read_keys_file
from player.verbs.serve.settings import admin_rules, is_this_machine, page_rules, read_config, sign_in_url

__all__ = ["command"]


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "serve",
    short_help="Run the Clear Key license server.",
    context_settings={"auto_envvar_prefix": "CLEARKEY_SERVE"},
)
@click.option(
    "--config",
    metavar="FILE",
    type=_FILE,
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="TOML with these options by their names; CLEARKEY_SERVE_PORT and so on win over it, and options over both.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve.")
@click.option(
    "--keys-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Keys to serve: a keys file in any form, as a JWK Set or lines KID:KEY; alone, they are forgotten at the end.",
)
@click.option(
    "--store",
    metavar="PATH|URL",
    help="The key store: a file, made if it is absent, or postgresql://… [default: one in the user's data folder]",
)
@click.option(
    "--kek-file",
    metavar="FILE",
    type=_FILE,
    help="The key that wraps the stored keys; or CLEARKEY_KEK; or one beside the store, which protects nothing.",
)
@click.option(
    "--devices",
    type=click.Choice(["register", "enrolled-only"]),
    default="register",
    show_default=True,
    help="Who gets sealed licenses: any device that registers, or those that `clearkey keys devices` enrolled.",
)
@click.option(
    "--tokens-file",
    metavar="FILE",
    type=_FILE,
    help="A JWK Set of keys that verify tokens (Ed25519, HS256). With it, nobody gets a key without a token.",
)
@click.option("--audience", metavar="NAME", help="That tokens must name in `aud`.")
@click.option(
    "--rate-limit",
    metavar="N/SECONDS",
    help="Attempts for one title, by token or by address; 'off'. [default: 8/10 with tokens, off without]",
)
@click.option(
    "--rate-limit-storage",
    metavar="URI",
    default="memory://",
    help="Where attempts are counted, as in redis://HOST; else each worker counts for itself.",
)
@click.option(
    "--audit",
    type=click.Choice([mode.value for mode in AuditMode]),
    default=AuditMode.QUEUED.value,
    show_default=True,
    help="Write decisions down: in batches; before each answer (sync); or not.",
)
@click.option("--tls", is_flag=True, help="Serve https, with a certificate that is made for this run.")
@click.option("--tls-cert", metavar="FILE", type=_FILE, help="Serve https with this certificate chain (PEM).")
@click.option("--tls-key", metavar="FILE", type=_FILE, help="Its key (PEM).")
@click.option(
    "--tls-save",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the certificate of --tls there, for clients to trust.",
)
@click.option(
    "--trust-proxy",
    is_flag=True,
    help="Believe Forwarded and X-Forwarded-Proto where URLs are made: only a proxy may reach this server then.",
)
@click.option(
    "--components",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A published component repository (`repository` of an authority), to serve at URL/components/.",
)
@click.option(
    "--signers-file",
    metavar="FILE",
    type=_FILE,
    help="Packagers that get keys at URL/packager/getkey: JSON of names, each with its AES or public RSA key.",
)
@click.option("--allow-origin", metavar="ORIGIN", multiple=True, help="Page that may ask. [default: all]")
@click.option("--allow-header", metavar="NAME", multiple=True, help="Request header that pages may send, beside ours.")
@click.option(
    "--pages/--no-pages",
    default=None,
    help="Web pages for the administrator, and for watching. [default: on this machine alone]",
)
@click.option(
    "--admin-password-file",
    metavar="FILE",
    type=_FILE,
    help="Its first line opens the administrator's pages; without it, a link that is printed does, once.",
)
@click.option(
    "--admin-token-file",
    metavar="FILE",
    type=_FILE,
    envvar="CLEARKEY_ADMIN_TOKEN_FILE",
    help="Who may use the API at URL/api/admin/v1: a line NAME TOKEN for each, or one TOKEN.",
)
@click.option(
    "--admin-signing-key",
    metavar="FILE",
    type=_FILE,
    help="Let that API mint tokens, for tests: a private Ed25519 JWK, as `clearkey keys token` makes it.",
)
@click.option(
    "--catalogue",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Films as `clearkey package` makes them, a folder each, to watch and to serve at URL/media/.",
)
@click.option("--faults", is_flag=True, help="Spoil answers on request: /license?fault=html. Never where it counts.")
@click.option("--debug", is_flag=True, help="Flask's own server, in one process.")
@click.option("-v", "--verbose", count=True, help="Log each decision; twice: more.")
def command(
    *,
    host: str,
    port: int,
    workers: int,
    keys_file: str | None,
    store: str | None,
    kek_file: Path | None,
    devices: str,
    tokens_file: Path | None,
    audience: str | None,
    rate_limit: str | None,
    rate_limit_storage: str,
    audit: str,
    tls: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_save: Path | None,
    trust_proxy: bool,
    components: Path | None,
    signers_file: Path | None,
    allow_origin: tuple[str, ...],
    allow_header: tuple[str, ...],
    pages: bool | None,
    admin_password_file: Path | None,
    admin_token_file: Path | None,
    admin_signing_key: Path | None,
    catalogue: Path | None,
    faults: bool,
    debug: bool,
    verbose: int,
) -> int:
    """Serve licenses at URL/license; the first line of output says `license server: URL`.

    Ends at SIGTERM with exit code 0, and at an interrupt (Ctrl-C) with 130.
    """
    log_to_stderr((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    keys = read_keys_file(keys_file) if keys_file is not None else {}
    if store is None and keys_file is None:
        store = str(home_folder() / "license_server" / "keys.db")
    found_pages = page_rules(pages, host, admin_password_file, catalogue, is_https=tls or tls_cert is not None)
    found_certificate = _certificate(host, tls_cert, tls_key, tls_save, is_made=tls)
    rules = ServerRules(
        devices=DeviceRules(enrolled_only=devices == "enrolled-only"),
        cors=Cors(origins=frozenset(allow_origin) or None, headers=(*Cors().headers, *allow_header)),
        components=components,
        tokens=_tokens(tokens_file),
        audience=audience,
        limit=_limit(rate_limit, rate_limit_storage, has_tokens=tokens_file is not None),
        audit=AuditMode(audit),
        has_faults=faults,
        trust_proxy=trust_proxy,
        pages=found_pages,
        signers=_signers(signers_file),
        admin=admin_rules(admin_token_file, admin_signing_key),
    )
    if admin_token_file is not None and found_certificate is None and not is_this_machine(host):
        click.echo("note: without --tls, administrators' tokens and exported keys cross the network in clear", err=True)
    if faults:
        click.echo("note: --faults lets anybody who asks spoil the answers to themselves", err=True)
    return serve(
        Settings(
            host=host,
            port=port,
            store=store,
            kek_file=kek_file,
            keys=keys,
            rules=rules,
            workers=workers,
            certificate=found_certificate,
            is_debug=debug,
        ),
        lambda url: _announce(url, found_pages),
    )


def _tokens(path: Path | None) -> TokenKeys | None:
    if path is None:
        return None
    with path.open("rb") as file:
        return parse_token_keys(file.read(MAX_TOKENS_FILE + 1))


def _signers(path: Path | None) -> Mapping[str, Signer] | None:
    if path is None:
        return None
    with path.open("rb") as file:
        return parse_signers(file.read(MAX_SIGNERS_FILE + 1))


def _limit(text: str | None, storage: str, *, has_tokens: bool) -> Limit | None:
    if text == "off" or (text is None and not has_tokens):
        return None
    return replace(DEFAULT_LIMIT, storage=storage) if text is None else Limit.parse(text, storage)


def _certificate(
    host: str, chain: Path | None, key: Path | None, save: Path | None, *, is_made: bool
) -> Certificate | None:
    if (chain is None) != (key is None):
        raise InvalidArgumentError("--tls-cert and --tls-key go together")
    if chain is not None and key is not None:
        certificate = load_certificate(chain, key)
    elif is_made:
        certificate = make_certificate(host)
    else:
        return None
    if save is not None:
        try:
            save.write_bytes(certificate.chain.read_bytes())
        except OSError as error:
            raise InvalidArgumentError(
                f"the certificate cannot be written: {error.strerror}", where=str(save)
            ) from None
    click.echo(f"certificate SHA-256: {certificate.fingerprint}", err=True)
    if is_made and save is None and chain is None:
        click.echo("note: --tls-save FILE writes it, for clients to trust: clearkey play --cacert FILE", err=True)
    return certificate


def _announce(url: str, pages: PageRules | None) -> None:
    click.echo(f"license server: {url}")  # flushes
    if pages is not None:
        click.echo(f"pages: {sign_in_url(url, pages)}", err=True)
