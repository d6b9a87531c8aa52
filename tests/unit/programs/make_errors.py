"""Says which class each code of its arguments comes back as, where only the two files of errors are loaded."""

from __future__ import annotations

import sys

import drm.errors
import drm.trust.errors

modules = sorted(sys.modules)

import json  # noqa: E402

found = {"modules": modules}
for code in sys.argv[1:]:
    made = drm.errors.error_from_record(drm.errors.ErrorRecord(code, 1, "what", "where"))
    found[code] = [type(made).__name__, made.code]
print(json.dumps(found))
