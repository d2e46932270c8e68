"""What a project's train.py can get wrong, and what it is told."""

from __future__ import annotations

import hashlib
import json
import platform
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from containers.failure import report_failure
from containers.hooks import unpack_project
from containers.paths import MlPaths
from containers.train.hyperparameters import load_hyperparameters
from containers.train.training import train
from sluice.errors import ProjectError, TrainingFailed
from sluice.payloads.training_record import FILE_NAME, TrainingRecord
from tests.support.jobs import Job, Trained

TREES = """\
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def build_model(hyperparameters):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        sparse_threshold=0,
    )
    return make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20, random_state=0))
"""
SCIKIT = "from sklearn.linear_model import *\nfrom sklearn.svm import SVC\n"


@pytest.mark.usefixtures("own_imports")
@pytest.mark.parametrize(
    ("hook", "text"),
    [
        ("raise ValueError('no such thing')", "importing train.py raised ValueError"),
        ("x = 1", "no build_model"),
        ("def build_model(h):\n    return 1 / 0", "build_model of train.py raised ZeroDivisionError"),
        ("def build_model(h):\n    return 1 / 0", "train.py:4 in build_model"),
        ("def build_model(h):\n    raise SystemExit(1)", "build_model of train.py called sys.exit(1)"),
        ("def build_model(h): pass", "build_model returned None"),
        ("def build_model(h): return 3", "returned a int, which has no fit"),
        ("def build_model(h): return SVC()", "fitting the model raised"),
        (
            "def build_model(h): return 3\ndef fit_model(model, X, y): return None",
            "fit_model returned None",
        ),
        (
            "def build_model(h): return SVC()\ndef fit_model(model, X, y): return model.fit(X[['size']], y)",
            "the model (SVC) has no predict_proba",
        ),
        (
            "def build_model(h): return LogisticRegression()\n"
            "def fit_model(model, X, y): return model.fit(X[['size']], y == 'yes')",
            "the model knows the classes [False, True], the training data ['no', 'yes']",
        ),
        (
            "def build_model(h): return LogisticRegression()\n"
            "def fit_model(model, X, y):\n"
            "    model.later = lambda: 1\n"
            "    return model.fit(X[['size']], y)",
            "the model cannot be saved",
        ),
    ],
)
def test_a_training_hook_that_goes_wrong_is_told_where(
    binary: Trained, tmp_path: Path, hook: str, text: str
) -> None:
    job = Job(tmp_path, hooks={"train.py": SCIKIT + hook + "\n"})
    job.put("input/data/code/project.zip", job.code_zip())
    job.put("input/data/train/train.parquet", binary.train_set)
    with pytest.raises(TrainingFailed) as caught:
        train(MlPaths(tmp_path), {}, tmp_path / "scratch")
    assert text in str(caught.value)
    assert caught.value.fix


def test_a_project_without_a_train_py(binary: Trained, tmp_path: Path) -> None:
    job = Job(tmp_path, hooks={})
    job.put("input/data/code/project.zip", job.code_zip())
    job.put("input/data/train/train.parquet", binary.train_set)
    with pytest.raises(TrainingFailed, match=r"no train\.py"):
        train(MlPaths(tmp_path), {}, tmp_path / "scratch")


