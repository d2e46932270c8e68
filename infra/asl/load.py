"""Reads a state machine as it is written, YAML, and gives it as it is deployed, JSON.

Of YAML no more is used than what JSON lacks: comments, block scalars for long JSONata, and anchors, so that a policy
is said once. Keys of the top level that begin with `x-` hold what anchors name, and are left out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Safe
except ImportError:  # PyYAML was built without libyaml: the same language, ten times slower
    from yaml import SafeLoader as _Safe  # type: ignore[assignment]

MACHINES = Path(__file__).resolve().parents[2] / "statemachines"
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")


class _Loader(_Safe):
    """YAML without its surprises: a key stands once, `on` and `no` are texts, so is a date."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        met: set[Any] = set()
        for key, _ in node.value:
            if key.value in met and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands there twice", key.start_mark
                )
            met.add(key.value)
        built: dict[Any, Any] = super().construct_mapping(node, deep)
        return built


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
    ]
    for first, resolvers in _Safe.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def load(file: Path) -> dict[str, Any]:
    """Read the machine in `file`, with its substitutions `${Name}` still to be filled in.

    Raises:
        yaml.YAMLError: it is no YAML, or a key stands twice in one place.
        ValueError: it is no mapping.
    """
    with file.open(encoding="utf-8") as stream:
        machine = yaml.load(stream, _Loader)  # noqa: S506 - a safe loader, made stricter
    if not isinstance(machine, dict):
        raise ValueError(f"{file}: a state machine is a mapping")
    return {key: value for key, value in machine.items() if not key.startswith("x-")}


def text(machine: dict[str, Any]) -> str:
    """Write a machine as Step Functions takes it: JSON, in the order of the file."""
    return json.dumps(machine, indent=2, ensure_ascii=False)


def substitutions(machine_text: str) -> set[str]:
    """Give the names that a machine wants filled in."""
    return set(_SUBSTITUTION.findall(machine_text))


def names() -> list[str]:
    """Give the names of all machines: deployment, events, intake, materialization, training."""
    return sorted(file.name.removesuffix(".asl.yaml") for file in MACHINES.glob("*.asl.yaml"))
