"""MLflow as a `sluice.tracking.tracker.Tracker`, by its REST API: the client's import alone costs two seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lambdas.adapters import storage
from lambdas.adapters.mlflow_wire import Refused, Wire
from sluice import naming
from sluice.errors import TrackingRefused
from sluice.tracking.login import VARIABLE
from sluice.tracking.tracker import Ending, Metric, Nested

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# https://mlflow.org/docs/latest/api_reference/rest-api.html#log-batch: a thousand in all.
_MOST_METRICS = 800
_MOST_PARAMS = _MOST_TAGS = 100
_LONGEST_TAG = 5_000
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_TAKEN = "RESOURCE_ALREADY_EXISTS"
_NAME = "sluice.run"
# By which MLflow's page draws runs below a run.
_PARENT = "mlflow.parentRunId"
_MOST_RUNS = 1_000


class MlflowTracker:
    """A server of MLflow.

    Args:
        uri: as training code is given it.
        artifacts: the folder in S3 below which the files of a new experiment are kept; None leaves it to the server.
        secret: where training code finds its login.
    """

    def __init__(self, wire: Wire, uri: str, artifacts: str | None = None, secret: str | None = None) -> None:
        self._wire = wire
        self._uri = uri
        self._artifacts = artifacts
        self._secret = secret
        self._experiments: dict[str, str] = {}
        self._places: dict[str, str] = {}

    @cached_property
    def _s3(self) -> S3Client:
        return storage.client()

    def begin(self, experiment: str, name: str) -> str:
        found = self.find(experiment, name)
        if found is not None:
            return found
        asked = {
            "experiment_id": self._experiment(experiment),
            "run_name": name,
            "start_time": _now(),
            "tags": [{"key": _NAME, "value": name}],
        }
        run: str = self._call("POST", "runs/create", asked)["run"]["info"]["run_id"]
        return run

    def find(self, experiment: str, name: str) -> str | None:
        asked = {
            "experiment_ids": [self._experiment(experiment)],
            "filter": f"tags.`{_NAME}` = '{name}'",
            "max_results": 1,
            "order_by": ["attributes.start_time ASC"],
        }
        runs = self._call("POST", "runs/search", asked).get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else None

    def environment(self, experiment: str, run: str) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": self._uri,
            "MLFLOW_EXPERIMENT_NAME": experiment,
            "MLFLOW_RUN_ID": run,
            **({} if self._secret is None else {VARIABLE: self._secret}),
        }

    def log(
        self,
        run: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        now = _now()
        told = [
            {"key": each.name, "value": _number(each.value), "timestamp": now, "step": each.step}
            for each in metrics
        ]
        batches = {
            "metrics": _parts(told, _MOST_METRICS),
            "params": _parts(_pairs(params or {}), _MOST_PARAMS),
            "tags": _parts(_pairs(tags or {}), _MOST_TAGS),
        }
        for number in range(max(map(len, batches.values()))):
            batch = {kind: parts[number] for kind, parts in batches.items() if number < len(parts)}
            self._call("POST", "runs/log-batch", {"run_id": run, **batch})

    def keep(self, run: str, path: str, body: bytes, media_type: str) -> None:
        place = urlsplit(self._place(run))
        where = f"{place.path.strip('/')}/{path}"
        if place.scheme == "s3":
            with storage.explained(naming.uri(place.netloc, where)):
                self._s3.put_object(Bucket=place.netloc, Key=where, Body=body, ContentType=media_type)
        elif place.scheme == "mlflow-artifacts":
            try:
                self._wire.put(quote(where), body, media_type)
            except Refused as error:
                raise self._refused(error, f"PUT {where}") from error
        else:
            raise TrackingRefused(
                "the run's files cannot be written",
                where=f"{self._uri}, run {run}",
                why=f"its server keeps them in {self._place(run)}, which the pipeline cannot reach",
                fix="start the server with --serve-artifacts, or with an artifact root in S3",
            )

    def nest(self, experiment: str, run: str, below: Sequence[Nested]) -> None:
        number = self._experiment(experiment)
        asked = {
            "experiment_ids": [number],
            "filter": f"tags.`{_PARENT}` = '{run}'",
            "max_results": _MOST_RUNS,
        }
        found = self._call("POST", "runs/search", asked).get("runs", [])
        there = {each["info"]["run_name"]: each["info"] for each in found}
        for each in below:
            made = there.get(each.name)
            if made is None:
                tags = [{"key": _PARENT, "value": run}]
                asked = {"experiment_id": number, "run_name": each.name, "start_time": _now(), "tags": tags}
                made = self._call("POST", "runs/create", asked)["run"]["info"]
            if made["status"] == "RUNNING":
                self.log(made["run_id"], params=each.params, metrics=each.metrics)
                self.end(made["run_id"], each.ending)

    def end(self, run: str, ending: Ending) -> None:
        self._call("POST", "runs/update", {"run_id": run, "status": ending, "end_time": _now()})

    def register(self, model: str, run: str, source: str, description: str, tags: Mapping[str, str]) -> str:
        self._call("POST", "registered-models/create", {"name": model}, unless=_TAKEN)
        chosen = quote(f"name='{model}' and run_id='{run}'")
        found = self._call("GET", f"model-versions/search?filter={chosen}&max_results=1")
        versions = found.get("model_versions", [])
        if versions:
            version = str(versions[0]["version"])
            one = {"name": model, "version": version, "description": description}
            self._call("PATCH", "model-versions/update", one)
            self.tag(model, version, tags)
            return version
        asked = {
            "name": model,
            "source": source,
            "run_id": run,
            "description": description,
            "tags": _pairs(tags),
        }
        return str(self._call("POST", "model-versions/create", asked)["model_version"]["version"])

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        for pair in _pairs(tags):
            self._call("POST", "model-versions/set-tag", {"name": model, "version": version, **pair})

    def point(self, model: str, alias: str, version: str | None) -> None:
        one = {"name": model, "alias": alias}
        if version is None:
            self._call("DELETE", "registered-models/alias", one, unless=_MISSING)
        else:
            self._call("POST", "registered-models/alias", {**one, "version": version})

    def pointed(self, model: str, alias: str) -> str | None:
        # Asked of the model, not of the alias: MLflow has no code of its own for one that is not there.
        found = self._call("GET", f"registered-models/get?name={quote(model)}", unless=_MISSING)
        aliases = found.get("registered_model", {}).get("aliases", [])
        return next((str(each["version"]) for each in aliases if each["alias"] == alias), None)

    def _experiment(self, name: str) -> str:
        """Give the id of an experiment, which is made where there is none."""
        if name not in self._experiments:
            path = f"experiments/get-by-name?experiment_name={quote(name)}"
            found = self._call("GET", path, unless=_MISSING)
            if not found:
                asked = {"name": name}
                if self._artifacts is not None:
                    asked["artifact_location"] = f"{self._artifacts}/{name}"
                self._call("POST", "experiments/create", asked, unless=_TAKEN)
                found = self._call("GET", path)
            experiment = found["experiment"]
            if experiment.get("lifecycle_stage") == "deleted":
                raise TrackingRefused(
                    f"the experiment {name} was deleted",
                    where=self._uri,
                    why="MLflow keeps its name, and takes no runs for it",
                    fix=f"restore it: `mlflow experiments restore --experiment-id {experiment['experiment_id']}`",
                )
            self._experiments[name] = str(experiment["experiment_id"])
        return self._experiments[name]

    def _place(self, run: str) -> str:
        if run not in self._places:
            self._places[run] = self._call("GET", f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
        return self._places[run]

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, unless: str | None = None
    ) -> dict[str, Any]:
        """Ask; where it is refused by the code `unless`, there is nothing to be had, and nothing is given."""
        try:
            return self._wire.call(method, path, body)
        except Refused as error:
            if error.code == unless:
                return {}
            raise self._refused(error, f"{method} {path.partition('?')[0]}") from error

    def _refused(self, error: Refused, asked: str) -> TrackingRefused:
        return TrackingRefused(
            "MLflow refuses what the pipeline asks of it",
            where=self._uri,
            why=f"{asked}: {error}",
            fix="look at what the server says; if its run or model was deleted, start the execution again",
        )


def _now() -> int:
    return int(time.time() * 1000)


def _number(value: float) -> float | str:
    """Write a figure as JSON has it, and one that JSON has not as protobuf's JSON does."""
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _pairs(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value[:_LONGEST_TAG]} for name, value in values.items()]


def _parts(values: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
