"""Writing a project folder from a draft: project.toml with its reasons as comments, its code, README.md."""

from __future__ import annotations

import re
import shlex
import tomllib
import unicodedata
from pathlib import Path
from string import Template

from sluice.drafting.draft import MAX_REJECTED_SHARE, Draft
from sluice.drafting.roles import LISTED_CATEGORIES, ColumnDraft
from sluice.drafting.toml import array, comment, inline, key, spelling_table, string
from sluice.drafting.views import is_view, render_features
from sluice.errors import ProjectError
from sluice.project import Project

PROJECT_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_IDS_TRIED = 20
_TEMPLATES = Path(__file__).parent / "templates"

_MANY_ROWS = 50_000
_FEW_ROWS = 5_000
_MOST_TREES = 1_000
# On fewer held-out rows (or fewer of the rarest class) a fair model misses any minimum by bad luck.
_ROWS_FOR_A_MINIMUM = 50
_RAREST_FOR_A_MINIMUM = 10
_ROWS_FOR_A_FIRM_MINIMUM = 500
_GATE_COMPARE = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}


def write_project(folder: Path, draft: Draft, *, force: bool = False) -> list[Path]:
    """Write the project's files into `folder` and return their paths.

    Raises:
        ProjectError: the folder exists (and is not empty) without `force`.
    """
    check_folder(folder, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    name = project_name(folder)
    texts = {
        "project.toml": render_project(name, draft),
        "train.py": render_train(draft),
        "README.md": render_readme(folder, draft),
    }
    if is_view(draft):
        texts["features.py"] = render_features(draft)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in texts]


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Make sure that a project can be written into `folder`.

    Raises:
        ProjectError: it exists (and is not empty) without `force`.
    """
    if folder.exists() and not force and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(
            f"{folder} already exists",
            where=str(folder),
            fix="choose another name, or overwrite its project.toml, train.py, README.md and (with --entity)"
            " features.py with --force",
        )


def project_name(folder: Path) -> str:
    """Give the name of the project in `folder`: the folder's, made to fit where AWS resources cannot be called so."""
    name = folder.resolve().name
    if PROJECT_NAME.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).lstrip("-0123456789")
    return words[:24].rstrip("-") or "project"


def render_train(draft: Draft) -> str:
    kind = "Regressor" if draft.problem == "regression" else "Classifier"
    # It stands in a docstring, which a quotation mark, a backslash or a line break of the name would break.
    target = _on_one_line(draft.target.name).replace("\\", "\\\\").replace('"', '\\"')
    return _template("train.py").substitute(estimator=f"HistGradientBoosting{kind}", target=target)


def preview(name: str, draft: Draft) -> Project:
    """Give the project that would be written."""
    return Project.model_validate(tomllib.loads(render_project(name, draft)))


def render_readme(folder: Path, draft: Draft) -> str:
    return _template("README.md").substitute(
        name=project_name(folder),
        folder=shlex.quote(folder.resolve().name),
        target=_as_code(draft.target.name),
        problem=draft.problem,
        file=_as_code(draft.sample.path.name),
        data=shlex.quote(draft.sample.path.name),
        features=len(draft.named("numeric")) + len(draft.named("categorical")),
        predict=_predict_by_id(draft) if is_view(draft) else "",
        declared="the columns that the endpoint looks up by id; it can declare others, too (docs/features.md)"
        if is_view(draft)
        else "not there yet: `build_features(table)` makes columns that the file does not have",
    )


def _predict_by_id(draft: Draft) -> str:
    ids = draft.sample.table[draft.entity or ""].slice(0, _IDS_TRIED).to_pylist()
    plain = next((str(each) for each in ids if _PLAIN_ID.fullmatch(str(each))), "…")
    return f"\nPredict by id:\n\n    sluice predict --id {plain}\n"


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
    if draft.expected_rejects > share / 2:
        share = min(1.0, round(draft.expected_rejects * 1.25 + share / 2, 2))
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
    why = ", it gives the target away" if draft.leak else ""
    notes = [f"Left out of the features{why}: {draft.reason}."] if draft.reason else []
    if draft.leak and draft.kept:
        notes.append(
            "Was it known before the target was? If so, take it back: add its name under [features]"
            f" ({draft.kept})."
        )
    if not draft.name:
        notes.append("The header has no name for this column.")
    notes += [note[0].upper() + note[1:] + ("" if note.endswith("?") else ".") for note in draft.notes]
    if column.dates and column.dates.other:
        notes.append(f'Day or month first? The data fit "{column.dates.other}" as well: check this.')
    lines = [line for note in notes for line in comment(note)]
    seen = _seen(draft)
    lines += [
        f"[columns.{key(draft.name)}]",
        f"type = {string(column.type)}" + (f"  # {seen}" if seen else ""),
    ]
    if column.spelling is not None:
        lines.append(f"spelling = {spelling_table(column.spelling)}")
    if column.dates and column.dates.format:
        lines.append(f"format = {string(column.dates.format)}")
    if draft.nullable:
        lines.append(f"nullable = true  # {column.empty / column.rows:.2%} of the rows have none")
    if draft.min is not None:
        lines.append(f"min = {draft.min}")
    if draft.max is not None:
        lines.append(f"max = {draft.max}")
    if draft.categories and draft.rare:
        why = "not enforced" if draft.leak else "some are rare, a new one may come: not enforced"
        rare = array("categories", draft.categories, note=why)
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
        if (column.low, column.high) == (0, 1) and column.distinct == 2:
            return "0 or 1"
        if draft.role == "categorical" and column.distinct <= LISTED_CATEGORIES:
            values = sorted(set(column.values.drop_null().to_pylist()))
            return f"a code, not a quantity: seen {', '.join(map(_number, values))}"
        return f"seen {_number(column.low)} … {_number(column.high)}"
    example = inline(column.counts[0][0])
    if column.type == "string" and column.distinct > LISTED_CATEGORIES:
        return f"{column.distinct:,} different, such as {example}"
    return f"such as {example}"


