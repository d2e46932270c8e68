"""Parse a definition with what moto's grammar lacks: ItemBatcher, ResultWriter, JSON Lines, EXPRESS."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader import item_reader_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.state_map import StateMap
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.state_parallel import StateParallel
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

DISTRIBUTED = "DISTRIBUTED"
# The fields of ItemBatcher that may be given as a JSONPath, by the name of the constant.
BATCH_LIMITS = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
RESULT_RESOURCE = "arn:aws:states:::s3:putObject"
TRANSFORMATIONS = ("NONE", "COMPACT", "FLATTEN")


@dataclass(frozen=True)
class Extension:
    """What a Map state says beyond moto's grammar, and its processor's own definition.

    `batcher` and `writer` (where results go) are JSONata templates as written, or, in JSONPath, evaluable
    components; None without one.
    """

    batcher: Any = None
    writer: Any = None
    reads_lines: bool = False
    is_jsonata: bool = False
    transformation: str | None = None
    processor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def execution_type(self) -> str:
        kind: str = self.processor.get("ProcessorConfig", {}).get("ExecutionType", "STANDARD")
        return kind


class JsonLines(item_reader_decl.ResourceOutputTransformer):
    """The items of an object that holds one on each line."""

    def _eval_body(self, env: Any) -> None:
        config = env.stack.pop()
        lines = [line for line in env.stack.pop().splitlines() if line.strip()]
        env.stack.append([json.loads(line) for line in lines[: config["MaxItemsValue"]]])


def install() -> None:
    parse = AmazonStateLanguageParser.parse

    def _parse(definition: str) -> tuple[Any, Any]:
        machine = json.loads(definition)
        processors = {
            name: copy.deepcopy(state.get("ItemProcessor") or state.get("Iterator") or {})
            for name, state, _ in _map_states(machine)
        }
        extensions = {
            name: _take_out(state, processors[name], is_jsonata, parse)
            for name, state, is_jsonata in _map_states(machine)
        }
        if not extensions:
            parsed: tuple[Any, Any] = parse(definition)
            return parsed
        program, tree = parse(json.dumps(machine, ensure_ascii=False))
        for state in _states_of(program):
            if isinstance(state, StateMap):
                # It is what evaluates the iterations, and it carries all that they need.
                state.iteration_component.extension = extensions[state.name]
                if extensions[state.name].reads_lines:
                    state.item_reader.resource_output_transformer = JsonLines()
        return program, tree

    AmazonStateLanguageParser.parse = staticmethod(_parse)


def _map_states(machine: Mapping[str, Any], language: str = "JSONPath") -> Iterator[tuple[str, Any, bool]]:
    """Every Map state of a machine and of its branches: its name, itself, and whether it is in JSONata."""
    language = machine.get("QueryLanguage", language)
    for name, state in machine.get("States", {}).items():
        own = state.get("QueryLanguage", language)
        inner = [*state.get("Branches", [])]
        inner += [state[key] for key in ("ItemProcessor", "Iterator") if key in state]
        for branch in inner:
            yield from _map_states(branch, own)
        if state.get("Type") == "Map":
            yield name, state, own == "JSONata"


def _take_out(state: dict[str, Any], processor: Any, is_jsonata: bool, parse: Any) -> Extension:
    percentage = state.get("ToleratedFailurePercentage")
    if isinstance(percentage, int):
        state["ToleratedFailurePercentage"] = float(percentage)
    config = (state.get("ItemProcessor") or state.get("Iterator") or {}).get("ProcessorConfig", {})
    if config.get("ExecutionType") == "EXPRESS":
        config["ExecutionType"] = "STANDARD"  # the only one that moto reads
    extension: dict[str, Any] = {"is_jsonata": is_jsonata, "processor": processor}
    reader = state.get("ItemReader", {}).get("ReaderConfig", {})
    if reader.get("InputType") == "JSONL":
        reader["InputType"] = "JSON"
        extension["reads_lines"] = True
    batcher = state.pop("ItemBatcher", None)
    if batcher is not None:
        extension["batcher"] = batcher if is_jsonata else _template(_batcher_template(batcher), parse)
    writer = state.pop("ResultWriter", None)
    if writer is not None:
        extension["transformation"] = writer.get("WriterConfig", {}).get("Transformation", "NONE")
        if "Resource" in writer:
            place = writer["Arguments" if is_jsonata else "Parameters"]
            extension["writer"] = place if is_jsonata else _template(place, parse)
    return Extension(**extension)


def _batcher_template(batcher: Mapping[str, Any]) -> dict[str, Any]:
    template = {key: batcher[key] for key in (*BATCH_LIMITS, "BatchInput") if key in batcher}
    template.update({f"{key}.$": batcher[f"{key}Path"] for key in BATCH_LIMITS if f"{key}Path" in batcher})
    return template


def _template(template: Mapping[str, Any], parse: Any) -> Any:
    """A payload template of JSONPath as moto's component, which evaluates it."""
    state = {"Type": "Pass", "Parameters": template, "End": True}
    text = json.dumps({"StartAt": "T", "States": {"T": state}}, ensure_ascii=False)
    program, _ = parse(text)
    return program.states.states["T"].parameters


def _states_of(program: Any) -> Iterator[Any]:
    for state in program.states.states.values():
        yield state
        if isinstance(state, StateParallel):
            for branch in state.branches.programs:
                yield from _states_of(branch)
        elif isinstance(state, StateMap):
            yield from _states_of(state.iteration_component._get_iteration_program())
