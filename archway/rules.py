"""The rules that a monorepo and its images are held to: what each means, why, and what to do about a finding.

docs/verify.md has them as a table, which a test compares with this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    """What a rule looks at."""

    DOCKERFILE = "Dockerfile"
    IMAGE = "image"
    LIST = "list"
    METADATA = "image.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. ``title`` says what is wrong, as a heading; ``why`` what comes of it; ``mend`` what to do.

    ``exempt`` is whether an exception with a reason can allow a finding: inline for Dockerfiles, ``[[verify.allow]]``
    for what images hold. ``refuses`` is whether ``inv build`` begins nothing while there is a finding.
    """

    id: str
    subject: Subject
    title: str
    why: str
    mend: str
    exempt: bool = True
    refuses: bool = False

    def text(self) -> str:
        """The explanation, as ``inv verify --explain`` prints it."""
        match self.subject, self.exempt:
            case Subject.DOCKERFILE, True:
                allow = f"Allowed by a line above the instruction: # archway: allow {self.id}: REASON"
            case _, True:
                allow = f'Allowed by [[verify.allow]] in image.toml, with path, reason, and rule = "{self.id}".'
            case _:
                allow = "Cannot be allowed."
        return f"{self.id} ({self.subject}): {self.title}\n\n{self.why}\n\n{self.mend}\n\n{allow}"


_DOCKERFILE, _IMAGE, _LIST, _METADATA = Subject.DOCKERFILE, Subject.IMAGE, Subject.LIST, Subject.METADATA

