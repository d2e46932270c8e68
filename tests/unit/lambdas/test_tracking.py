"""Runs, versions and aliases: what is told of an execution to MLflow, in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.mlflow_wire import Refused
from sluice.errors import TrackingRefused, TrackingUnavailable
from sluice.outcomes import Outcome
from sluice.payloads.search import Search, SearchTrial
from sluice.tracking.registry import move_alias, register, signature, take_back
from sluice.tracking.runs import end_run, ending_of, open_run, trials_of
from sluice.tracking.tracker import Metric, Nested, Tracker
from tests.support.judged import ASKED, CONTRACT, EVALUATION, EXECUTION, asked
from tests.support.mlflow import URI, Mlflow


@pytest.fixture
def server() -> Mlflow:
    return Mlflow()


@pytest.fixture
def tracker(server: Mlflow) -> MlflowTracker:
    return MlflowTracker(server, URI, "s3://artifacts/mlflow")


def judged(tracker: MlflowTracker, name: str = "bank-dev-1", *, promote: bool = True) -> Any:
    run = tracker.begin("bank-dev", name)
    return register(asked(run, promote=promote, name=name), "bank-dev", EVALUATION, CONTRACT, b"{}", tracker)


def test_a_run_says_what_is_trained_on_what_and_by_which_code(server: Mlflow, tracker: MlflowTracker) -> None:
    opened = open_run(ASKED, "bank-dev", tracker)

    run = server.runs[opened.run_id]
    assert run["name"] == "bank-dev-1"
    assert run["params"] == {
        "sluice.dataset_version": "0123456789abcdef",
        "sluice.code": "assets/c0de.zip",
        "sluice.commit": "0123abc",
        "sluice.image.train": ASKED.images["train"],
        "hyperparameter.max_iter": "150",
    }
    assert run["tags"]["sluice.execution"] == EXECUTION
    assert run["tags"]["mlflow.source.git.commit"] == "0123abc"
    assert run["tags"]["sluice.console"].startswith("https://eu-central-1.console.aws.amazon.com/states/")
    assert server.experiments["bank-dev"]["artifact_location"] == "s3://artifacts/mlflow/bank-dev"


def test_training_code_finds_the_run_by_mlflows_own_variables(tracker: MlflowTracker) -> None:
    opened = open_run(ASKED, "bank-dev", tracker)

    assert opened.environment == {
        "MLFLOW_TRACKING_URI": URI,
        "MLFLOW_EXPERIMENT_NAME": "bank-dev",
        "MLFLOW_RUN_ID": opened.run_id,
    }


def test_a_run_is_opened_once_however_often_it_is_asked_for(server: Mlflow, tracker: MlflowTracker) -> None:
    again = open_run(ASKED, "bank-dev", tracker)
    other = open_run(ASKED.model_copy(update={"model_name": "bank-dev-2"}), "bank-dev", tracker)

    assert open_run(ASKED, "bank-dev", tracker) == again
    assert other.run_id != again.run_id
    assert len(server.runs) == 2
    assert len(server.experiments) == 1


def test_a_model_is_registered_with_all_that_is_known_of_it_at_once(
    server: Mlflow, tracker: MlflowTracker
) -> None:
    registered = judged(tracker)

    assert registered.model_dump() == {
        "name": "bank-dev",
        "version": "1",
        "verdict": "promoted",
        "stage": "staging",
    }
    version = server.version("bank-dev", "1")
    assert version["source"] == "s3://artifacts/models/bank-dev-1-train/output/model.tar.gz"
    assert version["tags"] == {
        "model_name": "bank-dev-1",
        "verdict": "promoted",
        "stage": "staging",
        "scoring": "compiled",
        "dataset_version": "0123456789abcdef",
    }
    assert "1,200 held-out rows" in version["description"]
    assert "roc_auc is 0.9." in version["description"]
    # Between the version and its tags nothing can be seen, and the alias comes last.
    assert "POST model-versions/set-tag" not in server.calls
    assert server.calls[-1] == "POST registered-models/alias"
    assert server.models["bank-dev"]["aliases"] == {"challenger": "1"}
    files = {path.partition("/artifacts/")[2] for path in server.files}
    assert files == {
        "evaluation.json",
        "gate.json",
        "model/contract.json",
        "model/signature.json",
        "model/input_example.json",
    }


def test_the_run_has_every_figure_and_those_of_each_iteration(server: Mlflow, tracker: MlflowTracker) -> None:
    judged(tracker)

    [run] = server.runs.values()
    logged = [(each["key"], each["value"], each["step"]) for each in run["metrics"]]
    assert logged == [
        ("roc_auc", 0.9, 0),
        ("log_loss", "Infinity", 0),
        ("champion/roc_auc", 0.8, 0),
        ("iteration/validation_score", 0.5, 1),
        ("iteration/validation_score", 0.25, 2),
    ]
    assert run["tags"]["sluice.verdict"] == "promoted"


def test_a_rejected_model_is_registered_as_rejected(server: Mlflow, tracker: MlflowTracker) -> None:
    registered = judged(tracker, promote=False)

    assert (registered.verdict, registered.stage) == ("rejected", "experimental")
    assert server.version("bank-dev", "1")["tags"]["verdict"] == "rejected"
    assert server.models["bank-dev"]["aliases"] == {}


def test_a_model_that_is_judged_again_is_the_same_version(server: Mlflow, tracker: MlflowTracker) -> None:
    judged(tracker)

    again = judged(tracker, promote=False)

    assert again.version == "1"
    assert len(server.models["bank-dev"]["versions"]) == 1
    version = server.version("bank-dev", "1")
    assert (version["tags"]["verdict"], version["tags"]["stage"]) == ("rejected", "experimental")
    assert version["description"].startswith("**Rejected**")
    assert server.models["bank-dev"]["aliases"] == {}


def test_a_rejected_model_leaves_anothers_alias_alone(server: Mlflow, tracker: MlflowTracker) -> None:
    judged(tracker)
    judged(tracker, "bank-dev-2", promote=False)

    assert server.models["bank-dev"]["aliases"] == {"challenger": "1"}


def test_the_champion_is_what_was_released_and_what_it_replaced_is_retired(
    server: Mlflow, tracker: MlflowTracker
) -> None:
    judged(tracker)
    first = move_alias("bank-dev", "1", tracker)
    judged(tracker, "bank-dev-2")
    second = move_alias("bank-dev", "2", tracker)

    assert (first.replaced, second.replaced) == (None, "1")
    assert server.models["bank-dev"]["aliases"] == {"champion": "2"}
    assert server.version("bank-dev", "1")["tags"]["stage"] == "retired"
    assert server.version("bank-dev", "2")["tags"]["stage"] == "production"
    # An answer was lost, and it is asked again.
    assert move_alias("bank-dev", "2", tracker).replaced is None
    assert server.version("bank-dev", "2")["tags"]["stage"] == "production"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_run_ends_as_its_execution_does(server: Mlflow, tracker: MlflowTracker, outcome: Outcome) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")

    end_run(run, ending_of(outcome), ("s3://artifacts/reports/bank-1/report.html", b"<html>"), tracker)

    assert server.runs[run]["info"]["status"] == ("FAILED" if outcome is Outcome.FAILED else "FINISHED")
    assert server.runs[run]["tags"]["sluice.report"] == "s3://artifacts/reports/bank-1/report.html"
    assert server.files == {f"1/{run}/artifacts/report.html": b"<html>"}


def test_a_model_that_was_taken_back_is_no_challenger_and_says_why(
    server: Mlflow, tracker: MlflowTracker
) -> None:
    serving, taken = judged(tracker, "bank-dev-1"), judged(tracker, "bank-dev-2")
    move_alias("bank-dev", serving.version, tracker)

    for _ in range(2):
        take_back("bank-dev", taken.version, "sluice-bank-dev-errors", tracker)

    assert tracker.pointed("bank-dev", "challenger") is None
    assert tracker.pointed("bank-dev", "champion") == serving.version
    tags = server.version("bank-dev", taken.version)["tags"]
    assert (tags["stage"], tags["taken_back"]) == ("experimental", "sluice-bank-dev-errors")
    assert "taken_back" not in server.version("bank-dev", serving.version)["tags"]


def test_the_trials_of_a_search_are_runs_below_the_run(server: Mlflow, tracker: MlflowTracker) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")
    job = "bank-1-0123456789abcdef"
    trials = [
        SearchTrial(name=f"{job}-001-0123abcd", status="Completed", objective=0.81),
        SearchTrial(name=f"{job}-002-1123abcd", status="Failed"),
        SearchTrial(name=f"{job}-003-2123abcd", status="Stopped", objective=0.5),
    ]
    search = Search(metric="roc_auc", trials=tuple(trials), best_trial=trials[0].name)
    assert trials[2].tuning_job == job
    below = trials_of(search, {each.name: {"depth": str(number)} for number, each in enumerate(trials)})

    tracker.nest("bank-dev", run, below[:1])
    calls = len(server.calls)
    tracker.nest("bank-dev", run, below)
    tracker.nest("bank-dev", run, below)

    children = [each for each in server.runs.values() if each["tags"].get("mlflow.parentRunId") == run]
    assert [(each["name"], each["info"]["status"], each["params"]) for each in children] == [
        ("trial-001", "FINISHED", {"hyperparameter.depth": "0"}),
        ("trial-002", "FAILED", {"hyperparameter.depth": "1"}),
        ("trial-003", "KILLED", {"hyperparameter.depth": "2"}),
    ]
    assert [[(m["key"], m["value"]) for m in each["metrics"]] for each in children] == [
        [("roc_auc", 0.81)],
        [],
        [("roc_auc", 0.5)],
    ]
    assert server.calls[calls:].count("POST runs/create") == 2
    assert tracker.find("bank-dev", "bank-dev-1") == run


def test_a_trial_that_was_cut_off_is_told_to_its_end(
    server: Mlflow, tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")
    [trial] = trials_of(
        Search(metric="f1", trials=(SearchTrial(name="t-001-0123abcd", status="Failed"),)), {}
    )

    def down(_asked: dict[str, Any]) -> dict[str, Any]:
        raise Refused(500, "INTERNAL_ERROR", "down")

    with monkeypatch.context() as broken:
        broken.setattr(server, "post_runs_update", down)
        with pytest.raises(TrackingRefused, match="down"):
            tracker.nest("bank-dev", run, [trial])
    tracker.nest("bank-dev", run, [trial])

    assert [each["info"]["status"] for each in server.runs.values()] == ["RUNNING", "FAILED"]


def test_a_run_without_a_report_ends_all_the_same(server: Mlflow, tracker: MlflowTracker) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")

    end_run(run, "KILLED", None, tracker)

    assert server.runs[run]["info"]["status"] == "KILLED"


def test_more_than_a_request_takes_is_told_in_several(server: Mlflow, tracker: MlflowTracker) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")

    tracker.log(
        run,
        metrics=[Metric("loss", float(step), step) for step in range(2_000)],
        params={f"p{number}": "x" for number in range(150)},
        tags={f"t{number}": "x" for number in range(150)},
    )

    assert [each["step"] for each in server.runs[run]["metrics"]] == list(range(2_000))
    assert len(server.runs[run]["params"]) == 150


def test_what_a_model_takes_is_said_as_mlflow_says_it() -> None:
    told = signature(CONTRACT)

    assert json.loads(told["inputs"]) == [
        {"type": "long", "name": "age", "required": True},
        {"type": "string", "name": "job", "required": False},
    ]
    assert [each["name"] for each in json.loads(told["outputs"])] == [
        "label",
        "probability of no",
        "probability of yes",
    ]


def test_a_refusal_says_what_was_asked_and_what_mlflow_said(tracker: MlflowTracker) -> None:
    with pytest.raises(TrackingRefused) as caught:
        tracker.log("gone", params={"a": "1"})

    assert "RESOURCE_DOES_NOT_EXIST: Run with id=gone not found" in caught.value.why
    assert caught.value.where == URI


def test_an_experiment_that_was_deleted_is_said_to_be(server: Mlflow, tracker: MlflowTracker) -> None:
    server.post_experiments_create({"name": "bank-dev"})
    server.experiments["bank-dev"]["lifecycle_stage"] = "deleted"

    with pytest.raises(TrackingRefused, match="the experiment bank-dev was deleted") as caught:
        tracker.begin("bank-dev", "bank-dev-1")
    assert "mlflow experiments restore --experiment-id 1" in caught.value.fix


def test_files_of_a_server_that_keeps_them_for_itself_are_refused(
    server: Mlflow, tracker: MlflowTracker
) -> None:
    run = tracker.begin("bank-dev", "bank-dev-1")
    server.runs[run]["info"]["artifact_uri"] = "/var/lib/mlflow/1"

    with pytest.raises(TrackingRefused, match="the run's files cannot be written") as caught:
        tracker.keep(run, "a.json", b"{}", "application/json")
    assert "--serve-artifacts" in caught.value.fix


def test_a_server_that_is_down_is_told_as_it_is(server: Mlflow, tracker: MlflowTracker) -> None:
    server.fails = TrackingUnavailable("the tracking server does not answer as it should")
    with pytest.raises(TrackingUnavailable):
        open_run(ASKED, "bank-dev", tracker)
    server.fails = Refused(400, "INVALID_PARAMETER_VALUE", "no")
    with pytest.raises(TrackingRefused):
        open_run(ASKED, "bank-dev", tracker)


def test_the_tracker_that_the_docs_show_works(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text(encoding="utf-8")
    code = text.rsplit("```python\n", 1)[1].split("```")[0]
    shown: dict[str, Any] = {}
    exec(code, shown)
    tracker: Tracker = shown["FileTracker"](tmp_path / "runs.json")

    opened = open_run(ASKED, "bank-dev", tracker)
    first = register(asked(opened.run_id), "bank-dev", EVALUATION, CONTRACT, b"{}", tracker)
    move_alias("bank-dev", first.version, tracker)
    tracker.nest("bank-dev", opened.run_id, [Nested("trial-001", {}, [Metric("f1", 0.5)], "KILLED")])
    end_run(opened.run_id, "FINISHED", ("s3://a/report.html", b"<html>"), tracker)
    again = shown["FileTracker"](tmp_path / "runs.json")

    assert again.find("bank-dev", "bank-dev-1") == opened.run_id
    assert again.pointed("bank-dev", "champion") == "1"
    assert again.pointed("bank-dev", "challenger") is None
    assert again.told["models"]["bank-dev"]["versions"]["1"]["tags"]["stage"] == "production"
    assert again.told["runs"]["bank-dev-1"]["status"] == "FINISHED"
    assert again.told["runs"]["bank-dev-1"]["below"] == [["trial-001", {}, [["f1", 0.5, 0]], "KILLED"]]
    assert register(asked(opened.run_id), "bank-dev", EVALUATION, CONTRACT, None, again) == first
