"""Prints how smoke tests went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archway import log
from archway.errors import SmokeTestError
from archway.smoke import SmokeResult


def print_smoke_results(results: Iterable[SmokeResult], *, json: bool) -> None:
    """A line as each test ends, then all of them, also when something else ends the run before the last.

    :raises SmokeTestError: a test failed
    """
    seen: list[SmokeResult] = []
    try:
        for result in results:
            seen.append(result)
            ready = f", ready after {result.ready:.1f} s" if result.ready is not None else ""
            if result.failure:
                log.error(str(result.failure))
            else:
                log.done(f"{result.test} passed in {result.seconds:.1f} s{ready}")
    finally:
        if seen and json:
            log.print_json([_data(result) for result in seen])
        elif seen:
            log.data.print(log.table("", *table(seen)))
    if failed := [_short(result) for result in seen if result.failure]:
        raise SmokeTestError(f"{len(failed)} of {len(seen)} smoke tests failed: {', '.join(failed)}")


def _short(result: SmokeResult) -> str:
    return f"{result.step.target}{f' ({result.test.of})' if result.test.inherited else ''}"


def table(results: Sequence[SmokeResult]) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of a table: a row for each test of an image, a column for each platform."""
    platforms = list(dict.fromkeys(result.step.target.platform.tag for result in results))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for result in results:
        target = result.step.target
        seconds = f"{result.seconds:.1f} s"
        cells = rows.setdefault((f"{target.image} {target.version}", result.test.of), {})
        cells[target.platform.tag] = f"FAILED {seconds}" if result.failure else seconds
    return (
        ["image", "smoke test of", *platforms],
        [[image, of, *(cells.get(platform, "-") for platform in platforms)] for (image, of), cells in rows.items()],
    )


def _data(result: SmokeResult) -> dict[str, object]:
    target = result.step.target
    return {
        "target": str(target),
        "image": target.image,
        "version": target.version,
        "platform": str(target.platform),
        "test": result.test.of,
        "digest": result.digest,
        "passed": result.failure is None,
        "failure": str(result.failure) if result.failure else None,
        "exit-code": result.exit_code,
        "seconds": round(result.seconds, 2),
        "ready": None if result.ready is None else round(result.ready, 2),
    }
