"""BatchExecuteStatement of inserts with parameters, into moto's tables; all else of PartiQL is moto's.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from local.dynamodb import errors, requests, tables
from local.dynamodb.errors import PassOn, Refused, invalid
from local.dynamodb.writing import Write, check_is_plain, put_of

_Done: TypeAlias = tuple[dict[str, Any], float]

MAX_STATEMENTS = 25
_BATCH = frozenset({"Statements", "ReturnConsumedCapacity"})
_STATEMENT = frozenset({"Statement", "Parameters"})
_INSERT = re.compile(r"\s*INSERT\s+INTO\s+\"([\w.-]+)\"\s+VALUE\s*\{(.*)\}\s*", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r"\s*'(\w+)'\s*:\s*\?\s*", re.ASCII)


def batch_execute_statement(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to BatchExecuteStatement: what became of each statement, the others notwithstanding.

    Raises:
        PassOn: it is for moto to do; nothing has been written.
        Refused: DynamoDB refuses it.
    """
    requests.check_parameters(request, _BATCH)
    wanted = requests.capacity_wanted(request)
    statements = request.get("Statements")
    if not isinstance(statements, list) or not statements:
        raise PassOn
    if len(statements) > MAX_STATEMENTS:
        raise invalid(
            f"1 validation error detected: Value at 'statements' failed to satisfy constraint: Member must have "
            f"length less than or equal to {MAX_STATEMENTS}"
        )
    prepared = [_prepared(backend, each) for each in statements]
    writes = [each for each in prepared if isinstance(each, Write)]
    if len({(write.table.name, write.key.same()) for write in writes}) != len(writes):
        raise PassOn
    check_is_plain(write.table for write in writes)
    with tables.LOCK:
        done = [_applied(each) if isinstance(each, Write) else each for each in prepared]
    answer: dict[str, Any] = {"Responses": [told for told, _ in done]}
    if wanted != "NONE":
        answer["ConsumedCapacity"] = [
            requests.consumed(
                wanted, table, sum(units for told, units in done if told.get("TableName") == table.name)
            )
            for table in {id(write.table): write.table for write in writes}.values()
        ]
    return answer


def _prepared(backend: Any, statement: Any) -> Write | _Done:
    """The write, or what is to be said where DynamoDB would refuse it: the others are done all the same."""
    try:
        return _insert(backend, statement)
    except Refused as refused:
        return _failed("ValidationError", refused.message), 0.0


def _applied(write: Write) -> _Done:
    """Write; what is to be said of it, and the units that it has cost. Called with the lock held."""
    name = {"TableName": write.table.name}
    if not tables.THROUGHPUT.allows(write.table, "Write"):
        return _failed("ProvisionedThroughputExceeded", errors.THROTTLED) | name, 0.0
    if write.key.find(write.table) is not None:
        return _failed("DuplicateItem", "Duplicate primary key exists in table") | name, 0.0
    return name, write.apply()


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}}


def _insert(backend: Any, statement: Any) -> Write:
    if not isinstance(statement, dict) or not statement.keys() <= _STATEMENT:
        raise PassOn
    text, parameters = statement.get("Statement"), statement.get("Parameters")
    if not isinstance(text, str) or not isinstance(parameters, list):
        raise PassOn
    name, fields = _parsed(text)
    if len(fields) != len(parameters):
        raise PassOn
    return put_of(requests.table_of(backend, name), dict(zip(fields, parameters, strict=True)), statement)


@functools.lru_cache(maxsize=256)
def _parsed(statement: str) -> tuple[str, tuple[str, ...]]:
    """The table, and the attributes that the parameters are, in their order."""
    insert = _INSERT.fullmatch(statement)
    if insert is None:
        raise PassOn
    fields = [_FIELD.fullmatch(each) for each in insert[2].split(",")]
    names = tuple(field[1] for field in fields if field is not None)
    if len(set(names)) != len(fields):
        raise PassOn
    return insert[1], names
