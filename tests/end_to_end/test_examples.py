from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from containers.frames import frame_of
from containers.train.compiling import compile_beside
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.project import Project
from sluice.splits import held_out_mask
from tests.support.local_aws import FEATURES_PYTHON

ROOT = Path(__file__).parents[2]
CHURN = ROOT / "examples" / "churn"
TELCO = ROOT / "examples" / "telco"
TELCO_DATA = ROOT.parent / "shared" / "data" / "telco_customer_churn.csv"


def load(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    frame: pd.DataFrame = load(CHURN / "generate.py").generate().to_pandas()
    return frame


def examples(log: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The examples of the log, made where they are made: in Feast's environment."""
    table = pa.Table.from_pandas(log, preserve_index=False)
    place = table.column_names.index("event_timestamp")
    moments = table["event_timestamp"].cast(pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(place, "event_timestamp", moments), folder / "data.parquet")
    command = [str(FEATURES_PYTHON), "-m", "tests.support.examples_of", str(CHURN)]
    command += [str(folder / "data.parquet"), str(folder / "examples.parquet")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return pd.read_parquet(folder / "examples.parquet")


@pytest.fixture(scope="module")
def built(log: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return examples(log, tmp_path_factory.mktemp("examples"))


def held_out_auc(project: Project, folder: Path, rows: pd.DataFrame) -> float:
    """ROC AUC of the example's model on the rows that the split holds out."""
    numeric, categorical = list(project.features.numeric), list(project.features.categorical)
    inputs = pd.concat([rows[numeric].astype(float), rows[categorical].astype(str)], axis=1)
    y = (rows[project.target.column] == project.target.positive).to_numpy()
    assert project.entity.key is not None
    keys = rows[project.entity.key].astype(str)
    held_out = np.array(held_out_mask(keys, salt=project.split.salt, share=project.split.held_out_share))
    model = load(folder / "train.py").build_model(dict(project.model.hyperparameters))
    model.fit(inputs[~held_out], y[~held_out])
    return float(roc_auc_score(y[held_out], model.predict_proba(inputs[held_out])[:, 1]))


class TestGenerator:
    def test_the_same_seed_gives_the_same_bytes(self, tmp_path: Path) -> None:
        texts = []
        for name in ("one.csv", "two.csv"):
            argv = ["--customers", "50", "--months", "4", "--seed", "3", "--out", str(tmp_path / name)]
            subprocess.run(
                [sys.executable, str(CHURN / "generate.py"), *argv], check=True, capture_output=True
            )
            texts.append((tmp_path / name).read_bytes())
        assert texts[0] == texts[1]

    def test_a_customer_buys_at_most_once_a_second(self, log: pd.DataFrame) -> None:
        assert not log.duplicated(["customer_id", "event_timestamp"]).any()
        assert 80_000 < len(log) < 130_000

    def test_even_when_the_shop_is_crowded(self) -> None:
        module = load(CHURN / "generate.py")
        order, seconds = module._unique_seconds(np.zeros(6, dtype=np.int64), np.array([1.0, 1, 1, 0, 1, 2]))
        assert len(set(seconds.tolist())) == 6
        assert sorted(order.tolist()) == list(range(6))

    def test_drift_raises_prices_and_moves_purchases_to_the_app(self, log: pd.DataFrame) -> None:
        drifted = load(CHURN / "generate.py").generate(drift=True).to_pandas()
        late = drifted["event_timestamp"] >= pd.Timestamp("2024-11-01")
        before = log["event_timestamp"] < pd.Timestamp("2024-09-01")
        assert drifted[late]["amount"].mean() > 1.15 * log[before]["amount"].mean()
        assert (drifted[late]["channel"] == "app").mean() > 0.6
        assert (log["channel"] == "app").mean() < 0.45

    def test_the_log_fits_the_contract(self, log: pd.DataFrame) -> None:
        project = Project.load(CHURN)
        assert list(log.columns) == list(project.columns)
        assert set(log["channel"]) <= set(map(str, project.columns["channel"].categories or ()))
        assert (log["amount"] > 0).all()


class TestFeatures:
    def test_they_are_those_of_the_project(self, built: pd.DataFrame) -> None:
        project = Project.load(CHURN)
        assert set(project.features.names) | {"customer_id", "event_timestamp", "churned"} == set(
            built.columns
        )
        assert not built.duplicated(["customer_id", "event_timestamp"]).any()

    def test_neither_what_comes_after_a_cutoff_nor_the_order_changes_its_features(
        self, log: pd.DataFrame, built: pd.DataFrame, tmp_path: Path
    ) -> None:
        cutoff = pd.Timestamp("2024-07-01", tz="UTC")
        # Just enough of the later log for the label's 30 days to be covered: one stranger's purchase.
        stranger = log.tail(1).assign(
            customer_id="C99999", event_timestamp=(cutoff + pd.Timedelta(days=30)).tz_localize(None)
        )
        known = log[log["event_timestamp"] <= cutoff.tz_localize(None)]
        alone = examples(pd.concat([known, stranger]).sample(frac=1, random_state=2), tmp_path)
        left, right = (
            each[each["event_timestamp"] == cutoff]
            .drop(columns="churned")
            .sort_values("customer_id", ignore_index=True)
            for each in (alone, built)
        )
        assert len(right) > 1000
        pd.testing.assert_frame_equal(left, right, check_exact=True)

    def test_they_are_what_a_plain_count_gives(self, log: pd.DataFrame, built: pd.DataFrame) -> None:
        for _, row in built.sample(25, random_state=1).iterrows():
            mine = log[log["customer_id"] == row["customer_id"]].set_index("event_timestamp").sort_index()
            at = row["event_timestamp"].tz_localize(None)
            before = mine[mine.index <= at]
            month = before[before.index > at - pd.Timedelta(days=30)]
            after = mine[(mine.index > at) & (mine.index <= at + pd.Timedelta(days=30))]
            days = (before.index[-1] - before.index[0]).total_seconds() / 86_400
            assert row["transaction_count_7d"] == (before.index > at - pd.Timedelta(days=7)).sum()
            assert row["transaction_count_90d"] == (before.index > at - pd.Timedelta(days=90)).sum()
            average = math.fsum(month["amount"]) / len(month) if len(month) else math.nan
            assert row["avg_transaction_30d"] == pytest.approx(average, nan_ok=True, abs=0, rel=0)
            assert row["lifetime_value"] == math.fsum(before["amount"])
            assert row["days_since_last_purchase"] == (at - before.index[-1]) / pd.Timedelta(days=1)
            pace = days / (len(before) - 1) if len(before) > 1 else math.nan
            assert row["days_between_purchases"] == pytest.approx(pace, nan_ok=True)
            assert row["app_share"] == (before["channel"] == "app").mean()
            assert row["last_channel"] == before["channel"].iloc[-1]
            assert row["churned"] == ("no" if len(after) else "yes")

    def test_a_log_too_short_says_so(self, log: pd.DataFrame, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="the log is too short"):
            examples(log[log["event_timestamp"] < pd.Timestamp("2024-02-01")], tmp_path)

    def test_the_model_passes_its_gate(self, built: pd.DataFrame) -> None:
        project = Project.load(CHURN)
        assert held_out_auc(project, CHURN, built) >= project.gates.minimum["roc_auc"]

    def test_the_model_is_served_by_the_compiled_path(self, built: pd.DataFrame, tmp_path: Path) -> None:
        project = Project.load(CHURN)
        target = project.target
        numbers = [
            Feature(name=n, kind="number", type="number", nullable=True) for n in project.features.numeric
        ]
        texts = [
            Feature(name=n, kind="category", type="string", nullable=True)
            for n in project.features.categorical
        ]
        contract = ModelContract(
            features=(*numbers, *texts),
            target=TargetContract(
                name=target.column, problem="binary", classes=("no", "yes"), positive=target.positive
            ),
        )
        rows = frame_of(
            {
                feature.name: built[feature.name]
                .astype(str if feature.kind == "category" else float)
                .tolist()
                for feature in contract.features
            },
            contract,
        )
        model = load(CHURN / "train.py").build_model(dict(project.model.hyperparameters))
        model.fit(rows, built[target.column])
        told = compile_beside(model, contract, rows, tmp_path)
        assert told.startswith("scoring: compiled, equal to the fitted pipeline on "), told


@pytest.mark.skipif(not TELCO_DATA.is_file(), reason="telco_customer_churn.csv is not in ../shared/data")
class TestTelco:
    def test_the_model_reaches_083(self) -> None:
        project = Project.load(TELCO)
        rows = pd.read_csv(TELCO_DATA, na_values=list(project.data.null_values), dtype={"SeniorCitizen": str})
        assert list(rows.columns) == list(project.columns)
        assert (project.split.salt, project.split.held_out_share) == ("telco", 0.2)
        assert held_out_auc(project, TELCO, rows) >= 0.83
