"""The `clearkey` command. Verbs load lazily, so that `--help` costs no media or crypto library."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from drm.errors import DRMError, ExitCode, InvalidArgumentError
from drm.whole_file import InputTargetError, TargetError

__all__ = ["main"]

_VERBS: Final = {
    "demo": "make a sample, start the license server, play it protected, leave a report",
    "play": "play a file inside the locked-down worker",
    "serve": "run the Clear Key license server",
    "keys": "make, import, list, convert and check keys",
    "inspect": "show tracks, schemes, KIDs, pssh and the box tree of a file",
    "digest": "hash the decrypted samples of each track",
    "decrypt": "write the decrypted file",
    "encrypt": "write the encrypted file",
    "package": "make DASH and HLS for browsers out of a clear file",
    "signal": "rewrite a manifest so that browsers play it, or say why they do not",
    "pssh": "make, read, compare and insert pssh boxes",
    "trace": "print what a session does and says, event by event",
    "components": "list, verify and renew the components that a worker runs",
    "authority": "sign, publish and revoke components",
    "doctor": "show what isolation this machine gives",
    "pmp-service": "run workers under an account of their own (level 3)",
    "explain": "say what an error code means, and what to do about it",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"player.verbs.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of a pipe went away: not our failure, though click would say so. What is still buffered must
            # go somewhere when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(ExitCode.GOOD) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="clearkey", prog_name="clearkey")
def _clearkey() -> None:
    """Clear Key DRM, whole: packaging, license server, and playback on a protected media path."""


def main(argv: list[str] | None = None) -> None:
    """Run the command and exit with its code. A failure is one paragraph on stderr, never a traceback."""
    try:
        result = _clearkey.main(args=argv, prog_name="clearkey", standalone_mode=False)
    except DRMError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except TargetError as error:
        refused = InvalidArgumentError(f"cannot write {error.filename}: {error.strerror}")
        if isinstance(error, InputTargetError):
            refused.remedy = "give -o another name; encrypt and decrypt replace their input with --in-place"
        click.echo(refused.render(), err=True)
        sys.exit(refused.exit_code)
    except OSError as error:
        click.echo(f"error: {error.strerror or error}: {error.filename or 'no file named'}  [E-UNEXPECTED]", err=True)
        sys.exit(ExitCode.UNEXPECTED)
    except Exception as error:
        # A fault of ours. The paragraph is for the user, the traceback for whoever wants to mend it.
        if os.environ.get("CLEARKEY_TRACEBACK"):
            raise
        fault = DRMError(
            f"a fault in clearkey itself: {type(error).__name__}: {error}",
            remedy="repeat with CLEARKEY_TRACEBACK=1 in the environment, and report what it shows",
        )
        click.echo(fault.render(), err=True)
        sys.exit(ExitCode.UNEXPECTED)
    sys.exit(result if isinstance(result, int) else ExitCode.GOOD)


if __name__ == "__main__":
    main()
