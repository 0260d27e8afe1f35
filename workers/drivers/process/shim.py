"""The shim's entry: `python -I -S shim.py <folder> <lock fd> <control fd>`. Knows where the package is, nothing else.

Ends at once, with 0, when the job counts as started; what stays behind is described in `guard`.
"""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH100
from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # At the end, so that nothing here (platform/, docker/) hides a module of Python's own.
    sys.path.append(os.path.abspath(f"{__file__}/../../../.."))
    from workers.drivers.process.guard import launch

    launch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
