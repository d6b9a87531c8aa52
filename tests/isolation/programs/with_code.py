"""Stands in for drm/pmp/__main__.py: has memory that is no file's made to be executed, and then runs that very file."""

import mmap
import sys

ENTRY = next(word.partition("=")[2] for word in sys.argv if word.startswith("entry="))
sys.argv = [word for word in sys.argv if not word.startswith("entry=")]
CODE = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC)

with open(ENTRY, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be one more module
    code = compile(file.read(), ENTRY, "exec")
exec(code, {"__name__": "__main__", "__file__": ENTRY})
