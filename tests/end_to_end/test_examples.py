from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from containers.frames import frame_of
from containers.train.compiling import compile_beside
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.project import Project
from sluice.splits import held_out_mask

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


@pytest.fixture(scope="module")
def features() -> types.ModuleType:
    return load(CHURN / "features.py")


@pytest.fixture(scope="module")
def built(features: types.ModuleType, log: pd.DataFrame) -> pd.DataFrame:
    frame: pd.DataFrame = features.build_features(log)
    return frame


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

    def test_what_comes_after_a_cutoff_changes_none_of_its_features(
        self, features: types.ModuleType, log: pd.DataFrame, built: pd.DataFrame
    ) -> None:
        cutoff = pd.Timestamp("2024-07-01", tz="UTC")
        # Just enough of the later log for the label's 30 days to be covered: one stranger's purchase.
        stranger = log.tail(1).assign(
            customer_id="C99999", event_timestamp=(cutoff + pd.Timedelta(days=30)).tz_localize(None)
        )
        known = log[log["event_timestamp"] < cutoff.tz_localize(None)]
        alone = features.build_features(pd.concat([known, stranger]))
        alone = alone[alone["event_timestamp"] == cutoff].drop(columns="churned").reset_index(drop=True)
        whole = built[built["event_timestamp"] == cutoff].drop(columns="churned").reset_index(drop=True)
        assert len(whole) > 1000
        pd.testing.assert_frame_equal(alone, whole, check_exact=True)

    def test_they_are_what_a_plain_count_gives(self, log: pd.DataFrame, built: pd.DataFrame) -> None:
        for _, row in built.sample(25, random_state=1).iterrows():
            mine = log[log["customer_id"] == row["customer_id"]].set_index("event_timestamp").sort_index()
            at = row["event_timestamp"].tz_localize(None)
            before = mine[mine.index < at]
            month = before[before.index >= at - pd.Timedelta(days=30)]
            after = mine[(mine.index >= at) & (mine.index < at + pd.Timedelta(days=30))]
            assert row["transaction_count_7d"] == (before.index >= at - pd.Timedelta(days=7)).sum()
            assert row["avg_transaction_30d"] == pytest.approx(month["amount"].mean(), nan_ok=True)
            assert row["lifetime_value"] == pytest.approx(before["amount"].sum())
            assert row["days_since_last_purchase"] == pytest.approx(
                (at - before.index[-1]).total_seconds() / 86_400
            )
            assert row["last_channel"] == before["channel"].iloc[-1]
            assert row["churned"] == ("no" if len(after) else "yes")

    def test_the_order_of_the_log_does_not_matter(
        self, features: types.ModuleType, log: pd.DataFrame, built: pd.DataFrame
    ) -> None:
        pd.testing.assert_frame_equal(features.build_features(log.sample(frac=1, random_state=2)), built)

    def test_a_log_too_short_says_so(self, features: types.ModuleType, log: pd.DataFrame) -> None:
        with pytest.raises(ValueError, match="too short"):
            features.build_features(log[log["event_timestamp"] < pd.Timestamp("2024-02-01")])

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
