"""What can go wrong before or while Cargo works: one class, told in up to four parts."""

from __future__ import annotations

from pathlib import Path


class CargoImageError(Exception):
    """Something that the user can mend.

    :param what: what failed, in one sentence
    :param where: the file or folder, with the line where that is known
    :param why: the reason; often Cargo's own last lines
    :param hint: what to do about it
    """

    def __init__(self, what: str, *, where: Path | str | None = None, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where) if where is not None else ""
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n".join([head, *(f"  {line}" for part in (self.why, self.hint) for line in part.splitlines())])
