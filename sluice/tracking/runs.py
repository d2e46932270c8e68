"""The run of an execution: what it says of what is trained, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.outcomes import Outcome
from sluice.payloads.search import Search
from sluice.payloads.tracking import OpenedRun, OpenRunInput
from sluice.tracking.tracker import Ending, Metric, Nested, Tracker

REPORT = "report.html"
"""What the report's page is kept as."""
# SageMaker's words for a trial, as a run ends. Stopped is one that early stopping has ended.
_ENDINGS: dict[str, Ending] = {"Completed": "FINISHED", "Failed": "FAILED", "Stopped": "KILLED"}


def open_run(asked: OpenRunInput, experiment: str, tracker: Tracker) -> OpenedRun:
    """Open the run of an execution, called like its model; asked again, give the same one.

    The names of what we say begin so that a project's own calls do not meet them: MLflow takes no second value of a
    parameter, and `autolog` says `max_iter`, too.
    """
    run = tracker.begin(experiment, asked.model_name)
    told = {
        "sluice.dataset_version": asked.dataset_version,
        "sluice.code": asked.code,
        "sluice.feature_plan": asked.feature_plan,
        "sluice.commit": asked.commit,
    }
    params = {name: value for name, value in told.items() if value is not None}
    params |= {f"sluice.image.{name}": uri for name, uri in asked.images.items()}
    params |= {f"hyperparameter.{name}": value for name, value in asked.hyperparameters.items()}
    tags = {
        "sluice.model_name": asked.model_name,
        "sluice.dataset_version": asked.dataset_version,
        "sluice.execution": asked.execution_arn,
        "sluice.console": console(asked.execution_arn),
    }
    if asked.commit is not None:
        tags["mlflow.source.git.commit"] = asked.commit
    tracker.log(run, params=params, tags=tags)
    return OpenedRun(run_id=run, environment=tracker.environment(experiment, run))


def end_run(run: str, ending: Ending, page: tuple[str, bytes] | None, tracker: Tracker) -> None:
    """End a run. `page` is the report's page, its URI and what it holds; None where none could be written."""
    if page is not None:
        uri, body = page
        tracker.keep(run, REPORT, body, "text/html; charset=utf-8")
        tracker.log(run, tags={"sluice.report": uri})
    tracker.end(run, ending)


def trials_of(search: Search, hyperparameters: Mapping[str, Mapping[str, str]]) -> list[Nested]:
    """Give the trials of a search as runs.

    Args:
        search: what came of it.
        hyperparameters: of each trial, by its name.
    """
    return [
        Nested(
            name=f"trial-{trial.number or place:03d}",
            params={
                f"hyperparameter.{name}": value
                for name, value in sorted(hyperparameters.get(trial.name, {}).items())
            },
            metrics=[] if trial.objective is None else [Metric(search.metric, trial.objective)],
            ending=_ENDINGS[trial.status],
        )
        for place, trial in enumerate(search.trials, start=1)
        if trial.status in _ENDINGS
    ]


def ending_of(outcome: Outcome) -> Ending:
    """A model that was refused, or taken back, was trained and judged all the same."""
    return "FAILED" if outcome is Outcome.FAILED else "FINISHED"


def console(execution_arn: str) -> str:
    """Link an execution's page in the AWS console."""
    region = execution_arn.split(":")[3]
    return (
        f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/"
        f"{execution_arn}"
    )
