"""What part a column plays: a number, a category, or left out of the features, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from sluice.arrow import compute as pc
from sluice.drafting.leaks import find_leak
from sluice.drafting.profiling import ColumnProfile
from sluice.drafting.toml import inline, spelling_table
from sluice.problems import Problem
from sluice.splits import KEY_COLUMN

Role = Literal["numeric", "categorical", "left out", "target", "entity", "timestamp"]

LISTED_CATEGORIES = 20
_MOST_INTEGER_CATEGORIES = 12
_MOST_NAMED_CATEGORIES = 50
_SCALE = 8
# An area, a price, a count: never below zero whatever next month brings. A balance or a difference may be.
_NEVER_NEGATIVE = frozenset(
    """age amount area calls campaign capacity charge charges children cost count days distance duration fare
    height hours income length minutes months num number orders price purchases qty quantity rooms salary size
    tenure total visits volume weight width years""".split()  # noqa: SIM905
)
_COUNTING = _NEVER_NEGATIVE | {
    "level",
    "score",
    "rating",
    "grade",
    "rank",
    "quality",
    "n",
    "no",
    "nr",
    "people",
}
_CODING = frozenset(
    """airline airport branch brand carrier category channel city class code cluster country county department
    district division group item kind location product region route segment shop site species state station store
    type vendor warehouse zip zone""".split()  # noqa: SIM905
)
_ID_WORDS = frozenset(("id", "ids", "uuid", "guid", "identifier", "rowid", "rownames"))
# An id where it is the whole name or has another value in every row; an air quality index is none.
_MAYBE_ID_WORDS = frozenset(("key", "index", "idx"))
_NUMBERING = frozenset(("number", "num", "no", "nr", "nbr", "seq", "sequence", "serial", "ref", "row", "obs"))
# A place or a product that comes back this often tells something; a customer's name does not.
_ROWS_PER_CODE = 10
_MOST_CODES = 500
# Texts of which each stands in fewer rows than this are names, not categories.
_ROWS_PER_TEXT = 10
_MOST_RARE_TEXTS = 50
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_ENDS_IN_ID = re.compile(
    r"(customer|user|client|account|member|patient|order|passenger|person|row|employee|transaction|loan|subject)id$"
)
# What pandas and readr call a column that has no name, as are the numbers of rows.
_NAMELESS = re.compile(r"(Unnamed: ?\d+(\.\d+)*|__index_level_\d+__|\.\.\.\d+|)")
# What pandas, R and Spark call one, but people may, too.
_ROW_NUMBER = re.compile(r"level_\d+|X(\.\d+)?|_c0")
# In a shorter column chance may number the rows.
_LEAST_NUMBERED = 20
_LEAST_SAMPLED = 100
_TIME_WORDS = frozenset(
    ("year", "yr", "month", "week", "quarter", "day", "hour", "time", "period", "age", "t")
)
_DATE_PARTS: dict[str, tuple[int | None, int | None]] = {
    "year": (None, None), "yr": (None, None), "month": (1, 12), "mon": (1, 12), "mnth": (1, 12),
    "day": (1, 31), "dom": (1, 31), "hour": (0, 23), "hr": (0, 23), "minute": (0, 59),
    "weekday": (None, None), "dow": (None, None),
}  # fmt: skip
_MONTHS = frozenset(("month", "mon", "mnth"))

Range = tuple[int | None, int | None]
"""What a column may hold at least and at most; None: any."""


@dataclass(frozen=True)
class ColumnDraft:
    """What one column becomes in project.toml."""

    profile: ColumnProfile
    role: Role
    reason: str = ""
    """Why it is left out, as a sentence's end."""
    notes: tuple[str, ...] = ()
    nullable: bool = False
    min: int | None = None
    max: int | None = None
    categories: tuple[str, ...] = ()
    rare: bool = False
    """True: the categories are no closed set, they are written down but not enforced."""
    leak: bool = False
    kept: Role | None = None
    """What a leak is to the model if it is taken back; None: nothing, as it stands."""

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def is_feature(self) -> bool:
        return self.role in ("numeric", "categorical")

    def left_out(self, leak: str) -> ColumnDraft:
        """Leave it out of the features, since it gives the target away."""
        kept = self.kept if self.role == "left out" else self.role
        return replace(self, role="left out", reason=leak, leak=True, rare=True, kept=kept)

    def taken_back(self, note: str) -> ColumnDraft:
        """Make a feature of it again, if it was left out as a leak and can be one."""
        if self.kept is None:
            return self
        return replace(self, role=self.kept, reason="", leak=False, notes=(*self.notes, note))