_ALL = (
    # ------------------------------------------------------------------------------------------------- before building
    Rule(
        id="base-missing", subject=_DOCKERFILE, exempt=False, refuses=True,
        title="an image from elsewhere does not exist",
        why="FROM, COPY --from or RUN --mount=from names a tag or digest that its registry does not have.",
        mend="Correct the name; the message has the nearest tags, where the repository has any.",
    ),
    Rule(
        id="base-platform", subject=_DOCKERFILE, exempt=False, refuses=True,
        title="an image from elsewhere lacks a platform",
        why="BuildKit only warns, and gives the image of another platform the label of the wanted one.",
        mend="Use another image or tag that has the platform, or leave the platform out in image.toml.",
    ),
    Rule(
        id="base-pinned-member", subject=_DOCKERFILE, exempt=False, refuses=True,
        title="a digest pins the image of one platform",
        why="The digest names one member of a manifest list, so that every platform is built on that member's.",
        mend="Pin the digest of the list; the message has it where a tag tells which list is meant.",
    ),
    Rule(
        id="base-unknown", subject=_DOCKERFILE, exempt=False,
        title="an image from elsewhere could not be looked up",
        why="The registry does not answer or refuses, so that nobody knows which platforms the image has.",
        mend="Try again, or log in with docker login. A build asks the same registry and stops there as well.",
    ),
    Rule(
        id="arg-default", subject=_DOCKERFILE, exempt=False, refuses=True,
        title="a default for an argument that the build sets",
        why="ARG TARGETARCH=amd64 hides the value that BuildKit has for each platform: all images get amd64's files.",
        mend="Write ARG TARGETARCH, without a default.",
    ),
    Rule(
        id="arg-scope", subject=_DOCKERFILE,
        title="an argument is used where it is not declared",
        why="An ARG is known from its line to the end of its stage, one before the first FROM in no stage at all:"
        " elsewhere the name stands for an empty text, and the build goes on.",
        mend="Declare it again in this stage: ARG NAME.",
    ),
    Rule(
        id="final-platform", subject=_DOCKERFILE, refuses=True,
        title="the final stage is pinned to a platform",
        why="With --platform=$BUILDPLATFORM or a fixed platform the image holds one platform's files, whatever its"
        " label says.",
        mend="Write FROM without --platform; what runs on the machine that builds belongs in a stage before it.",
    ),
    Rule(
        id="platform-constant", subject=_DOCKERFILE,
        title="a stage is pinned to one platform",
        why="--platform=linux/amd64 makes the stage run under emulation on every other machine, and its programs"
        " foreign in every other image.",
        mend="Write --platform=$BUILDPLATFORM for tools, or no --platform for what is shipped.",
    ),
    Rule(
        id="arch-word", subject=_DOCKERFILE,
        title="an architecture is written out in a name",
        why="A download, copy or package named for one architecture is the wrong one for all others.",
        mend="Use the build argument that has the word: TARGETARCH (amd64, arm64), TARGET_UNAME (x86_64, aarch64),"
        " TARGET_DEBIAN, TARGET_RUST, TARGET_MAVEN, TARGET_NODE. docs/image-toml.md has the table.",
    ),
    Rule(
        id="uname", subject=_DOCKERFILE,
        title="a $BUILDPLATFORM stage asks the machine for its architecture",
        why="uname -m, arch and dpkg --print-architecture tell the platform of the machine that builds, not of the"
        " image.",
        mend="Use ARG TARGETARCH, TARGET_UNAME, TARGET_DEBIAN … instead.",
    ),
    Rule(
        id="target-run", subject=_DOCKERFILE,
        title="a RUN in a stage of the target's platform",
        why="For another platform than the machine's it runs under QEMU: ten times as slow, and now and then it"
        " crashes.",
        mend="Prepare the files in a stage FROM --platform=$BUILDPLATFORM and copy them. docs/images.md shows how.",
    ),
    Rule(
        id="allow-unused", subject=_METADATA, exempt=False,
        title="an exception allows nothing",
        why="What it allowed is gone; left in place, it would hide the next fault of that kind.",
        mend="Delete it.",
    ),
    Rule(
        id="allow-malformed", subject=_DOCKERFILE, exempt=False,
        title="an exception cannot be read",
        why="It names no rule that exists, or gives no reason; it allows nothing.",
        mend="Write: # archway: allow RULE: REASON",
    ),
    # -------------------------------------------------------------------------------------------- what an image holds
    Rule(
        id="unproven", subject=_IMAGE, exempt=False,
        title="an image that was asked for could not be looked at",
        why="It is neither built here nor published, or cannot be read: nobody knows what it holds.",
        mend="Build it (inv build), or look at why it cannot be read; the message says which.",
    ),
    Rule(
        id="config-platform", subject=_IMAGE, exempt=False,
        title="the image says that it is for another platform",
        why="Engines choose by what the configuration and the index say.",
        mend="Build it for the platform again; look for a base that lacks the platform.",
    ),
    Rule(
        id="empty", subject=_IMAGE, exempt=False,
        title="the image holds no file",
        why="Nothing was copied into it, so there is nothing to prove.",
        mend="Look at the COPY instructions of its final stage.",
    ),
    Rule(
        id="link-lost", subject=_IMAGE,
        title="a hard link leads to nothing that can be known",
        why="Engines differ in what they find there, so that nothing can be proven of it.",
        mend="Build the layer again with an ordinary copy of the file.",
    ),
    Rule(
        id="elf-machine", subject=_IMAGE,
        title="a program or library of another platform",
        why="It ends with exec format error, or cannot be loaded.",
        mend="Find the stage that brought it (the message has the layer); it was built or downloaded for another"
        " platform.",
    ),
    Rule(
        id="elf-truncated", subject=_IMAGE,
        title="a program or library that is cut short",
        why="An interrupted download or copy left its first bytes only.",
        mend="Build the image again; check downloads with a digest.",
    ),
    Rule(
        id="elf-interpreter", subject=_IMAGE,
        title="a program whose dynamic loader is not there",
        why="The kernel answers not found although the file is there: a glibc program in a musl image, often.",
        mend="Install the C library it was linked with, or take the program built for this one.",
    ),
    Rule(
        id="elf-needed", subject=_IMAGE,
        title="a library that a program needs is not there",
        why="The loader ends the program at its start, or where it first loads the library.",
        mend="Install the package that has the library; if the program is never run, allow it with that reason.",
    ),
    Rule(
        id="elf-version", subject=_IMAGE,
        title="a library is older than a program needs",
        why="The program was linked on a newer system (version GLIBC_2.38 not found).",
        mend="Build it on what the image stands on, or take a newer base.",
    ),
    Rule(
        id="native-missing", subject=_IMAGE,
        title="an archive has native code, but none for this platform",
        why="The JAR starts everywhere and fails with UnsatisfiedLinkError where it first needs the library.",
        mend="Take a version or classifier that has the platform. If the product runs without the library, allow it"
        " with that reason.",
    ),
    Rule(
        id="native-misplaced", subject=_IMAGE,
        title="native code that is not what its name says",
        why="The name has one architecture's word and the file is of another: it is loaded there, and fails.",
        mend="Build the archive again with the right file.",
    ),
    Rule(
        id="archive-unread", subject=_IMAGE,
        title="an archive cannot be looked into",
        why="What is encrypted, damaged, or nested too deep is not proven.",
        mend="Ship it unpacked, or allow it with the reason why it holds no native code.",
    ),
    Rule(
        id="wheel-platform", subject=_IMAGE,
        title="a Python package for another platform",
        why="Its WHEEL file or the names of its modules have another platform, so that Python does not load them.",
        mend="Install it for the target: pip install --platform … --only-binary=:all:",
    ),
    Rule(
        id="script-interpreter", subject=_IMAGE,
        title="a script whose interpreter is not there",
        why="Started, it ends with not found.",
        mend="Install the interpreter, correct the first line, or leave the script out.",
    ),
    Rule(
        id="leftover-emulator", subject=_IMAGE,
        title="an emulator of the machine that built the image",
        why="QEMU or Rosetta was copied in, or left its cache: foreign, large, and of no use.",
        mend="Register QEMU with flag F (inv setup), so that nothing has to be copied.",
    ),
    Rule(
        id="leftover-cache", subject=_IMAGE,
        title="a package manager's cache",
        why="It makes the image larger, and holds what was never checked as part of it.",
        mend="Put the cache in RUN --mount=type=cache, or delete it in the RUN that made it.",
    ),
    Rule(
        id="leftover-ca", subject=_IMAGE,
        title="a certificate authority that no package brings",
        why="The build machine's own (a company's proxy) would be trusted wherever the image runs.",
        mend="Give it to builds as the secret ca (docs/settings.md), which leaves nothing behind. One that belongs"
        " there is allowed with that reason.",
    ),
    Rule(
        id="leftover-key", subject=_IMAGE,
        title="a private key or a password file",
        why="Everyone who can pull the image has it, also from a lower layer that an upper one deletes it from.",
        mend="Use a BuildKit secret, revoke the key, and build again.",
    ),
    Rule(
        id="leftover-mirror", subject=_IMAGE,
        title="a setting of the build machine: a mirror or a proxy",
        why="The image would look for packages in a network that it does not run in.",
        mend="Give it to builds as a secret or argument (docs/settings.md).",
    ),
    Rule(
        id="leftover-bytecode", subject=_IMAGE,
        title="compiled Python of an interpreter that is not there",
        why="The Python of the machine that built the image compiled it; the image's never reads it.",
        mend="Set PYTHONDONTWRITEBYTECODE=1 in the build, or compile with the image's own Python.",
    ),
    # ------------------------------------------------------------------------------------------- the members of a list
    Rule(
        id="list-files", subject=_LIST,
        title="a file that only one member has",
        why="The same release differs between platforms by more than the names of architectures.",
        mend="Bring it into all members. What a platform must have alone is allowed with that reason.",
    ),
    Rule(
        id="list-shared-layer", subject=_LIST, exempt=False,
        title="members share a layer that holds programs",
        why="A layer with programs of one platform stands in the images of two: one of them is mixed.",
        mend="Look for a final stage with --platform, or a COPY --from a $BUILDPLATFORM stage that compiled for the"
        " machine.",
    ),
)  # fmt: skip

RULES = {rule.id: rule for rule in _ALL}

EXEMPT = frozenset(rule.id for rule in _ALL if rule.exempt and rule.subject in (Subject.IMAGE, Subject.LIST))
"""The rules that take exceptions in ``image.toml``; Dockerfiles have theirs in comments."""
