"""How far two columns are apart, from the statistics of their parts alone: near to what all rows would say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.datasets import distributions, statistics
from sluice.datasets.distributions import Distribution
from sluice.datasets.report import ValidationReport
from sluice.payloads.documents import DocumentSource, Lineage, Uploaded
from sluice.project import Project
from tests.support.uploads import a_project

SOURCE = DocumentSource(uri="s3://u/a", version_id="v", etag=None, execution="e")
TYPES: dict[str, Any] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


def project_of(kind: str) -> Project:
    return a_project({"x": {"type": kind, "nullable": True}, "y": {"type": "integer"}})


def part(kind: str, values: Sequence[Any]) -> Lineage:
    """The lineage of a part whose one column holds these values."""
    project = project_of(kind)
    report = ValidationReport.of(project)
    report.rows = len(values)
    columns = [pa.array(values, TYPES[kind]), pa.array([0] * len(values), pa.int64())]
    report.observe(pa.RecordBatch.from_arrays(columns, names=["x", "y"]), project)
    drawn, told = statistics.of(report, project)
    return Lineage(
        part="0" * 16,
        project="test",
        source=SOURCE,
        uploaded=Uploaded(),
        accepted=datetime(2026, 1, 1, tzinfo=UTC),
        rows_read=len(values),
        rejected_rows=0,
        reasons={},
        rows=len(values),
        columns={},
        drawn=drawn,
        statistics=told,
    )


def of(kind: str, *parts: Sequence[Any]) -> Distribution:
    return distributions.of([part(kind, values) for values in parts], "x")


def distance(kind: str, one: Sequence[Any], other: Sequence[Any]) -> float:
    found = distributions.shift(of(kind, one), of(kind, other))
    assert found is not None
    return found.distance


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """By its definition, on all values."""
    points = np.union1d(one, other)
    shares = [np.searchsorted(np.sort(each), points, side="right") / len(each) for each in (one, other)]
    return float(np.max(np.abs(shares[0] - shares[1])))


@pytest.mark.parametrize("apart", [0.0, 0.1, 0.5, 2.0, 9.0])
def test_the_distance_of_many_numbers_is_near_that_of_all_of_them(apart: float) -> None:
    draw = np.random.default_rng(7)
    one, other = draw.normal(0, 1, 30_000), draw.normal(apart, 1, 20_000)
    found = distance("number", one.tolist(), other.tolist())
    # Samples of some 5,000, and quantiles that are 5 % apart.
    assert found == pytest.approx(kolmogorov_smirnov(one, other), abs=0.03)


def test_the_distance_of_few_values_is_exact() -> None:
    draw = np.random.default_rng(7)
    one, other = draw.integers(0, 6, 3_000), draw.integers(2, 9, 4_000)
    found = distance("integer", one.tolist(), other.tolist())
    assert found == pytest.approx(kolmogorov_smirnov(one, other), abs=1e-12)
    assert distance("string", ["a", "a", "b", "c"], ["a", "b", "b", "d"]) == pytest.approx(0.5)
    assert distance("boolean", [True] * 3 + [False], [True, None, False]) == pytest.approx(0.25)


def test_times_are_as_far_apart_as_the_numbers_they_are() -> None:
    first = datetime(2026, 1, 1)
    one = [first + timedelta(minutes=minute) for minute in range(1_000)]
    other = [first + timedelta(minutes=500 + minute) for minute in range(1_000)]
    assert distance("timestamp", one, other) == pytest.approx(0.5, abs=0.01)
    assert of("timestamp", one).median == pytest.approx(
        (first.replace(tzinfo=UTC)).timestamp() + 30_000, abs=60
    )


@pytest.mark.parametrize("kind", ["number", "string"])
def test_what_chance_makes_is_not_noticeable_and_what_is_apart_is(kind: str) -> None:
    draw = np.random.default_rng(3)

    def sample(shift: float) -> list[Any]:
        values = draw.normal(shift, 1, 3_000)
        return values.tolist() if kind == "number" else [f"v{int(value)}" for value in np.clip(values, -3, 3)]

    same = [distributions.shift(of(kind, sample(0)), of(kind, sample(0))) for _ in range(30)]
    assert sum(each is not None and each.noticeable for each in same) <= 2
    apart = distributions.shift(of(kind, sample(0)), of(kind, sample(0.6)))
    assert apart is not None
    assert apart.noticeable


@pytest.mark.parametrize("kind", ["number", "integer"])
def test_several_parts_are_what_all_their_rows_are(kind: str) -> None:
    draw = np.random.default_rng(5)
    parts = [draw.normal(0, 10, 900), draw.normal(40, 5, 300), draw.normal(-90, 1, 40)]
    if kind == "integer":
        parts = [each.round() for each in parts]
    rows = np.concatenate(parts)
    given = [each.astype(int).tolist() if kind == "integer" else each.tolist() for each in parts]
    found = of(kind, *given, [None] * 60)
    assert (found.rows, found.nulls) == (1_300, 60)
    assert (found.min, found.max) == (rows.min(), rows.max())
    assert found.mean == pytest.approx(rows.mean())
    assert found.deviation == pytest.approx(rows.std(), rel=0.01)
    inside = np.searchsorted(np.sort(rows), found.quantiles, side="right") / len(rows)
    assert inside == pytest.approx(np.linspace(0, 1, 21), abs=0.05)


def test_shares_of_several_parts_are_weighed_by_their_rows() -> None:
    found = of("string", ["a"] * 90 + ["b"] * 10, ["b"] * 300, [None] * 7)
    assert found.shares == pytest.approx({"b": 310 / 400, "a": 90 / 400})
    assert found.rest == 0


def test_of_many_texts_the_most_frequent_are_told_and_the_rest_is_a_share() -> None:
    found = of("string", [f"city {number % 80}" for number in range(4_000)])
    assert len(found.shares) == 50
    assert found.rest == pytest.approx(30 / 80)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of("number", [1.0]), of("string", ["a"])),
        (of("number", [1.0]), of("number", [None])),
        (of("string", [f"n{number}" for number in range(90)]), of("string", ["a"])),
    ],
    ids=["other kinds", "nulls alone", "no values are told"],
)
def test_what_cannot_be_compared_has_no_distance(one: Distribution, other: Distribution) -> None:
    assert distributions.shift(one, other) is None
    assert distributions.shift(other, one) is None


@pytest.mark.parametrize("kind", list(TYPES))
def test_a_column_is_at_no_distance_from_itself(kind: str) -> None:
    first = datetime(2026, 1, 1)
    values: dict[str, list[Any]] = {
        "number": [0.0] * 500 + [float(number) for number in range(300)],
        "integer": list(range(9)),
        "string": ["a", "b", "b"],
        "boolean": [True, False],
        "timestamp": [first, first, first + timedelta(days=1)],
    }
    assert distance(kind, values[kind], values[kind]) == 0
