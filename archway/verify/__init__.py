"""The proof of what an image holds: every file of every layer is looked at, nothing is unpacked or run.

From the top down, each module using only those below it:

findings   compares an image with a platform: the findings and the report
elf        which processor an ELF file is for
rootfs     lays layers over each other: the files that a container would see
archive    the images and layers of an archive that ``docker image save`` wrote
streams    unpacks data, and compares it with its digest
documents  the JSON documents of an archive
tar        reads tar archives, and limits how much is read
"""

from archway.verify.archive import Archive, Image, Layer, open_archive
from archway.verify.elf import CutShort, ElfHeader, read_header
from archway.verify.findings import Allowed, Finding, Report, check_archive, check_file
from archway.verify.rootfs import File, flatten
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
    "check_archive",
    "check_file",
    "flatten",
    "open_archive",
    "printable",
    "read_header",
]
