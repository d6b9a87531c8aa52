"""Where the `clearkey` command begins: usual decryption and encryption start at once, the rest with the whole command.

Click and what the verbs need cost 40 ms to import, which is what decrypting 100 MB costs. So nothing is imported here
before it is known to be needed.
"""

from __future__ import annotations

import os
import sys

from player.guarded_output import guard_output

__all__ = ["main"]


def main() -> None:
    """Run the command and exit with its code."""
    guard_output()
    argv = sys.argv[1:]
    if argv[:1] == ["decrypt"]:
        from player.quick.decrypt import decrypt_at_once  # noqa: PLC0415 - see above

        code = decrypt_at_once(argv[1:])
        if code is not None:
            # The file is complete and everything is said. The interpreter's own tidying would add a tenth of the time.
            sys.stderr.flush()
            os._exit(code)
    elif argv[:1] == ["encrypt"]:
        from player.quick.encrypt import encrypt_at_once  # noqa: PLC0415 - see above

        code = encrypt_at_once(argv[1:])
        if code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    from player.cli import main as whole  # noqa: PLC0415 - see above

    whole()


if __name__ == "__main__":
    main()
