"""MLflow in memory, as its REST API was seen to answer; tests/local/test_mlflow.py asks the real one the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from lambdas.adapters.mlflow_wire import Refused

URI = "http://127.0.0.1:5000"


@dataclass
class Mlflow:
    """One server. `fails` is raised by every call while it is set; `calls` are those that came through."""

    where: str = URI
    fails: Exception | None = None
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if self.fails is not None:
            raise self.fails
        name, _, query = path.partition("?")
        self.calls.append(f"{method} {name}")
        asked = {key: values[0] for key, values in parse_qs(query).items()} | dict(body or {})
        answer: dict[str, Any] = getattr(
            self, f"{method}_{name}".lower().replace("/", "_").replace("-", "_")
        )(asked)
        return answer

    def put(self, path: str, body: bytes, media_type: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.files[path] = body

    def get_experiments_get_by_name(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.experiments.get(asked["experiment_name"])
        if found is None:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "no such experiment")
        return {"experiment": found}

    def post_experiments_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.experiments) + 1)
        made = {"experiment_id": number, "lifecycle_stage": "active", **asked}
        self.experiments[asked["name"]] = made
        return {"experiment_id": number}

    def post_runs_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = f"run{len(self.runs)}"
        self.runs[run] = {
            "info": {
                "run_id": run,
                "run_name": asked["run_name"],
                "status": "RUNNING",
                "artifact_uri": f"mlflow-artifacts:/1/{run}/artifacts",
            },
            "experiment": asked["experiment_id"],
            "name": asked["run_name"],
            "tags": {each["key"]: each["value"] for each in asked["tags"]},
            "params": {},
            "metrics": [],
        }
        return {"run": self.runs[run]}

    def post_runs_search(self, asked: dict[str, Any]) -> dict[str, Any]:
        _, tag, rest = asked["filter"].split("`")
        value = rest.split("'")[1]
        found = [each for each in self.runs.values() if each["tags"].get(tag) == value]
        return {"runs": found[: asked["max_results"]]} if found else {}

    def get_runs_get(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._run(asked)}

    def post_runs_log_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self._run(asked)
        assert sum(len(asked.get(kind, [])) for kind in ("metrics", "params", "tags")) <= 1000
        for each in asked.get("params", []):
            if run["params"].setdefault(each["key"], each["value"]) != each["value"]:
                raise Refused(400, "INVALID_PARAMETER_VALUE", "Changing param values is not allowed.")
        run["tags"] |= {each["key"]: each["value"] for each in asked.get("tags", [])}
        run["metrics"] += asked.get("metrics", [])
        return {}

    def post_runs_update(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._run(asked)["info"] |= {"status": asked["status"], "end_time": asked["end_time"]}
        return {}

    def post_registered_models_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["name"] in self.models:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", "there")
        self.models[asked["name"]] = {"versions": [], "aliases": {}}
        return {}

    def get_registered_models_get(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["name"] not in self.models:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "no such model")
        aliases = self.models[asked["name"]]["aliases"]
        told = [{"alias": alias, "version": version} for alias, version in aliases.items()]
        return {"registered_model": {"name": asked["name"], **({"aliases": told} if told else {})}}

    def get_model_versions_search(self, asked: dict[str, Any]) -> dict[str, Any]:
        _, model, _, run, _ = asked["filter"].split("'")
        found = [each for each in self.models[model]["versions"] if each["run_id"] == run]
        return {"model_versions": found} if found else {}

    def post_model_versions_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        versions = self.models[asked["name"]]["versions"]
        tags = {each["key"]: each["value"] for each in asked.get("tags", [])}
        versions.append({**asked, "version": str(len(versions) + 1), "tags": tags})
        return {"model_version": versions[-1]}

    def patch_model_versions_update(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.version(asked["name"], asked["version"])["description"] = asked["description"]
        return {}

    def post_model_versions_set_tag(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.version(asked["name"], asked["version"])["tags"][asked["key"]] = asked["value"]
        return {}

    def post_registered_models_alias(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.models[asked["name"]]["aliases"][asked["alias"]] = asked["version"]
        return {}

    def delete_registered_models_alias(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.models[asked["name"]]["aliases"].pop(asked["alias"], None)
        return {}

    def version(self, model: str, version: str) -> dict[str, Any]:
        found: dict[str, Any] = self.models[model]["versions"][int(version) - 1]
        return found

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["run_id"] not in self.runs:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={asked['run_id']} not found")
        return self.runs[asked["run_id"]]
