"""From column profiles to a project's choices: the target, each column's part, what will be rejected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sluice.arrow import compute as pc
from sluice.column_names import normal
from sluice.drafting.classes import as_classes, find_strays, means_yes
from sluice.drafting.leaks import find_sum
from sluice.drafting.profiling import ColumnProfile, profile
from sluice.drafting.roles import (
    ColumnDraft,
    Range,
    Role,
    breaking_notes,
    date_parts,
    feature_column,
    mixed_dates_text,
    rows_text,
    spelling_notes,
    suggest_entity,
)
from sluice.drafting.sampling import Sample, check_column, shown
from sluice.errors import NoRows, OneClassTarget, ProjectError
from sluice.problems import Problem
from sluice.splits import KEY_COLUMN

MAX_REJECTED_SHARE = 0.05
_MOST_CLASSES = 100
_MOST_ROWS_LEFT_OUT = 0.01
_MOST_INTEGER_CLASSES = 15
_LEAST_COUNTS = 6
_FEW_ROWS = 20


@dataclass(frozen=True)
class SplitDraft:
    """How a file's rows divide under a salt."""

    salt: str | None
    """None: the default, the project's name."""
    held_out_rows: int
    rarest: int
    """Held-out rows of the class that has the fewest; all of them in a regression."""


@dataclass(frozen=True)
class Draft:
    """Everything project.toml will say about the data."""

    sample: Sample
    columns: tuple[ColumnDraft, ...]
    target: ColumnProfile
    problem: Problem
    positive: str | None
    entity: str | None
    timestamp: str | None
    entity_suggestion: str | None
    null_values: tuple[str, ...]
    expected_rejects: float
    """The share of the sample's rows that validation will reject."""
    warnings: tuple[str, ...]
    split: SplitDraft | None = None
    """How the file divides; None: not tried."""

    def named(self, role: Role) -> list[str]:
        return [column.name for column in self.columns if column.role == role]


@dataclass(frozen=True)
class _Choice:
    """What whoever drafts says of the columns."""

    target: str
    entity: str | None
    timestamp: str | None

    def check(self, sample: Sample) -> None:
        """Check it against the file's columns.

        Raises:
            ProjectError: an option names no column, or one that another names; the target cannot be called so.
        """
        options = {"--target": self.target, "--entity": self.entity, "--timestamp": self.timestamp}
        for option, name in options.items():
            if name is not None:
                check_column(name, sample, option)
        given = [name for name in options.values() if name is not None]
        if len(set(given)) < len(given):
            raise ProjectError(
                "--target, --entity and --timestamp name the same column twice", where=" ".join(given)
            )
        if self.target == KEY_COLUMN:
            raise ProjectError(
                f"a target cannot be called {KEY_COLUMN!r}",
                where=f"--target {self.target}",
                why="Sluice calls a row's key so",
                fix="rename the column in the file",
            )


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
    target = normal(target)
    choice = _Choice(target, entity and normal(entity), timestamp and normal(timestamp))
    choice.check(sample)
    profiles = _profiles(sample, target)
    goal = profiles[target]
    problem = recognise_problem(goal, sample)
    _check_timestamp(choice.timestamp, profiles)
    columns = _columns(profiles, choice, problem)
    if problem != "binary" and positive is not None:
        raise ProjectError(
            f"--positive {positive} needs a target of two classes", where=f"--target {target} is {problem}"
        )
    label = positive_class(goal, positive) if problem == "binary" else None
    _check_features(columns, sample, target)
    repeats = _Repeats.of(sample, choice, profiles)
    return Draft(
        sample=sample,
        columns=columns,
        target=goal,
        problem=problem,
        positive=label,
        entity=choice.entity,
        timestamp=choice.timestamp,
        entity_suggestion=None if entity else suggest_entity(profiles, target),
        null_values=tuple(
            sorted({"", *(token for column in profiles.values() for token in column.null_tokens)})
        ),
        expected_rejects=_expected_rejects(sample, goal, profiles, repeats),
        warnings=(
            *_warnings_of_columns(goal, profiles),
            *_warnings_of_leaks(goal, columns),
            *repeats.warnings,
            *_warnings_of_malformed(sample),
            *_warnings_of_variants(goal, problem),
            *_warnings_of_rare_classes(goal, problem),
        ),
    )


def _profiles(sample: Sample, target: str) -> dict[str, ColumnProfile]:
    """Profile the columns by their names; a few rows that hold no class are left out of it, as they will be rejected.

    A footer would else make text of columns of numbers or dates.
    """
    profiles = {column.name: column for column in profile(sample)}
    found = profiles[target]
    strays = find_strays(found)
    out = found.values.is_null()
    if found.nulls > _MOST_ROWS_LEFT_OUT * found.rows:
        out = pc.and_(out, False)
    if strays is not None:
        out = pc.or_(out, pc.fill_null(strays.mask, False))
    gone = pc.sum(out).as_py()
    if not gone:
        return profiles
    rest = replace(sample, table=sample.table.filter(pc.invert(out)))
    profiles = {column.name: column for column in profile(rest)}
    goal = replace(profiles[target], gone=gone, breaking=found.breaking, breaking_rows=found.breaking_rows)
    if strays is not None:
        goal = replace(as_classes(goal), strays=strays.examples, stray_rows=strays.rows)
    return profiles | {target: goal}


