"""Which platforms are foreign, why they would not run here, and how they are registered. From the facts alone."""

from __future__ import annotations

from dataclasses import replace

from archway.machine.binfmt import ET_DYN, ET_EXEC, MOUNT, Entry, header, line
from archway.machine.commands import Command, Remedy, tell_kernel
from archway.machine.facts import Facts, Wanted
from archway.platforms import Platform


def foreign(facts: Facts, wanted: Wanted) -> tuple[Platform, ...]:
    """The wanted platforms that the engine's processor does not run by itself."""
    native, listed = facts.native, facts.engine.platforms
    if native is None:
        return ()
    return tuple(
        platform
        for platform in wanted.platforms
        if platform != native and not (may_run(native, platform) and str(platform) in listed)
    )


def may_run(native: Platform, platform: Platform) -> bool:
    """Most 64-bit Arm processors run programs of 32 bits as well; only the engine knows of this one."""
    return (str(native), str(platform)) == ("linux/arm64", "linux/arm/v7")


def needs_qemu(facts: Facts, wanted: Wanted) -> bool:
    """Whether a platform would run if QEMU were installed."""
    binfmt = facts.binfmt
    return (
        facts.same_kernel
        and binfmt.supported
        and any(not binfmt.runs(platform) and not binfmt.recipe(platform) for platform in foreign(facts, wanted))
    )


def why_not(facts: Facts, platform: Platform) -> str:
    """Why a platform would not run in a container of the engine; empty if it would."""
    binfmt = facts.binfmt
    if not facts.same_kernel:
        return "" if str(platform) in facts.engine.platforms else "the engine does not list it"
    if not binfmt.supported:
        return "this kernel has no binfmt_misc"
    if not binfmt.mounted:
        return "binfmt_misc is not mounted (a reboot undoes it)"
    if not binfmt.enabled:
        return "binfmt_misc is switched off"
    if entry := binfmt.entry(platform):
        return entry.fault
    return "no registration (a reboot undoes it)" if binfmt.recipe(platform) else "no registration"


def advice_elsewhere(facts: Facts, platform: Platform) -> str:
    """What to do about an engine that is not on this kernel."""
    if not facts.engine.server:
        return "the engine must answer first"
    return (
        f"on the engine's machine: inv setup, or docker run --privileged --rm tonistiigi/binfmt --install "
        f"{platform.architecture}"
    )


def register(facts: Facts, platform: Platform) -> Remedy | None:
    """Hand programs of a platform to QEMU. None if there is no QEMU for it, or the kernel cannot.

    Nothing is taken back for it: the newest registration wins, so a faulty one is left as it is, and still there if
    the kernel refuses the new one.
    """
    binfmt = facts.binfmt
    recipe = binfmt.recipe(platform)
    if not facts.same_kernel or not binfmt.supported or recipe is None:
        return None
    commands: list[Command] = []
    if not binfmt.mounted:
        commands.append(Command(argv=("mount", "-t", "binfmt_misc", "binfmt_misc", MOUNT)))
    if not binfmt.enabled:
        commands.append(tell_kernel(f"{MOUNT}/status", "1"))
    entries, names = binfmt.entries, binfmt.names
    if (newest := binfmt.entry(platform)) is None or newest.fault:
        made = _free_name(recipe, names)
        commands.append(tell_kernel(f"{MOUNT}/register", line(made)))
        entries, names = (made, *entries), names | {made.name}
    expected = replace(binfmt, mounted=True, enabled=True, entries=entries, names=names)
    return Remedy(
        title=f"register QEMU for {platform}", commands=tuple(commands), expected=replace(facts, binfmt=expected)
    )


def _free_name(recipe: Entry, taken: frozenset[str]) -> Entry:
    """The recipe with flag F, under a name that the kernel does not have yet."""
    names = (recipe.name, *(f"{recipe.name}-archway{number or ''}" for number in range(len(taken) + 1)))
    flags = recipe.flags if "F" in recipe.flags else recipe.flags + "F"
    return replace(recipe, name=next(name for name in names if name not in taken), flags=flags)


def packaged(platform: Platform, *, systemd: bool) -> Entry:
    """The registration that Debian's package of QEMU 10 brings."""
    qemu = platform.names.qemu
    executable, shared = header(platform, ET_EXEC), header(platform, ET_DYN)
    folder = "/usr/lib/binfmt.d" if systemd else "/usr/share/qemu/binfmt.d"
    return Entry(
        path=f"{folder}/qemu-{qemu}.conf",
        name=f"qemu-{qemu}",
        interpreter=f"/usr/libexec/qemu-binfmt/{qemu}-binfmt-P",
        flags="OPF",
        magic=executable,
        mask=bytes(0xFF & ~(a ^ b) for a, b in zip(executable, shared, strict=True)),
        static=True,
    )
