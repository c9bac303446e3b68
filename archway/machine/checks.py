"""What is there, what is missing, and what would mend it: decided from the facts alone."""

from __future__ import annotations

from archway.machine import checks_docker, emulation, registry, remedies
from archway.machine.facts import Facts, RegistryPort, Wanted, loopback_port, version
from archway.machine.finding import Finding, Status
from archway.platforms import TABLE, Platform
from archway.settings import DEBIAN_IMAGE, DEBIAN_PACKAGES

STATE_MINIMUM = 2**30
OLD_QEMU = (9,)


def findings(facts: Facts, wanted: Wanted) -> tuple[Finding, ...]:
    """Everything that the monorepo needs of a machine, in the order in which it is mended."""
    return (
        _python(facts),
        _processor(facts),
        *_left_over(facts),
        _git(facts, wanted),
        *checks_docker.findings(facts, wanted),
        *_disk_space(facts, wanted),
        _bootstrap(facts, wanted),
        *(_emulation(facts, wanted, platform) for platform in emulation.foreign(facts, wanted)),
        _registry(facts, wanted),
    )


def _python(facts: Facts) -> Finding:
    fine = version(facts.python) >= (3, 11)
    return Finding(
        name="python",
        needed_for="archway",
        status=Status.OK if fine else Status.BROKEN,
        found=facts.python,
        blocks=True,
        advice="" if fine else "use Python 3.11 or newer",
    )


def _processor(facts: Facts) -> Finding:
    known = facts.native is not None
    return Finding(
        name="processor",
        needed_for="everything that is built",
        status=Status.OK if known else Status.BROKEN,
        found=str(facts.native) if known else f"{facts.processor}, which archway does not know",
        blocks=True,
        advice="" if known else f"build on {', '.join(names.oci for names in TABLE)}",
    )


def _left_over(facts: Facts) -> tuple[Finding, ...]:
    if not facts.left_over:
        return ()
    return (
        Finding(
            name="left-over files",
            needed_for="this machine's own packages and services",
            status=Status.BROKEN,
            found=f"archway once wrote {', '.join(facts.left_over)}",
            advice=f"they keep packages from coming or services from starting: rm {' '.join(facts.left_over)}",
            mend=remedies.clean(facts),
        ),
    )


def _git(facts: Facts, wanted: Wanted) -> Finding:
    need = "the revision in labels, and finding what changed"
    if facts.git:
        return Finding(name="git", needed_for=need, status=Status.OK, found=facts.git)
    mend = remedies.install(facts, wanted)
    return Finding(
        name="git", needed_for=need, status=Status.MISSING, found="not on PATH", advice="install git", mend=mend
    )


def _disk_space(facts: Facts, wanted: Wanted) -> tuple[Finding, ...]:
    if facts.free is None:
        return ()
    full = facts.free < STATE_MINIMUM
    return (
        Finding(
            name="disk space here",
            needed_for="root file systems, logs, the loopback registry",
            status=Status.BROKEN if full else Status.OK,
            found=f"{facts.free / 2**30:.1f} GiB free in {wanted.root}",
            blocks=True,
            advice=f"{STATE_MINIMUM / 2**30:.0f} GiB should be free; what is in .archway may be deleted"
            if full
            else "",
        ),
    )


def _bootstrap(facts: Facts, wanted: Wanted) -> Finding:
    name, need = "root file systems", "the bootstrap image, which all others stand on"
    if wanted.rootfs != DEBIAN_PACKAGES:
        return Finding(name=name, needed_for=need, status=Status.OK, found=f"from {wanted.rootfs}", blocks=True)
    missing = [program for program in ("mmdebstrap", "fakeroot") if program not in facts.programs]
    missing += [] if facts.keyring else ["debian-archive-keyring"]
    if not missing:
        return Finding(name=name, needed_for=need, status=Status.OK, found="mmdebstrap, fakeroot", blocks=True)
    mend = remedies.install(facts, wanted)
    other = f'set rootfs = "{DEBIAN_IMAGE}" in [tool.archway]'
    return Finding(
        name=name,
        needed_for=need,
        status=Status.MISSING,
        found=f"no {', '.join(missing)}",
        blocks=True,
        advice=f"apt-get install {' '.join(missing)}; or {other}" if "apt-get" in facts.programs else other,
        mend=mend,
    )


def _emulation(facts: Facts, wanted: Wanted, platform: Platform) -> Finding:
    here, binfmt = facts.same_kernel, facts.binfmt
    entry = binfmt.entry(platform) if here else None
    status, advice, mend = Status.OK, "", None
    if found := emulation.why_not(facts, platform):
        faulty = here and (not binfmt.supported or not binfmt.enabled or entry is not None)
        status = Status.BROKEN if faulty else Status.MISSING
        mend = (emulation.register(facts, platform) or remedies.install(facts, wanted)) if here else None
        advice = _advice_here(platform) if here else emulation.advice_elsewhere(facts, platform)
    else:
        found, advice = _qemu(entry.version) if entry else ("by the engine", "")
    return Finding(
        name=f"emulation {platform}",
        needed_for=f"running {platform}: inv test, --strategy emulated",
        status=status,
        found=found,
        advice=advice,
        mend=mend,
    )


def _qemu(text: str) -> tuple[str, str]:
    """What to say about QEMU's version: old ones crash, which looks like a fault of the program that runs."""
    found = version(text)
    if found and found < OLD_QEMU:
        return (
            f"QEMU {text}, which is old",
            "QEMU before 9 crashes some programs (exit code 139, signal 11): use the strategies native, cross or node",
        )
    return (f"QEMU {text}" if text else "registered"), ""


def _advice_here(platform: Platform) -> str:
    return f"install QEMU's user emulation, statically linked, and register it for {platform} with flag F"


def _registry(facts: Facts, wanted: Wanted) -> Finding:
    need = "publishing"
    port = loopback_port(wanted.registry)
    if port is None:
        return Finding(name="registry", needed_for=need, status=Status.OK, found=f"{wanted.registry}, not asked")
    if facts.registry is RegistryPort.REGISTRY:
        return Finding(name="registry", needed_for=need, status=Status.OK, found=f"answers at {wanted.registry}")
    if facts.registry is RegistryPort.OTHER:
        return Finding(
            name="registry",
            needed_for=need,
            status=Status.BROKEN,
            found=f"another program listens on port {port}",
            advice='set registry = "localhost:PORT" with a free port in [tool.archway]',
        )
    return Finding(
        name="registry",
        needed_for=need,
        status=Status.OPTIONAL_MISSING,
        found=f"nothing listens at {wanted.registry}",
        advice=f"docker run -d -p 127.0.0.1:{port}:5000 registry:2",
        mend=registry.serve(facts, wanted) or remedies.install(facts, wanted),
    )
