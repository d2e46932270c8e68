"""How the numbers of a column are written, by the evidence of all its cells and of the columns beside it.

The cells of a column have few shapes (`€ 9.999,99`): each digit is a 9 there, but for a zero that comes first. A way
of writing is possible where it reads the most of them; `Spelling` itself says what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.drafting.currencies import is_currency
from sluice.spelling import BLANKS, DecimalMark, DecimalMarks, GroupingMark, Negative, Spelling

# Longer runs of digits are all alike; numbers have some two hundred shapes at most, text has any number.
_MOST_SHAPES = 1_000
_ZERO = "\x01"
_PARTS = re.compile(r"(?P<before>[^0-9]*)(?P<body>[0-9](?:.*[0-9])?)(?P<after>[^0-9]*)", re.DOTALL)
_BODY = re.compile(r"[0-9][0-9.,' ]*([eE][-+]?[0-9]+)?")
_DECIMALS: tuple[DecimalMark, ...] = (".", ",")
_GROUPINGS: tuple[GroupingMark, ...] = (".", ",", "'", " ")
PLAIN = Spelling()


@dataclass(frozen=True)
class Shape:
    """Cells that look alike: `text` is one of them with other digits, `rows` says how many there are."""

    text: str
    rows: int
    before: str
    after: str
    body: str
    negative: Negative | None


@dataclass(frozen=True)
class Candidates:
    """The ways to read a column that read equally many of its cells; more than one: the column alone is ambiguous."""

    ways: tuple[Spelling, ...]
    rows: int
    """So many cells are read."""
    shapes: tuple[Shape, ...]
    units: tuple[str, ...] = ()
    """Of amounts in several: no one number can be made of them, and there is no way."""

    @property
    def decimal(self) -> DecimalMark | None:
        """The file's decimal mark, as far as this column proves it."""
        marks = {way.decimal for way in self.ways}
        proven = next((mark for mark in _DECIMALS if marks == {mark}), None)
        return proven if _are_marked(self.shapes) else None


@dataclass(frozen=True)
class Choice:
    """The way a column is read; `doubt` and the `other` way are for a person to look at, where that was a guess."""

    spelling: Spelling
    doubt: str = ""
    other: Spelling | None = None


def plainly(rows: int, *, pointed: bool) -> Candidates:
    """Give the one way of a column of plain numbers; `pointed` where a decimal point is among them."""
    body = "9.9" if pointed else "9"
    return Candidates((PLAIN,), rows, (Shape(body, rows, "", "", body, None),))


def candidates(values: Array, times: Array) -> Candidates | None:
    """Find the ways to read a column's distinct texts, each there `times` times; None where they are no numbers."""
    counted = _counted(values, times)
    if len(counted) > _MOST_SHAPES:
        return None
    shapes = [shape for text, rows in counted if (shape := _shape(text, rows)) is not None]
    if not shapes:
        return None
    befores, afters = _units(shape.before for shape in shapes), _units(shape.after for shape in shapes)
    several = _several(befores, afters, shapes)
    if several:
        return Candidates((), sum(shape.rows for shape in shapes), tuple(shapes), several)
    found = Candidates((), 0, tuple(shapes))
    # First by one decimal mark. Two are for cells that no one mark reads, and the more frequent one comes first.
    points, commas = (sum(shape.rows for shape in shapes if mark in shape.body) for mark in ".,")
    two: DecimalMarks = ".," if points >= commas else ",."
    for decimals in (_marks_of(shapes), [two] if points and commas else []):
        # Ways that read every cell alike, for the mark between them is in mistakes only, are one: the plainest.
        ways = {_readings(way, shapes): way for way in reversed([*_ways(shapes, decimals, befores, afters)])}
        read = {way: _rows(readings, shapes) for readings, way in reversed(ways.items())}
        most = max(read.values(), default=0)
        if most > found.rows:
            found = replace(found, ways=tuple(way for way, rows in read.items() if rows == most), rows=most)
    return found


