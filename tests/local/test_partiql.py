"""Inserts by BatchExecuteStatement, as AWS documents them; the rest of PartiQL is left to moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from local.context import ACCOUNT_ID
from tests.support.dynamodb import Dynamo

INSERT = "INSERT INTO \"t\" VALUE {'pk': ?, 'values': ?}"
DUPLICATE = {
    "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
    "TableName": "t",
}


@pytest.fixture
def dynamo() -> Iterator[Dynamo]:
    own = Dynamo("eu-west-1", fast=True)
    own.create("t")
    own.passed_on = 0
    yield own
    dynamodb_backends[ACCOUNT_ID]["eu-west-1"].reset()


def values(number: int) -> dict[str, Any]:
    return {"M": {"spent": {"B": "KQA="}, "n": {"N": str(number)}}}


def inserted(key: str, number: int = 0) -> dict[str, Any]:
    return {"Statement": INSERT, "Parameters": [{"S": key}, values(number)]}


def item(dynamo: Dynamo, key: str) -> Any:
    return dynamo.call("GetItem", TableName="t", Key={"pk": {"S": key}}).body.get("Item")


def test_each_statement_is_answered_and_an_item_that_is_there_stays(dynamo: Dynamo) -> None:
    assert dynamo.call("PutItem", TableName="t", Item={"pk": {"S": "b"}, "values": values(1)}).status == 200
    answer = dynamo.call(
        "BatchExecuteStatement", Statements=[inserted("a"), inserted("b", 2), inserted("c", 3)]
    )
    assert (answer.status, answer.body) == (
        200,
        {"Responses": [{"TableName": "t"}, DUPLICATE, {"TableName": "t"}]},
    )
    assert item(dynamo, "a") == {"pk": {"S": "a"}, "values": values(0)}
    assert item(dynamo, "b") == {"pk": {"S": "b"}, "values": values(1)}
    assert item(dynamo, "c") == {"pk": {"S": "c"}, "values": values(3)}
    assert dynamo.passed_on == 0


def test_it_says_what_it_took(dynamo: Dynamo) -> None:
    answer = dynamo.call(
        "BatchExecuteStatement", Statements=[inserted("a"), inserted("b")], ReturnConsumedCapacity="TOTAL"
    )
    assert answer.body["ConsumedCapacity"] == [{"TableName": "t", "CapacityUnits": 2.0}]


def test_twenty_five_are_taken_and_no_more(dynamo: Dynamo) -> None:
    statements = [inserted(str(number)) for number in range(26)]
    answer = dynamo.call("BatchExecuteStatement", Statements=statements)
    assert answer.error[0] == "ValidationException"
    assert item(dynamo, "0") is None
    assert dynamo.call("BatchExecuteStatement", Statements=statements[:25]).status == 200
    assert item(dynamo, "24") is not None


def test_of_a_value_that_is_none_its_statement_says_so(dynamo: Dynamo) -> None:
    bad = {"Statement": INSERT, "Parameters": [{"S": "b"}, {"N": "1" * 39}]}
    answer = dynamo.call("BatchExecuteStatement", Statements=[inserted("a"), bad])
    (told, error) = answer.body["Responses"]
    assert told == {"TableName": "t"}
    assert error["Error"]["Code"] == "ValidationError"
    assert "38 significant digits" in error["Error"]["Message"]
    assert (item(dynamo, "a") is None, item(dynamo, "b") is None) == (False, True)


def test_what_a_table_has_no_capacity_for_says_so_of_its_statement(dynamo: Dynamo) -> None:
    dynamo.create("t", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 1})
    answer = dynamo.call("BatchExecuteStatement", Statements=[inserted(str(number)) for number in range(25)])
    codes = [each.get("Error", {}).get("Code") for each in answer.body["Responses"]]
    assert codes[0] is None
    assert codes[-1] == "ProvisionedThroughputExceeded"
    assert item(dynamo, "0") is not None
    assert item(dynamo, "24") is None


@pytest.mark.parametrize(
    "statement",
    [
        {"Statement": 'SELECT * FROM "t" WHERE pk = ?', "Parameters": [{"S": "a"}]},
        {"Statement": "INSERT INTO \"t\" VALUE {'pk': 'a'}"},
        {"Statement": INSERT, "Parameters": [{"S": "a"}]},
        {"Statement": INSERT.replace("values", "pk"), "Parameters": [{"S": "a"}, {"S": "b"}]},
        {"Statement": INSERT.replace('"t"', '"nobody"'), "Parameters": [{"S": "a"}, values(0)]},
        inserted("b") | {"ConsistentRead": True},
        inserted("b"),  # twice
    ],
)
def test_all_else_is_motos_and_nothing_was_written_before(dynamo: Dynamo, statement: dict[str, Any]) -> None:
    written: list[bool] = []
    dynamo._behind = lambda *given: written.append(item(dynamo, "b") is not None) or stop(*given)  # type: ignore[method-assign,func-returns-value]
    dynamo._front = type(dynamo._front)(dynamo._behind)
    dynamo.call("BatchExecuteStatement", Statements=[inserted("b"), statement])
    assert written == [False]


def stop(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("x-amz-crc32", "2745614147")])
    return [b"{}"]
