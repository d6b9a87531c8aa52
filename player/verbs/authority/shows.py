"""The verbs of `clearkey authority` that look: they need no passphrase and change nothing that is published."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from drm.app.components.installed import component_folders
from drm.class_ids import BUILT_IN
from drm.errors import ExitCode
from drm.trust.authority.bundling import refuse_other_content, write_bundle
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import check_published, root_bytes
from drm.trust.authority.source_folder import archive_of
from drm.trust.authority.status import RoleStatus, Status, status_of
from player.json_output import encode_json
from player.one_line import echo_line
from player.options import open_output
from player.verbs.authority.options import authority_options

__all__ = ["COMMANDS"]

_ROW: Final = "{:<12} {:>8}  {:<9} {:<10} {:<11} {}"


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@authority_options()
def _status(home: AuthorityHome, as_json: bool) -> None:
    """Show the roles with their keys and days left, what is published, and what is revoked."""
    status = status_of(home)
    if as_json:
        click.echo(encode_json(status))
        return
    for line in _lines(status):
        echo_line(line)
    for warning in status.warnings:
        echo_line(f"warning: {warning}", err=True)


@click.command("verify")
@click.option("--root", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The root that clients pin. [default: the first one that was published]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@authority_options()
def _verify(home: AuthorityHome, root: Path | None, as_json: bool) -> int:
    """Verify what is published with the verifier that clients use, and read every archive."""
    home.trust()  # says so where there is no authority
    trust = check_published(home.trees.published, root.read_bytes() if root else None)
    now = home.now()
    expired = sorted(role for role, expires in trust.expiries.items() if expires <= now)
    if as_json:
        fields = {
            "verified": True,
            "versions": trust.versions,
            "expires": trust.expiries,
            "expired": expired,
            "components": len(trust.components),
            "list_version": trust.revocations.version,
            "freshness": trust.freshness(now).value,
        }
        click.echo(encode_json(fields))
    else:
        versions = ", ".join(f"{role} {version}" for role, version in trust.versions.items())
        click.echo(f"verified: {versions}")
        click.echo(f"{len(trust.components)} components, revocation list {trust.revocations.version}")
        for role in expired:
            click.echo(
                f"warning: {role} expired on {trust.expiries[role]:%Y-%m-%d}: clients refuse to update", err=True
            )
    return ExitCode.NOT_ALLOWED if expired else ExitCode.GOOD


@click.command("export-root")
@click.option("-o", "--output", metavar="FILE", default="-", show_default=True, help="The file to write; -: stdout.")
@click.option("--number", metavar="N", type=click.IntRange(1), help="Another version than the newest.")
@authority_options()
def _export_root(home: AuthorityHome, output: str, number: int | None) -> None:
    """Write the root that clients pin: public keys and signatures, no secret."""
    home.trust()
    data = root_bytes(home.trees.published, number)
    with open_output(output) as target, open(target, "wb", closefd=False) as file:
        file.write(data)


@click.command("bundle")
@click.argument("target", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--root", metavar="N", type=click.IntRange(1), help="Pin this root. [default: the newest]")
@click.option(
    "--as-published", is_flag=True, help="Also where this checkout holds other components than are published."
)
@click.option("--url", metavar="URL", default="", help="Where installed packages renew their components from.")
@authority_options()
def _bundle(home: AuthorityHome, target: Path, root: int | None, url: str, *, as_published: bool) -> None:
    """Write root.json and bundle/ into FOLDER, drm/trust of what a wheel is built from: what is published, verified."""
    checkout = target.resolve().parents[1]
    if not as_published:
        refuse_other_content(home, [archive_of(folder) for folder in component_folders(checkout)])
    bundle = write_bundle(home, target, needed=BUILT_IN, root=root, url=url)
    for entry in bundle.entries:
        click.echo(f"{entry.name} v{entry.version}  sha256 {entry.sha256}")
    click.echo(f"bundle:      {target / 'bundle'}, root {bundle.root}, revocation list {bundle.list_version}")
    if not url:
        click.echo("warning: without --url, installed packages have nowhere to learn of revocations", err=True)


def _lines(status: Status) -> list[str]:
    lines = [f"authority:   {status.authority}", f"serve:       {status.repository} (tree {status.tree})", ""]
    lines.append(_ROW.format("role", "version", "signed by", "keys here", "days left", "keys"))
    lines += [_role_line(role) for role in status.roles]
    lines += ["", f"revocation list {status.list_version} of {status.list_issued:%Y-%m-%d}:"]
    lines += [f"  {entry}" for entry in status.revoked] or ["  empty"]
    lines += ["", "components:"]
    lines += [f"  {c.name} v{c.version}  {c.class_id}  sha256 {c.sha256}" for c in status.components] or ["  none"]
    lines += [f"waiting: {name}" for name in status.waiting]
    lines += [f"unused key: {key_id}" for key_id in status.unused_keys]
    if status.unfinished:
        lines.append(f"unfinished: {status.unfinished}")
    return lines


def _role_line(role: RoleStatus) -> str:
    return _ROW.format(
        role.role,
        role.version,
        f"{role.threshold} of {len(role.key_ids)}",
        len(role.keys_here),
        f"{role.days_left:.1f}",
        ", ".join(key_id[:12] for key_id in role.key_ids),
    )


COMMANDS: Final = {command.name: command for command in (_status, _verify, _export_root, _bundle) if command.name}