def _number(value: float | None) -> str:
    """Write a number with all the digits that an integer has."""
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _features(draft: Draft) -> list[str]:
    lines = comment(
        "What the model sees. features.py has the endpoint look them up by id: what is named here and not there, a"
        " request by id has to bring."
        if is_view(draft)
        else "What the model sees. To compute others, add a features.py with build_features(table: DataFrame) ->"
        " DataFrame beside this file, and name its columns here."
    )
    return [
        *lines,
        "[features]",
        *array("numeric", draft.named("numeric")),
        *array("categorical", draft.named("categorical")),
    ]


def _model(draft: Draft) -> list[str]:
    rows = draft.sample.rows
    lines = [
        "[split]",
        "held_out_share = 0.2  # judged on these rows, never trained on; decided by a hash of the key",
    ]
    if draft.split is not None and draft.split.salt is not None:
        lines.append(
            f"salt = {string(draft.split.salt)}"
            "  # under the default, the project's name, one side would lack a class, or rows"
        )
    # Each class of several has trees of its own.
    trees = 200 if draft.problem != "multiclass" else max(50, min(200, _MOST_TREES // draft.target.distinct))
    values: dict[str, float] = {"learning_rate": 0.05, "max_iter": trees, "max_leaf_nodes": 15}
    if rows >= _MANY_ROWS:
        values["max_leaf_nodes"] = 31
    elif rows < _FEW_ROWS:
        # Cross-validated on some forty small tables: plain settings overfit them, and of the smallest a leaf of 20
        # rows, the default, is most.
        least = min(20, max(3, rows // 30))
        values |= {"max_iter": min(100, trees), "max_leaf_nodes": 8, "min_samples_leaf": least}
        values["l2_regularization"] = 5.0
    inner = ", ".join(f"{name} = {value}" for name, value in values.items())
    return [
        *lines,
        "",
        "[model]",
        "# handed to build_model in train.py",
        f"hyperparameters = {{ {inner} }}",
        "max_runtime_seconds = 3600",
    ]


def _gates(draft: Draft) -> list[str]:
    rows = draft.sample.rows
    held_out = draft.split.held_out_rows if draft.split else int(0.2 * rows)
    rarest = draft.split.rarest if draft.split else held_out
    compare = _GATE_COMPARE[draft.problem]
    lines = ["[gates]"]
    if held_out < _ROWS_FOR_A_MINIMUM or (draft.problem == "binary" and rarest < _RAREST_FOR_A_MINIMUM):
        what = "rows" if held_out < _ROWS_FOR_A_MINIMUM else "rows of the rarer class"
        count = held_out if what == "rows" else rarest
        lines += comment(
            f"No minimum yet: {count} held-out {what} cannot tell a fair model from luck. With more data, say what is"
            f" good enough: minimum = {{ {_minimum(draft, held_out)[0]} }}"
        )
    else:
        minimum, note = _minimum(draft, held_out)
        lines.append(f"minimum = {{ {minimum} }}  # {note}")
    lines.append(
        f"compare = {string(compare)}  # a new model replaces the one in service if it is shown to be better in this"
    )
    if held_out < 100:
        lines.append(
            f"min_held_out_rows = {max(1, held_out // 2)}"
            f"  # low: of {rows:,} rows, {held_out} are left to judge on"
        )
    return lines


def _minimum(draft: Draft, held_out: int) -> tuple[str, str]:
    """The least a model has to show, as TOML, and what it means: better than no model at all."""
    if draft.problem == "binary":
        least = "0.55" if held_out >= _ROWS_FOR_A_FIRM_MINIMUM else "0.5"
        return f"roc_auc = {least}", "0.5 is a coin toss; raise it once you know what this data can do"
    if draft.problem == "regression":
        return "r2 = 0.0", "0 is predicting the mean; raise it once you know what this data can do"
    label, count = draft.target.counts[0]
    share = count / draft.target.filled
    # Two standard errors below what the constant answer reaches: the held-out rows are not the whole file.
    error = (share * (1 - share) / max(held_out, 1)) ** 0.5
    least = f"{max(0.0, int((share - 2 * error) * 100) / 100)}"
    return (
        f"accuracy = {least}",
        f"always answering {inline(label)} is right in {share:.1%}; raise it once you know this data",
    )


def _on_one_line(text: str, limit: int = 40) -> str:
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(character if character.isprintable() else " " for character in short)


def _as_code(text: str) -> str:
    """Write a text as code in Markdown: within more backticks than it holds in a row."""
    line = _on_one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    blank = " " if "`" in line else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.template").read_text(encoding="utf-8"))