def date_parts(profiles: list[ColumnProfile]) -> dict[str, Range]:
    """Columns that together are a date (year, month, day, …), with the range each may have; empty if none.

    They share what comes before the part: arrival_year, arrival_month, arrival_day_of_month.
    """
    dates: dict[tuple[str, ...], dict[str, Range]] = {}
    for column in profiles:
        words = words_of(column.name)
        place = next((place for place, word in enumerate(words) if word in _DATE_PARTS), None)
        if place is None or (len(words) > place + 1 and words[place + 1] != "of"):
            continue
        range_ = _date_range(column, words[place])
        if range_ is not None:
            dates.setdefault(tuple(words[:place]), {})[column.name] = range_
    for found in dates.values():
        has_month = any(word in _MONTHS for name in found for word in words_of(name))
        if len(found) >= 2 and has_month:
            return found
    return {}


def _date_range(column: ColumnProfile, part: str) -> Range | None:
    """The range of a part of a date; None if the column's values are none."""
    low, high = _DATE_PARTS[part]
    if not column.is_numeric:
        return (None, None) if column.type == "string" and column.distinct <= 12 else None
    if column.low is None or column.high is None:
        return None
    if low is not None and high is not None:
        return (low, high) if low <= column.low <= column.high <= high else None
    if part in ("year", "yr"):
        return (None, None) if 1800 <= column.low <= column.high <= 2200 else None
    return None, None


def feature_column(
    column: ColumnProfile, target: ColumnProfile, problem: Problem, dates: dict[str, Range]
) -> ColumnDraft:
    """Decide a column's part where it is not target, entity or timestamp; `dates` as of `date_parts`."""
    out = ColumnDraft(column, "left out", notes=breaking_notes(column), nullable=column.empty > 0)
    useless = _useless(column)
    if useless is None and not pc.any(pc.and_(column.values.is_valid(), target.values.is_valid())).as_py():
        useless = f"never filled in where {target.name} is"
    if useless is not None:
        return replace(out, reason=useless)
    unusable = _unusable(column)
    draft = _feature(out, dates) if unusable is None else replace(out, reason=unusable)
    leak = find_leak(column, target, problem)
    return draft.left_out(leak) if leak else draft


