"""From column profiles to a project's choices: the target, each column's part, what will be rejected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sluice.drafting.leaks import Problem, find_sum
from sluice.drafting.profiling import ColumnProfile, profile
from sluice.drafting.roles import (
    SPELLED,
    ColumnDraft,
    Role,
    date_parts,
    feature_column,
    rows_text,
    suggest_entity,
    with_breaking,
)
from sluice.drafting.sampling import Sample, check_column, shown
from sluice.errors import NoRows, OneClassTarget, ProjectError
from sluice.splits import KEY_COLUMN

MAX_REJECTED_SHARE = 0.05
_MOST_CLASSES = 100
_MOST_INTEGER_CLASSES = 15
_LEAST_COUNTS = 6
_YES = frozenset(
    """yes y true t positive pos present presence churned churn exited default defaulted fraud fraudulent bad
    malignant spam sick diseased success successful won win left attrited dead died anomaly
    ja si sí oui sim да""".split()  # noqa: SIM905
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
_NO = frozenset("no not non n false f negative neg never none without".split())  # noqa: SIM905


@dataclass(frozen=True)
class SplitDraft:
    """How a file's rows divide under a salt."""

    salt: str | None
    """None: the default, the project's name."""
    held_out_rows: int
    rarest: int
    """Held-out rows of the class that has the fewest; all of them in a regression."""


@dataclass
class Draft:
    """Everything project.toml will say about the data."""

    sample: Sample
    columns: list[ColumnDraft]
    target: ColumnProfile
    problem: Problem
    positive: str | None
    entity: str | None
    timestamp: str | None
    entity_suggestion: str | None
    null_values: list[str]
    expected_rejects: float
    """The share of the sample's rows that validation will reject."""
    warnings: list[str]
    split: SplitDraft | None = None
    """How the file divides; None: not tried."""

    def named(self, role: Role) -> list[str]:
        return [column.name for column in self.columns if column.role == role]


def draft_project(
    sample: Sample,
    *,
    target: str,
    entity: str | None = None,
    timestamp: str | None = None,
    positive: str | None = None,
) -> Draft:
    """Decide what every column is for.

    Raises:
        ProjectError: an option names no column or does not fit the data; no column is left to learn from.
        OneClassTarget, NoRows: the target holds one value, or none.
    """
    options = {"--target": target, "--entity": entity, "--timestamp": timestamp}
    for option, name in options.items():
        if name is not None:
            check_column(name, sample, option)
    given = [name for name in options.values() if name is not None]
    if len(set(given)) < len(given):
        raise ProjectError(
            "--target, --entity and --timestamp name the same column twice", where=" ".join(given)
        )
    if target == KEY_COLUMN:
        raise ProjectError(
            f"a target cannot be called {KEY_COLUMN!r}",
            where=f"--target {target}",
            why="Sluice calls a row's key so",
            fix="rename the column in the file",
        )
    profiles = {column.name: column for column in profile(sample)}
    goal = profiles[target]
    problem = recognise_problem(goal, sample)
    warnings: list[str] = []
    if timestamp is not None and profiles[timestamp].type != "timestamp":
        raise ProjectError(
            f"{timestamp!r} holds no timestamps",
            where=f"--timestamp {timestamp}",
            why=f"it holds {', '.join(repr(value) for value, _ in profiles[timestamp].counts[:3])}",
            fix=_candidates("timestamp", profiles),
        )
    dates = date_parts(list(profiles.values()))
    columns = []
    for column in profiles.values():
        if column.name == target:
            columns.append(_target_column(column, problem))
        elif column.name in (entity, timestamp):
            role: Role = "entity" if column.name == entity else "timestamp"
            columns.append(ColumnDraft(column, role))
        else:
            columns.append(feature_column(column, goal, problem, dates))
    if problem == "regression":
        _leave_out_summands(columns, goal)
    _keep_what_there_is(columns, goal)
    draft = Draft(
        sample=sample,
        columns=columns,
        target=goal,
        problem=problem,
        positive=positive_class(goal, positive) if problem == "binary" else None,
        entity=entity,
        timestamp=timestamp,
        entity_suggestion=None if entity else suggest_entity(profiles, target),
        null_values=sorted({"", *(token for column in profiles.values() for token in column.null_tokens)}),
        expected_rejects=0.0,
        warnings=warnings,
    )
    if positive is not None and problem != "binary":
        raise ProjectError(
            f"--positive {positive} needs a target of two classes", where=f"--target {target} is {problem}"
        )
    if not draft.named("numeric") and not draft.named("categorical"):
        reasons = "; ".join(f"{shown(column.name)}: {column.reason}" for column in columns if column.reason)
        raise ProjectError(
            f"no column of {sample.path.name} is left to learn {target!r} from",
            where=str(sample.path),
            why=reasons or f"{target!r} is its only column",
            fix="make numbers of the dates in the file: year, month, weekday, hour"
            if any(column.profile.type == "timestamp" for column in columns)
            else "give a file with columns that were known before the target was",
        )
    _expect_rejects(draft, profiles)
    _warn_of_variants(draft)
    return draft


