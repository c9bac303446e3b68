"""Prints what manifest lists are, were and would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from archway import log
from archway.errors import ArchwayError, ListError, MachineError, RegistryError
from archway.inspection import Inspection, judge
from archway.inventory import Built, Item, Published
from archway.joining import Standing, Tagged


def print_tagged(tagged: Sequence[Tagged], verdict: ArchwayError | None = None, *, json: bool) -> None:
    """The lists, one a line with its digest, as a script wants them; what happened was told while it did.

    :raises ArchwayError: the verdict, after what was done before it
    """
    if json:
        log.print_json([_tagged_data(one) for one in tagged])
    else:
        for one in tagged:
            if one.standing is not Standing.FAILED:
                log.data.print(Text(f"{one.reference} {one.digest}".rstrip()))
    if verdict:
        raise verdict


def print_rehearsal(tagged: Sequence[Tagged], *, json: bool, needed: bool = True) -> None:
    """Three groups: what is so already, what would be written, what is missing, and why.

    :param needed: nothing would be written as long as something is missing
    :raises ListError: something that is needed is missing
    """
    missing = [one for one in tagged if one.standing is Standing.MISSING]
    why = "\n".join(dict.fromkeys(one.why for one in missing))
    if json:
        log.print_json([_tagged_data(one) for one in tagged])
    else:
        kept = [Standing.KEPT] if any(one.standing is Standing.KEPT for one in tagged) else []
        for standing in (Standing.ALREADY, Standing.TO_WRITE, Standing.MISSING, *kept):
            log.data.print(Text(f"{standing}:"))
            for one in (found := [one for one in tagged if one.standing is standing]):
                log.data.print(Text(f"  {one.reference} {one.digest}".rstrip()))
            if not found:
                log.data.print(Text("  nothing"))
    if missing and needed:
        raise ListError(f"{len(missing)} of {len(tagged)} cannot be written", why=why)
    if missing:
        log.note(why)


def _tagged_data(one: Tagged) -> dict[str, str]:
    return {"reference": str(one.reference), "state": one.standing, "digest": one.digest, "why": one.why}


def print_inspection(found: Inspection, *, json: bool) -> None:
    """What a reference names.

    :raises ListError: something is wrong with it
    """
    if json:
        log.print_json(asdict(found) | {"reference": str(found.reference)})
    else:
        kind = "list" if found.is_list else "image"
        log.data.print(Text(f"{found.reference}\n{kind} {found.digest} in the {found.where}\n"))
        short = log.data.is_terminal  # elsewhere whole digests, to be copied
        rows = [
            [row.platform, row.digest[:19] if short else row.digest, f"{row.size / 1e6:.1f} MB", row.created,
             row.base.rpartition("/")[2] if short else row.base, row.version,
             str(row.attestations)]
            for row in found.rows
        ]  # fmt: skip
        columns = ["platform", "digest", "size", "created", "base", "version", "attestations"]
        log.wide(log.table("", columns, rows))
    judge(found)


def print_items(items: Sequence[Item], *, json: bool) -> None:
    """What is built, published and missing, a target a line.

    :raises MachineError: no engine answered
    :raises RegistryError: a registry did not
    """
    _print_items(items, json=json)
    if any(item.built is Built.UNKNOWN for item in items):
        raise MachineError("no engine answers: what is built here is not known", hint="run: inv setup --check")
    if any(item.published in (Published.UNKNOWN, Published.UNREADABLE, Published.NO_RIGHTS) for item in items):
        raise RegistryError("not all could be asked: what is published is not known", hint="see above for why")


def _print_items(items: Sequence[Item], *, json: bool) -> None:
    if json:
        log.print_json([
            {
                "target": str(item.step.target), "image": item.step.target.image, "version": item.step.target.version,
                "platform": str(item.step.target.platform), "reference": str(item.step.reference),
                "built": item.built, "published": item.published, "list": item.list_state,
            }
            for item in items
        ])  # fmt: skip
        return
    rows = [[str(item.step.target), item.built, item.published, item.list_state] for item in items]
    log.data.print(log.table("", ["target", "here", "in the registry", "list"], rows))
