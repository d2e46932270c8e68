"""Refuse a state machine definition as AWS does when it is created, instead of when it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

from local.stepfunctions.definitions import (
    BATCH_LIMITS,
    DISTRIBUTED,
    RESULT_RESOURCE,
    TRANSFORMATIONS,
)
from local.stepfunctions.jsonata import QueryEvaluationError, check_syntax

_TERMINAL = frozenset({"Succeed", "Fail"})
_TYPES = frozenset({"Task", "Pass", "Wait", "Map", "Parallel", "Choice"}) | _TERMINAL
_JSONPATH_FIELDS = frozenset(
    {
        "InputPath",
        "OutputPath",
        "ResultPath",
        "Parameters",
        "ResultSelector",
        "SecondsPath",
        "TimestampPath",
        "TimeoutSecondsPath",
        "HeartbeatSecondsPath",
        "ItemsPath",
        "ErrorPath",
        "CausePath",
    }
)
_WHOLE = 100
_JSONATA_FIELDS = frozenset({"Arguments", "Output"})


class InvalidDefinition(AWSError):
    """CreateStateMachine and UpdateStateMachine answer with this; the message names the place."""

    TYPE = "InvalidDefinition"
    STATUS = 400


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where, as a path into the definition; None where that is not known."""

    code: str
    message: str
    place: str | None = None

    def __str__(self) -> str:
        where = "" if self.place is None else f" at {self.place}"
        return f"{self.code}: {self.message}{where}"


def check(definition: str, machine_type: str = "STANDARD") -> None:
    """Check a definition's text.

    Raises:
        InvalidDefinition: with every problem found, each with its place as a JSON pointer.
    """
    problems = problems_of(definition, machine_type)
    if problems:
        listed = ", ".join(str(problem) for problem in problems)
        raise InvalidDefinition(f"Invalid State Machine Definition: '{listed}'")


def problems_of(definition: str, machine_type: str = "STANDARD") -> list[Problem]:
    """Everything found wrong with a definition's text."""
    try:
        parsed = json.loads(definition)
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", str(error))]
    if not isinstance(parsed, dict):
        return [Problem("INVALID_JSON_DESCRIPTION", "the definition is no JSON object")]
    problems = list(_misshapen(parsed)) or list(find_problems(parsed))
    if machine_type == "EXPRESS" and not problems:
        problems = list(_express_problems(parsed))
    if problems:
        return problems
    try:
        AmazonStateLanguageParser.parse(definition)
    except ASLParserException as error:
        return [_schema(repr(error))]
    except Exception as error:
        # moto's parser reports what it does not accept (an unknown service, a bad number) by any exception
        return [_schema(f"{type(error).__name__}: {error}")]
    return []


# What a machine and a state hold that is looked into: objects, and arrays of objects.
_OBJECTS = ("ItemProcessor", "Iterator", "ProcessorConfig", "ItemReader", "ResultWriter", "WriterConfig")
_ARRAYS = ("Branches", "Choices", "Retry", "Catch")


