"""What a check has found, what may stay all the same, and the report of both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from archway.platforms import Platform
from archway.rules import EXEMPT, Subject

_FOREIGN = frozenset(["config-platform", "elf-machine", "elf-truncated", "link-lost", "empty"])
"""The rules after whose findings an image is not the platform's; after others, it is, and something else is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    ``rule`` is the id of one in :mod:`archway.rules`. ``path`` is a file of an image, and empty where the image
    as a whole is meant; ``source`` and ``line`` are a place in the monorepo.
    """

    rule: str
    found: str
    expected: str
    path: str = ""
    layer: str = ""
    source: str = ""
    line: int | None = None

    @property
    def where(self) -> str:
        """The place, as messages begin with it: a file of the image, or a line of the monorepo."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return self.path or place or "image"

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """Files that may be otherwise, and why. In ``path``, ``*`` and ``?`` stay in one folder, ``**`` does not.

    A path is written as findings show it. What has no path, the image's own platform, is never allowed to be wrong.
    ``rule`` and ``platforms`` narrow it: without them it is for every rule that takes exceptions, and every platform.
    ``source`` is the image.toml that has it.
    """

    path: str
    reason: str
    rule: str = ""
    platforms: tuple[Platform, ...] = ()
    source: str = ""
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts = re.split(r"(\*\*|\*|\?)", "/" + self.path.lstrip("/"))
        pattern = re.compile("".join(words.get(part) or re.escape(part) for part in parts))
        object.__setattr__(self, "_pattern", pattern)

    def matches(self, path: str) -> bool:
        return self._pattern.fullmatch("/" + path.lstrip("/")) is not None

    def concerns(self, platform: Platform) -> bool:
        """Whether it is meant for a platform."""
        return not self.platforms or platform in self.platforms


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a check has seen of one Dockerfile, image or list.

    ``source`` is the file of the monorepo that the subject comes from, if any. ``bundled`` counts programs for other
    platforms that stand beside one for this platform. ``size`` is of all files together, in bytes. ``used`` has how
    many findings each exception silenced, ``unused`` those that silenced none here. ``digests`` name what was looked
    at: the manifest of each image, or its configuration in an archive of the older form; ``layers`` name the layers
    of a single image, the lowest first.
    """

    name: str
    subject: Subject = Subject.IMAGE
    source: str = ""
    platform: Platform | None = None
    findings: tuple[Finding, ...] = ()
    elf_files: int = 0
    files: int = 0
    archives: int = 0
    bundled: int = 0
    size: int = 0
    used: tuple[tuple[Allowed, int], ...] = ()
    unused: tuple[Allowed, ...] = ()
    digests: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings

    def text(self, *, most: int = 20) -> str:
        """The report in a few lines."""
        return "\n".join(self._lines(most))

    def as_data(self) -> dict[str, object]:
        """The report for JSON."""
        return asdict(self) | {
            "platform": str(self.platform or ""),
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
            "used": [_exception(it) | {"findings": count} for it, count in self.used],
            "unused": [_exception(it) for it in self.unused],
        }

    def _lines(self, most: int) -> Iterator[str]:
        yield self.headline
        for finding in self.findings[:most]:
            yield f"  {finding}"
            if finding.layer:
                yield f"    in layer {finding.layer}"
        if len(self.findings) > most:
            yield f"  and {len(self.findings) - most} more"
        for allowed, number in self.used:
            yield f"  allowed: {allowed.path}: {count(number, 'finding')} ({allowed.reason})"

    @property
    def headline(self) -> str:
        """The verdict, in one line."""
        wrong = count(len(self.findings), "finding")
        if self.subject is not Subject.IMAGE:
            return f"{self.name}: {'no finding' if self.ok else wrong}"
        foreign = any(finding.rule in _FOREIGN for finding in self.findings)
        verdict = f"is {'not ' if foreign else ''}{self.platform}{'' if self.ok else f': {wrong}'}"
        archives = f", {count(self.archives, 'archive')}" if self.archives else ""
        return f"{self.name} {verdict} ({self.elf_files} ELF of {count(self.files, 'file')}{archives})"


def report_of(data: dict[str, Any]) -> Report:
    """Read what :meth:`Report.as_data` gave.

    :raises ValueError: it is something else
    """
    try:
        rest = {key: value for key, value in data.items() if key not in ("ok", "findings", "used", "unused")}
        return Report(
            **rest
            | {
                "subject": Subject(rest["subject"]),
                "platform": Platform.known(rest["platform"]) if rest["platform"] else None,
                "findings": tuple(Finding(**finding) for finding in data["findings"]),
                "used": tuple((_allowed(it), it["findings"]) for it in data["used"]),
                "unused": tuple(_allowed(it) for it in data["unused"]),
                "digests": tuple(rest["digests"]),
                "layers": tuple(rest["layers"]),
            }
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _allowed(data: dict[str, Any]) -> Allowed:
    known = [Platform.known(text) for text in data["platforms"]]
    platforms = tuple(platform for platform in known if platform)
    if len(platforms) < len(known):
        raise ValueError("a platform that archway does not know")
    return Allowed(
        path=data["path"], reason=data["reason"], rule=data["rule"], source=data["source"], platforms=platforms
    )


def sift(
    findings: Iterable[Finding], allow: Sequence[Allowed]
) -> tuple[tuple[Finding, ...], tuple[tuple[Allowed, int], ...]]:
    """Split findings by the exceptions: those that stay, and how many each exception silenced."""
    stay: list[Finding] = []
    used: Counter[Allowed] = Counter()
    for finding in findings:
        takes = finding.path and finding.rule in EXEMPT
        fitting = (one for one in allow if one.rule in ("", finding.rule) and one.matches(finding.path))
        if takes and (exception := next(fitting, None)):
            used[exception] += 1
        else:
            stay.append(finding)
    return tuple(stay), tuple(used.items())


def count(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _exception(allowed: Allowed) -> dict[str, object]:
    data = {"path": allowed.path, "reason": allowed.reason, "rule": allowed.rule, "source": allowed.source}
    return data | {"platforms": [str(platform) for platform in allowed.platforms]}
