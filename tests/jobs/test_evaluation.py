"""EvaluateModel as a process: what evaluation.json says of two models beyond their figures."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sluice.column_names import PREDICTION
from sluice.judging.gates import decide
from sluice.monitoring.model_reference import ModelReference
from sluice.payloads.documents import Evaluation
from sluice.project import Project
from tests.support.jobs import BINARY, Job, Trained, through, toy_table

GATES = """
[columns.sex]
type = "string"
[columns.years]
type = "number"

[gates]
compare = "roc_auc"
confidence = 0.9
max_row_ms = 10_000

[[gates.slices]]
column = "colour"
min_rows = 10
minimum = { roc_auc = 0.5, brier = 0.5 }
margin = 0.5
[[gates.slices]]
column = "size"
cuts = [20]
min_rows = 5
[[gates.slices]]
column = "member"
values = [true, false]
min_rows = 90
[[gates.slices]]
column = "years"
cuts = [40, 1000]
min_rows = 10
minimum = { accuracy = 0.0 }

[gates.fairness]
columns = ["sex", "grade"]
min_rows = 10
max_demographic_parity = 1.0
"""


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A project whose gates look at parts, by columns that are no features as well."""
    return through(tmp_path_factory.mktemp("parted"), BINARY + GATES, "binary", {"C": 0.5, "max_iter": 300})


