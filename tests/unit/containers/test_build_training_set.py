"""What a project can get wrong between its dataset and its training set, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from containers.process.build_training_set import build
from containers.training_set import casting, targets
from containers.training_set.examples import TrainingSet
from sluice.datasets.row_hashes import row_hashes
from sluice.errors import OneClassTarget, SluiceError, TrainingSetFailed
from sluice.features.plan import FeaturePlan, Key, Value, View
from sluice.features.source import PLAN
from sluice.project import Target
from tests.support.jobs import BINARY, MULTICLASS, REGRESSION, TRAIN, toy_table

pytestmark = pytest.mark.usefixtures("own_imports")


def made(folder: Path, features: str | None = None, project: str = BINARY, table: Any = None) -> TrainingSet:
    """Build from the toy table; `features` is the body of build_features."""
    (folder / "project.toml").write_text(project)
    (folder / "train.py").write_text(TRAIN)
    if features is not None:
        (folder / "features.py").write_text(
            f"import pandas as pd\ndef build_features(table):\n    {features}\n"
        )
    return build(toy_table() if table is None else table, folder)


@pytest.mark.parametrize(
    ("features", "text"),
    [
        ("raise KeyError('size')", "raised KeyError"),
        ("raise KeyError('size')", "features.py:3 in build_features"),
        ("import sys; sys.exit(1)", "called sys.exit(1)"),
        ("return 1 +", "importing features.py raised SyntaxError"),
        ("return 1 +", "features.py:3"),
        ("return {}", "returned a dict"),
        ("return table.drop(columns='size')", "no column 'size'"),
        ("return table.drop(columns='id')", "entity.key"),
        ("return table.iloc[:0]", "no rows"),
        ("return pd.concat([table, table[['size']]], axis=1)", "columns twice: size"),
        (
            "return table.assign(size=table['colour'])",
            "numeric feature 'size' holds strings, in 266 of 400 rows",
        ),
        ("return table.assign(size=float('inf'))", "'size' is infinite in 400 rows"),
        ("return table.assign(size=pd.Timestamp('2024-01-01'))", "'size' holds values of type datetime64"),
        ("return table.assign(y=None)", "the target 'y' is null in 400 of 400 rows"),
        ("return table.assign(y=table['size'].astype(str))", "holds 51 classes"),
        ("return table.assign(y=table['y'].str.upper())", "never is 'yes'"),
        ("return table.assign(y=table['weight'].fillna(0))", "holds fractions"),
        ("return table.assign(id=None)", "400 of 400 rows have no 'id'"),
        ("return table.assign(id=1)", "400 rows are "),
    ],
)
def test_a_features_hook_that_goes_wrong_is_told_where(tmp_path: Path, features: str, text: str) -> None:
    with pytest.raises(TrainingSetFailed) as caught:
        made(tmp_path, features)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ("return table.assign(size=table['id'].map('patient {}'.format))", "binary"),
        ("return table.assign(y=table['id'].map('patient {}'.format))", "binary"),
        ("return table.assign(y=table['id'].map('patient {}'.format))", "regression"),
    ],
)
def test_what_fails_a_job_quotes_no_cell(tmp_path: Path, features: str, problem: str) -> None:
    with pytest.raises(TrainingSetFailed) as caught:
        made(tmp_path, features, REGRESSION if problem == "regression" else BINARY, toy_table(problem))
    assert "patient" not in str(caught.value)


def test_a_file_without_the_hook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("def features(table): return table\n")
    with pytest.raises(TrainingSetFailed, match="no build_features"):
        made(tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OneClassTarget, match="the target holds only the class 'no'"):
        made(tmp_path, "return table.assign(y='no')")


def test_a_side_with_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OneClassTarget, match=r"the .* side of the split holds only the class 'no'"):
        made(tmp_path, "return table.assign(y=['yes'] + ['no'] * (len(table) - 1))")


@pytest.mark.parametrize(
    ("values", "side"),
    [(["no", "no", "no", "yes"], "training"), (["no", "yes", "no", "no"], "held-out")],
)
def test_each_side_needs_both_classes(values: list[str], side: str) -> None:
    declared = Target(column="y", problem="binary", positive="yes")
    held_out = np.array([False, False, True, True])
    with pytest.raises(OneClassTarget, match=f"the {side} side of the split holds only the class 'no'"):
        targets.contract_of(values, ["no", "yes"], held_out, declared)


def test_a_regression_target_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(TrainingSetFailed, match="holds strings"):
        made(tmp_path, "return table.assign(y='high')", REGRESSION, toy_table("regression"))


def test_integers_with_nulls_are_categories_without_a_fraction(tmp_path: Path) -> None:
    """pandas makes floats of them for features.py: "3.0" would be another category than the endpoint's "3"."""
    plain = made(tmp_path).train["grade"].to_pylist()
    hooked = made(tmp_path, "return table").train["grade"].to_pylist()
    assert plain == hooked
    assert set(plain) == {"1", "2", "3", None}