def test_hyperparameters_may_be_absent_but_not_broken(tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    assert load_hyperparameters(file) == {}
    file.write_text(json.dumps({"a": "1"}))
    assert load_hyperparameters(file) == {"a": 1}
    # As the SageMaker SDK's estimators and a tuning job add to them.
    for name in ("sagemaker_program", "SAGEMAKER_SUBMIT_DIRECTORY", "sagemaker_container_log_level"):
        file.write_text(json.dumps({"a": "1", name: '"train.py"', "_tuning_objective_metric": "auc"}))
        assert load_hyperparameters(file) == {"a": 1}
    file.write_text("[")
    with pytest.raises(TrainingFailed, match="no JSON"):
        load_hyperparameters(file)


def test_a_zip_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        archive.writestr("../evil.py", "")
    with pytest.raises(ProjectError, match="evil"):
        unpack_project(tmp_path, tmp_path / "out")
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_zip(tmp_path: Path, count: int) -> None:
    for i in range(count):
        (tmp_path / f"{i}.zip").write_bytes(b"")
    with pytest.raises(ProjectError, match=f"found {count}"):
        unpack_project(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("filling", ["x", "語", '"', "\n"])
def test_a_long_reason_keeps_what_to_do(tmp_path: Path, filling: str) -> None:
    file = tmp_path / "output" / "message"
    error = TrainingFailed("what", where="where", why=filling * 5000, fix="mend it")
    report_failure(error, file, unforeseen=TrainingFailed)
    # An ExitMessage has 1,024 bytes; a FailureReason has as many characters, a prefix and the exit code included.
    assert len(file.read_bytes()) <= 1024 - 16 - len(", exit code: -9")
    told = json.loads(file.read_text())
    assert (told["error"], told["what"], told["where"], told["fix"]) == (
        "TrainingFailed",
        "what",
        "where",
        "mend it",
    )
    assert told["why"].startswith(filling * 80)


def test_a_bug_is_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "output" / "failure"
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError as error:
        report_failure(error, file, unforeseen=TrainingFailed)
    assert "Sluice itself failed: ZeroDivisionError" in file.read_text()
    assert "Traceback" in capsys.readouterr().err


def test_the_archive_says_what_the_model_was_made_of_and_on(binary: Trained) -> None:
    kept = TrainingRecord.model_validate_json((binary.model / FILE_NAME).read_bytes())
    assert kept.dataset_version == "0123456789abcdef"
    assert kept.train_sha256 == hashlib.sha256(binary.train_set).hexdigest()
    code = binary.trained.read("input/data/code/project.zip")
    assert kept.code_sha256 == hashlib.sha256(code).hexdigest()
    assert kept.plan_sha256 is None
    assert (kept.entity_key, kept.split.held_out_share, kept.seed) == ("id", 0.3, 0)
    assert kept.libraries["scikit-learn"] == version("scikit-learn")
    assert kept.libraries["numpy"] == version("numpy")
    assert kept.python == platform.python_version()
    assert kept.processor
    assert kept.cores >= 1
    assert any(pool.startswith("openmp") for pool in kept.threads)
    assert kept.thread_settings["OMP_NUM_THREADS"] == "1"


def test_the_same_training_leaves_the_same_archive(binary: Trained, tmp_path: Path) -> None:
    """Every file of it, the pickle and the record too."""
    again = Job(tmp_path, binary.trained.project, binary.trained.hooks)
    given = json.loads(binary.trained.read("input/config/hyperparameters.json"))
    run = again.train(binary.train_set, given)
    assert run.code == 0, run.output
    folders = (binary.model, tmp_path / "model")
    one, other = (
        {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in folders
    )
    assert one.keys() == other.keys()
    # A zip has the time of its making in it.
    record = TrainingRecord.model_validate_json(other.pop(FILE_NAME))
    expected = TrainingRecord.model_validate_json(one.pop(FILE_NAME))
    code = hashlib.sha256(again.read("input/data/code/project.zip")).hexdigest()
    assert record == expected.model_copy(update={"code_sha256": code})
    assert [name for name in one if one[name] != other[name]] == []


def test_trees_are_compiled_to_the_same_bytes_whatever_the_threads(binary: Trained, tmp_path: Path) -> None:
    compiled = set()
    for threads in (1, 2, 3):
        job = Job(tmp_path / str(threads), hooks={"train.py": TREES})
        job.put("input/data/code/project.zip", job.code_zip())
        job.put("input/data/train/train.parquet", binary.train_set)
        run = job.run("containers.train", "train", OMP_NUM_THREADS=str(threads))
        assert run.code == 0, run.output
        kept = TrainingRecord.model_validate_json(job.read(f"model/{FILE_NAME}"))
        pools = {pool: count for pool, count in kept.threads.items() if pool.startswith("openmp")}
        assert set(pools.values()) == {threads}
        compiled.add(job.read("model/compiled.sluice"))
    assert len(compiled) == 1
