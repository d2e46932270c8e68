"""What the children of a Distributed Map are given: items read, selected and put into batches."""

from __future__ import annotations

import datetime
import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval.resource_eval_s3 import (
    ResourceEvalS3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    inline_item_processor_worker,
)
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData

from local.stepfunctions import failures
from local.stepfunctions.definitions import BATCH_LIMITS
from local.stepfunctions.interpreter import evaluate_template

ITEM_READER_FAILED = "States.ItemReaderFailed"


def install() -> None:
    ResourceEvalS3._handle_list_objects_v2 = staticmethod(_list_objects)
    inline_item_processor_worker.InlineItemProcessorWorker._eval_input = _select


def read_items(reader: Any, env: Any) -> list[Any]:
    """The items that an ItemReader reads from S3.

    Raises:
        FailureEventException: States.ItemReaderFailed: there is no such object, or it is not what is said.
    """
    try:
        reader.eval(env=env)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise failures.raising(failures.task_failure(env, ITEM_READER_FAILED, str(error))) from error
    items = env.stack.pop()
    if not isinstance(items, list):
        cause = "Attempting to map over non-iterable node."
        raise failures.raising(failures.task_failure(env, ITEM_READER_FAILED, cause))
    return items


def select_items(items: list[Any], selector: Any, env: Any) -> list[Any]:
    """Each item as ItemSelector (or the older Parameters) makes it."""
    if selector is None:
        return items
    state_input = _state_input(env)
    selected = []
    for index, item in enumerate(items):
        frame = env.open_inner_frame()
        frame.states.context_object.context_object_data["Map"] = MapData(
            Item=ItemData(Index=index, Value=item)
        )
        frame.states.reset(input_value=state_input)
        frame.stack.append(state_input)
        try:
            selector.eval(frame)
            selected.append(frame.stack.pop())
        finally:
            env.delete_frame(frame)
    return selected


def _state_input(env: Any) -> Any:
    # In JSONPath it has been through InputPath; in JSONata a Map without Items takes it as its items.
    return env.stack[-1] if env.stack else env.states.get_input()


def _select(self: Any, env_frame: Any) -> None:
    """What an inline iteration is given; moto's own fails in JSONata where there is no Items."""
    selector = self._item_selector or self._parameters
    if selector is None:
        return
    state_input = _state_input(self._env)
    env_frame.states.reset(input_value=state_input)
    env_frame.stack.append(state_input)
    selector.eval(env_frame)
    env_frame.states.reset(input_value=env_frame.stack[-1])


def evaluate(extension: Any, template: Any, env: Any) -> Any:
    """The value of a template of an extension, in the language of its state."""
    if extension.is_jsonata:
        return evaluate_template(template, env)
    template.eval(env=env)
    return env.stack.pop()


def batch_items(items: list[Any], extension: Any, env: Any) -> list[tuple[Any, int]]:
    """The input of each child and how many items it holds.

    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html

    Raises:
        FailureEventException: a limit that is no positive integer; an item that is too long for a batch.
    """
    if extension.batcher is None:
        return [(item, 1) for item in items]
    batcher = _batcher(extension, env)
    most_items = batcher.get("MaxItemsPerBatch", len(items))
    most_bytes = min(
        batcher.get("MaxInputBytesPerBatch", failures.MAX_PAYLOAD_BYTES), failures.MAX_PAYLOAD_BYTES
    )
    frame = {"BatchInput": batcher["BatchInput"]} if "BatchInput" in batcher else {}
    empty = _size({**frame, "Items": []})
    batches: list[tuple[Any, int]] = []
    batch: list[Any] = []
    size = empty
    for item in items:
        own = _size(item)
        if empty + own > most_bytes:
            cause = f"An item of {own} bytes does not fit into a batch of {most_bytes} bytes."
            raise failures.raising(failures.terminal_failure(env, failures.DATA_LIMIT, cause))
        comma = 1 if batch else 0
        if len(batch) == most_items or size + comma + own > most_bytes:
            batches.append(({**frame, "Items": batch}, len(batch)))
            batch, size, comma = [], empty, 0
        batch.append(item)
        size += comma + own
    if batch:
        batches.append(({**frame, "Items": batch}, len(batch)))
    return batches


def _batcher(extension: Any, env: Any) -> dict[str, Any]:
    batcher: dict[str, Any] = evaluate(extension, extension.batcher, env)
    for limit in BATCH_LIMITS:
        value = batcher.get(limit, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            cause = f"{limit} must be a positive integer, not {value!r}."
            failed = (
                failures.evaluation_failure(env, cause)
                if extension.is_jsonata
                else failures.task_failure(env, failures.RUNTIME, cause)
            )
            raise failures.raising(failed)
    return batcher


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _list_objects(env: Any, resource_runtime_part: Any, state_credentials: Any) -> None:
    """Every object of a prefix, as an item: moto's own stops after a page, and at none."""
    client = ResourceEvalS3._get_s3_client(
        resource_runtime_part=resource_runtime_part, state_credentials=state_credentials
    )
    pages = client.get_paginator("list_objects_v2").paginate(**env.stack.pop())
    env.stack.append([_object_item(entry) for page in pages for entry in page.get("Contents", [])])


def _object_item(entry: dict[str, Any]) -> dict[str, Any]:
    # https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
    modified: datetime.datetime = entry["LastModified"]
    return {
        "Etag": entry["ETag"],
        "Key": entry["Key"],
        "LastModified": int(modified.timestamp()),
        "Size": entry["Size"],
        "StorageClass": entry.get("StorageClass", "STANDARD"),
    }
