"""Invoke's entry: ``inv --list`` shows the tasks, which live in archway/tasks/."""

from archway.tasks import namespace

ns = namespace()
