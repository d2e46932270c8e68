"""The three containers, one after the other, as processes over a temporary /opt/ml."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.contract import ModelContract
from sluice.payloads.documents import Evaluation
from sluice.splits import is_held_out
from tests.support.jobs import BINARY, MULTICLASS, REGRESSION, ROOT, TRAIN, Job, Trained, toy_table


def test_the_training_set_is_split_by_entity_and_described(binary: Trained) -> None:
    train = pq.read_table(io.BytesIO(binary.train_set))
    held_out = pq.read_table(io.BytesIO(binary.held_out_set))
    assert train.column_names == ["size", "weight", "member", "colour", "grade", "y", "__key"]
    assert all(not is_held_out(str(key), salt="toy", share=0.3) for key in train["__key"].to_pylist())
    assert all(is_held_out(str(key), salt="toy", share=0.3) for key in held_out["__key"].to_pylist())
    assert set(train["grade"].to_pylist()) == {"1", "2", "3", None}
    assert set(train["member"].to_pylist()) == {0.0, 1.0}
    summary = json.loads(binary.built.read("processing/output/summary/training_set.json"))
    assert summary["rows"] == 400 == summary["train_rows"] + summary["held_out_rows"]
    assert sum(summary["target"]["train"].values()) == summary["train_rows"]


def test_a_model_folder_holds_all_it_takes_to_load(binary: Trained) -> None:
    contract = ModelContract.load(binary.model / "contract.json")
    assert [(f.name, f.kind, f.type, f.nullable) for f in contract.features] == [
        ("size", "number", "integer", False),
        ("weight", "number", "number", True),
        ("member", "number", "boolean", False),
        ("colour", "category", "string", True),
        ("grade", "category", "integer", True),
    ]
    assert contract.target.classes == ("no", "yes")
    assert contract.target.positive == "yes"
    assert contract.dataset_version == "0123456789abcdef"
    assert set(contract.versions) >= {"python", "scikit-learn"}
    assert (binary.model / "code" / "train.py").read_text() == TRAIN
    why = "not compilable: train.Careful is no estimator with a compiled form"
    assert f"scoring: scikit-learn: {why} (" in binary.log
    assert json.loads((binary.model / "scoring.json").read_text())["why"] == why


def test_training_twice_gives_the_same_bytes(binary: Trained, tmp_path: Path) -> None:
    again = Job(tmp_path)
    assert again.train(binary.train_set, {"C": 0.5, "max_iter": 300}).code == 0
    for name in ("model.joblib", "contract.json"):
        assert again.read(f"model/{name}") == (binary.model / name).read_bytes()


def test_challenger_and_champion_are_judged_with_code_of_their_own(binary: Trained, tmp_path: Path) -> None:
    """Both bring a train.py; the champion's has a class the challenger's lacks, and the other way round."""
    other = Job(tmp_path / "other", hooks={"train.py": TRAIN.replace("Careful", "Reckless")})
    assert other.train(binary.train_set, {"C": 0.01}).code == 0
    job = Job(tmp_path / "evaluate")
    run = job.evaluate(binary.held_out_set, binary.trained.model_archive(), other.model_archive())
    assert run.code == 0, run.output
    evaluation = Evaluation.model_validate(job.evaluation)
    assert evaluation.champion is not None
    assert evaluation.champion.error is None
    assert evaluation.challenger.metrics["roc_auc"] > 0.9
    assert evaluation.challenger.metrics != evaluation.champion.metrics
    assert set(evaluation.challenger.metrics) == {
        "roc_auc", "average_precision", "log_loss", "accuracy", "f1", "precision", "recall", "brier",
    }  # fmt: skip
    assert evaluation.held_out_rows == pq.read_table(io.BytesIO(binary.held_out_set)).num_rows
    for curves in evaluation.curves.values():
        assert set(curves) == {"roc", "precision_recall", "calibration"}
        assert all(len(points) <= 200 for points in curves.values())


def test_a_champion_of_another_contract_is_no_failure(
    binary: Trained, multiclass: Trained, tmp_path: Path
) -> None:
    job = Job(tmp_path, MULTICLASS)
    run = job.evaluate(
        multiclass.held_out_set, multiclass.trained.model_archive(), binary.trained.model_archive()
    )
    assert run.code == 0, run.output
    evaluation = Evaluation.model_validate(job.evaluation)
    assert set(evaluation.challenger.metrics) == {"accuracy", "f1_macro", "log_loss"}
    assert evaluation.challenger.intervals.keys() == evaluation.challenger.metrics.keys()
    assert evaluation.comparisons == {}
    assert evaluation.curves["challenger"]["confusion"]["classes"] == ["high", "low", "middle"]
    assert evaluation.champion is not None
    assert "problem is 'binary'" in (evaluation.champion.error or "")
    # What lands beside the challenger's archive is its own contract, as training completed it.
    contract = ModelContract.load(job.base / "processing/output/model/contract.json")
    assert contract.target.classes == ("high", "low", "middle")
    assert contract.dataset_version == "0123456789abcdef"


def test_a_regression_is_judged(regression: Trained, tmp_path: Path) -> None:
    job = Job(tmp_path, REGRESSION)
    run = job.evaluate(regression.held_out_set, regression.trained.model_archive())
    assert run.code == 0, run.output
    evaluation = Evaluation.model_validate(job.evaluation)
    assert evaluation.champion is None
    assert evaluation.challenger.metrics["r2"] > 0.7
    assert evaluation.challenger.intervals.keys() == {"rmse", "mae", "r2"}
    assert 0 < len(evaluation.curves["challenger"]["predicted_actual"]) <= 200


NAN_MODEL = TRAIN.replace(
    '"""An estimator that only this file knows."""',
    "def predict_proba(self, X):\n        import numpy as np\n        return np.full((X.shape[0], 2), np.nan)",
)


def test_nan_predictions_are_counted(binary: Trained, tmp_path: Path) -> None:
    broken = Job(tmp_path / "train", hooks={"train.py": NAN_MODEL})
    assert broken.train(binary.train_set).code == 0
    job = Job(tmp_path / "evaluate")
    run = job.evaluate(binary.held_out_set, broken.model_archive())
    rows = pq.read_table(io.BytesIO(binary.held_out_set)).num_rows
    assert run.code == 1
    assert f"challenger: {rows} of {rows} predictions are NaN" in run.reason
    assert '"fix": "' in run.reason


@pytest.mark.parametrize(
    "statement", ["import os; os._exit(1)", "import os, signal; os.kill(os.getpid(), 9)"]
)
def test_a_hook_that_ends_the_process_leaves_a_reason(
    binary: Trained, tmp_path: Path, statement: str
) -> None:
    job = Job(tmp_path, hooks={"train.py": f"def build_model(hyperparameters):\n    {statement}\n"})
    run = job.train(binary.train_set)
    assert run.code == 1
    assert ("exit code 1" if "_exit" in statement else "SIGKILL") in run.reason
    assert '"fix": "' in run.reason


def test_a_failure_fits_into_its_file(binary: Trained, tmp_path: Path) -> None:
    hook = "def build_model(hyperparameters):\n    raise ValueError('long ' * 1000)\n"
    run = Job(tmp_path, hooks={"train.py": hook}).train(binary.train_set)
    assert run.code == 1
    assert len(run.reason) <= 1024
    assert "train.py:2 in build_model" in run.reason
    assert '"fix": "' in run.reason


def test_a_model_is_for_everybody_to_read_whatever_the_projects_umask(
    binary: Trained, tmp_path: Path
) -> None:
    job = Job(tmp_path, hooks={"train.py": "import os\nos.umask(0o077)\n" + TRAIN})
    assert job.train(binary.train_set).code == 0
    made = list((tmp_path / "model").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o604}
    assert any(path.suffix == ".joblib" for path in made)


def test_sigterm_ends_a_job_and_its_child(binary: Trained, tmp_path: Path) -> None:
    hook = "import time\ndef build_model(h):\n    print('waiting', flush=True)\n    time.sleep(600)\n"
    job = Job(tmp_path, hooks={"train.py": hook})
    job.put("input/data/code/project.zip", job.code_zip())
    job.put("input/data/train/train.parquet", binary.train_set)
    process = _start(["containers.train", "train"], tmp_path)
    try:
        assert process.stdout is not None
        while "waiting" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
        assert process.stdout.read() == ""  # the pipe has no other end any more
    finally:
        _end(process)


def test_serving_over_http(binary: Trained) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = _start(["containers.serve", "serve"], binary.trained.base, SAGEMAKER_BIND_TO_PORT=str(port))
    try:
        _await_ping(process, f"http://127.0.0.1:{port}/ping")
        record = {"size": 3, "weight": None, "member": True, "colour": None, "grade": 2}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            data=json.dumps(record).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            [prediction] = json.load(response)["predictions"]
        assert prediction["label"] in {"yes", "no"}
        assert 0 < prediction["probability"] < 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        messages = [json.loads(line)["message"] for line in process.stdout]
        assert messages[-1].startswith("worker")
        assert messages[-1].endswith("stopped")
    finally:
        _end(process)


def test_without_a_model_serving_ends_with_a_reason(tmp_path: Path) -> None:
    run = Job(tmp_path).run("containers.serve", "serve")
    assert run.code == 1
    messages = [json.loads(line)["message"] for line in run.output.splitlines()]
    assert any("the model has no contract" in message for message in messages)


def test_without_an_entity_equal_rows_are_on_one_side(tmp_path: Path) -> None:
    job = Job(tmp_path, BINARY.replace('[entity]\nkey = "id"\n', ""))
    table = toy_table()
    run = job.build_training_set(pa.concat_tables([table, table]))
    assert run.code == 0, run.output
    sides = [
        set(
            pq.read_table(io.BytesIO(job.read(f"processing/output/{side}/{side}.parquet")))[
                "__key"
            ].to_pylist()
        )
        for side in ("train", "held_out")
    ]
    assert len(sides[0] | sides[1]) == 400
    assert not sides[0] & sides[1]
    assert math.isclose(len(sides[1]) / 400, 0.3, abs_tol=0.1)


def _start(command: list[str], base: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _await_ping(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                assert json.load(response)["status"] == "Healthy"
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("no ping")
