"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

# The tests import what rust-builder holds, from the folder that is its build context: nothing must be written there.
sys.pycache_prefix = str(Path(__file__).parents[1] / ".archway" / "pycache")
