"""Remedies for publishers of components."""

from __future__ import annotations

from tests.interop.remedies.case import Cases

case = Cases()
_NAMED = "--authority authority"
_KNOWN = "export CLEARKEY_AUTHORITY_PASSPHRASE='a passphrase of tests';"
_MADE = (f"{_KNOWN} clearkey authority init {_NAMED} --root-keys 1 --root-threshold 1",)

case(2, f"clearkey authority status {_NAMED}", "make one with `clearkey authority init`", *_MADE,
     f"clearkey authority status {_NAMED}")  # fmt: skip
case(5, f"clearkey authority init {_NAMED}", "set {PASSPHRASE_VARIABLE} in the environment", *_MADE)
case(2, f"{_KNOWN} clearkey authority publish {_NAMED}", "run `clearkey authority sign FOLDER` first",
     f"{_KNOWN} clearkey authority sign \"$SOURCE/ita\" {_NAMED}", f"{_KNOWN} clearkey authority publish {_NAMED}",
     before=_MADE)  # fmt: skip
case(2, f"{_KNOWN} clearkey authority init {_NAMED} --life nobody=3", "a role is {', '.join(ROLES)}",
     f"{_KNOWN} clearkey authority init {_NAMED} --life timestamp=3")  # fmt: skip
case(2, f"{_KNOWN} clearkey authority revoke --reason flaw {_NAMED}", "give --version, --below, --sha256 or --key",
     f"{_KNOWN} clearkey authority status {_NAMED}", before=_MADE)  # fmt: skip
case(2, f"{_KNOWN} clearkey authority init --authority \"$SOURCE/authority\"", "name another folder with --authority",
     *_MADE)  # fmt: skip
