"""``cargo-image``: what rust-builder does for a Dockerfile.

    cargo-image dependencies    fetch and compile what the project in this folder stands on
    cargo-image build           compile the project, and put its programs into /out/usr/local/bin
    cargo-image openssl         print what is to be done about OpenSSL, as JSON
    cargo-image configure       print Cargo's configuration for all tool chains

The platform is TARGETPLATFORM; what is wanted of the project stands in .cargo-image.toml.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cargo_image import driver, patch, toolchain
from cargo_image.errors import CargoImageError
from cargo_image.project import read_wishes


def main(words: list[str] | None = None) -> int:
    """Run one command; 1 is the exit code of a mistake that can be mended."""
    parser = argparse.ArgumentParser(prog="cargo-image", description="Builds a Cargo project for an image's platform.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("dependencies", help="fetch and compile what the project stands on")
    commands.add_parser("build", help="compile the project; its programs are put into /out/usr/local/bin")
    commands.add_parser("configure", help="print Cargo's configuration for all tool chains")
    openssl = commands.add_parser("openssl", help="print what is to be done about OpenSSL, as JSON")
    openssl.add_argument("--target", action="append", required=True, help="a triple; can be repeated")
    openssl.add_argument("--undo", action="store_true", help="take back what was added")
    options = parser.parse_args(words)
    try:
        match options.command:
            case "configure":
                print(toolchain.configuration(toolchain.read()), end="")
            case "openssl":
                print(patch.report(Path.cwd(), options.target, undo=options.undo))
            case command:
                chain = toolchain.of_platform(os.environ.get("TARGETPLATFORM", ""))
                driver.require_project(Path.cwd())
                job = driver.Job(wishes=read_wishes(Path.cwd()), toolchain=chain)
                driver.dependencies(job) if command == "dependencies" else driver.build(job)
    except CargoImageError as failed:
        print(f"cargo-image: error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
