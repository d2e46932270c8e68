"""What part a column plays: a number, a category, or left out of the features, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from sluice.arrow import compute as pc
from sluice.leaks import Problem, find_leak
from sluice.profiling import ColumnProfile

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
_COUNTING = _NEVER_NEGATIVE | {"level", "score", "rating", "grade", "rank", "quality", "n", "no", "nr"}
_CODING = frozenset("category class code group kind region segment state type zip zone".split())  # noqa: SIM905
_ID_WORDS = frozenset(("id", "ids", "uuid", "guid", "identifier", "key", "index", "idx", "rowid", "rownames"))
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DATE_PARTS = {
    "year": (None, None), "yr": (None, None), "month": (1, 12), "mon": (1, 12), "mnth": (1, 12),
    "day": (1, 31), "dom": (1, 31), "hour": (0, 23), "hr": (0, 23), "minute": (0, 59),
    "weekday": (None, None), "dow": (None, None),
}  # fmt: skip


@dataclass
class ColumnDraft:
    """What one column becomes in project.toml."""

    profile: ColumnProfile
    role: Role
    reason: str = ""
    """Why it is left out, as a sentence's end."""
    notes: list[str] = field(default_factory=list)
    nullable: bool = False
    min: int | None = None
    max: int | None = None
    categories: list[str] = field(default_factory=list)
    rare: bool = False
    """True: the categories are no closed set, they are written down but not enforced."""
    leak: bool = False

    @property
    def name(self) -> str:
        return self.profile.name


def date_parts(profiles: list[ColumnProfile]) -> dict[str, tuple[int | None, int | None]]:
    """Columns that together are a date (year, month, day, …), with the range each may have; empty if none."""
    found = {}
    for column in profiles:
        part = next((word for word in reversed(_words(column.name)) if word in _DATE_PARTS), None)
        if part is None or (len(_words(column.name)) > 2 and "of" not in _words(column.name)):
            continue
        low, high = _DATE_PARTS[part]
        if column.is_numeric and low is not None and high is not None:
            if column.low is None or not low <= column.low <= (column.high or 0) <= high:
                continue
        elif column.is_numeric and part in ("year", "yr"):
            if column.low is None or not 1800 <= column.low <= (column.high or 0) <= 2200:
                continue
        elif not column.is_numeric and (column.type != "string" or column.distinct > 12):
            continue
        found[column.name] = (low, high) if column.is_numeric else (None, None)
    has_month = any("mon" in word or word == "mnth" for name in found for word in _words(name))
    return found if len(found) >= 2 and has_month else {}