def _feature(draft: ColumnDraft, dates: dict[str, Range]) -> ColumnDraft:
    """Say what a feature is to the model, and what a later file may hold in it."""
    column = draft.profile
    role = _role(column, date_part=column.name in dates)
    low, high = _range(column, role, dates.get(column.name, (None, None)))
    listed = column.type == "string" and column.distinct <= LISTED_CATEGORIES
    notes = list(draft.notes)
    if column.name in dates:
        notes.append(f"part of a date that is split over {', '.join(dates)}; features.py can put it together")
    notes += spelling_notes(column)
    return replace(
        draft,
        role=role,
        notes=tuple(notes),
        min=low,
        max=high,
        categories=tuple(sorted(label for label, _ in column.counts)) if listed else (),
        # 0.5 % of the rows, or 5: below that the next file may well bring one that this file does not have.
        rare=listed and min(times for _, times in column.counts) < max(5, column.filled // 200),
    )


def _role(column: ColumnProfile, *, date_part: bool) -> Role:
    if column.type in ("boolean", "string"):
        return "categorical"
    return "categorical" if _is_integer_category(column, date_part) else "numeric"


def _range(column: ColumnProfile, role: Role, part_of_date: Range) -> Range:
    low, high = part_of_date
    if column.whole and (column.low, column.high) == (0, 1):
        return 0, 1
    if low is None and role == "numeric" and column.low is not None and column.low >= 0:
        return 0 if _NEVER_NEGATIVE & set(words_of(column.name)) else None, high
    return low, high


def spelling_notes(column: ColumnProfile) -> tuple[str, ...]:
    """Say how the numbers are written, where not plainly, and what was guessed."""
    notes = []
    if column.spelling is not None:
        notes.append(f"numbers written with {column.spelling.describe()}, as {inline(column.example)}")
    if column.doubt:
        other = (
            "" if column.other is None else f"; if that is wrong, spelling = {spelling_table(column.other)}"
        )
        notes.append(f"check this: {column.doubt}{other}")
    return tuple(notes)


def mixed_dates_text(column: ColumnProfile) -> str | None:
    """Say that a column's dates are not written in one way; None if they are, or it holds none."""
    mixed = column.mixed_dates
    if mixed is None:
        return None
    ways = " and ".join(map(repr, mixed.examples))
    others = f"; no date: {', '.join(map(repr, mixed.others))}" if mixed.others else ""
    how = f"in {len(mixed.examples)} ways" if len(mixed.examples) > 1 else "with others among them"
    return f"dates written {how} ({ways}{others}): read as text; written in one way, they are dates"


def breaking_notes(column: ColumnProfile) -> tuple[str, ...]:
    """Say which values are not of the column's type, if there are any."""
    mixed = mixed_dates_text(column)
    if mixed is not None:
        return (mixed,)
    if not column.breaking_rows:
        return ()
    shown = ", ".join(repr(value) for value in column.breaking)
    return (f"{rows_text(column.breaking_rows)} not of this type ({shown}): they will be rejected",)


def _useless(column: ColumnProfile) -> str | None:
    """Why nothing could be learned from the column in any file."""
    if column.name == KEY_COLUMN:
        return "Sluice calls a row's key so; give the column another name to use it"
    if not column.filled:
        return "never filled in"
    if column.distinct == 1 and not column.nulls:
        return f"always {column.counts[0][0]!r}"
    if column.lost_digits:
        return "codes that a spreadsheet wrote with an exponent: their last digits are lost"
    if column.units:
        return f"amounts of several kinds ({', '.join(column.units)}); features.py can make one of them"
    if _is_identifier(column):
        return f"an identifier, {column.distinct:,} different values in {column.filled:,} rows"
    if _is_row_number(column):
        return f"row numbers, {column.distinct:,} different ones in {column.filled:,} rows"
    return None


def _unusable(column: ColumnProfile) -> str | None:
    """Why a model cannot take the column as it stands."""
    if column.type == "timestamp":
        return "a date; features.py can make numbers of it (days since, month, weekday)"
    if column.type != "string":
        return None
    if column.mean_words > 4 and column.mean_length > 25 and column.distinct * 3 > column.filled:
        return f"free text, {column.mean_length:.0f} characters on average"
    if column.distinct > LISTED_CATEGORIES and column.distinct * 2 > column.filled:
        return f"nearly every row has its own value: {column.distinct:,} different ones"
    if column.distinct > _MOST_RARE_TEXTS and column.distinct * _ROWS_PER_TEXT > column.filled:
        return (
            f"{column.distinct:,} different texts, each in {column.filled / column.distinct:.1f} rows on average:"
            " too few to learn from"
        )
    return None


def _is_row_number(column: ColumnProfile) -> bool:
    """Tell whether whole numbers say where a row stood: by the name that pandas or R gives them, or by their values.

    By values: no number comes twice, and together they fill what is between the least and the largest, or most of it
    where rows were left out (a sample, one side of a split). The order is of no matter: the file may be shuffled.
    """
    if not column.whole or column.low is None or column.high is None or column.spelling:
        return False
    if _NAMELESS.fullmatch(column.name):
        return column.distinct > LISTED_CATEGORIES or column.distinct == column.filled
    if column.filled < _LEAST_NUMBERED or column.distinct < column.filled:
        return False
    if _ROW_NUMBER.fullmatch(column.name):
        return True
    if _TIME_WORDS & set(words_of(column.name)):
        return False
    extent = int(column.high) - int(column.low) + 1
    if extent == column.filled:
        return True
    return column.filled >= _LEAST_SAMPLED and column.low >= 0 and extent <= 2 * column.filled


def _is_identifier(column: ColumnProfile) -> bool:
    """Tell whether the values name rows or things rather than describe them."""
    words = words_of(column.name)
    named = (
        not column.name.strip()
        or bool(_ID_WORDS & {*words[:1], *words[-1:]})
        or bool(_MAYBE_ID_WORDS & set(words[-1:]) and (len(words) == 1 or column.distinct == column.filled))
        or bool(_ENDS_IN_ID.search(column.name.lower()))
    )
    if column.type == "string" and all(_UUID.fullmatch(value) for value, _ in column.counts[:50]):
        return True
    if named and (column.type == "string" or column.whole):
        # store_id with 12 stores is a category; customer_id is not, whether it repeats or not.
        return column.distinct == column.filled or (
            column.distinct > LISTED_CATEGORIES and not _is_code(column)
        )
    if column.filled < 20 or column.distinct < 0.95 * column.filled:
        return False
    if column.type == "string":
        return column.mean_words <= 1.5 and column.mean_length <= 64
    if not column.whole or column.nulls or column.distinct < column.filled:
        return False
    if _NUMBERING & set(words[-1:]):
        return True
    if _TIME_WORDS & set(words):
        return False
    long = column.low is not None and column.high is not None and column.low >= 10**7
    return long and len(str(column.low)) == len(str(column.high))


def _is_code(column: ColumnProfile) -> bool:
    """Tell whether an id stands for a place, a product or the like, and each comes back often."""
    return (
        bool(_CODING & set(words_of(column.name)))
        and column.distinct <= _MOST_CODES
        and column.distinct * _ROWS_PER_CODE <= column.filled
    )


def _is_integer_category(column: ColumnProfile, date_part: bool) -> bool:
    """Tell codes from counts, grades and years: a code has few values, each often, in no order."""
    if not column.whole or column.low is None or column.high is None or date_part:
        return False
    if column.distinct == 2:
        return True
    words = words_of(column.name)
    if column.distinct * 10 > column.filled:
        return False
    if words and words[-1] in _CODING | _ID_WORDS:
        return column.distinct <= _MOST_NAMED_CATEGORIES or _is_code(column)
    if column.distinct > _MOST_INTEGER_CATEGORIES:
        return False
    if _COUNTING & set(words) or _is_plural(words) or 1800 <= column.low <= column.high <= 2200:
        return False
    if column.low not in (0, 1) or column.distinct <= 3 or column.high > 2 * column.distinct:
        return True
    # From 0 or 1 on, with few gaps: a scale if it is long, a count if it thins out from its lowest value.
    times = [count for _, count in sorted(column.counts, key=lambda pair: float(pair[0]))]
    thins_out = times[0] == max(times) and times[-1] * 5 <= times[0]
    return column.distinct < _SCALE and not thins_out


def _is_plural(words: list[str]) -> bool:
    """Tell `bedrooms` and `adults`, which are counted, from `status` and `class`."""
    last = words[-1] if words else ""
    return (
        len(last) > 3
        and last.endswith("s")
        and not last.endswith(("ss", "us", "is", "as", "species", "series"))
    )


def suggest_entity(profiles: dict[str, ColumnProfile], target: str) -> str | None:
    """Find the first column that calls itself an id and has another value in every row."""
    for column in profiles.values():
        named = (_ID_WORDS | _MAYBE_ID_WORDS) & set(words_of(column.name)) or column.name.lower().endswith(
            "id"
        )
        if named and column.name != target and column.distinct == column.rows and _is_identifier(column):
            return column.name
    return None


def words_of(name: str) -> list[str]:
    """Split `customerID`, `avg_price` or `Loan Amount` into lower-case words."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3 \2\4", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def rows_text(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
