"""The proof of what an image holds: every file of every layer is looked at, nothing is unpacked or run.

From the top down, each module using only those below it:

members     compares the members of a list
check       holds an image to the rules: the findings and the report
machine, linking, natives, scripts, pythons, leftovers    the rules, a subject each
root        finds files as a loader and a kernel do
layers      scans the layers of images, several at a time
rootfs      lays scans over each other: the files that a container would see
scan        reads one layer
content     what is known of a file
dynamic, bundle, zipfiles, families    ELF files and archives
archive     the images and layers of an archive that ``docker image save`` wrote
findings    what is found, by which of archway.rules
elf         which processor an ELF file is for
streams     unpacks data, and compares it with its digest
documents   the JSON documents of an archive
tar         reads tar archives, and limits how much is read
"""

from archway.verify.archive import Archive, Image, Layer, open_archive
from archway.verify.check import check_archive
from archway.verify.elf import CutShort, ElfHeader, read_header
from archway.verify.findings import Allowed, Finding, Report
from archway.verify.rootfs import File, flatten
from archway.verify.scan import Scan
from archway.verify.tar import Budget, Limits, printable

__all__ = [
    "Allowed",
    "Archive",
    "Budget",
    "CutShort",
    "ElfHeader",
    "File",
    "Finding",
    "Image",
    "Layer",
    "Limits",
    "Report",
    "Scan",
    "check_archive",
    "flatten",
    "open_archive",
    "printable",
    "read_header",
]
