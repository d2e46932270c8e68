import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.contract import Columns, Feature, ModelContract, TargetContract, from_array
from sluice.errors import ProjectError, RequestError
from sluice.spelling import Spelling

CONTRACT = ModelContract(
    features=(
        Feature(name="tenure", kind="number", type="integer", nullable=False),
        Feature(name="charge", kind="number", type="number", nullable=True),
        Feature(name="paperless", kind="number", type="boolean", nullable=False),
        Feature(name="plan", kind="category", type="string", nullable=True),
        Feature(name="grade", kind="category", type="integer", nullable=True),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
    null_values=("", "NA"),
)
GOOD: dict[str, Any] = {"tenure": 3, "charge": 1.5, "paperless": True, "plan": "a", "grade": 2}


def record(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def test_a_record_becomes_columns_in_contract_order() -> None:
    columns = CONTRACT.columns_from_records([dict(reversed(GOOD.items())), record(plan=None, grade=3.0)])
    assert list(columns) == ["tenure", "charge", "paperless", "plan", "grade"]
    assert columns["tenure"] == [3.0, 3.0]
    assert columns["paperless"] == [1.0, 1.0]
    assert columns["plan"] == ["a", None]
    assert columns["grade"] == ["2", "3"]


def test_null_is_nan_for_a_number_and_none_for_a_category() -> None:
    columns = CONTRACT.columns_from_records([record(charge=None, plan=None, grade=None)])
    [charge] = columns["charge"]
    assert isinstance(charge, float)
    assert math.isnan(charge)
    assert columns["plan"] == columns["grade"] == [None]


@pytest.mark.parametrize(
    ("column", "value", "found", "expected"),
    [
        ("tenure", "3", "the string '3'", "a whole number, not null"),
        ("tenure", 1.5, "the number 1.5", "a whole number"),
        ("tenure", True, "the boolean true", "a whole number"),
        ("tenure", None, "null", "a whole number, not null"),
        ("charge", True, "the boolean true", "a finite number or null"),
        ("charge", math.inf, "the number inf", "a finite number or null"),
        ("charge", math.nan, "null (NaN)", "a finite number or null"),
        ("charge", 10**400, "the number 1000", "a finite number or null"),
        ("charge", [1], "the list [1]", "a finite number"),
        ("paperless", 1, "the number 1", "true or false"),
        ("paperless", "true", "the string 'true'", "true or false"),
        ("plan", 3, "the number 3", "a string or null"),
        ("grade", "2", "the string '2'", "a whole number or null"),
        ("grade", 2.5, "the number 2.5", "a whole number or null"),
    ],
)
def test_a_json_breach_names_row_column_found_and_expected(
    column: str, value: Any, found: str, expected: str
) -> None:
    with pytest.raises(RequestError) as caught:
        CONTRACT.columns_from_records([GOOD, record(**{column: value})])
    text = str(caught.value)
    assert text.startswith(f"row 2, column {column!r}: found {found}")
    assert f", expected {expected}" in text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "no rows"),
        ([3], "row 1: found the number 3, expected an object"),
        ([{k: v for k, v in GOOD.items() if k != "plan"}], "row 1: .*missing: 'plan'"),
        ([GOOD, record(extra=1)], "row 2: .*unknown: 'extra'"),
    ],
)
def test_records_of_another_shape_are_refused(rows: list[Any], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        CONTRACT.columns_from_records(rows)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[1, 2, True, "a"]], "row 1: found 4 values, expected 5"),
        ([GOOD], "row 1: found the object"),
        ([[1, 2, True, "a", 1], [1, 2, True, "a", "x"]], "row 2, column 'grade': found the string 'x'"),
    ],
)
def test_lists_of_another_shape_are_refused(rows: list[Any], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        CONTRACT.columns_from_lists(rows)


def test_text_is_read_with_a_header_in_any_order_or_without_one() -> None:
    plain = CONTRACT.columns_from_text([["3", "NA", "true", "a", "2"]])
    headed = CONTRACT.columns_from_text(
        [["grade", "plan", "paperless", "charge", "tenure"], ["2", "a", "True", "", "3"]]
    )
    assert repr(plain) == repr(headed)
    assert plain["grade"] == ["2"]


@pytest.mark.parametrize("text", ["1_000", "nan", "inf", "1e999", "0x10", "1,5", "²", "--1", "e5", "."])
def test_a_number_in_text_is_read_strictly(text: str) -> None:
    with pytest.raises(RequestError, match="row 1, column 'charge'"):
        CONTRACT.columns_from_text([["3", text, "true", "a", "2"]])


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), (" 2 ", 2.0), ("+1e3", 1000.0), (".5", 0.5), ("5.", 5.0)]
)
def test_numbers_in_text(text: str, value: float) -> None:
    assert CONTRACT.columns_from_text([["3", text, "true", "a", "2"]])["charge"] == [value]


TRUE, FALSE = ("true", "T", "Yes", "y", "1", "1.0", " TRUE "), ("false", "F", "No", "n", "0", "0.0", "nO")


