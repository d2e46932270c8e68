"""A flat table as a view of features.py: what is written, and of which tables none is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import write_project
from sluice.drafting.views import entity_name, is_view, literal, obstacle, render_features
from tests.support.names import NAMES, drafted_of
from tests.support.tables import cycle, drafted, labels, numbers

ROWS = 400
IDS: list[object] = [f"C-{row:04}" for row in range(ROWS)]
RUFF = Path(sys.executable).parent / "ruff"
TELCO_DATA = Path(__file__).parents[3] / "shared" / "data" / "telco_customer_churn.csv"
TELCO = Path(__file__).parents[2] / "examples" / "telco"


def fields(text: str) -> dict[str, str]:
    """The fields of the one view of a features.py, with their types."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field":
            named = {each.arg: each.value for each in node.keywords}
            name, dtype = named["name"], named["dtype"]
            assert isinstance(name, ast.Constant)
            assert isinstance(name.value, str)
            assert isinstance(dtype, ast.Name)
            found[name.value] = dtype.id
    return found


def formatted(text: str) -> str:
    """The text as ruff writes it."""
    command = [str(RUFF), "format", "--isolated", "--line-length=110", "--stdin-filename=features.py", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_every_column_of_the_model_is_a_field_of_its_type(tmp_path: Path) -> None:
    codes: list[object] = [2**53 + 1 + 2 * (row % 3) for row in range(ROWS)]
    draft = drafted(
        tmp_path,
        {
            "customerID": IDS,
            "visits": cycle(*range(50)),
            "store_code": codes,
            "rate": [f"{row * 37 % 90}.5%" for row in range(ROWS)],
            "paid": cycle("true", "false"),
            "plan": cycle("a", "b", "c"),
            "signup": [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(ROWS)],
            "y": labels(),
        },
        entity="customerID",
    )
    text = render_features(draft)
    assert fields(text) == {
        "anchor": "Float64",
        "visits": "Int64",
        "rate": "Float64",
        "store_code": "Int64",
        "paid": "Bool",
        "plan": "String",
    }
    assert 'customer = Entity(name="customer", join_keys=["customerID"], value_type=ValueType.STRING)' in text
    assert "from feast.types import Bool, Float64, Int64, String\n" in text
    assert "online=True" in text
    assert "timestamp_field" not in text
    assert "build_labels" not in text
    assert formatted(text) == text


def test_a_whole_number_may_name_an_entity(tmp_path: Path) -> None:
    draft = drafted(tmp_path, {"client": list(range(7000, 7000 + ROWS)), "y": labels()}, entity="client")
    assert "value_type=ValueType.INT64" in render_features(draft)


def test_it_says_what_it_is_for_what_it_costs_and_how_to_be_without_it(tmp_path: Path) -> None:
    text = " ".join(render_features(drafted(tmp_path, {"id": IDS, "y": labels()}, entity="id")).split())
    for said in ("docs/predict-by-id.md", "writes what changed", "DynamoDB charges", "Delete this file"):
        assert said in text


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("customerID", "customer"),
        ("customer_id", "customer"),
        ("customerid", "customer"),
        ("PassengerId", "passenger"),
        ("Loan ID", "loan"),
        ("EmployeeNumber", "employee"),
        ("msisdn", "msisdn"),
        ("id", "entity"),
        ("Kundennummer €", "kundennummer"),
        ("ключ", "entity"),
        ("class_id", "entity"),
        ("list_id", "entity"),
        ("2nd key", "entity"),
        ("grid", "grid"),
        ("paid", "paid"),
        ("x" * 90, "x" * 40),
    ],
)
def test_an_entity_is_called_after_its_key(key: str, name: str) -> None:
    assert entity_name(key) == name


@given(st.text())
def test_any_name_is_a_literal_of_itself(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@settings(deadline=None, max_examples=60)
@given(NAMES)
def test_columns_of_any_name_make_a_file_as_a_person_would_write_it(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    draft = drafted_of(tmp_path_factory.mktemp("named"), names)
    assume(is_view(draft))
    text = render_features(draft)
    assert list(fields(text)) == [*draft.named("numeric"), *draft.named("categorical")]
    assert formatted(text) == text


@pytest.mark.parametrize(
    ("columns", "options", "why"),
    [
        (
            {
                "client": cycle(*range(40)),
                "at": [f"2024-01-01T00:{row // 60:02}:{row % 60:02}" for row in range(ROWS)],
            },
            {"timestamp": "at"},
            "at makes a history of it; docs/features.md says how to sum one up",
        ),
        (
            {"client": [row / 4 + 0.1 for row in range(ROWS)]},
            {},
            "an entity is named by a text or a whole number, and client is of type number",
        ),
        (
            {"client": IDS, "a:b": numbers(4)},
            {},
            "'a:b' cannot be called so there: a colon parts a view from its feature",
        ),
        (
            {"client": IDS, "event_timestamp": cycle(*range(1_700_000_000, 1_700_000_050))},
            {},
            "event_timestamp cannot be called so there: Feast calls the moment event_timestamp",
        ),
    ],
    ids=["history", "fraction", "colon", "moment"],
)
def test_what_is_no_view_is_said(
    tmp_path: Path, columns: dict[str, list[object]], options: dict[str, str], why: str
) -> None:
    draft = drafted(tmp_path, {**columns, "y": labels()}, entity="client", **options)
    found = obstacle(draft)
    assert found is not None
    assert found.replace("a:b cannot", "'a:b' cannot") == why
    write_project(tmp_path / "p", draft)
    assert not (tmp_path / "p" / "features.py").exists()


def test_a_row_that_no_item_holds_is_no_view(tmp_path: Path) -> None:
    names = [f"{place:0200}" for place in range(2_000)]
    wide = {name: [place % (row + 2) / 4 for row in range(20)] for place, name in enumerate(names)}
    table = pa.table({"id": [f"s{row}" for row in range(20)], **wide, "y": ["yes", "no"] * 10})
    assert "a row takes up to" in str(obstacle(of_table(tmp_path, table)))
    narrow = table.select(["id", *names[:1_900], "y"])
    assert obstacle(of_table(tmp_path, narrow)) is None


def of_table(folder: Path, table: pa.Table) -> Draft:
    pq.write_table(table, folder / "data.parquet")
    return draft_project(read_sample(folder / "data.parquet"), target="y", entity="id")


def test_without_an_entity_there_is_no_view(tmp_path: Path) -> None:
    draft = drafted(tmp_path, {"id": IDS, "y": labels()})
    assert not is_view(draft)
    write_project(tmp_path / "p", draft)
    assert not (tmp_path / "p" / "features.py").exists()
    readme = (tmp_path / "p" / "README.md").read_text()
    assert "--id" not in readme
    assert "`build_features(table)` makes columns" in readme


@pytest.mark.skipif(not TELCO_DATA.is_file(), reason="telco_customer_churn.csv is not in ../shared/data")
def test_the_example_has_the_file_that_is_written() -> None:
    draft = draft_project(read_sample(TELCO_DATA), target="Churn", entity="customerID")
    assert (TELCO / "features.py").read_text() == render_features(draft)
