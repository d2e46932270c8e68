"""A small project, synthesized once for each environment, its resources found by construct path."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from constructs import IConstruct

from infra import app, bundle
from infra.build import ROOT

_PROJECT = """\
[project]
name = "bank"

[target]
column = "y"
problem = "binary"
positive = "yes"

[columns.age]
type = "integer"
[columns.y]
type = "string"

[features]
numeric = ["age"]

[model]
hyperparameters = { max_iter = 20, loss = "log \\"loss\\"", early_stopping = true }
"""


@dataclass(frozen=True)
class Synthesized:
    """A stack with its template."""

    stack: cdk.Stack
    template: dict[str, Any]

    def resource(self, path: str) -> dict[str, Any]:
        """The resource of the construct at `path`, e.g. "Storage/UploadsBucket"."""
        construct: IConstruct = self.stack
        for part in path.split("/"):
            construct = construct.node.find_child(part)
        resource = construct if cdk.CfnElement.is_cfn_element(construct) else construct.node.default_child
        return self.template["Resources"][self.logical_id(resource)]

    def logical_id(self, construct: Any) -> str:
        return self.stack.resolve(construct.logical_id)

    def properties(self, path: str) -> dict[str, Any]:
        return self.resource(path)["Properties"]

    def statements(self, role: str) -> list[dict[str, Any]]:
        """The statements of a role's inline policy, `Action` and `Resource` always lists."""
        document = self.properties(f"{role}/DefaultPolicy")["PolicyDocument"]
        return [
            {**statement, "Action": _list(statement["Action"]), "Resource": _list(statement["Resource"])}
            for statement in document["Statement"]
        ]

    def actions(self, role: str) -> set[str]:
        return {action for statement in self.statements(role) for action in statement["Action"]}

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.template["Resources"].values() if each["Type"] == name]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def flat(value: Any) -> str:
    """A template value as text, intrinsics written out, to look for a part of an ARN in."""
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture(scope="session")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    write_project(folder)
    return folder


def write_project(folder: Path, text: str = _PROJECT) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "project.toml").write_text(text)
    (folder / "train.py").write_text("def build_model(hyperparameters): ...\n")


def with_image(image: str) -> str:
    """The project's text with `[model] image` set."""
    return _PROJECT.replace("[model]\n", f'[model]\nimage = "{image}"\n')


def synthesize(outdir: Path, **context: str) -> Synthesized:
    made = app.build(str(outdir), context)
    (stack,) = made.node.children
    assert isinstance(stack, cdk.Stack)
    return Synthesized(stack, assertions.Template.from_stack(stack).to_json())


@pytest.fixture(scope="session")
def synthesized(
    project_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Synthesized]:
    """Give the synthesized stack of an environment."""

    @cache
    def of(environment: str) -> Synthesized:
        outdir = tmp_path_factory.mktemp(environment)
        return synthesize(outdir, project=str(project_folder), environment=environment)

    return of


@pytest.fixture(scope="session")
def for_aws(project_folder: Path) -> Path:
    """The Lambda bundle with its wheels. The first one after a change of the lock needs a package index."""
    return bundle.build(project_folder, wheels=True)


@pytest.fixture(scope="session")
def local(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    return synthesized("local")


@pytest.fixture(scope="session")
def prod(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    return synthesized("prod")


@pytest.fixture(scope="session")
def machines() -> dict[str, dict[str, Any]]:
    """The ASL by construct id: Intake, Training, Deployment."""
    folder = ROOT / "statemachines"
    return {
        path.name.split(".")[0].capitalize(): json.loads(path.read_text())
        for path in sorted(folder.glob("*.asl.json"))
    }