def _misshapen(machine: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
    """What is no object or array where the rest of this module takes it for one."""
    states = machine.get("States", {})
    if not isinstance(states, dict):
        yield _schema("The field 'States' must be an object", f"{path}/States")
        return
    for name, state in states.items():
        yield from _misshapen_parts(state, f"{path}/States/{name}")


def _misshapen_parts(value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield _schema(f"An object is wanted, not {value!r}", path)
        return
    for field in _OBJECTS:
        if field in value:
            yield from _misshapen_parts(value[field], f"{path}/{field}")
    for field in _ARRAYS:
        items = value.get(field, [])
        if not isinstance(items, list):
            yield _schema(f"The field '{field}' must be an array", f"{path}/{field}")
            continue
        for index, item in enumerate(items):
            yield from _misshapen_parts(item, f"{path}/{field}[{index}]")
    if "States" in value:
        yield from _misshapen(value, path)


def _schema(message: str, place: str | None = None) -> Problem:
    return Problem("SCHEMA_VALIDATION_FAILED", message, place)


def find_problems(
    machine: Mapping[str, Any], path: str = "", language: str = "JSONPath"
) -> Iterator[Problem]:
    """Everything wrong with a machine or with a branch of a Parallel or Map."""
    language = machine.get("QueryLanguage", language)
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield _schema("The field 'States' is missing or empty", f"{path}/States")
        return
    start = machine.get("StartAt")
    if not isinstance(start, str):
        yield _schema("The field 'StartAt' is missing", f"{path}/StartAt")
    for name, state in states.items():
        yield from _state_problems(state, f"{path}/States/{name}", state.get("QueryLanguage", language))
    for target, place in _edges(machine, path):
        if target not in states:
            field = place.rsplit("/", 1)[-1]
            yield Problem("MISSING_TRANSITION_TARGET", f"Missing '{field}' target: {target}", place)
    if isinstance(start, str):
        for name in states.keys() - _reachable(start, states):
            yield Problem(
                "MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{path}/States/{name}"
            )


def _state_problems(state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    kind = state.get("Type")
    if kind not in _TYPES:
        yield _schema(f"The field 'Type' is {kind!r}, not a state type", f"{path}/Type")
        return
    if kind not in _TERMINAL and kind != "Choice" and ("Next" in state) == bool(state.get("End")):
        yield _schema("A state needs either 'Next' or 'End'", path)
    if kind == "Choice" and not state.get("Choices"):
        yield _schema("The field 'Choices' is missing or empty", f"{path}/Choices")
    foreign = _JSONPATH_FIELDS if language == "JSONata" else _JSONATA_FIELDS
    for field in sorted(foreign & state.keys()):
        yield _schema(
            f"The field '{field}' is not supported with {language}",
            f"{path}/{field}",
        )
    yield from _handler_problems(state, path)
    if kind == "Map":
        yield from _map_problems(state, path, language)
    inner = [("Branches", branch) for branch in state.get("Branches", [])]
    inner += [(field, state[field]) for field in ("ItemProcessor", "Iterator") if field in state]
    for field, machine in inner:
        yield from find_problems(machine, f"{path}/{field}", language)
    if language == "JSONata":
        own = {
            key: value for key, value in state.items() if key not in {"Branches", "ItemProcessor", "Iterator"}
        }
        yield from _expression_problems(own, path)


def _map_problems(state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    processor = state.get("ItemProcessor") or state.get("Iterator") or {}
    config = processor.get("ProcessorConfig", {})
    if config.get("Mode") != DISTRIBUTED:
        for field in sorted({"ItemBatcher", "ItemReader", "ResultWriter"} & state.keys()):
            yield _schema(f"The field '{field}' needs a Map of the mode {DISTRIBUTED}", f"{path}/{field}")
    percentage = state.get("ToleratedFailurePercentage", 0)
    if isinstance(percentage, int | float) and not 0 <= percentage <= _WHOLE:
        place = f"{path}/ToleratedFailurePercentage"
        yield _schema("ToleratedFailurePercentage must be between 0 and 100", place)
    if config.get("ExecutionType") == "EXPRESS":
        yield from _express_problems(processor, f"{path}/ItemProcessor")
    if "ItemBatcher" in state:
        yield from _batcher_problems(state["ItemBatcher"], f"{path}/ItemBatcher")
    if "ResultWriter" in state:
        yield from _writer_problems(state["ResultWriter"], f"{path}/ResultWriter", language)


def _express_problems(machine: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
    """What an EXPRESS execution cannot do: wait for a job, a token or a worker, and start a Map Run.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-standard-vs-express.html
    """
    for name, state in machine["States"].items():
        place = f"{path}/States/{name}"
        resource = str(state.get("Resource", ""))
        if resource.endswith((".sync", ".sync:2", ".waitForTaskToken")) or ":activity:" in resource:
            yield _schema(f"An EXPRESS execution does not wait for '{resource}'", f"{place}/Resource")
        processor = state.get("ItemProcessor") or state.get("Iterator")
        if processor and processor.get("ProcessorConfig", {}).get("Mode") == DISTRIBUTED:
            yield _schema("An EXPRESS execution starts no distributed Map", place)
        for branch in [*state.get("Branches", []), *([processor] if processor else [])]:
            yield from _express_problems(branch, place)


def _batcher_problems(batcher: Any, path: str) -> Iterator[Problem]:
    if not isinstance(batcher, dict):
        yield _schema("ItemBatcher must be an object", path)
        return
    limits = {name for limit in BATCH_LIMITS for name in (limit, f"{limit}Path")}
    for name in sorted(batcher.keys() - limits - {"BatchInput", "Comment"}):
        yield _schema(f"The field '{name}' is not supported", f"{path}/{name}")
    if not limits & batcher.keys():
        yield _schema(f"ItemBatcher needs one of {', '.join(sorted(limits))}", path)
    for limit in BATCH_LIMITS:
        value = batcher.get(limit, 1)
        if not isinstance(value, str) and (not isinstance(value, int) or value < 1):
            yield _schema(f"{limit} must be a positive integer, not {value!r}", f"{path}/{limit}")


def _writer_problems(writer: Any, path: str, language: str) -> Iterator[Problem]:
    if not isinstance(writer, dict) or not writer.keys() & {"Resource", "WriterConfig"}:
        yield _schema("ResultWriter needs a Resource, a WriterConfig or both", path)
        return
    if writer.get("Resource", RESULT_RESOURCE) != RESULT_RESOURCE:
        yield _schema(f"Resource must be {RESULT_RESOURCE}", f"{path}/Resource")
    field = "Arguments" if language == "JSONata" else "Parameters"
    if "Resource" in writer and not isinstance(writer.get(field), dict):
        yield _schema(f"The field '{field}' is missing", f"{path}/{field}")
    config = writer.get("WriterConfig", {})
    transformation, output_type = config.get("Transformation", "NONE"), config.get("OutputType", "JSON")
    if transformation not in TRANSFORMATIONS:
        problem = f"Transformation is {transformation!r}, not one of {', '.join(TRANSFORMATIONS)}"
        yield _schema(problem, f"{path}/WriterConfig/Transformation")
    if output_type != "JSON":
        problem = f"The OutputType {output_type!r} is not imitated by the local AWS, which writes JSON"
        yield _schema(problem, f"{path}/WriterConfig/OutputType")


def _handler_problems(state: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for field in ("Retry", "Catch"):
        handlers = state.get(field, [])
        for index, handler in enumerate(handlers):
            errors = handler.get("ErrorEquals", [])
            place = f"{path}/{field}[{index}]/ErrorEquals"
            if not errors:
                yield _schema("ErrorEquals is missing or empty", place)
            if "States.ALL" in errors and (len(errors) > 1 or index < len(handlers) - 1):
                yield _schema("States.ALL must stand alone and last", place)


def _expression_problems(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _expression_problems(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _expression_problems(item, f"{path}[{index}]")
    elif isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        try:
            check_syntax(value[2:-2])
        except QueryEvaluationError as error:
            yield _schema(str(error), path)


def _edges(machine: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Each transition of a machine (not of its branches): its target, and where it stands."""
    if isinstance(machine.get("StartAt"), str):
        yield machine["StartAt"], f"{path}/StartAt"
    for name, state in machine["States"].items():
        for target, place in _transitions(state):
            yield target, f"{path}/States/{name}/{place}"


def _transitions(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield state[field], field
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field, [])):
            yield str(rule.get("Next", "(none)")), f"{field}[{index}]/Next"


def _reachable(start: str, states: Mapping[str, Any]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in states:
            continue
        seen.add(name)
        waiting += [target for target, _ in _transitions(states[name])]
    return seen
