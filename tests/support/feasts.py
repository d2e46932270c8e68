"""Feast's own tools, each a process of Feast's own environment, in a folder that `sluice feast` has written to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cli import feature_store
from cli.stack import Stack
from tests.support.local_aws import FEATURES_PYTHON

FEAST = FEATURES_PYTHON.with_name("feast")
_ASK = """\
import json, sys
from feast import FeatureStore

store = FeatureStore(repo_path=".")
features, rows = map(json.loads, sys.argv[1:])
if not features:
    views = [*store.list_batch_feature_views(), *store.list_on_demand_feature_views()]
    features = [f"{view.name}:{field.name}" for view in views for field in view.features]
print(json.dumps(store.get_online_features(features, rows).to_dict(), default=str))
"""


def environment(stack: Stack, folder: Path) -> dict[str, str]:
    """What a shell has exported, and nothing of this process."""
    return {**stack.aws_env, "PATH": os.defpath, "HOME": str(folder)}


def said(stack: Stack, folder: Path, *arguments: str) -> list[list[str]]:
    """The words of each line but the first that the CLI says."""
    done = _run(stack, folder, [str(FEAST), "-c", str(folder), *arguments])
    return [line.split() for line in done.splitlines()[1:]]


def online_features(
    stack: Stack, folder: Path, features: list[str], rows: list[dict[str, Any]]
) -> dict[str, list[Any]]:
    """What `get_online_features` gives by the folder's feature_store.yaml; no features are all there are."""
    command = [str(FEATURES_PYTHON), "-W", "ignore", "-c", _ASK, json.dumps(features), json.dumps(rows)]
    answer: dict[str, list[Any]] = json.loads(_run(stack, folder, command).splitlines()[-1])
    return answer


def write_configuration(stack: Stack, folder: Path) -> None:
    (folder / feature_store.FILE).write_text(feature_store.configuration(stack))


def _run(stack: Stack, folder: Path, command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(stack, folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
