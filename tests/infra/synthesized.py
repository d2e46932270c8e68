"""A small project, synthesized as both of its stacks; resources are found by construct path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import assertions
from constructs import IConstruct

from infra import app

PROJECT = """\
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

SHOP = """\
[project]
name = "corner-shop"

[entity]
key = "customer_id"
timestamp = "at"

[target]
column = "y"
problem = "binary"
positive = "yes"

[columns.customer_id]
type = "string"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"

[features]
numeric = ["spent_30d"]

[approval]
environments = ["prod"]
"""
SHOP_FEATURES = """\
from datetime import timedelta

from feast import BatchFeatureView, Entity, Field, FileSource, ValueType
from feast.aggregation import Aggregation
from feast.types import Float64

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
events = FileSource(name="events", path="dataset.parquet", timestamp_field="at")
activity = BatchFeatureView(
    name="activity",
    entities=[customer],
    source=events,
    schema=[Field(name="spent_30d", dtype=Float64)],
    aggregations=[
        Aggregation(column="amount", function="sum", time_window=timedelta(days=30), name="spent_30d")
    ],
)


def build_labels(table): ...
"""


@dataclass(frozen=True)
class Synthesized:
    """A stack with its template."""

    stack: cdk.Stack
    template: dict[str, Any]

    def construct(self, path: str) -> IConstruct:
        """The construct at `path`, e.g. "Machines/Training"; of a construct of higher order the resource in it."""
        construct: IConstruct = self.stack
        for part in path.split("/"):
            construct = construct.node.find_child(part)
        found = construct if cdk.CfnElement.is_cfn_element(construct) else construct.node.default_child
        assert found is not None, f"{path} holds no resource"
        return found

    def id(self, path: str) -> str:
        """The logical id of the resource at `path`."""
        found: str = self.stack.resolve(self.construct(path).logical_id)  # type: ignore[attr-defined]
        return found

    def resource(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.template["Resources"][self.id(path)]
        return found

    def properties(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resource(path)["Properties"]
        return found

    def statements(self, role: str) -> list[dict[str, Any]]:
        """The statements of a role's inline policy, `Action` and `Resource` always lists."""
        document = self.properties(f"{role}/DefaultPolicy")["PolicyDocument"]
        return [
            {**statement, "Action": _list(statement["Action"]), "Resource": _list(statement["Resource"])}
            for statement in document["Statement"]
        ]

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.template["Resources"].values() if each["Type"] == name]

    def settings(self, machine: str) -> dict[str, Any]:
        """What a machine is told; what only CloudFormation knows stands as `<…>` in it."""
        given = self.properties(f"Machines/{machine}")["DefinitionSubstitutions"]["Settings"]
        text = json.loads('{"is": "{% ${Settings} %}"}'.replace("${Settings}", plain(given)))["is"]
        found: dict[str, Any] = json.loads(text.removeprefix("{% ").removesuffix(" %}"))
        return found


@dataclass(frozen=True)
class Stacks:
    """Both stacks of a project in an environment."""

    data: Synthesized
    pipeline: Synthesized

    @property
    def both(self) -> tuple[Synthesized, Synthesized]:
        return self.data, self.pipeline


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each state of a machine with its name, those of its maps' iterations among them."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def plain(value: Any) -> str:
    """A template value as text: `<ArtifactsBucket>` for what is another resource's, hashes of ids left out."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(map(plain, argument[1]))
    if function == "Fn::GetAtt":
        return f"<{_named(argument[0])}{'' if argument[1] == 'Arn' else '.' + argument[1]}>"
    if function == "Ref":
        return f"<{argument.removeprefix('AWS::') if argument.startswith('AWS::') else _named(argument)}>"
    if function == "Fn::ImportValue":
        # sluice-bank-prod-data:ExportsOutputFnGetAttArtifactsBucket2AAC5544ArnDB34B23F
        return f"<{_named(re.sub('^.*ExportsOutput(Ref|FnGetAtt)', '', argument))}>"
    if function == "Fn::Sub":
        return re.sub(r"\$\{AWS::(\w+)\}", r"<\1>", argument)
    if function == "Fn::Select":
        return f"<piece {argument[0]} of {plain(argument[1])}>"
    if function == "Fn::Split":
        return plain(argument[1])
    raise AssertionError(f"no plain text for {value}")


def _named(logical_id: str) -> str:
    return re.split(r"[0-9A-F]{8}", logical_id)[0]


def write_project(folder: Path, text: str = PROJECT) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "project.toml").write_text(text)
    (folder / "train.py").write_text("def build_model(hyperparameters): ...\n")


def write_shop(folder: Path, features: str = SHOP_FEATURES, settings: str = "") -> None:
    """A project that declares a view in Feast's objects."""
    folder.mkdir(exist_ok=True)
    (folder / "project.toml").write_text(SHOP + settings)
    (folder / "train.py").write_text("def build_model(hyperparameters): ...\n")
    (folder / "features.py").write_text(features)


def with_image(image: str) -> str:
    """The project's text with `[model] image` set."""
    return PROJECT.replace("[model]\n", f'[model]\nimage = "{image}"\n')


def synthesize(outdir: Path, **context: str) -> Stacks:
    made = app.build(str(outdir), context)
    stacks = {}
    for stack in made.node.children:
        assert isinstance(stack, cdk.Stack)
        template = dict(assertions.Template.from_stack(stack).to_json())
        stacks["data" if stack.stack_name.endswith("-data") else "pipeline"] = Synthesized(stack, template)
    return Stacks(**stacks)