@pytest.mark.parametrize("features", [None, "return table", "return table.assign(more=table['size'] * 2)"])
def test_codes_beyond_a_floats_53_bits_keep_every_digit(tmp_path: Path, features: str | None) -> None:
    codes = [2**53 + 1, 2**53 + 3, 2**53 + 5, None]
    table = toy_table()
    table = table.set_column(table.column_names.index("grade"), "grade", pa.array(codes * 100, pa.int64()))
    built = made(tmp_path, features, table=table)
    found = {*built.train["grade"].to_pylist(), *built.held_out["grade"].to_pylist()}
    assert found == {"9007199254740993", "9007199254740995", "9007199254740997", None}
    assert {f.name: f.type for f in built.contract.features}["grade"] == "integer"


def test_a_hook_is_given_integers_with_gaps_as_pandas_has_them(tmp_path: Path) -> None:
    """Where no digit is lost by it: arithmetic on them is what people know."""
    built = made(tmp_path, "return table.assign(grade=(table['grade'].dtype.kind == 'f'))")
    assert set(built.train["grade"].to_pylist()) == {"true"}


def test_a_hooks_own_columns_are_described_by_what_they_hold(tmp_path: Path) -> None:
    project = BINARY.replace('numeric = ["size"', 'numeric = ["count", "ratio", "size"').replace(
        'categorical = ["colour"', 'categorical = ["band", "colour"'
    )
    training_set = made(
        tmp_path,
        "return table.assign(count=range(len(table)), ratio=table['weight'] / 2,"
        " band=pd.Categorical(['a', 'b'] * (len(table) // 2)))",
        project,
    )
    described = {f.name: (f.kind, f.type, f.nullable) for f in training_set.contract.features}
    assert described["count"] == ("number", "integer", False)
    assert described["ratio"] == ("number", "number", True)
    assert described["band"] == ("category", "string", False)
    assert set(training_set.train["band"].to_pylist()) == {"a", "b"}


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([0, 1], 1, (0, 1)),
        ([0, 1], '"1"', (0, 1)),
        ([0.0, 1.0], 1, (0, 1)),
        ([False, True], "true", (False, True)),
    ],
)
def test_classes_keep_the_type_they_have(
    tmp_path: Path, values: list[Any], positive: Any, expected: tuple[Any, ...]
) -> None:
    table = toy_table()
    table = table.set_column(table.column_names.index("y"), "y", pa.array(values * (table.num_rows // 2)))
    project = BINARY.replace('positive = "yes"', f"positive = {positive}")
    target = made(tmp_path, project=project, table=table).contract.target
    assert [(type(c), c) for c in target.classes] == [(type(c), c) for c in expected]
    assert target.positive == expected[1]


def test_a_new_feature_moves_no_row_across_the_split(tmp_path: Path) -> None:
    project = BINARY.replace('[entity]\nkey = "id"\n', "")
    before = made(tmp_path, project=project)
    after = made(tmp_path, "return table[table['size'] > 5].assign(more=1)", project)
    assert set(after.train["__key"].to_pylist()) < set(before.train["__key"].to_pylist())
    assert set(after.held_out["__key"].to_pylist()) < set(before.held_out["__key"].to_pylist())


def test_rows_that_a_hook_made_have_keys_of_their_own(tmp_path: Path) -> None:
    project = BINARY.replace('[entity]\nkey = "id"\n', "")
    hook = "return pd.concat([table, table.assign(size=1)], ignore_index=True)"
    keys = [
        key
        for side in (lambda s: (s.train, s.held_out))(made(tmp_path, hook, project))
        for key in side["__key"]
    ]
    assert len(keys) == 800


def test_a_row_hash_knows_null_from_nothing_and_no_column_order() -> None:
    table = pa.table({"a": [None, "", "x"], "b": [1, 1, 1]})
    hashes = row_hashes(table)
    assert len(set(hashes)) == 3
    assert row_hashes(table.select(["b", "a"])) == hashes


def test_multiclass_takes_classes_that_only_one_side_knows(tmp_path: Path) -> None:
    table = toy_table("multiclass")
    labels = ["rare", *table["y"].to_pylist()[1:]]
    table = table.set_column(table.column_names.index("y"), "y", pa.array(labels))
    training_set = made(tmp_path, project=MULTICLASS, table=table)
    assert set(training_set.contract.target.classes) == set(training_set.train["y"].to_pylist())


@pytest.mark.parametrize(
    ("column", "declared", "type_"),
    [
        (pd.Series([1.0, np.nan]), "integer", "integer"),
        (pd.Series([1.5, np.nan]), "integer", "number"),
        (pd.Series([1, None], dtype=object), None, "integer"),
        (pd.Series([True, None], dtype=object), None, "boolean"),
        (pd.Series([1, 2]), "number", "number"),
        (pd.Series([None, None], dtype=object), "integer", "integer"),
        (pd.Series(["a", None]), None, "string"),
    ],
)
def test_the_type_of_a_column(column: Any, declared: Any, type_: str) -> None:
    assert casting.type_of(column, declared) == type_


def test_mixed_values_are_refused() -> None:
    with pytest.raises(SluiceError, match="holds values of type mixed"):
        casting.type_of(pd.Series([1, "a"], name="x"), None)


def test_a_hooks_texts_are_written_as_a_request_is_read(tmp_path: Path) -> None:
    project = BINARY.replace("[entity]", '[data]\nnull_values = ["", "NA"]\n[entity]')
    texts = "[' a ', 'NA', '  ', 'b'] * (len(table) // 4)"
    training_set = made(tmp_path, f"return table.assign(colour={texts})", project)
    assert set(training_set.train["colour"].to_pylist()) == {"a", "b", None}
    assert [f.nullable for f in training_set.contract.features if f.name == "colour"] == [True]


def test_a_hook_may_compose_a_name_in_its_own_way(tmp_path: Path) -> None:
    project = BINARY.replace('"size"', '"pre\u0301cis"')
    training_set = made(tmp_path, "table['pr\u00e9cis'] = table['size']; return table", project)
    assert "pr\u00e9cis" in training_set.train.column_names


DECLARED = FeaturePlan(
    timestamp=None,
    views=(
        View(
            name="toys", keys=(Key(name="id", type="string"),), features=(Value(name="size", type="integer"),)
        ),
        View(
            name="paints",
            keys=(Key(name="colour", type="string"),),
            features=(Value(name="grade", type="integer"),),
        ),
    ),
    model=("toys:size", "paints:grade"),
)


def declared(folder: Path, plan: FeaturePlan, table: Any = None) -> TrainingSet:
    """Build where features.py, which cannot be run here, declares its views."""
    (folder / "features.py").write_text("raise AssertionError('it was run')\n")
    (folder / PLAN).write_text(plan.model_dump_json())
    return made(folder, table=table)


def test_of_views_of_the_rows_own_columns_the_rows_are_the_examples(tmp_path: Path) -> None:
    (tmp_path / "declared").mkdir()
    (tmp_path / "plain").mkdir()
    table = toy_table()
    colours = pa.array(["red"] * table.num_rows)
    table = table.set_column(table.column_names.index("colour"), "colour", colours)
    built, plain = declared(tmp_path / "declared", DECLARED, table), made(tmp_path / "plain", table=table)
    # As texts: NaN is no other NaN's equal.
    for side in ("train", "held_out"):
        assert str(getattr(built, side).to_pylist()) == str(getattr(plain, side).to_pylist())
    assert (built.contract, built.summary) == (plain.contract, plain.summary)


def test_of_a_row_without_a_key_nothing_is_known(tmp_path: Path) -> None:
    table = toy_table()
    colours = pa.array(["red", None] * (table.num_rows // 2))
    table = table.set_column(table.column_names.index("colour"), "colour", colours)
    grades = pa.array([7] * table.num_rows)
    table = table.set_column(table.column_names.index("grade"), "grade", grades)
    built = declared(tmp_path, DECLARED, table)
    rows = [*built.train.to_pylist(), *built.held_out.to_pylist()]
    assert {(row["colour"], row["grade"]) for row in rows} == {("red", "7"), (None, None)}
    assert None not in {row["size"] for row in rows}


def test_what_has_to_be_joined_is_refused_where_there_is_no_feast(tmp_path: Path) -> None:
    plan = DECLARED.model_copy(update={"own_labels": True})
    with pytest.raises(TrainingSetFailed, match="have to be joined") as caught:
        declared(tmp_path, plan)
    assert "the image `features` makes its training sets" in str(caught.value)