def feature_column(
    column: ColumnProfile,
    target: ColumnProfile,
    problem: Problem,
    dates: dict[str, tuple[int | None, int | None]],
) -> ColumnDraft:
    draft = with_breaking(ColumnDraft(column, "left out", nullable=column.nulls > 0))
    draft.reason = _useless(column) or ""
    if draft.reason:
        return draft
    leak = find_leak(column, target, problem)
    if leak:
        draft.reason, draft.leak = leak, True
        return draft
    draft.reason = _unusable(column) or ""
    if draft.reason:
        return draft
    if column.name in dates:
        together = ", ".join(dates)
        draft.notes.append(f"part of a date that is split over {together}; features.py can put it together")
        draft.min, draft.max = dates[column.name]
    if (
        column.type == "boolean"
        or column.type == "string"
        or _is_integer_category(column, column.name in dates)
    ):
        draft.role = "categorical"
    else:
        draft.role = "numeric"
    if column.type == "string" and column.distinct <= LISTED_CATEGORIES:
        draft.categories = sorted(label for label, _ in column.counts)
        # 0.5 % of the rows, or 5: below that the next file may well bring one that this file does not have.
        draft.rare = min(times for _, times in column.counts) < max(5, column.filled // 200)
    if column.type == "integer" and (column.low, column.high) == (0, 1):
        draft.min, draft.max = 0, 1
    elif draft.min is None and draft.role == "numeric" and column.low is not None and column.low >= 0:
        draft.min = 0 if _NEVER_NEGATIVE & set(_words(column.name)) else None
    return draft


def with_breaking(draft: ColumnDraft) -> ColumnDraft:
    column = draft.profile
    if column.breaking_rows:
        shown = ", ".join(repr(value) for value in column.breaking)
        draft.notes.append(
            f"{rows_text(column.breaking_rows)} not of this type ({shown}): they will be rejected"
        )
    return draft


def _useless(column: ColumnProfile) -> str | None:
    """Why nothing could be learned from the column in any file."""
    if not column.filled:
        return "never filled in"
    if column.distinct == 1 and not column.nulls:
        return f"always {column.counts[0][0]!r}"
    if _is_identifier(column):
        return f"an identifier, {column.distinct:,} different values in {column.filled:,} rows"
    return None


def _unusable(column: ColumnProfile) -> str | None:
    """Why a model cannot take the column as it stands."""
    if column.type == "timestamp":
        return "a date; features.py can make numbers of it (days since, month, weekday)"
    if column.type != "string":
        return None
    if column.spelling and column.distinct > 2:
        return f"numbers written with {column.spelling}; rewrite them in the file, or in features.py"
    if column.mean_words > 4 and column.mean_length > 25 and column.distinct * 3 > column.filled:
        return f"free text, {column.mean_length:.0f} characters on average"
    if column.distinct > 20 and column.distinct * 2 > column.filled:
        return f"nearly every row has its own value: {column.distinct:,} different ones"
    return None


def _is_identifier(column: ColumnProfile) -> bool:
    """Tell whether the values name rows or things rather than describe them."""
    named = bool(_ID_WORDS & set(_words(column.name)[-1:] + _words(column.name)[:1])) or bool(
        re.search(
            r"(customer|user|client|account|member|patient|order|passenger|person|row)id$",
            column.name.lower(),
        )
    )
    if column.type == "string" and all(_UUID.fullmatch(value) for value, _ in column.counts[:50]):
        return True
    if named and column.type in ("string", "integer"):
        # store_id with 12 stores is a category; customer_id is not, whether it repeats or not.
        return column.distinct > LISTED_CATEGORIES or column.distinct == column.filled
    if column.filled < 20 or column.distinct < 0.95 * column.filled:
        return False
    if column.type == "string":
        return column.mean_words <= 1.5 and column.mean_length <= 64 and not column.spelling
    if column.type != "integer" or column.nulls or column.distinct < column.filled:
        return False
    steps = pc.subtract(
        column.values.combine_chunks().slice(1), column.values.combine_chunks().slice(0, column.rows - 1)
    )
    if pc.all(pc.equal(steps, 1)).as_py():
        return True
    long = column.low is not None and column.high is not None and column.low >= 10**7
    return long and len(str(column.low)) == len(str(column.high))


def _is_integer_category(column: ColumnProfile, date_part: bool) -> bool:
    """Tell codes from counts, grades and years: a code has few values, each often, in no order."""
    if column.type != "integer" or column.low is None or column.high is None or date_part:
        return False
    if column.distinct == 2:
        return True
    words = _words(column.name)
    if column.distinct * 10 > column.filled:
        return False
    if words and words[-1] in _CODING | _ID_WORDS:
        return column.distinct <= _MOST_NAMED_CATEGORIES
    if column.distinct > _MOST_INTEGER_CATEGORIES:
        return False
    if _COUNTING & set(words) or 1800 <= column.low <= column.high <= 2200:
        return False
    if column.low not in (0, 1) or column.distinct <= 3 or column.high > 2 * column.distinct:
        return True
    # From 0 or 1 on, with few gaps: a scale if it is long, a count if it thins out from its lowest value.
    times = [count for _, count in sorted(column.counts, key=lambda pair: int(pair[0]))]
    thins_out = times[0] == max(times) and times[-1] * 5 <= times[0]
    return column.distinct < _SCALE and not thins_out


def suggest_entity(profiles: dict[str, ColumnProfile], target: str) -> str | None:
    """Find the first column that calls itself an id and has another value in every row."""
    for column in profiles.values():
        named = _ID_WORDS & set(_words(column.name)) or column.name.lower().endswith("id")
        if named and column.name != target and column.distinct == column.rows and _is_identifier(column):
            return column.name
    return None


def _words(name: str) -> list[str]:
    """Split `customerID`, `avg_price` or `Loan Amount` into lower-case words."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-zA-Z0-9]+", spaced.lower()) if word]


def rows_text(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
