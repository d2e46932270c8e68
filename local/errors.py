"""What can go wrong in the local AWS itself, and how its commands end then."""

from __future__ import annotations

import sys
from collections.abc import Callable


class LocalAwsError(Exception):
    """The local AWS cannot start or stop: what happened, where, why, and what to do about it."""

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what, where, why, fix)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        labelled = (("where", self.where), ("why", self.why), ("to do", self.fix))
        return "\n".join([self.what, *(f"  {label:<6} {text}" for label, text in labelled if text)])


def exit_code(
    command: Callable[[], int], *, expected: tuple[type[Exception], ...], failed: int, name: str = ""
) -> int:
    """Run a command and give its exit code; an `expected` error is one text on stderr, and `failed`."""
    try:
        return command()
    except expected as error:
        print(f"{name}: {error}" if name else error, file=sys.stderr)
        return failed
