"""Scans layers of an archive in a process of its own: ``python -P -m archway.verify.worker ARCHIVE COUNT LAYER…``.

A line of JSON a layer, in which :attr:`Scan.name` is the layer's identity. ``COUNT`` is how many processes share the
limits.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from archway.errors import VerifyError
from archway.verify.archive import open_archive
from archway.verify.scan import scan
from archway.verify.tar import Limits


def main(path: str, count: int, wanted: set[str]) -> int:
    """:returns: an exit code: 0 if all were scanned"""
    whole = Limits()
    limits = Limits(data=whole.data // count, entries=whole.entries // count, names=whole.names // count)
    try:
        with open_archive(path, limits=limits) as archive:
            layers = {layer.identity: layer for image in archive.images() for layer in image.layers}
            for identity in wanted:
                print(replace(scan(layers[identity], archive.budget), name=identity).as_json())
    except (VerifyError, ValueError, KeyError, KeyboardInterrupt):
        return 1  # who started this does it again, and tells the error
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), set(sys.argv[3:])))
