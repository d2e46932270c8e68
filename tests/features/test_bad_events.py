"""Logs and moments that no features can be made of, each with what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import EmptyFile, ProjectError, SchemaMismatch, UnreadableFile
from sluice.features.plan import Aggregation, Key, Type, Value, View
from sluice.features.windows import Engine

_TIMES = pa.array([0, 1], pa.timestamp("us"))
_GOOD: dict[str, Any] = {"customer": ["C1", "C2"], "at": _TIMES, "amount": [1.0, 2.0]}
_SUM = Aggregation(name="spent", function="sum", column="amount")


def _view(*aggregations: Aggregation, key: Key | None = None, kind: Type = "number") -> View:
    return View(
        name="spending",
        keys=(key or Key(name="customer", type="string"),),
        features=tuple(Value(name=each.name, type=kind) for each in aggregations),
        aggregations=aggregations,
    )


def _engine(folder: Path, view: View, *parts: dict[str, Any]) -> Engine:
    paths = []
    for number, columns in enumerate(parts):
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    return Engine(paths, view, "at", scratch=folder)


def test_a_dataset_without_parts(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile, match="the dataset has no parts"):
        _engine(tmp_path, _view(_SUM))


def test_a_part_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_bytes(b"customer,at\nC1,2026-03-01\n")
    with pytest.raises(UnreadableFile, match=r"part\.parquet is no Parquet file"):
        Engine([tmp_path / "part.parquet"], _view(_SUM), "at", scratch=tmp_path)


def test_a_part_whose_pages_are_broken(tmp_path: Path) -> None:
    engine = _engine(tmp_path, _view(_SUM), _GOOD)
    path = tmp_path / "part-0.parquet"
    raw = bytearray(path.read_bytes())
    raw[4:60] = bytes(56)
    path.write_bytes(raw)
    with pytest.raises(UnreadableFile, match=r"part-0\.parquet cannot be read"):
        engine.all_as_of(10)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"part-0\.parquet has no column 'amount'") as caught:
        _engine(tmp_path, _view(_SUM), {"customer": ["C1"], "at": _TIMES[:1], "sum": [1.0]})
    assert caught.value.why == "it has customer, at, sum"
    assert caught.value.where == "view 'spending'"


def test_a_column_of_no_type_that_features_are_made_of(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"'amount' of part-0\.parquet is of type list"):
        _engine(tmp_path, _view(_SUM), _GOOD | {"amount": [[1.0], [2.0]]})


def test_a_key_of_another_type_in_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaMismatch, match=r"'customer' is of type integer in part-0\.parquet, and was to be string"
    ):
        _engine(tmp_path, _view(_SUM), _GOOD | {"customer": [1, 2]})


def test_a_column_that_changes_its_type_between_parts(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaMismatch, match=r"'amount' is of type integer in part-1\.parquet, and was to be number"
    ):
        _engine(tmp_path, _view(_SUM), _GOOD, _GOOD | {"amount": [1, 2]})


def test_an_event_time_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaMismatch, match=r"'at' is of type string in part-0\.parquet, and was to be timestamp"
    ):
        _engine(tmp_path, _view(_SUM), _GOOD | {"at": ["2026-03-01", "2026-03-02"]})


def test_a_time_finer_than_a_microsecond_is_not_cut_off(tmp_path: Path) -> None:
    engine = _engine(tmp_path, _view(_SUM), _GOOD | {"at": pa.array([1000, 1001], pa.timestamp("ns"))})
    with pytest.raises(UnreadableFile, match="cannot be read") as caught:
        engine.all_as_of(10)
    assert "would lose data" in caught.value.why


def test_a_sum_of_texts(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="sum of 'amount', which is of type string"):
        _engine(tmp_path, _view(_SUM), _GOOD | {"amount": ["1", "2"]})


def test_a_feature_that_is_declared_as_another_type_than_it_has(tmp_path: Path) -> None:
    last = Aggregation(name="latest", function="last", column="amount")
    with pytest.raises(ProjectError, match="'latest' of view 'spending' is declared as integer") as caught:
        _engine(tmp_path, _view(last, kind="integer"), _GOOD)
    assert caught.value.why == "last of amount is of type number"


def test_a_view_without_aggregations(tmp_path: Path) -> None:
    view = View(
        name="profile",
        keys=(Key(name="customer", type="string"),),
        features=(Value(name="age", type="integer"),),
    )
    with pytest.raises(ProjectError, match="'profile' has no aggregations"):
        _engine(tmp_path, view, _GOOD)


@pytest.mark.parametrize(
    ("values", "category"), [([1, 2], "one"), ([1, 2], str(2**64)), ([True, False], "yes")]
)
def test_a_category_that_the_column_cannot_hold(tmp_path: Path, values: list[Any], category: str) -> None:
    share = Aggregation(name="part", function="share", column="amount", category=category)
    engine = _engine(tmp_path, _view(share), _GOOD | {"amount": values})
    with pytest.raises(ProjectError, match=f"part: '{category}' is no value of 'amount'"):
        engine.all_as_of(10)


def _moments(**changes: Any) -> pa.Table:
    return pa.table({"customer": ["C1", "C2"], "moment": pa.array([5, 5], pa.timestamp("us")), **changes})


def test_moments_without_the_key(tmp_path: Path) -> None:
    engine = _engine(tmp_path, _view(_SUM), _GOOD)
    with pytest.raises(SchemaMismatch, match="the moments have no column 'customer'"):
        engine.at_moments(_moments().drop_columns(["customer"]), "moment")


def test_moments_whose_key_is_a_number_where_the_datasets_is_a_text(tmp_path: Path) -> None:
    engine = _engine(tmp_path, _view(_SUM), _GOOD)
    with pytest.raises(SchemaMismatch, match="key 'customer' of the moments is of type int64") as caught:
        engine.at_moments(_moments(customer=[1, 2]), "moment")
    assert caught.value.fix == "make it texts"


@pytest.mark.parametrize("moments", [pa.array([5, None], pa.timestamp("us")), pa.array([5, 6])])
def test_moments_that_are_none(tmp_path: Path, moments: pa.Array[Any]) -> None:
    engine = _engine(tmp_path, _view(_SUM), _GOOD)
    with pytest.raises(SchemaMismatch, match="'moment' of the moments is of type"):
        engine.at_moments(_moments(moment=moments), "moment")
