"""Reads the tags of a repository, which come in pages."""

from __future__ import annotations

import re
from dataclasses import replace

from pydantic import BaseModel

from archway.distribution import trouble
from archway.distribution.authorization import Scopes
from archway.distribution.documents import read
from archway.distribution.session import Session
from archway.distribution.transport import Ask
from archway.errors import RegistryError

PAGES = 100
"""No registry that means well has more."""
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next\b')

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class _Tags(BaseModel):
    tags: list[str] | None = None


def read_all(session: Session, ask: Ask, scopes: Scopes) -> list[str]:
    """All tags; none if the repository is not there.

    :raises RegistryError: they cannot be read
    """
    found: list[str] = []
    seen: set[str] = set()
    for _ in range(PAGES):
        answer = session.send(ask, scopes)
        if answer.is_missing:
            return found
        if not answer.ok:
            raise session.error(answer, ask.where)
        if trouble.is_page(answer):
            raise trouble.no_registry(session.host, where=ask.where, why=trouble.said(answer))
        # What is no tag can neither be asked for nor be shown.
        found += filter(_TAG.fullmatch, read(_Tags, answer.data, ask.where).tags or [])
        link = _NEXT.search(answer.header("Link"))
        url = session.follow(answer, link[1], ask.where) if link else ""
        if not url or url in seen or not session.is_own(url):
            return list(dict.fromkeys(found))
        seen.add(url)
        ask = replace(ask, url=url)
    raise RegistryError("the list of tags does not come to its end", where=ask.where, why=f"after {PAGES} pages")