@pytest.fixture(scope="module")
def judged(parted: Trained, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("judged")
    worse = Job(folder / "worse", BINARY + GATES)
    assert worse.train(parted.train_set, {"C": 1e-4}).code == 0
    job = Job(folder / "evaluate", BINARY + GATES)
    run = job.evaluate(parted.held_out_set, parted.trained.model_archive(), worse.model_archive())
    assert run.code == 0, run.output
    return Evaluation.model_validate(job.evaluation)


def held_out(parted: Trained) -> dict[str, np.ndarray]:
    table = pq.read_table(io.BytesIO(parted.held_out_set))
    return {name: np.array(table[name].to_pylist(), dtype=object) for name in table.column_names}


def test_columns_that_are_no_features_are_kept_with_the_held_out_rows_only(parted: Trained) -> None:
    train = pq.read_table(io.BytesIO(parted.train_set))
    assert not {"sex", "years"} & set(train.column_names)
    rows = held_out(parted)
    assert set(rows["sex"]) == {"f", "m"}
    assert isinstance(rows["years"][0], float)


def test_each_figure_and_each_difference_has_its_bounds(judged: Evaluation, parted: Trained) -> None:
    champion = judged.champion
    assert champion is not None
    assert judged.confidence == 0.9
    for model in (judged.challenger, champion):
        assert model.intervals.keys() == model.metrics.keys()
        for name, bounds in model.intervals.items():
            assert bounds.low <= model.metrics[name] <= bounds.high
    for name, comparison in judged.comparisons.items():
        assert comparison.difference == judged.challenger.metrics[name] - champion.metrics[name]
        assert comparison.bounds is not None
        assert comparison.bounds.low <= comparison.difference <= comparison.bounds.high
    area = judged.comparisons["roc_auc"]
    assert area.method == "Poisson bootstrap, 1,000 replicates"
    assert area.bounds is not None
    check = area.checks["DeLong"]
    assert area.bounds.low == pytest.approx(check.low, abs=0.2 * (check.high - check.low))
    assert judged.held_out_sha256 == hashlib.sha256(parted.held_out_set).hexdigest()


def test_every_row_is_in_one_slice_of_a_column(judged: Evaluation, parted: Trained) -> None:
    rows = held_out(parted)
    found = {
        (each.gate, each.column): {part.value: part.rows for part in judged.slices if part.gate == each.gate}
        for each in judged.slices
    }
    colours = ["(null)" if colour is None else colour for colour in rows["colour"]]
    assert found[0, "colour"] == {colour: colours.count(colour) for colour in set(colours)}
    sizes = rows["size"].astype(float)
    assert found[1, "size"] == {"below 20": (sizes < 20).sum(), "20 and above": (sizes >= 20).sum()}
    assert found[2, "member"] == {"true": (rows["member"] == 1).sum(), "false": (rows["member"] == 0).sum()}
    assert sum(found[3, "years"].values()) == judged.held_out_rows
    assert found[3, "years"]["1000 and above"] == 0


def test_a_slice_has_the_figures_that_its_rules_are_about(judged: Evaluation) -> None:
    for part in judged.slices:
        if part.column == "member" or part.value == "1000 and above":
            assert "row" in (part.unjudged or "")
            assert not part.challenger
            continue
        assert part.unjudged is None
        wanted = {"colour": {"roc_auc", "brier"}, "size": {"roc_auc"}, "years": {"roc_auc", "accuracy"}}
        assert part.challenger.keys() == part.champion.keys() == wanted[part.column]
        assert part.comparison is not None
        assert part.comparison.bounds is not None
        assert part.challenger["roc_auc"].value is not None
    # A slice is judged by its own rows: their means make up the mean of all.
    parts = [(part.rows, part.challenger["brier"].value) for part in judged.slices if part.column == "colour"]
    total = sum(rows * (value or 0.0) for rows, value in parts)
    assert total / judged.held_out_rows == pytest.approx(judged.challenger.metrics["brier"])


def test_groups_are_told_apart_whether_the_model_sees_the_column_or_not(
    judged: Evaluation, parted: Trained
) -> None:
    rows = held_out(parted)
    by_sex = {each.value: each for each in judged.groups if each.column == "sex"}
    assert {value: each.rows for value, each in by_sex.items()} == {
        value: (rows["sex"] == value).sum() for value in ("f", "m")
    }
    assert {value: each.positives for value, each in by_sex.items()} == {
        value: ((rows["sex"] == value) & (rows["y"] == "yes")).sum() for value in ("f", "m")
    }
    gaps = {each.name: each for each in judged.gaps if each.column == "sex"}
    assert gaps.keys() == {"demographic_parity", "equal_opportunity", "calibration"}
    parity = gaps["demographic_parity"]
    assert parity.between is not None
    high, low = (by_sex[value].selected.value for value in parity.between)
    assert high is not None
    assert low is not None
    assert parity.value == pytest.approx(high - low)
    assert {each.value for each in judged.groups if each.column == "grade"} == {"1", "2", "3", "(null)"}


def test_calibration_size_latency_and_importance_are_told(judged: Evaluation, parted: Trained) -> None:
    challenger = judged.challenger
    assert challenger.calibration is not None
    assert sum(each.rows for each in challenger.calibration.bins) == judged.held_out_rows
    assert challenger.archive_bytes == len(parted.trained.model_archive())
    assert challenger.latency is not None
    assert 0 < challenger.latency.batch_row_us < 1e3 * challenger.latency.row_ms
    assert judged.importance is not None
    assert judged.importance.metric == "roc_auc"
    order = [each.feature for each in judged.importance.features]
    # The target follows from weight and size, then from colour; grade and member say nothing.
    assert order[:2] in (["weight", "size"], ["size", "weight"])
    assert set(order) == {"size", "weight", "member", "colour", "grade"}
    assert judged.importance.features[0].loss > 0.05
    assert abs(judged.importance.features[-1].loss) < 0.05


def test_the_reference_holds_the_held_out_rows_and_what_the_model_said_of_them(
    parted: Trained, tmp_path: Path
) -> None:
    job = Job(tmp_path / "evaluate", BINARY + GATES)
    assert job.evaluate(parted.held_out_set, parted.trained.model_archive()).code == 0
    left = ModelReference.model_validate_json(job.read("processing/output/model/reference.json"))

    rows, contract = (
        pq.read_table(io.BytesIO(parted.held_out_set)),
        json.loads((parted.model / "contract.json").read_bytes()),
    )
    names = [each["name"] for each in contract["features"]]
    assert list(left.reference.columns) == [*names, PREDICTION]
    for column in left.reference.columns.values():
        assert column.counts.rows == rows.num_rows
    answers = left.reference.columns[PREDICTION]
    assert answers.kind == "number"
    assert answers.low is not None
    assert answers.high is not None
    assert 0 <= answers.low < answers.high <= 1
    # The rows themselves, counted by their reference, are what it holds: features lie in it as they do in traffic.
    sizes = left.reference.columns["size"]
    assert sizes.count(rows["size"].combine_chunks()) == sizes.counts
    weights = left.importances
    assert weights is not None
    assert min(weights.values()) >= 0
    assert weights[PREDICTION] == max(weights.values()) > 0.05


def test_the_same_rows_and_models_are_judged_alike(
    parted: Trained, judged: Evaluation, tmp_path: Path
) -> None:
    worse = Job(tmp_path / "worse", BINARY + GATES)
    assert worse.train(parted.train_set, {"C": 1e-4}).code == 0
    job = Job(tmp_path / "again", BINARY + GATES)
    assert job.evaluate(parted.held_out_set, parted.trained.model_archive(), worse.model_archive()).code == 0
    again = Evaluation.model_validate(job.evaluation)
    for part in ("comparisons", "slices", "gaps", "importance", "held_out_sha256"):
        assert getattr(again, part) == getattr(judged, part)


def test_the_gate_decides_on_what_was_written(judged: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "project.toml").write_text(BINARY + GATES)
    decision = decide(judged, Project.load_file(tmp_path / "project.toml").gates)
    names = [rule.name for rule in decision.rules]
    assert names == [
        "min_held_out_rows",
        "improvement",
        "slices.colour.minimum.roc_auc",
        "slices.colour.minimum.brier",
        "slices.colour.margin",
        "slices.years.minimum.accuracy",
        "fairness.max_demographic_parity.sex",
        "fairness.max_demographic_parity.grade",
        "max_row_ms",
    ]
    assert decision.promote, decision.reasons


def test_a_column_that_the_rows_lack_is_named(parted: Trained, tmp_path: Path) -> None:
    """As when the project was changed by hand after the training set was made."""
    other = BINARY + GATES.replace('["sex", "grade"]', '["height"]')
    job = Job(tmp_path, other)
    run = job.evaluate(parted.held_out_set, parted.trained.model_archive())
    assert run.code == 1
    assert "the held-out rows have no column 'height'" in run.reason
    assert "project.toml: gates" in run.reason


def test_a_column_of_many_values_is_refused_with_what_to_do(parted: Trained, tmp_path: Path) -> None:
    job = Job(tmp_path, BINARY + GATES.replace('["sex", "grade"]', '["years"]'))
    run = job.evaluate(parted.held_out_set, parted.trained.model_archive())
    assert run.code == 1
    assert "the held-out rows cannot be parted by 'years': it has" in run.reason
    assert "`cuts`" in run.reason


def test_cuts_of_a_column_of_texts_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """Where features.py makes the column, project.toml alone cannot tell."""
    project = BINARY + '\n[[gates.slices]]\ncolumn = "made"\ncuts = [3]\n'
    hooks = {
        "train.py": "",
        "features.py": "def build_features(table):\n    return table.assign(made='a text')\n",
    }
    job = Job(tmp_path, project, hooks=hooks)
    run = job.build_training_set(toy_table())
    assert run.code == 1
    assert "cannot be parted at the cuts of 'made': it holds values of type string" in run.reason


def test_a_column_that_features_py_does_not_make_is_named(tmp_path: Path) -> None:
    project = BINARY + '\n[gates.fairness]\ncolumns = ["sxe"]\n'
    hooks = {"train.py": "", "features.py": "def build_features(table):\n    return table\n"}
    run = Job(tmp_path, project, hooks=hooks).build_training_set(toy_table())
    assert run.code == 1
    assert "the table has no column 'sxe'" in run.reason
    assert "project.toml: gates" in run.reason


def test_a_champion_that_may_have_learned_from_the_held_out_rows_is_not_judged(
    judged: Evaluation, parted: Trained, tmp_path: Path
) -> None:
    assert judged.challenger.unseen is True
    assert judged.champion is not None
    assert judged.champion.unseen is True
    assert judged.challenger.predictions_sha256 != judged.champion.predictions_sha256
    by_another_salt = (BINARY + GATES).replace("[split]", '[split]\nsalt = "of-then"')
    champion = Job(tmp_path / "champion", by_another_salt)
    assert champion.train(parted.train_set, {"C": 0.5}).code == 0
    job = Job(tmp_path / "evaluate", BINARY + GATES)
    run = job.evaluate(parted.held_out_set, parted.trained.model_archive(), champion.model_archive())
    assert run.code == 0, run.output
    found = Evaluation.model_validate(job.evaluation)
    assert found.champion is not None
    assert not found.champion.metrics
    error = found.champion.error or ""
    assert error.startswith("champion: it may have learned from rows that it is to be judged on")
    assert "split.salt was 'of-then' and is 'toy'" in error
    assert found.challenger.predictions_sha256 == judged.challenger.predictions_sha256