def _check_timestamp(timestamp: str | None, profiles: dict[str, ColumnProfile]) -> None:
    if timestamp is not None and profiles[timestamp].type != "timestamp":
        raise ProjectError(
            f"{timestamp!r} holds no timestamps",
            where=f"--timestamp {timestamp}",
            why=mixed_dates_text(profiles[timestamp])
            or f"it holds {', '.join(repr(value) for value, _ in profiles[timestamp].counts[:3])}",
            fix=_candidates("timestamp", profiles),
        )


def _columns(
    profiles: dict[str, ColumnProfile], choice: _Choice, problem: Problem
) -> tuple[ColumnDraft, ...]:
    """Decide each column's part, in the file's order."""
    goal = profiles[choice.target]
    dates = date_parts(list(profiles.values()))
    parts = [_part(column, goal, choice, problem, dates) for column in profiles.values()]
    if problem == "regression":
        parts = _without_summands(parts, goal)
    return _keep_what_there_is(parts, goal)


def _part(
    column: ColumnProfile, goal: ColumnProfile, choice: _Choice, problem: Problem, dates: dict[str, Range]
) -> ColumnDraft:
    if column.name == choice.target:
        return _target_column(column, problem)
    if column.name == choice.entity:
        return ColumnDraft(column, "entity")
    if column.name == choice.timestamp:
        return ColumnDraft(column, "timestamp")
    return feature_column(column, goal, problem, dates)


def _check_features(columns: Sequence[ColumnDraft], sample: Sample, target: str) -> None:
    if any(column.is_feature for column in columns):
        return
    reasons = "; ".join(f"{shown(column.name)}: {column.reason}" for column in columns if column.reason)
    raise ProjectError(
        f"no column of {sample.path.name} is left to learn {target!r} from",
        where=str(sample.path),
        why=reasons or f"{target!r} is its only column",
        fix="make numbers of the dates in the file: year, month, weekday, hour"
        if any(column.profile.type == "timestamp" for column in columns)
        else "give a file with columns that were known before the target was",
    )


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
    meaning_yes = [label for label in labels if means_yes(label)]
    return meaning_yes[0] if len(meaning_yes) == 1 else labels[-1]


def _labels(target: ColumnProfile) -> list[str]:
    """Write the target's values as the pipeline does, the most frequent first: true for True, 1.0 for 1."""
    written = [label for label, _ in target.counts]
    if target.type == "boolean":
        written = [label.lower() for label in written]
    elif target.type == "number":
        whole = target.whole
        written = [str(int(float(label)) if whole else float(label)) for label in written]
    return list(dict.fromkeys(written))


def _without_summands(columns: Sequence[ColumnDraft], target: ColumnProfile) -> list[ColumnDraft]:
    """Leave the features out that the target is the sum of, if there are such."""
    signs = find_sum([column.profile for column in columns if column.is_feature], target)
    ordered = sorted(signs.items(), key=lambda pair: -pair[1])
    terms = [("- " if sign < 0 else "+ ") + name for name, sign in ordered]
    leak = f"{target.name} is {' '.join(terms).removeprefix('+ ')}, give or take a constant"
    return [column.left_out(leak) if column.name in signs else column for column in columns]


def _keep_what_there_is(columns: Sequence[ColumnDraft], target: ColumnProfile) -> tuple[ColumnDraft, ...]:
    """Take the leaks back where nothing else is left: the file may simply be that easy."""
    if any(column.is_feature for column in columns):
        return tuple(columns)
    return tuple(
        column.taken_back(
            f"alone, this column gives {target.name} away ({column.reason}). It stays because there is nothing"
            " else to learn from; was it known before the target was?"
        )
        if column.leak
        else column
        for column in columns
    )


def _target_column(column: ColumnProfile, problem: Problem) -> ColumnDraft:
    notes = list(spelling_notes(column))
    if column.empty:
        notes.append(
            f"{rows_text(column.empty)} without a value: nothing to learn from, they will be rejected"
        )
    if column.strays:
        notes.append(
            f"{_strays_text(column)}. If it is a class of its own, add it to the categories, and let the problem be"
            ' "multiclass", without `positive`'
        )
    listed = problem != "regression" and (
        column.type == "string" or (column.type == "integer" and bool(column.strays))
    )
    return ColumnDraft(
        column,
        "target",
        notes=(*notes, *breaking_notes(column)),
        categories=tuple(sorted(label for label, _ in column.counts)) if listed else (),
    )


def _strays_text(target: ColumnProfile) -> str:
    strays = ", ".join(map(repr, target.strays))
    classes = " nor ".join(repr(label) for label, _ in target.counts)
    return f"{rows_text(target.stray_rows)} neither {classes} ({strays}): taken for a mistake, to be rejected"


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