@pytest.mark.parametrize(("text", "flag"), [(t, 1.0) for t in TRUE] + [(f, 0.0) for f in FALSE])
def test_booleans_in_text(text: str, flag: float) -> None:
    """Pinned: the words are those of a training file, where another meaning would be another label or feature."""
    assert CONTRACT.columns_from_text([["3", "1", text, "a", "2"]])["paperless"] == [flag]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["tenure", "charge", "paperless", "plan"], "array: .* missing: 'grade'"),
        (["tenure", "charge", "paperless", "plan", "grad"], "missing: 'grade'; unknown: 'grad'"),
        (["tenure", "charge", "paperless", "plan", "grade", "more"], "unknown: 'more'"),
    ],
)
def test_an_array_of_other_columns_is_refused(names: list[str], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        CONTRACT.columns_from_arrays({name: [1.0] for name in names})


def test_an_arrays_columns_are_put_in_contract_order() -> None:
    columns = CONTRACT.columns_from_arrays({name: [GOOD[name]] for name in reversed(GOOD)})
    assert columns == {"tenure": [3.0], "charge": [1.5], "paperless": [1.0], "plan": ["a"], "grade": ["2"]}
    assert list(columns) == ["tenure", "charge", "paperless", "plan", "grade"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([["tenure", "charge", "paperless", "plan"], ["1", "2", "true", "a"]], "missing: 'grade'"),
        ([["tenure", "charge", "paperless", "plan", "grad"], ["1"] * 5], "missing: 'grade'; unknown: 'grad'"),
        ([["tenure", "tenure", "paperless", "plan", "grade"], ["1"] * 5], "there twice: 'tenure'"),
        ([["tenure", "charge", "paperless", "plan", "grade"]], "no rows"),
        ([["tenure", "charge", "paperless", "plan", "grade"], ["1"]], "row 1: found 1 values, expected 5"),
        ([["1.5", "2", "true", "a", "2"]], "row 1, column 'tenure': found the string '1.5'"),
        ([["", "2", "true", "a", "2"]], "row 1, column 'tenure': found an empty text"),
        ([["1", "2", "maybe", "a", "2"]], "row 1, column 'paperless'"),
    ],
)
def test_text_that_breaks_the_contract(rows: list[list[str]], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        CONTRACT.columns_from_text(rows)


def test_in_an_array_nan_is_null_and_a_boolean_is_zero_or_one() -> None:
    contract = CONTRACT.model_copy(update={"features": CONTRACT.features[:3]})
    columns = contract.columns_from_lists([[3.0, math.nan, 1.0]], from_array)
    assert repr(columns) == repr({"tenure": [3.0], "charge": [math.nan], "paperless": [1.0]})
    with pytest.raises(RequestError, match=r"column 'paperless': found the number 2\.0"):
        contract.columns_from_lists([[3.0, math.nan, 2.0]], from_array)


def test_a_contract_is_saved_and_loaded(tmp_path: Path) -> None:
    CONTRACT.save(tmp_path / "contract.json")
    assert ModelContract.load(tmp_path / "contract.json") == CONTRACT


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("0", "1")])
def test_classes_keep_their_type(tmp_path: Path, classes: tuple[Any, ...]) -> None:
    target = TargetContract(name="y", problem="binary", classes=classes, positive=classes[1])
    CONTRACT.model_copy(update={"target": target}).save(tmp_path / "contract.json")
    loaded = ModelContract.load(tmp_path / "contract.json").target
    assert [(type(c), c) for c in loaded.classes] == [(type(c), c) for c in classes]


def test_a_broken_contract_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="has no contract"):
        ModelContract.load(tmp_path / "contract.json")
    (tmp_path / "contract.json").write_text(json.dumps({"features": []}))
    with pytest.raises(ProjectError, match="not a model contract"):
        ModelContract.load(tmp_path / "contract.json")


def test_a_contract_of_before_there_were_versions_is_one_of_version_1(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    CONTRACT.save(file)
    written = json.loads(file.read_text())
    assert written.pop("version") == 1
    file.write_text(json.dumps(written))
    assert ModelContract.load(file) == CONTRACT


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_contract_of_another_version_is_refused_by_name(tmp_path: Path, version: Any) -> None:
    file = tmp_path / "contract.json"
    file.write_text(json.dumps({**CONTRACT.model_dump(mode="json"), "version": version}))
    with pytest.raises(ProjectError) as error:
        ModelContract.load(file)
    assert str(file) in str(error.value)
    assert "version" in str(error.value)
    assert "Input should be 1" in str(error.value)


def test_the_contract_needs_no_dataframe_library() -> None:
    code = "import sys, sluice.contract; sys.exit(bool({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)


COLUMNS = st.fixed_dictionaries(
    {
        "n": st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=3, max_size=3),
        "whole": st.lists(
            st.integers(-(2**53), 2**53).map(float) | st.just(math.nan), min_size=3, max_size=3
        ),
        "flag": st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=3, max_size=3),
        "code": st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.none(), min_size=3, max_size=3),
        "truth": st.lists(st.sampled_from(["true", "false", None]), min_size=3, max_size=3),
        "text": st.lists(st.sampled_from(["a", "1.234", "true", None]), min_size=3, max_size=3),
    }
)


@given(columns=COLUMNS)
def test_records_are_what_columns_are_made_of(columns: Columns) -> None:
    """Also where texts are spelled: a number in a request is the number it is."""
    spelling = Spelling(decimal=",", grouping=".")
    contract = ModelContract(
        features=(
            Feature(name="n", kind="number", type="number", nullable=True, spelling=spelling),
            Feature(name="whole", kind="number", type="integer", nullable=True),
            Feature(name="flag", kind="number", type="boolean", nullable=True),
            Feature(name="code", kind="category", type="integer", nullable=True, spelling=spelling),
            Feature(name="truth", kind="category", type="boolean", nullable=True),
            Feature(name="text", kind="category", type="string", nullable=True),
        ),
        target=TargetContract(name="y", problem="regression"),
    )
    made = contract.columns_from_records(contract.records(columns))
    assert {name: repr(made[name]) for name in made} == {name: repr(columns[name]) for name in columns}
