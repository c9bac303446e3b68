"""The monorepo that a task works in, and the plan that its options ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from archway import log
from archway.catalog import Catalog
from archway.engine import Engine
from archway.errors import UsageError
from archway.lists import Wanted
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request, Selection
from archway.settings import Settings, find_root, load, read
from archway.targets import Step, Strategy
from archway.wanted import wanted_lists


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The monorepo that a task works in."""

    settings: Settings
    catalog: Catalog
    engine: Engine

    @classmethod
    def of(cls, context: Context, **options: str | None) -> Workplace:
        """:raises MetadataError: the settings are wrong, or this is no monorepo"""
        root = find_root(Path.cwd())
        # Invoke's configuration has these values already, but read before an error could be told.
        values = read(root) | dict(context.config.get("archway", {}))
        settings = load(root, values).with_options(**options)
        return cls(settings=settings, catalog=Catalog(settings), engine=Engine())

    def plan(
        self, selection: Selection, *, strategy: str = "", build_platform: Platform | None = None
    ) -> tuple[Step, ...]:
        """The plan for what the options ask for.

        :param build_platform: the machine's platform, where no engine can be asked
        :raises ArchwayError: an option or the metadata is wrong
        """
        wish = parse_strategy(strategy)

        def here() -> Platform:
            return build_platform or self.engine.platform

        wanted = selection.requests(self.catalog, native=here)
        steps = make_plan(self.catalog, wanted, build_platform=here(), strategy=wish)
        for doubt in dict.fromkeys(doubt for step in steps for doubt in step.doubts):
            log.warn(doubt)
        return steps

    def requests(self, selection: Selection) -> tuple[Request, ...]:
        """The releases that the options ask for."""
        return selection.requests(self.catalog, native=lambda: self.engine.platform)

    def lists(self, selection: Selection) -> tuple[Wanted, ...]:
        """The manifest lists that the options ask for. They do not depend on this machine, so no engine is needed.

        :raises ArchwayError: an option or the metadata is wrong
        """
        here = self.engine.platform if self.engine.answers else Platform.native()
        return wanted_lists(self.catalog, self.requests(selection), build_platform=here)


def parse_strategy(text: str) -> Strategy | None:
    """The value of ``--strategy``; an empty one leaves the choice to the plan.

    :raises UsageError: there is no such strategy
    """
    try:
        return Strategy(text) if text else None
    except ValueError:
        raise UsageError(f"there is no strategy {text!r}", hint=f"there is: {', '.join(Strategy)}") from None