def _expected_rejects(
    sample: Sample, target: ColumnProfile, profiles: dict[str, ColumnProfile], repeats: _Repeats
) -> float:
    """The share of rows that validation will reject, as far as the profiles tell."""
    bad = max((column.breaking_rows for column in profiles.values()), default=0)
    rejected = max(bad, target.nulls + target.gone, repeats.rows)
    return (rejected + sample.malformed_rows) / (sample.rows + sample.malformed_rows)


def _warnings_of_columns(target: ColumnProfile, profiles: dict[str, ColumnProfile]) -> Iterator[str]:
    if target.empty:
        yield f"{rows_text(target.empty)} without {shown(target.name)}: they will be rejected"
    if target.strays:
        yield f"{shown(target.name)}: {_strays_text(target)}"
    for column in profiles.values():
        if column.breaking_rows:
            breaking = ", ".join(map(repr, column.breaking))
            what = "no finite number" if column.type == "number" else f"not of type {column.type}"
            yield (
                f"{shown(column.name)}: {rows_text(column.breaking_rows)} {what} ({breaking}): they will be rejected"
            )
        for note in spelling_notes(column):
            yield f"{shown(column.name)}: {note}"
        if column.dates and column.dates.other:
            yield f"{shown(column.name)}: {column.dates.format} or {column.dates.other}? the data fit both, check it"
        mixed = mixed_dates_text(column)
        if mixed is not None:
            yield f"{shown(column.name)}: {mixed}"


def _warnings_of_leaks(target: ColumnProfile, columns: Sequence[ColumnDraft]) -> Iterator[str]:
    for column in columns:
        if column.kept and not column.leak:
            name = shown(column.name)
            yield f"{name} alone gives {shown(target.name)} away, and stays because nothing else is left"


def _warnings_of_malformed(sample: Sample) -> Iterator[str]:
    if sample.unnamed:
        columns = "1 column" if sample.unnamed == 1 else f"{sample.unnamed} columns"
        yield f"{columns} at the end without a name: left out; name them in the header to use them"
    if sample.malformed_rows:
        yield (
            f"{rows_text(sample.malformed_rows)} with more or fewer fields than the header:"
            " they will be rejected"
        )


def _warnings_of_variants(target: ColumnProfile, problem: Problem) -> Iterator[str]:
    """Say where two classes of the target differ in capitals only."""
    if problem == "regression" or target.type == "boolean":
        return
    spellings: dict[str, list[str]] = {}
    for label, _ in target.counts:
        spellings.setdefault(label.lower(), []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            yield (
                f"{shown(target.name)}: {' and '.join(map(repr, same))} are different classes;"
                " if they mean the same, write them alike in the file"
            )


def _warnings_of_rare_classes(target: ColumnProfile, problem: Problem) -> Iterator[str]:
    """Say which classes can hardly be learned: one of two with a few rows among many, of several those with one."""
    label, times = target.counts[-1]
    if problem == "binary" and times < _FEW_ROWS and times * 100 < target.filled:
        yield f"{shown(target.name)}: {label!r} has {rows_text(times)} only: too few to learn from, or to judge by"
    single = [repr(label) for label, times in target.counts if times == 1] if problem == "multiclass" else []
    if single:
        have = "a class has" if len(single) == 1 else f"{len(single)} classes have"
        few = ", ".join(single[:5]) + (", …" if len(single) > 5 else "")
        yield f"{shown(target.name)}: {have} one row only ({few}): a mistake, or too few to learn from"


@dataclass(frozen=True)
class _Repeats:
    """Rows that would be rejected because their entity, at their time, was there before."""

    rows: int
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample, choice: _Choice, profiles: dict[str, ColumnProfile]) -> _Repeats:
        """Count them.

        Raises:
            ProjectError: there are more than a project allows, and no timestamp tells the rows apart.
        """
        entity, timestamp = choice.entity, choice.timestamp
        if entity is None:
            return cls(0, ())
        key = [entity, *([timestamp] if timestamp else [])]
        repeated = sample.rows - sample.table.select(key).group_by(key).aggregate([]).num_rows
        if not repeated:
            return cls(0, ())
        what = (
            f"{entity!r} has {profiles[entity].distinct:,} values in {rows_text(sample.rows)}"
            if timestamp is None
            else f"{rows_text(repeated)} repeat both {entity!r} and {timestamp!r}"
        )
        consequence = f"{repeated:,} of {rows_text(sample.rows)} would be rejected as duplicates"
        if repeated > MAX_REJECTED_SHARE * sample.rows:
            raise ProjectError(
                what,
                where=f"--entity {entity}",
                why=f"an entity has one row, or one row a timestamp: {consequence}",
                fix=_candidates("timestamp", profiles)
                if timestamp is None
                else "leave --entity out: then each row is an entity of its own",
            )
        advice = "" if timestamp else " unless you give --timestamp"
        return cls(repeated, (f"{what}: {consequence}{advice}",))


def _candidates(kind: str, profiles: dict[str, ColumnProfile]) -> str:
    found = [column.name for column in profiles.values() if column.type == kind]
    if found:
        return f"give --timestamp with {' or '.join(found)}, or leave it and --entity out"
    return "no column holds timestamps: leave both options out, and each row is an entity of its own"
