"""What a part's lineage says of its rows: counted on the way, and right."""

from __future__ import annotations

import json
import statistics as oracle
from pathlib import Path
from typing import Any

import pytest

from sluice.datasets.reading import LocalFile
from sluice.datasets.snapshots import Provenance, store
from sluice.datasets.validation import validate
from sluice.payloads.documents import ColumnStatistics, Lineage, Uploaded
from sluice.project import Project
from tests.support.bucket import Bucket

PROJECT = Project.model_validate(
    {
        "project": {"name": "shop"},
        "data": {"max_rejected_share": 0.5},
        "entity": {"key": "id"},
        "target": {"column": "y", "problem": "binary", "positive": "yes"},
        "columns": {
            "id": {"type": "string"},
            "amount": {"type": "number", "nullable": True},
            "visits": {"type": "integer"},
            "new": {"type": "boolean"},
            "at": {"type": "timestamp"},
            "note": {"type": "string", "nullable": True},
            "y": {"type": "string"},
        },
        "features": {"numeric": ["amount"]},
    }
)
HEADER = "id,amount,visits,new,at,note,y\n"


def lineage_of(folder: Path, text: str, project: Project = PROJECT, **more: Any) -> Lineage:
    folder.mkdir(exist_ok=True)
    (folder / "a.csv").write_text(text)
    (folder / "work").mkdir()
    result = validate(LocalFile(folder / "a.csv"), project, folder / "work")
    bucket = Bucket()
    stored = store(result, project, Provenance("run", "s3://u/a.csv", "v", "e", **more), bucket)
    return Lineage.model_validate_json(bucket.objects[f"datasets/{stored.dataset_version}/lineage.json"])


def test_integers_that_a_double_rounds_keep_their_digits(tmp_path: Path) -> None:
    codes = [2**53 + 1, 2**53 + 3, 2**63 - 1]
    rows = [
        f"{code},1,{code},true,2026-01-01,,{y}\n" for code, y in zip(codes, ["yes", "no", "no"], strict=True)
    ]
    visits = lineage_of(tmp_path, HEADER + "".join(rows)).statistics["visits"]
    assert (visits.min, visits.max) == (2**53 + 1, 2**63 - 1)
    assert visits.values == {str(code): 1 for code in codes}
    assert visits.mean == pytest.approx(sum(codes) / 3)


def test_numbers_whose_sum_no_double_holds_are_described(tmp_path: Path) -> None:
    rows = "a,1.7e308,1,true,2026-01-01,,yes\nb,1.6e308,1,true,2026-01-01,,no\n"
    amount = lineage_of(tmp_path, HEADER + rows).statistics["amount"]
    assert (amount.min, amount.max, amount.mean) == (1.6e308, 1.7e308, None)
    assert amount.quantiles[0] == 1.6e308


def test_each_column_of_a_few_rows_is_described_exactly(tmp_path: Path) -> None:
    lineage = lineage_of(
        tmp_path,
        HEADER
        + "a,1.5,1,true,2026-01-01,,yes\n"
        + "b,,2,false,2026-01-02,x,no\n"
        + "c,4.5,2,true,2026-01-03,x,no\n"
        + "d,oops,9,true,2026-01-09,x,no\n"
        + "a,9.9,9,true,2026-01-09,x,no\n",  # repeats a key
    )
    assert (lineage.rows_read, lineage.rows, lineage.rejected_rows, lineage.drawn) == (5, 3, 2, 3)
    assert lineage.reasons == {"amount: not a number": 1, "id: duplicate key": 1}
    told = lineage.statistics
    assert told["amount"].model_dump(exclude={"quantiles"}) == {
        "type": "number",
        "nulls": 1,
        "min": 1.5,
        "max": 4.5,
        "distinct": 2,
        "mean": 3.0,
        "deviation": pytest.approx(oracle.stdev([1.5, 4.5])),
        "values": {"1.5": 1, "4.5": 1},
    }
    assert [told["amount"].quantiles[at] for at in (0, 10, 20)] == [1.5, 3.0, 4.5]
    assert told["visits"].values == {"2": 2, "1": 1}
    assert (told["visits"].min, told["visits"].max) == (1, 2)
    assert told["visits"].mean == pytest.approx(5 / 3)
    assert told["new"].values == {"true": 2, "false": 1}
    assert (told["at"].min, told["at"].max) == ("2026-01-01T00:00:00", "2026-01-03T00:00:00")
    assert told["at"].quantiles[0] == "2026-01-01T00:00:00"
    assert told["at"].quantiles[20] == "2026-01-03T00:00:00"
    assert (told["note"].nulls, told["note"].values) == (1, {"x": 2})
    assert told["y"].values == {"no": 2, "yes": 1}


def test_the_keys_of_entities_are_not_listed(tmp_path: Path) -> None:
    lineage = lineage_of(tmp_path, HEADER + "a,1,1,true,2026-01-01,x,yes\nb,1,1,true,2026-01-01,x,no\n")
    assert lineage.statistics["id"] == ColumnStatistics(type="string", nulls=0, distinct=2)


def test_texts_of_which_most_are_there_once_are_not_listed(tmp_path: Path) -> None:
    rows = [f"{i},1,1,true,2026-01-01,note {i},{'yes' if i % 2 else 'no'}\n" for i in range(60)]
    lineage = lineage_of(tmp_path, HEADER + "".join(rows))
    assert lineage.statistics["note"] == ColumnStatistics(type="string", nulls=0, distinct=60)


def test_a_column_of_nulls_and_one_row_have_statistics(tmp_path: Path) -> None:
    given = {**json.loads(PROJECT.model_dump_json(exclude_defaults=True)), "gates": {}}
    regression = Project.model_validate({**given, "target": {"column": "visits", "problem": "regression"}})
    lineage = lineage_of(tmp_path, HEADER + "a,,1,true,2026-01-01,,yes\n", regression)
    assert lineage.statistics["amount"] == ColumnStatistics(type="number", nulls=1)
    assert lineage.statistics["visits"].deviation is None
    assert lineage.statistics["visits"].mean == 1.0


def test_of_many_rows_counts_and_ranges_are_exact_and_the_rest_is_near(tmp_path: Path) -> None:
    count = 50_000
    rows = [
        f"{i},{'' if i % 10 == 0 else i * 7919 % 10_007},{i % 3},{'true' if i % 4 else 'false'},2026-01-01,x,"
        f"{'yes' if i % 2 else 'no'}\n"
        for i in range(count)
    ]
    lineage = lineage_of(tmp_path, HEADER + "".join(rows))
    assert 4_096 <= lineage.drawn < 8_192
    amount = lineage.statistics["amount"]
    assert (amount.nulls, amount.min, amount.max) == (5_000, 0, 10_006)
    assert amount.mean == pytest.approx(5_003, rel=0.03)
    assert amount.deviation == pytest.approx(10_007 / 12**0.5, rel=0.03)
    assert [float(each) for each in amount.quantiles] == pytest.approx(
        [10_006 * share / 20 for share in range(21)], abs=400
    )
    new = lineage.statistics["new"]
    assert new.values["true"] / lineage.drawn == pytest.approx(0.75, abs=0.03)


def test_who_brought_it_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    rows = HEADER + "a,1,1,true,2026-01-01,x,yes\nb,1,1,true,2026-01-01,x,no\n"
    assert lineage_of(tmp_path / "nobody", rows).uploaded == Uploaded()
    said = Uploaded(by="arn:aws:iam::1:user/ada")
    assert lineage_of(tmp_path / "ada", rows, uploaded=said).uploaded == said