def _counted(values: Array, times: Array) -> list[tuple[str, int]]:
    """Give the shapes of the texts with their rows; more than are looked at, where there are too many."""
    texts = pc.replace_substring_regex(values, f"[{BLANKS}]", " ")
    texts = pc.replace_substring(texts, "\u2019", "'")
    # Of the zeros only one that comes first tells anything: it is put aside.
    texts = pc.replace_substring_regex(texts, r"^([^0-9]*)0", f"\\1{_ZERO}")
    texts = pc.replace_substring_regex(pc.replace_substring_regex(texts, "[0-9]", "9"), "9{4,}", "9999")
    texts = pc.replace_substring(texts, _ZERO, "0")
    table = pa.table({"text": texts, "rows": times}).group_by("text").aggregate([("rows", "sum")])
    first = table.slice(0, _MOST_SHAPES + 1)
    return [(str(row["text"]), int(row["rows_sum"])) for row in first.to_pylist()]


def _shape(text: str, rows: int) -> Shape | None:
    """Take a shape apart; None where it is none of a number with a currency or a percent sign."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    before, body, after = parts["before"], parts["body"], parts["after"]
    signs = [sign for sign in before + after if sign in "+-\u2212"]
    brackets = before.count("(") == after.count(")") == 1
    if (before + after).count("(") + (before + after).count(")") != 2 * brackets or len(signs) + brackets > 1:
        return None
    unit_before, unit_after = (re.sub(r"[-+\u2212() ]", "", each) for each in (before, after))
    if unit_before and not is_currency(unit_before) and unit_before[-1] in ".,":
        unit_before, body = unit_before[:-1], unit_before[-1] + body
    if unit_after and not is_currency(unit_after) and unit_after[0] in ".,":
        unit_after, body = unit_after[1:], body + unit_after[0]
    if not _BODY.fullmatch(body.strip(".,")):
        return None
    if not (is_currency(unit_before) or not unit_before) or not (
        unit_after in ("", "%") or is_currency(unit_after)
    ):
        return None
    negative: Negative | None = "before" if signs else None
    if brackets or (signs and signs[0] in after):
        negative = "brackets" if brackets else "after"
    if negative == "after" and signs == ["+"]:
        return None
    return Shape(text, rows, unit_before, unit_after, body, negative)


def _are_marked(shapes: Sequence[Shape]) -> bool:
    return any(mark in shape.body for shape in shapes for mark in ".,")


def _units(texts: Iterable[str]) -> dict[str, str]:
    """Give what stands there, by its lower case."""
    return {text.casefold(): text for text in texts if text}


def _several(befores: dict[str, str], afters: dict[str, str], shapes: Sequence[Shape]) -> tuple[str, ...]:
    """Name the units, if there are several: cells of one number each, but not of one kind."""
    together = any(shape.before and shape.after for shape in shapes)
    apart = bool(befores) and bool(afters) and befores.keys() != afters.keys() and not together
    if len(befores) > 1 or len(afters) > 1 or apart:
        return tuple(dict.fromkeys((*befores.values(), *afters.values())))
    return ()


def _marks_of(shapes: Sequence[Shape]) -> list[DecimalMarks]:
    """Give the decimal marks that may be; a point also where there is none, as in a column without a fraction."""
    return [".", ","] if any("," in shape.body for shape in shapes) else ["."]


def _ways(
    shapes: Sequence[Shape],
    decimals: Sequence[DecimalMarks],
    befores: dict[str, str],
    afters: dict[str, str],
) -> Iterable[Spelling]:
    """Give the ways of writing that use marks which are there, the plainest first."""
    marks = set("".join(shape.body for shape in shapes))
    groupings: list[GroupingMark] = ["", *(mark for mark in _GROUPINGS if mark in marks)]
    negatives: list[Negative] = [
        style for style in ("after", "brackets") if any(shape.negative == style for shape in shapes)
    ] or ["before"]
    before, after = next(iter(befores.values()), ""), next(iter(afters.values()), "")
    for grouping, decimal, negative in product(groupings, decimals, negatives):
        if grouping and grouping in decimal:
            if len(decimal) > 1:
                continue
            # Nothing but thousands: a fraction would be written with the other one.
            decimal = "," if grouping == "." else "."
        yield Spelling(decimal=decimal, grouping=grouping, before=before, after=after, negative=negative)


def _readings(way: Spelling, shapes: Sequence[Shape]) -> tuple[str | None, ...]:
    return tuple(way.plain(shape.text) for shape in shapes)


def _rows(readings: Sequence[str | None], shapes: Sequence[Shape]) -> int:
    return sum(shape.rows for reading, shape in zip(readings, shapes, strict=True) if reading is not None)


def choose(found: Candidates, values: Array, decimals: set[DecimalMark], delimiter: str | None) -> Choice:
    """Choose among the ways to read a column.

    Args:
        found: what the column allows.
        values: its distinct texts.
        decimals: the decimal marks that the file's columns prove.
        delimiter: what stands between the file's columns.
    """
    ways = found.ways
    if len(ways) > 1 and len(decimals) == 1:
        ways = tuple(way for way in ways if way.decimal in decimals) or ways
    choice = Choice(ways[0]) if len(ways) == 1 else _guess(ways, values, delimiter)
    way = choice.spelling
    if len(decimals) == 1 and not _are_marked(found.shapes):
        # The column has no fraction yet: one would be written as in the others.
        mark = next(iter(decimals))
        way = way if way == PLAIN or mark == way.grouping else way.model_copy(update={"decimal": mark})
    return _with_percent(replace(choice, spelling=way), found, values)


def _guess(ways: Sequence[Spelling], values: Array, delimiter: str | None) -> Choice:
    """Choose where every number of a column could be written either way: three digits stand behind each mark."""
    fractions = [way for way in ways if not way.grouping or way.grouping in " '"]
    thousands = [way for way in ways if way not in fractions]
    if not fractions or not thousands:
        return _doubtful(ways[0], ways[1:], values)
    mark = thousands[0].grouping
    marked = values.filter(pc.match_substring(values, mark))
    unmarked = values.filter(pc.invert(pc.match_substring(values, mark)))
    zeros = pc.any(pc.match_substring_regex(marked, "0[^0-9]*$")).as_py()
    if zeros and len(unmarked):
        # As fractions they would be written neither to three places (850 would be 850.000) nor to as many as it takes
        # (12.500 would be 12.5).
        return Choice(thousands[0])
    small = not pc.any(pc.match_substring_regex(unmarked, "[0-9]{4,}")).as_py()
    near = pc.any(pc.match_substring_regex(unmarked, "[0-9]{3}")).as_py()
    if mark == ".":
        first = thousands if small and near else fractions
    else:
        first = fractions if delimiter == ";" else thousands
    rest = [way for way in ways if way is not first[0]]
    return _doubtful(first[0], rest, values)


def _doubtful(way: Spelling, others: Sequence[Spelling], values: Array) -> Choice:
    example = next((text for text in values.to_pylist() if way.plain(text) != others[0].plain(text)), None)
    if example is None:
        return Choice(way)  # they differ by cells that only look like others, such as two blanks for one
    taken, other = (_read(each.plain(example)) for each in (way, others[0]))
    doubt = f"{example!r} is read as {taken}, and could be {other}: nothing in the file tells"
    return Choice(way, doubt, others[0])


def _read(plain: str | None) -> str:
    return "no number" if plain is None else plain


def _with_percent(choice: Choice, found: Candidates, values: Array) -> Choice:
    """Settle what a percent sign means where some cells have one and others do not."""
    way = choice.spelling
    signless = [shape for shape in found.shapes if shape.after != "%"]
    if way.after != "%" or not signless:
        return choice
    plain = [
        way.plain(text) for text in values.filter(pc.invert(pc.match_substring(values, "%"))).to_pylist()
    ]
    numbers = [float(text) for text in plain if text is not None]
    if any(number % 1 for number in numbers) and all(abs(number) <= 1 for number in numbers):
        return replace(choice, spelling=way.model_copy(update={"after": "", "percent": True}))
    doubt = "some cells have a percent sign and others none: 37% and 37 are taken for the same number"
    other = way.model_copy(update={"after": "", "percent": True})
    return Choice(way, "; ".join(filter(None, (choice.doubt, doubt))), choice.other or other)
