"""The images from elsewhere that builds stand on: whether each is there, and for which platforms.

BuildKit looks as well, and is content with too much: on a single image of another platform it builds without a word,
and what comes out has the label of the wanted one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from archway import log, offers
from archway.errors import AccessError, ArchwayError, UsageError, VerifyError
from archway.offers import Answer, Local, Missing, Offer
from archway.platforms import Platform
from archway.references import Reference
from archway.rules import RULES
from archway.settings import Settings
from archway.targets import Step
from archway.verify.findings import Finding, count


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """An image from elsewhere in one line of a Dockerfile. ``platforms`` are all that are wanted through the line."""

    source: str
    line: int
    instruction: str
    name: str
    platforms: tuple[Platform, ...]

    def __str__(self) -> str:
        return f"{self.instruction} {self.name}"

    @property
    def short(self) -> str:
        """The name without a digest."""
        return self.name.partition("@")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Named:
    """A base with the image of its name; beside a digest, the tag says which list was meant."""

    base: Base
    reference: Reference
    tag: Reference | None

    @property
    def by_digest(self) -> bool:
        return ":" in self.reference.tag


def external_bases(steps: Iterable[Step]) -> list[Base]:
    """The images from elsewhere that steps need, each once for the line that names it, in order of file and line."""
    found: dict[Base, set[Platform]] = defaultdict(set)
    for step in steps:
        source = str(step.image.shown(step.image.dockerfile_path))
        for use in step.outside:
            base = Base(source=source, line=use.line, instruction=use.instruction, name=use.name, platforms=())
            found[base].add(use.platform)
    bases = [replace(base, platforms=tuple(sorted(platforms))) for base, platforms in found.items()]
    return sorted(bases, key=lambda base: (base.source, base.line))


def look_up(settings: Settings, bases: Sequence[Base], *, local: Local | None = None) -> list[Finding]:
    """What is wrong with images from elsewhere, in the order of the bases. Without any, nothing is asked.

    :param local: is asked where the registry does not have an image, or does not say: a build takes the engine's then
    """
    end = time.monotonic() + offers.PATIENCE
    named = [found for base in bases if isinstance(found := _read(base), _Named)]
    wanted = _wanted((one.reference, one.base.platforms) for one in named)
    answers = offers.ask(settings, wanted, patience=offers.PATIENCE)
    if local:
        for reference, answer in answers.items():
            if not isinstance(answer, Offer):
                answers[reference] = offers.local_offer(local(reference, wanted[reference])) or answer
    doubtful = _wanted(
        (one.tag, one.base.platforms)
        for one in named
        if one.tag and one.tag not in answers and _is_doubtful(one, answers[one.reference])
    )
    answers |= offers.ask(settings, doubtful, patience=end - time.monotonic())
    return list(judge(bases, answers))


def refuse(findings: Iterable[Finding]) -> None:
    """Tell what was found; what could not be looked up stops nothing.

    :raises VerifyError: a Dockerfile or an image from elsewhere would make a wrong image
    """
    wrong = []
    for finding in findings:
        if RULES[finding.rule].refuses:
            wrong.append(finding)
        else:
            log.warn(str(finding))
    if wrong:
        rules = dict.fromkeys(finding.rule for finding in wrong)
        raise VerifyError(
            f"nothing was built: {count(len(wrong), 'finding')} in Dockerfiles",
            why="\n".join(map(str, wrong)),
            hint="\n".join(RULES[rule].mend for rule in rules),
        )


def judge(bases: Iterable[Base], answers: Mapping[Reference, Answer]) -> Iterator[Finding]:
    """What is wrong, after the registries have answered. Nothing is asked here."""
    for base in bases:
        named = _read(base)
        finding = _judge(named, answers) if isinstance(named, _Named) else _unknown(base, named)
        if finding:
            yield finding


def _read(base: Base) -> _Named | UsageError:
    try:
        reference, tag = offers.read_name(base.name)
    except UsageError as wrong:
        return wrong
    return _Named(base=base, reference=reference, tag=tag)


def _wanted(pairs: Iterable[tuple[Reference, Iterable[Platform]]]) -> dict[Reference, tuple[Platform, ...]]:
    found: dict[Reference, set[Platform]] = defaultdict(set)
    for reference, platforms in pairs:
        found[reference].update(platforms)
    return {reference: tuple(sorted(platforms)) for reference, platforms in found.items()}


def _is_doubtful(one: _Named, answer: Answer) -> bool:
    """Whether the tag beside a digest has to be looked up, too."""
    match answer:
        case Offer(members=None, is_local=False):
            return bool(answer.lacks(one.base.platforms))
        case Missing():
            return answer.repository
        case _:
            return False


def _judge(one: _Named, answers: Mapping[Reference, Answer]) -> Finding | None:
    base, answer = one.base, answers[one.reference]
    tagged = answers.get(one.tag) if one.tag else None
    repository = one.reference.repository
    match answer:
        case Offer():
            missing = answer.lacks(base.platforms)
            return _lacking(one, answer, missing, tagged) if missing else None
        case Missing(repository=False):
            found, expected = f"{base}, of a repository that is not there or empty", "an image that exists"
        case Missing() if one.by_digest:
            now = f"; {base.short} is {tagged.digest} now" if isinstance(tagged, Offer) else ""
            found, expected = f"{base}, a digest that is not there", f"one that {repository} has{now}"
        case Missing(near=near):
            hint = f"; {near}" if near else ""
            found, expected = f"{base}, a tag that is not there", f"one that {repository} has{hint}"
        case ArchwayError():
            return _unknown(base, answer)
    return _finding("base-missing", base, found, expected)


def _lacking(one: _Named, answer: Offer, missing: Sequence[Platform], tagged: Answer | None) -> Finding:
    """It is for other platforms. Where a digest pins one member of a list, the list is what is wanted."""
    base, found = one.base, f"{one.base} for {answer}"
    now = tagged if isinstance(tagged, Offer) else None
    if not one.by_digest or answer.members is not None or answer.is_local:
        return _finding("base-platform", base, found + (", the engine's own image" if answer.is_local else ""),
                        _words(missing))  # fmt: skip
    if now and now.lacks(base.platforms):
        has = "" if now.digest == answer.digest else f", and {base.short} has {now}"
        return _finding("base-platform", base, found + has, _words(missing))
    expected = f"the list for {_words(base.platforms)}"
    if now and {answer.digest, one.reference.tag} & (now.members or frozenset()):
        found = f"{base}, whose digest is the {answer} manifest of {base.short}"
        expected += f": pin {base.short}@{now.digest}"
    elif now:
        found = f"{base}, whose digest is one image, for {answer}"
        expected += f": {base.short}@{now.digest} is what the tag names now"
    else:
        found = f"{base}, whose digest is one image, for {answer}"
        expected += f": inv inspect {one.tag or f'{one.reference.repository}:TAG'} shows its digest"
    return _finding("base-pinned-member", base, found, expected)


def _unknown(base: Base, error: ArchwayError) -> Finding:
    why = f" ({'; '.join(error.why.splitlines())})" if error.why else ""
    hint = f"; {'; '.join(error.hint.splitlines())}" if error.hint else ""
    # Docker Hub says the same of what is private and of what does not exist.
    private = ", or there is no such repository" if isinstance(error, AccessError) else ""
    found = f"{base}, which cannot be looked up: {error.what}{private}{why}{hint}"
    return _finding("base-unknown", base, found, f"an image for {_words(base.platforms)}")


def _finding(rule: str, base: Base, found: str, expected: str) -> Finding:
    return Finding(rule=rule, found=found, expected=expected, source=base.source, line=base.line)


def _words(platforms: Iterable[Platform]) -> str:
    return ", ".join(map(str, platforms))