def recognise_problem(target: ColumnProfile, sample: Sample) -> Problem:
    """Tell what is to be predicted: one of two classes, one of several, or a number.

    Raises:
        NoRows: no row has a target.
        OneClassTarget: all rows have the same.
        ProjectError: it holds neither classes nor numbers.
    """
    where = f"{sample.path}, column {target.name}"
    if not target.filled:
        raise NoRows(f"no row of {sample.path.name} has a value in {target.name!r}", where=where)
    if target.distinct < 2:
        raise OneClassTarget(
            f"the target {target.name!r} has one value only: {target.counts[0][0]!r}",
            where=where,
            why=f"{rows_text(target.filled)}, and nothing to tell apart",
            fix="give a file with rows of every class",
        )
    if target.distinct == 2:
        return "binary"
    if target.is_numeric and (target.spelling or not _is_small_integer_target(target)):
        return "regression"
    if target.type == "timestamp":
        raise ProjectError(
            f"the target {target.name!r} holds dates",
            where=where,
            why=f"for example {target.counts[0][0]!r}",
            fix="let a column hold what is to be predicted: a number (days until then), or classes",
        )
    if target.distinct > _MOST_CLASSES or target.distinct * 2 > target.filled:
        raise ProjectError(
            f"the target {target.name!r} is neither a number nor a set of classes",
            where=where,
            why=f"{target.distinct:,} different texts in {target.filled:,} rows, as {target.counts[0][0]!r}",
            fix=f"give another --target, or one with at most {_MOST_CLASSES} classes",
        )
    return "multiclass"


def positive_class(target: ColumnProfile, wanted: str | None) -> str:
    """The class whose probability is predicted: the one that means yes, else the rarer one."""
    labels = _labels(target)
    if wanted is not None:
        if wanted not in labels:
            raise ProjectError(
                f"{wanted!r} is no class of {target.name!r}",
                where=f"--positive {wanted}",
                fix=f"one of: {', '.join(labels)}",
            )
        return wanted
    meaning_yes = [label for label in labels if _means_yes(label)]
    return meaning_yes[0] if len(meaning_yes) == 1 else labels[-1]


def _means_yes(label: str) -> bool:
    """Tell `Yes.`, `tested_positive`, `churned` and `1` from `no`, `not churned`, `0` and `-1`."""
    if _NUMBER.fullmatch(label):
        return float(label) > 0
    words = set(re.split(r"[\W_]+", label.lower()))
    return bool(words & _YES) and not words & _NO


def _labels(target: ColumnProfile) -> list[str]:
    """Write the target's values as the pipeline does, the most frequent first: true for True, 1.0 for 1."""
    written = [label for label, _ in target.counts]
    if target.type == "boolean":
        written = [label.lower() for label in written]
    elif target.type == "number":
        whole = target.whole
        written = [str(int(float(label)) if whole else float(label)) for label in written]
    return list(dict.fromkeys(written))


def _leave_out_summands(columns: list[ColumnDraft], target: ColumnProfile) -> None:
    features = {column.name: column for column in columns if column.role in ("numeric", "categorical")}
    signs = find_sum([column.profile for column in features.values()], target)
    if not signs:
        return
    ordered = sorted(signs.items(), key=lambda pair: -pair[1])
    terms = [("- " if sign < 0 else "+ ") + name for name, sign in ordered]
    for name in signs:
        features[name].leave_out(
            f"{target.name} is {' '.join(terms).removeprefix('+ ')}, give or take a constant"
        )


def _keep_what_there_is(columns: list[ColumnDraft], target: ColumnProfile) -> None:
    """Take the leaks back where nothing else is left: the file may simply be that easy."""
    if any(column.role in ("numeric", "categorical") for column in columns):
        return
    for column in columns:
        if column.leak:
            column.take_back(
                f"alone, this column gives {target.name} away ({column.reason}). It stays because there is nothing"
                " else to learn from; was it known before the target was?"
            )


def _target_column(column: ColumnProfile, problem: Problem) -> ColumnDraft:
    draft = ColumnDraft(column, "target")
    if column.spelling:
        draft.notes.append(SPELLED.format(column.spelling))
    if problem != "regression" and column.type == "string":
        draft.categories = sorted(label for label, _ in column.counts)
    if column.nulls:
        draft.notes.append(
            f"{rows_text(column.nulls)} without a value: nothing to learn from, they will be rejected"
        )
    return with_breaking(draft)


