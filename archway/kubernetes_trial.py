"""One trial of an operator against an API server: what is made for it, what must come to be, and how it must end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from archway.errors import MetadataError
from archway.kubernetes_api import PATIENCE, ApiError, KubernetesApi
from archway.kubernetes_containers import Container
from archway.kubernetes_differences import differences
from archway.kubernetes_documents import KubernetesObject, read_objects
from archway.kubernetes_paths import served_versions, unfulfilled
from archway.smoke_verdict import CRASHES, KILLED

PAUSE = 0.5
GRACE = 10
"""Seconds from SIGTERM to SIGKILL; Kubernetes gives 30."""
MOST = 10
"""So many lines tell what is lacking."""
_DEFINITION = "CustomResourceDefinition"
_ENDED_WELL = (0, 143)


class TrialError(Exception):
    """The operator did not do its work.

    :ivar problem: in one line
    :ivar details: more lines
    """

    def __init__(self, problem: str, details: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.details = details


def definitions(container: Container, *, timeout: float) -> tuple[KubernetesObject, ...]:
    """The custom resource definitions that a container prints on stdout.

    :raises TrialError: it prints something else, or does not end well
    """
    end = time.monotonic() + timeout
    while (code := container.exit_code) is None:
        if time.monotonic() > end:
            raise TrialError(f"the command crds took longer than {timeout:g} s")
        time.sleep(PAUSE / 5)
    if code:
        raise TrialError(f"the command crds {how_it_ended(code)}")
    text = "\n".join(line for source, line in container.printed() if source == "stdout")
    try:
        found = read_objects(text.encode(errors="surrogateescape"), shown="what the command crds prints")
    except MetadataError as wrong:
        raise TrialError(wrong.what if not wrong.where else f"{wrong.where}: {wrong.what}") from None
    if others := [one for one in found if one.kind != _DEFINITION]:
        raise TrialError(f"the command crds prints {others[0]}, which is no {_DEFINITION}")
    return found


def establish(api: KubernetesApi, found: Sequence[KubernetesObject]) -> None:
    """Give an API server custom resource definitions, and wait until it serves them.

    :raises TrialError: it does not take one, or does not establish it
    """
    create(api, found)
    for one in found:
        end = time.monotonic() + PATIENCE
        while problem := _unserved(api, one):
            if time.monotonic() > end:
                raise TrialError(f"the API server does not establish {one}", [problem])
            time.sleep(PAUSE / 5)


def _unserved(api: KubernetesApi, definition: KubernetesObject) -> str:
    try:
        problem = unfulfilled(api.get(definition))
        for api_version, kind in served_versions(definition.body) if not problem else ():
            api.resource(api_version, kind)
    except ApiError as refusal:
        return str(refusal)
    return problem


def create(api: KubernetesApi, objects: Sequence[KubernetesObject]) -> None:
    """Create objects in their order.

    :raises TrialError: the API server does not take one
    """
    for one in objects:
        try:
            api.apply(one)
        except ApiError as refusal:
            raise TrialError(f"{one.where}: the API server does not take {one}", [str(refusal)]) from None


def lacking(api: KubernetesApi, expect: Sequence[KubernetesObject]) -> Iterator[str]:
    """What is not yet as it is expected."""
    for one in expect:
        try:
            found = api.get(one)
        except ApiError as trouble:
            yield f"{one}: {trouble}"
            continue
        if found is None:
            yield f"{one}: does not exist"
        else:
            yield from (f"{one}: {difference}" for difference in differences(one.body, found))


def reconcile(api: KubernetesApi, operator: Container, expect: Sequence[KubernetesObject], *, timeout: float) -> float:
    """Wait until all is as it is expected.

    :returns: the seconds that it took
    :raises TrialError: it is not in time, or the operator has ended
    """
    started = time.monotonic()
    while True:
        code = operator.exit_code
        missing = list(lacking(api, expect))
        seconds = time.monotonic() - started
        if code is not None:
            raise TrialError(f"the operator {how_it_ended(code)}, though nobody told it to end", at_most(missing))
        if not missing:
            return seconds
        if seconds > timeout:
            raise TrialError(f"it took longer than its {timeout:g} s", at_most(missing))
        time.sleep(PAUSE)


def stop(operator: Container) -> int:
    """Tell an operator to end.

    :returns: its exit code
    :raises TrialError: it does not end, or not well
    """
    code = operator.stop()
    if code == KILLED:
        raise TrialError(f"the operator did not end within {GRACE} s of SIGTERM")
    if code not in _ENDED_WELL:
        raise TrialError(f"told to end (SIGTERM), the operator {how_it_ended(code or 0)}")
    return code


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if signal := CRASHES.get(code):
        return f"crashed ({signal})"
    match code:
        case 137:
            return "was killed (SIGKILL) and not by archway: out of memory?"
        case 126:
            return "cannot be run (exit code 126): a mode without x, or a folder?"
        case 127:
            return "is not there (exit code 127)"
    return f"ended with exit code {code}"


def at_most(lines: Sequence[str], most: int = MOST) -> list[str]:
    """The first lines, and how many there are more."""
    more = len(lines) - most
    return [*lines[:most], *([f"… and {more} more"] if more > 0 else [])]
