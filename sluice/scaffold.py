"""Writing a project folder from a draft: project.toml with its reasons as comments, train.py, README.md."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from sluice.drafting import MAX_REJECTED_SHARE, Draft
from sluice.errors import ProjectError
from sluice.roles import LISTED_CATEGORIES, ColumnDraft
from sluice.toml import array, comment, inline, key, string

PROJECT_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
_TEMPLATES = Path(__file__).parent / "templates"

_MANY_ROWS = 50_000
_GATE_COMPARE = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}


def write_project(folder: Path, draft: Draft, *, force: bool = False) -> list[Path]:
    """Write the project's files into `folder` and return their paths.

    Raises:
        ProjectError: the folder's name is no project name, or it exists (and is not empty) without `force`.
    """
    check_folder(folder, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "project.toml": render_project(folder.resolve().name, draft),
        "train.py": render_train(draft),
        "README.md": render_readme(folder.resolve().name, draft),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Make sure that a project can be written into `folder`.

    Raises:
        ProjectError: its name is no project name, or it exists (and is not empty) without `force`.
    """
    _check_name(folder)
    if folder.exists() and not force and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(
            f"{folder} already exists",
            where=str(folder),
            fix="choose another name, or overwrite its project.toml, train.py and README.md with --force",
        )


def _check_name(folder: Path) -> None:
    name = folder.resolve().name
    if PROJECT_NAME.fullmatch(name):
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:24] or "project"
    raise ProjectError(
        f"{name!r} is no project name",
        where=f"sluice init {folder}",
        why="it names AWS resources: a lower-case letter, then up to 23 more, digits or hyphens",
        fix=f"sluice init {(folder if folder.name else folder.resolve()).with_name(better)}",
    )


def render_train(draft: Draft) -> str:
    kind = "Regressor" if draft.problem == "regression" else "Classifier"
    return _template("train.py").substitute(estimator=f"HistGradientBoosting{kind}", target=draft.target.name)


def render_readme(name: str, draft: Draft) -> str:
    return _template("README.md").substitute(
        name=name,
        target=draft.target.name,
        problem=draft.problem,
        file=draft.sample.path.name,
        features=len(draft.named("numeric")) + len(draft.named("categorical")),
    )


def render_project(name: str, draft: Draft) -> str:
    """Render project.toml."""
    sample = draft.sample
    size = (
        f"{'' if sample.complete else 'the first '}{sample.rows:,} rows, {sample.table.num_columns} columns"
    )
    parts = [
        *comment(
            f"Written by `sluice init` from {sample.path.name} ({size}). It is yours: change what you"
            " know better. An upload is held against the columns below; a row that breaks them is rejected."
        ),
        "",
        "[project]",
        f"name = {string(name)}",
        f"description = {string(_description(draft))}",
        "",
        *_data(draft),
        "",
        *_entity(draft),
        "",
        *_target(draft),
    ]
    for column in draft.columns:
        parts += ["", *_column(column)]
    parts += ["", *_features(draft), "", *_model(draft), "", *_gates(draft), ""]
    return "\n".join(parts)


def _description(draft: Draft) -> str:
    verb = "Predicts" if draft.problem == "regression" else "Classifies"
    return f"{verb} {draft.target.name}, learned from {draft.sample.path.name}"


def _data(draft: Draft) -> list[str]:
    lines = ["[data]"]
    if draft.sample.delimiter is not None:
        lines.append(f"delimiter = {string(draft.sample.delimiter)}")
    lines += array("null_values", draft.null_values, note="what this file writes where a value is missing")
    share, note = MAX_REJECTED_SHARE, "above this share of rejected rows the whole upload is refused"
    if draft.expected_rejects > share:
        share = min(1.0, round(draft.expected_rejects * 1.25 + 0.005, 2))
        note = (
            f"high: {draft.expected_rejects:.1%} of this file's rows will be rejected, see the comments below"
        )
    return [*lines, f"max_rejected_share = {share}  # {note}"]


def _entity(draft: Draft) -> list[str]:
    if draft.entity is None:
        why = comment(
            "No entity: a row's key is the hash of the row. The key decides which side of the split it is on."
        )
        if draft.timestamp is not None:
            return [*why, "[entity]", f"timestamp = {string(draft.timestamp)}"]
        if draft.entity_suggestion is None:
            return why
        return [
            *why,
            *comment(
                f"{inline(draft.entity_suggestion)} has another value in every row. If it names what is"
                " predicted about, say so: it then stays on its side of the split in every later file."
            ),
            "# [entity]",
            f"# key = {string(draft.entity_suggestion)}",
        ]
    lines = ["[entity]", f"key = {string(draft.entity)}"]
    if draft.timestamp is not None:
        lines.append(f"timestamp = {string(draft.timestamp)}  # when a row was true; unique for each key")
    else:
        lines.append("# timestamp: none, so a second row of the same entity is rejected")
    return lines


