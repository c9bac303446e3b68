"""The edit that has OpenSSL built from source: a few lines at the end of one Cargo.toml, and what follows in the lock.

The lines ask for openssl-sys with its feature ``vendored``, for one target, in the package that owns the binaries.
Cargo unites the features that are asked for anywhere, so no line of the user is touched, whatever entries there are,
and to take the edit back is to take these lines out. Edits are made in a stand-in of the user's files, and are
returned only if Cargo accepts them and nothing else changed in the lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cargo_image.block import Block, add, remove, spellings
from cargo_image.cargo import Package, metadata, resolve, run_cargo
from cargo_image.errors import CargoImageError
from cargo_image.lock import unwanted_changes
from cargo_image.openssl import SYS, VENDORED, State, Verdict
from cargo_image.project import Project
from cargo_image.scratch import Scratch, scratch
from cargo_image.tree import Node, dependency_tree