def _is_count(target: ColumnProfile) -> bool:
    """Tell how often something happened, mostly never, from classes: many values from 0 on, thinning out."""
    times = [count for _, count in sorted(target.counts, key=lambda pair: float(pair[0]))]
    return target.low == 0 and target.distinct >= _LEAST_COUNTS and times[0] == max(times) > 20 * times[-1]


def _is_small_integer_target(target: ColumnProfile) -> bool:
    """Tell grades and classes (3 … 9) from counts and amounts."""
    low, high = target.low or 0, target.high or 0
    return (
        target.whole
        and target.distinct <= _MOST_INTEGER_CLASSES
        and low >= 0
        and high <= 100
        and target.distinct * 5 <= target.filled
        and not _is_count(target)
    )


def _expect_rejects(draft: Draft, profiles: dict[str, ColumnProfile]) -> None:
    """Count what validation will reject, and refuse a project that would reject its own file.

    Raises:
        ProjectError: the entity repeats, and no timestamp tells its rows apart.
    """
    rows = draft.sample.rows
    bad = max((column.breaking_rows for column in profiles.values()), default=0)
    rejected = max(bad, draft.target.nulls)
    if draft.target.nulls:
        draft.warnings.append(
            f"{rows_text(draft.target.nulls)} without {draft.target.name}: they will be rejected"
        )
    for column in profiles.values():
        if column.breaking_rows:
            breaking = ", ".join(map(repr, column.breaking))
            draft.warnings.append(
                f"{shown(column.name)}: {rows_text(column.breaking_rows)} not of type {column.type} ({breaking}):"
                " they will be rejected"
            )
        if column.spelling:
            draft.warnings.append(
                f"{shown(column.name)}: numbers written with {column.spelling} ({column.counts[0][0]}):"
                " features.py reads them"
            )
        if column.dates and column.dates.other:
            draft.warnings.append(
                f"{shown(column.name)}: {column.dates.format} or {column.dates.other}? the data fit both, check it"
            )
    draft.warnings += [
        f"{shown(column.name)} alone gives {draft.target.name} away, and stays because nothing else is left"
        for column in draft.columns
        if column.kept and not column.leak
    ]
    if draft.entity is not None:
        rejected = max(rejected, _repeats(draft, profiles))
    draft.expected_rejects = (rejected + draft.sample.malformed_rows) / (rows + draft.sample.malformed_rows)
    if draft.sample.malformed_rows:
        draft.warnings.append(
            f"{rows_text(draft.sample.malformed_rows)} with more or fewer fields than the header:"
            " they will be rejected"
        )


def _warn_of_variants(draft: Draft) -> None:
    """Say where two classes of the target differ in capitals only."""
    if draft.problem == "regression":
        return
    spellings: dict[str, list[str]] = {}
    for label, _ in draft.target.counts:
        spellings.setdefault(label.lower(), []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            draft.warnings.append(
                f"{draft.target.name}: {' and '.join(map(repr, same))} are different classes;"
                " if they mean the same, write them alike in the file"
            )


def _repeats(draft: Draft, profiles: dict[str, ColumnProfile]) -> int:
    assert draft.entity is not None
    key = [draft.entity] + ([draft.timestamp] if draft.timestamp else [])
    known = draft.sample.table.select(key)
    repeated = draft.sample.rows - known.group_by(key).aggregate([]).num_rows
    if not repeated:
        return 0
    what = (
        f"{draft.entity!r} has {profiles[draft.entity].distinct:,} values in {rows_text(draft.sample.rows)}"
        if draft.timestamp is None
        else f"{rows_text(repeated)} repeat both {draft.entity!r} and {draft.timestamp!r}"
    )
    consequence = f"{repeated:,} of {rows_text(draft.sample.rows)} would be rejected as duplicates"
    if repeated > MAX_REJECTED_SHARE * draft.sample.rows:
        raise ProjectError(
            what,
            where=f"--entity {draft.entity}",
            why=f"an entity has one row, or one row a timestamp: {consequence}",
            fix=_candidates("timestamp", profiles)
            if draft.timestamp is None
            else "leave --entity out: then each row is an entity of its own",
        )
    draft.warnings.append(
        f"{what}: {consequence}" + ("" if draft.timestamp else " unless you give --timestamp")
    )
    return repeated


def _candidates(kind: str, profiles: dict[str, ColumnProfile]) -> str:
    found = [column.name for column in profiles.values() if column.type == kind]
    if found:
        return f"give --timestamp with {' or '.join(found)}, or leave it and --entity out"
    return "no column holds timestamps: leave both options out, and each row is an entity of its own"