def _target(draft: Draft) -> list[str]:
    target = draft.target
    lines = ["[target]", f"column = {string(target.name)}", f"problem = {string(draft.problem)}"]
    if draft.positive is not None:
        lines.append(f"positive = {string(draft.positive)}  # the class whose probability is predicted")
    elif draft.problem == "multiclass" and target.is_numeric:
        lines[-1] += (
            f'  # {target.distinct} whole numbers taken as classes; "regression" predicts the number itself'
        )
    return lines


def _column(draft: ColumnDraft) -> list[str]:
    column = draft.profile
    notes = [f"Left out of the features: {draft.reason}."] if draft.reason else []
    if draft.leak:
        notes.append(
            "Was it known before the target was? If so, take it back: add its name under [features]"
            f" ({'categorical' if column.type in ('string', 'boolean') else 'numeric'})."
        )
    notes += [note[0].upper() + note[1:] + "." for note in draft.notes]
    if column.dates and column.dates.other:
        notes.append(f'Day or month first? The data fit "{column.dates.other}" as well: check this.')
    lines = [line for note in notes for line in comment(note)]
    seen = _seen(draft)
    lines += [
        f"[columns.{key(draft.name)}]",
        f"type = {string(column.type)}" + (f"  # {seen}" if seen else ""),
    ]
    if column.dates and column.dates.format:
        lines.append(f"format = {string(column.dates.format)}")
    if draft.nullable:
        lines.append(f"nullable = true  # {column.nulls / column.rows:.2%} of the rows have none")
    if draft.min is not None:
        lines.append(f"min = {draft.min}")
    if draft.max is not None:
        lines.append(f"max = {draft.max}")
    if draft.categories and draft.rare:
        rare = array("categories", draft.categories, note="some are rare, a new one may come: not enforced")
        lines += [f"# {line}" for line in rare]
    elif draft.categories:
        lines += array("categories", draft.categories)
    return lines


def _seen(draft: ColumnDraft) -> str:
    """Say what the file holds, where the lines below it do not."""
    column = draft.profile
    if column.type == "boolean" or draft.categories or not column.counts:
        return ""
    if column.is_numeric:
        if draft.role == "categorical" and column.distinct <= LISTED_CATEGORIES:
            values = sorted(int(value) for value, _ in column.counts)
            return f"a code, not a quantity: seen {', '.join(map(str, values))}"
        return f"seen {column.low:.15g} … {column.high:.15g}"
    example = inline(column.counts[0][0])
    if column.type == "string" and column.distinct > LISTED_CATEGORIES:
        return f"{column.distinct:,} different, such as {example}"
    return f"such as {example}"


def _features(draft: Draft) -> list[str]:
    lines = comment(
        "What the model sees. To compute others, add a features.py with build_features(table: DataFrame)"
        " -> DataFrame beside this file, and name its columns here."
    )
    return [
        *lines,
        "[features]",
        *array("numeric", draft.named("numeric")),
        *array("categorical", draft.named("categorical")),
    ]


def _model(draft: Draft) -> list[str]:
    # Many rows carry larger trees; few overfit them.
    leaves = 31 if draft.sample.rows >= _MANY_ROWS else 15
    return [
        "[split]",
        "held_out_share = 0.2  # judged on these rows, never trained on; decided by a hash of the key",
        "",
        "[model]",
        "# handed to build_model in train.py",
        f"hyperparameters = {{ learning_rate = 0.05, max_iter = 200, max_leaf_nodes = {leaves} }}",
        "max_runtime_seconds = 3600",
    ]


def _gates(draft: Draft) -> list[str]:
    compare = _GATE_COMPARE[draft.problem]
    if draft.problem == "binary":
        minimum, note = "roc_auc = 0.6", "0.5 is a coin toss; raise it once you know what this data can do"
    elif draft.problem == "multiclass":
        label, count = draft.target.counts[0]
        share = count / draft.target.filled
        # A little below what the constant answer reaches: a small held-out set is not the whole file.
        minimum = f"accuracy = {int(share * 95) / 100}"
        note = f"always answering {inline(label)} is right in {share:.1%}; raise it once you know this data"
    else:
        minimum, note = "r2 = 0.0", "0 is predicting the mean; raise it once you know what this data can do"
    held_out = int(0.2 * draft.sample.rows)
    lines = [
        "[gates]",
        f"minimum = {{ {minimum} }}  # {note}",
        f"compare = {string(compare)}  # a new model replaces the one in service if it is no worse in this",
    ]
    if held_out < 100:
        least = max(1, held_out // 2)
        lines.append(
            f"min_held_out_rows = {least}  # low: {draft.sample.rows} rows leave about {held_out} to judge on"
        )
    return lines


def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.template").read_text(encoding="utf-8"))
