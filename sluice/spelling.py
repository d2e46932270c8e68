"""How people write the numbers of a column: its marks, what stands around them, and the plain number they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

DecimalMark = Literal[".", ","]
DecimalMarks = Literal[".", ",", ".,", ",."]
GroupingMark = Literal["", ".", ",", "'", " "]
Negative = Literal["before", "after", "brackets"]

BLANKS = " \u00a0\u2007\u2009\u202f"
"""What people and programs put between thousands, or between a number and its currency; all the same here."""
_MINUS = "\\-\u2212"  # for a character class
LONGEST = 100
"""Characters. A longer text is no number: bounds what a request may cost."""

_BLANK = f"[{BLANKS}]*"
_CLASSES = {"": "", ".": r"\.", ",": ",", "'": "['\u2019]", " ": f"[{BLANKS}]"}
_RESERVED = re.compile(rf"[0-9()+{_MINUS}]")
_DECIMALS = {
    ",": "a decimal comma",
    ".,": "a decimal point, in some cells a comma",
    ",.": "a decimal comma, in some cells a point",
}
_GROUPS = {".": "points", ",": "commas", "'": "apostrophes", " ": "blanks"}


@dataclass(frozen=True)
class Patterns:
    """A spelling as regular expressions that Python and RE2 (so Arrow) understand alike, for trimmed texts.

    A number is what `number` matches; its only group that takes part holds the digits and marks. Of such a text
    `grouping` is what to drop, and a negative one is found by `negative`, one in hundredths by `percent`.
    """

    number: str
    body: str
    grouping: str
    negative: str
    percent: str


class Spelling(BaseModel):
    """The `spelling` of a column in project.toml, and of a feature in the model's contract.

    A cell need not use any of it: among 1.234,50 € a plain 850 is 850. What would be read two ways is read by the
    marks given here, or is no number: with points between thousands 1.234 is 1234, and 12.5 is none.

    Attributes:
        decimal: the mark before the fraction; of two the second is for a few cells that were typed otherwise, and
            where it could be one between thousands (1,234) the cell is no number.
        grouping: the mark between thousands; always three digits follow it. " " is any blank, the no-break and
            narrow ones too, and "'" the typographic apostrophe, too.
        before, after: what may stand around the number (a currency, a unit, %), in capitals or not, with or without
            blanks. It does not change the number: 37% is 37.
        percent: a number with a percent sign is in hundredths: 37% is 0.37, as beside cells that say 0.37.
        negative: how a number below zero may be written besides with a minus before it: "after" for 12-,
            "brackets" for (12).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    decimal: DecimalMarks = "."
    grouping: GroupingMark = ""
    before: str = ""
    after: str = ""
    percent: bool = False
    negative: Negative = "before"

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.grouping and self.grouping in self.decimal:
            raise ValueError(f"`decimal` and `grouping` are both {self.grouping!r}")
        for key, text in (("before", self.before), ("after", self.after)):
            if text != text.strip(BLANKS):
                raise ValueError(f"`{key}` {text!r} has blanks around it: they are allowed anyway")
            if _RESERVED.search(text):
                raise ValueError(
                    f"`{key}` {text!r} holds a digit, a sign or a bracket, which belong to the number"
                )
        if self.percent and self.after:
            raise ValueError("`percent` says what stands after the number: `after` must be empty")
        return self

    @property
    def patterns(self) -> Patterns:
        return _compiled(self).patterns

    def plain(self, text: str) -> str | None:
        """Write a trimmed text as a plain number (-1234.5), None where it is none in this spelling."""
        compiled = _compiled(self)
        # `$` would let a line break pass.
        found = compiled.number.fullmatch(text) if len(text) <= LONGEST else None
        if found is None:
            return None
        body = found[found.lastindex or 0]
        if self.grouping:
            body = compiled.grouping.sub("", body)
        if "," in self.decimal:
            body = body.replace(",", ".")
        sign = "-" if compiled.negative.search(text) else ""
        return f"{sign}{body}e-2" if self.percent and "%" in text else sign + body

    def describe(self) -> str:
        """Say it in words: "a decimal comma, points between thousands, € after"."""
        parts = [_DECIMALS[self.decimal]] if self.decimal != "." else []
        if self.grouping:
            parts.append(f"{_GROUPS[self.grouping]} between thousands")
        parts += [
            f"{text} {where}" for text, where in ((self.before, "before"), (self.after, "after")) if text
        ]
        if self.percent:
            parts.append("a percent sign for hundredths")
        if self.negative != "before":
            parts.append(
                {"after": "a minus after it", "brackets": "brackets for less than zero"}[self.negative]
            )
        return ", ".join(parts) or "a minus sign of its own"


@dataclass(frozen=True)
class _Compiled:
    patterns: Patterns
    number: re.Pattern[str]
    grouping: re.Pattern[str]
    negative: re.Pattern[str]


# Not in the spelling itself, whose copies would take it along.
@lru_cache(maxsize=1024)
def _compiled(spelling: Spelling) -> _Compiled:
    patterns = _patterns(spelling)
    return _Compiled(
        patterns, re.compile(patterns.number), re.compile(patterns.grouping), re.compile(patterns.negative)
    )


def _patterns(spelling: Spelling) -> Patterns:
    decimal, group = _CLASSES[spelling.decimal[0]], _CLASSES[spelling.grouping]
    # A group of thousands never begins with a zero: 0.500 is half of one, or no number.
    whole = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+|[0-9]+" if group else "[0-9]+"
    exponent = "" if spelling.percent else "(?:[eE][-+]?[0-9]+)?"
    number = rf"(?:{whole})(?:{decimal}[0-9]*)?|{decimal}[0-9]+"
    for other in (_CLASSES[mark] for mark in spelling.decimal[1:]):
        number += rf"|[0-9]*{other}(?:[0-9]{{1,2}}|[0-9]{{4,}})|(?:0|[0-9]{{4,}}){other}[0-9]{{3}}"
    body = rf"((?:{number}){exponent})"
    before = rf"(?:(?i:{re.escape(spelling.before)}){_BLANK})?" if spelling.before else ""
    text = "%" if spelling.percent else spelling.after
    after = rf"(?:{_BLANK}(?i:{re.escape(text)}))?" if text else ""
    sign = rf"[+{_MINUS}]{_BLANK}"
    forms = [rf"(?:{sign}{before}|{before}(?:{sign})?){body}{after}"]
    if spelling.negative == "after":
        minus = rf"{_BLANK}[{_MINUS}]"
        forms += [rf"{before}{body}{minus}{after}", rf"{before}{body}{after}{minus}"]
    if spelling.negative == "brackets":
        forms.append(rf"{before}\({_BLANK}{before}{body}{after}{_BLANK}\){after}")
    return Patterns(
        number=rf"^(?:{'|'.join(forms)})$",
        body="".join(rf"\{place}" for place in range(1, len(forms) + 1)),
        grouping=group,
        negative=rf"^[^0-9]*[{_MINUS}(]|[{_MINUS}][^0-9]*$",
        percent="%" if spelling.percent else "",
    )
