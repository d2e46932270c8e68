"""What the local DynamoDB refuses, limits, counts and throttles as AWS documents it, where moto does not."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.core.responses import BaseResponse
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

from local.context import ACCOUNT_ID
from local.dynamodb import conditions, errors, paths, tables, throughput
from tests.support.dynamodb import Dynamo, binary, canonical, installed

KEY = {"pk": {"S": "a"}}
KB = 1024


@pytest.fixture
def dynamo() -> Iterator[Dynamo]:
    own = Dynamo("eu-west-1", fast=True)
    own.create("t")
    own.create("sorted", range_key="rk:N")
    yield own
    dynamodb_backends[ACCOUNT_ID]["eu-west-1"].reset()


def refused(dynamo: Dynamo, operation: str, **request: Any) -> str:
    """The text of a ValidationException; nothing has been written."""
    before = dynamo.call("Scan", TableName="t").body
    name, message = dynamo.call(operation, **request).error
    assert name == "ValidationException"
    assert dynamo.call("Scan", TableName="t").body == before
    return message


def test_the_seams_in_moto_are_where_they_were() -> None:
    """What install() replaces, and what the front relies on: look again at every new moto."""
    replaced = {*tables.LOCKED_IN_BACKEND, "put_item", "delete_item", "update_item", "query", "scan"}
    assert replaced <= set(vars(DynamoDBBackend))
    assert {*tables.LOCKED_IN_TABLE, "all_items", "query"} <= set(vars(Table))
    assert "size" in vars(DynamoType)
    assert {"size", "__deepcopy__"} <= set(vars(Item))
    assert "__setitem__" in vars(LimitedSizeDict)
    assert "__new__" not in vars(Item)
    assert BaseResponse.region_from_useragent_regex.search("region/eu-west-1")["region"] == "eu-west-1"
    table = Table(
        *("t", ACCOUNT_ID, "us-east-1", [{"AttributeName": "pk", "KeyType": "HASH"}]),
        [{"AttributeName": "pk", "AttributeType": "S"}],
        billing_mode="PROVISIONED",
        throughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
    )
    assert (table.hash_key_attr, table.range_key_attr, table.hash_key_type) == ("pk", None, "S")
    assert (table.table_key_attrs, table.items, table.indexes, table.global_indexes) == (["pk"], {}, [], [])
    assert (table.stream_shard, table.lambda_event_source_mappings, table.billing_mode) == (
        None,
        {},
        "PROVISIONED",
    )
    assert (table.throughput["ReadCapacityUnits"], table.throughput["WriteCapacityUnits"]) == (1, 2)
    table.put_item({"pk": {"S": "a"}, "m": {"M": {"l": {"L": [{"N": "1"}]}}}})
    item = table.items[DynamoType({"S": "a"})]
    assert (item.hash_key, item.range_key) == (DynamoType({"S": "a"}), None)
    assert item.attrs["m"].value["l"].value[0].value == "1"


def test_moto_and_the_front_see_the_same_items(dynamo: Dynamo) -> None:
    dynamo.call("PutItem", TableName="t", Item={**KEY, "n": {"N": "1"}})
    dynamo.call(
        *("UpdateItem",),
        TableName="t",
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert dynamo.call("GetItem", TableName="t", Key=KEY).body == {"Item": {**KEY, "n": {"N": "2"}}}
    dynamo.call("TransactWriteItems", TransactItems=[{"Delete": {"TableName": "t", "Key": KEY}}])
    assert dynamo.call("GetItem", TableName="t", Key=KEY).body == {}


def test_a_reset_by_motos_api_leaves_no_table(dynamo: Dynamo) -> None:
    reset = {"PATH_INFO": "/moto-api/reset", "HTTP_X_AMZ_TARGET": ""}
    assert dynamo.send("", b"", reset).body == {"status": "ok"}
    assert dynamo.call("GetItem", TableName="t", Key=KEY).error == (
        *("ResourceNotFoundException", "Requested resource not found"),
    )
    assert (
        dynamo.call("BatchGetItem", RequestItems={"t": {"Keys": [KEY]}}).error[0]
        == "ResourceNotFoundException"
    )


def test_an_update_that_fails_leaves_the_item_as_it_was(dynamo: Dynamo) -> None:
    dynamo.call("PutItem", TableName="t", Item={**KEY, "n": {"S": "a text"}, "s": {"S": "1"}})
    answer = dynamo.call(
        *("UpdateItem",),
        TableName="t",
        Key=KEY,
        UpdateExpression="SET s = :s ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}, ":s": {"S": "2"}},
    )
    assert answer.status == 400
    assert dynamo.call("GetItem", TableName="t", Key=KEY).body["Item"]["s"] == {"S": "1"}


def test_an_item_that_was_read_does_not_change_under_its_reader(dynamo: Dynamo) -> None:
    dynamo.call("PutItem", TableName="t", Item={**KEY, "n": {"N": "1"}})
    (read,) = dynamo.table("t").items.values()
    dynamo.call(
        *("UpdateItem",),
        TableName="t",
        Key=KEY,
        UpdateExpression="SET n = :two",
        ExpressionAttributeValues={":two": {"N": "2"}},
    )
    assert read.attrs["n"].value == "1"


def test_what_is_read_again_is_what_was_written_last_as_it_is_asked_for(dynamo: Dynamo) -> None:
    def read(projection: str) -> list[Any]:
        asked = {"Keys": [KEY], "ProjectionExpression": projection}
        batch = dynamo.call("BatchGetItem", RequestItems={"t": asked}).body["Responses"]["t"]
        whole = dynamo.call("GetItem", TableName="t", Key=KEY).body["Item"]
        assert [
            dynamo.call("GetItem", TableName="t", Key=KEY, ProjectionExpression=projection).body["Item"]
        ] == batch
        return [*batch, whole["n"]]

    dynamo.call("PutItem", TableName="t", Item={**KEY, "n": {"N": "1"}, "s": {"S": 'a "b" é'}})
    for _ in range(2):
        assert read("n, s") == [{"n": {"N": "1"}, "s": {"S": 'a "b" é'}}, {"N": "1"}]
        assert read("pk") == [KEY, {"N": "1"}]
    dynamo.call("PutItem", TableName="t", Item={**KEY, "n": {"N": "2"}})
    assert read("n, s") == [{"n": {"N": "2"}}, {"N": "2"}]
    dynamo.call(
        *("UpdateItem",),
        TableName="t",
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert read("n, s") == [{"n": {"N": "3"}}, {"N": "3"}]
    assert read("n, s") == [{"n": {"N": "3"}}, {"N": "3"}]


def test_a_stream_has_what_is_written(dynamo: Dynamo) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    dynamo.create("streamed", StreamSpecification=specification)
    dynamo.call("PutItem", TableName="streamed", Item=KEY)
    dynamo.call("BatchWriteItem", RequestItems={"streamed": [{"DeleteRequest": {"Key": KEY}}]})
    events = [record.record["eventName"] for record in dynamo.table("streamed").stream_shard.items]
    assert events == ["INSERT", "REMOVE"]


def test_an_index_finds_what_is_written(dynamo: Dynamo) -> None:
    dynamo.create(
        "indexed",
        AttributeDefinitions=[{"AttributeName": "s", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-s",
                "KeySchema": [{"AttributeName": "s", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    dynamo.call("PutItem", TableName="indexed", Item={**KEY, "s": {"S": "x"}})
    found = dynamo.call(
        *("Query",),
        TableName="indexed",
        IndexName="by-s",
        KeyConditionExpression="s = :s",
        ExpressionAttributeValues={":s": {"S": "x"}},
    )
    assert found.body["Items"] == [{**KEY, "s": {"S": "x"}}]
    # GetItem takes the table's key only, not the index's.
    assert dynamo.call("GetItem", TableName="indexed", Key={"s": {"S": "x"}}).status == 400


# --- limits


def test_a_batch_reads_a_hundred_keys_and_no_more(dynamo: Dynamo) -> None:
    keys = [{"pk": {"S": str(number)}} for number in range(101)]
    assert dynamo.call("BatchGetItem", RequestItems={"t": {"Keys": keys[:100]}}).body["Responses"] == {
        "t": []
    }
    assert "less than or equal to 100" in refused(dynamo, "BatchGetItem", RequestItems={"t": {"Keys": keys}})
    two = {"t": {"Keys": keys[:100]}, "sorted": {"Keys": [{**KEY, "rk": {"N": "1"}}]}}
    assert (
        refused(dynamo, "BatchGetItem", RequestItems=two)
        == "Too many items requested for the BatchGetItem call"
    )
    assert "greater than or equal to 1" in refused(dynamo, "BatchGetItem", RequestItems={"t": {"Keys": []}})
    assert "greater than or equal to 1" in refused(dynamo, "BatchGetItem", RequestItems={})


def test_a_batch_writes_twenty_five_items_and_no_more(dynamo: Dynamo) -> None:
    writes = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(26)]
    assert "less than or equal to 25" in refused(dynamo, "BatchWriteItem", RequestItems={"t": writes})
    one = {"DeleteRequest": {"Key": {**KEY, "rk": {"N": "1"}}}}
    two = {"t": writes[:25], "sorted": [one]}
    assert refused(dynamo, "BatchWriteItem", RequestItems=two) == (
        "Too many items requested for the BatchWriteItem call"
    )
    assert "greater than or equal to 1" in refused(dynamo, "BatchWriteItem", RequestItems={"t": []})
    assert dynamo.call("BatchWriteItem", RequestItems={"t": writes[:25]}).body == {"UnprocessedItems": {}}


@pytest.mark.parametrize("same", [{"N": "1"}, {"N": "1.0"}])
def test_a_batch_names_an_item_once(dynamo: Dynamo, same: dict[str, str]) -> None:
    one, two = {**KEY, "rk": {"N": "1"}}, {**KEY, "rk": same}
    duplicates = "Provided list of item keys contains duplicates"
    assert refused(dynamo, "BatchGetItem", RequestItems={"sorted": {"Keys": [one, two]}}) == duplicates
    writes = [{"PutRequest": {"Item": {**one, "s": {"S": "x"}}}}, {"PutRequest": {"Item": two}}]
    assert refused(dynamo, "BatchWriteItem", RequestItems={"sorted": writes}) == duplicates
    writes[1] = {"DeleteRequest": {"Key": two}}
    assert refused(dynamo, "BatchWriteItem", RequestItems={"sorted": writes}) == duplicates


def test_a_batch_with_one_bad_item_writes_none(dynamo: Dynamo) -> None:
    writes = [{"PutRequest": {"Item": KEY}}, {"PutRequest": {"Item": {"pk": {"S": "b"}, "set": {"BS": []}}}}]
    assert "set  may not be empty" in refused(dynamo, "BatchWriteItem", RequestItems={"t": writes})


def test_an_answer_has_at_most_16_mb_and_says_what_is_left(dynamo: Dynamo) -> None:
    text = "x" * (390 * KB)
    keys = [{"pk": {"S": f"{number:02}"}} for number in range(50)]
    for key in keys:
        assert dynamo.call("PutItem", TableName="t", Item={**key, "text": {"S": text}}).status == 200
    asked = {"Keys": keys, "ProjectionExpression": "#p", "ExpressionAttributeNames": {"#p": "pk"}}
    body = dynamo.call("BatchGetItem", RequestItems={"t": asked}).body
    # 16 MB hold 42 items of 390 KB and a few bytes.
    assert body["Responses"]["t"] == keys[:42]
    assert body["UnprocessedKeys"] == {"t": {**asked, "Keys": keys[42:]}}
    again = dynamo.call("BatchGetItem", RequestItems=body["UnprocessedKeys"]).body
    assert (again["Responses"]["t"], again["UnprocessedKeys"]) == (keys[42:], {})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "ü€"}, 5),
        (binary(b"123"), 3),
        ({"N": "-12.50"}, 4),
        ({"N": "100"}, 2),
        ({"N": "0"}, 1),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "23"]}, 4),
        ({"L": []}, 3),
        ({"L": [{"S": "a"}, {"S": "b"}]}, 3 + 2 + 2),
        ({"M": {"key": {"S": "abc"}}}, 3 + 1 + 3 + 3),
    ],
)
def test_sizes_are_counted_as_documented(dynamo: Dynamo, value: dict[str, Any], size: int) -> None:
    """An item of 400 KB is taken, one of a byte more is not."""
    rest = 400 * KB - len("pk" + "a") - len("v") - size - len("text")
    item = {**KEY, "v": value, "text": {"S": "x" * rest}}
    assert dynamo.call("PutItem", TableName="t", Item=item).status == 200
    assert canonical(dynamo.call("GetItem", TableName="t", Key=KEY).body["Item"]) == canonical(item)
    item["text"] = {"S": "x" * (rest + 1)}
    too_large = "Item size has exceeded the maximum allowed size"
    assert refused(dynamo, "PutItem", TableName="t", Item=item) == too_large
    assert (
        refused(dynamo, "BatchWriteItem", RequestItems={"t": [{"PutRequest": {"Item": item}}]}) == too_large
    )
    update = {"UpdateExpression": "SET #t = :t", "ExpressionAttributeNames": {"#t": "text"}}
    moto = dynamo.call(
        "UpdateItem", TableName="t", Key=KEY, **update, ExpressionAttributeValues={":t": item["text"]}
    )
    assert moto.error[1] == "Item size to update has exceeded the maximum allowed size"


# --- keys and values


@pytest.mark.parametrize("operation", ["GetItem", "DeleteItem"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("t", {"pk": {"N": "1"}}),
        ("t", {"pk": {"S": "a"}, "other": {"S": "a"}}),
        ("t", {}),
        ("sorted", {"pk": {"S": "a"}}),
        ("sorted", {"pk": {"S": "a"}, "rk": {"S": "1"}}),
    ],
)
def test_a_key_fits_the_schema(dynamo: Dynamo, operation: str, table: str, key: dict[str, Any]) -> None:
    mismatch = "The provided key element does not match the schema"
    assert refused(dynamo, operation, TableName=table, Key=key) == mismatch
    if operation == "GetItem":
        assert refused(dynamo, "BatchGetItem", RequestItems={table: {"Keys": [key]}}) == mismatch
    else:
        delete = [{"DeleteRequest": {"Key": key}}]
        assert refused(dynamo, "BatchWriteItem", RequestItems={table: delete}) == mismatch


def test_a_key_is_not_empty(dynamo: Dynamo) -> None:
    empty = {"pk": {"S": ""}}
    message = "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    for request in (
        ("GetItem", {"TableName": "t", "Key": empty}),
        ("DeleteItem", {"TableName": "t", "Key": empty}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [empty]}}}),
        ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": empty}}]}}),
        ("BatchWriteItem", {"RequestItems": {"t": [{"DeleteRequest": {"Key": empty}}]}}),
    ):
        assert message in refused(dynamo, request[0], **request[1]), request
    assert "may not contain an empty string. Key: pk" in refused(dynamo, "PutItem", TableName="t", Item=empty)
    dynamo.create("binary", "pk:B")
    nothing = {"pk": {"B": ""}}
    assert "empty binary value" in refused(dynamo, "PutItem", TableName="binary", Item=nothing)
    assert "empty binary value" in refused(dynamo, "GetItem", TableName="binary", Key=nothing)


def test_a_key_has_a_length(dynamo: Dynamo) -> None:
    assert dynamo.call("PutItem", TableName="t", Item={"pk": {"S": "ü" * 1024}}).status == 200
    for request in (
        ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "ü" * 1024 + "x"}}}),
        ("PutItem", {"TableName": "t", "Item": {"pk": {"S": "ü" * 1024 + "x"}}}),
    ):
        assert "exceeded the maximum size limit of2048 bytes" in refused(dynamo, request[0], **request[1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "Supplied AttributeValue is empty"),
        ({"S": "a", "N": "1"}, "Supplied AttributeValue has more than one datatypes set"),
        ({"N": "1" * 39}, "more than 38 significant digits"),
        ({"N": "one"}, "cannot be converted to a numeric value"),
        ({"N": "1E126"}, "Number overflow"),
        ({"N": "1E-131"}, "Number underflow"),
        ({"SS": []}, "An string set  may not be empty"),
        ({"NS": []}, "An number set  may not be empty"),
        ({"L": [{"SS": []}]}, "An string set  may not be empty"),
        ({"SS": ["a", "a"]}, "Input collection [a, a] contains duplicates"),
        ({"NS": ["1", "1.0"]}, "contains duplicates"),
    ],
)
def test_a_value_is_what_dynamodb_takes(dynamo: Dynamo, value: dict[str, Any], message: str) -> None:
    assert message in refused(dynamo, "PutItem", TableName="t", Item={**KEY, "v": value})


def test_maps_nest_32_levels_deep(dynamo: Dynamo) -> None:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(32):
        value = {"M": {"m": value}}
    assert dynamo.call("PutItem", TableName="t", Item={**KEY, "v": value}).status == 200
    assert "Nesting Levels" in refused(dynamo, "PutItem", TableName="t", Item={**KEY, "v": {"L": [value]}})


# --- projections


def projected(dynamo: Dynamo, expression: str, **names: str) -> Any:
    named = {f"#{name}": meant for name, meant in names.items()}
    more = {"ExpressionAttributeNames": named} if named else {}
    answer = dynamo.call("GetItem", TableName="t", Key=KEY, ProjectionExpression=expression, **more)
    return answer.body["Item"] if answer.status == 200 else answer.error[1]


def test_a_projection_reaches_into_maps_and_lists(dynamo: Dynamo) -> None:
    inner = {"M": {"f1": binary(b"\x29one"), "f2": binary(b""), "a.b": {"S": "dot"}}}
    letters = {"L": [{"S": "a"}, {"M": {"x": {"S": "b"}, "y": {"S": "-"}}}, {"S": "c"}]}
    dynamo.call("PutItem", TableName="t", Item={**KEY, "values": inner, "l": letters})
    made = dynamo.passed_on

    assert projected(dynamo, "#v.f1,#v.#f", v="values", f="f2") == {
        "values": {"M": {"f1": binary(b"\x29one"), "f2": binary(b"")}}
    }
    assert projected(dynamo, "pk, #v.#d", v="values", d="a.b") == {
        **KEY,
        "values": {"M": {"a.b": {"S": "dot"}}},
    }
    assert projected(dynamo, "l[2], l[0]") == {"l": {"L": [{"S": "a"}, {"S": "c"}]}}
    assert projected(dynamo, "#l[1].x", l="l") == {"l": {"L": [{"M": {"x": {"S": "b"}}}]}}
    assert projected(dynamo, "l[7], #v.f9, pk.x, nothing", v="values") == {}
    assert projected(dynamo, "l.x, pk[0]") == {}
    assert dynamo.passed_on == made


def test_a_projection_that_dynamodb_refuses_is_refused(dynamo: Dynamo) -> None:
    dynamo.call("PutItem", TableName="t", Item={**KEY, "m": {"M": {"f": {"S": "x"}}}})
    assert projected(dynamo, "m.#f") == (
        "Invalid ProjectionExpression: An expression attribute name used in the document path is not defined; "
        "attribute name: #f"
    )
    assert (
        projected(dynamo, "m", f="f")
        == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#f}"
    )
    assert "reserved keyword: values" in projected(dynamo, "values")
    assert "reserved keyword: values" in projected(dynamo, "m.values")
    assert "overlap with each other" in projected(dynamo, "m, m")
    assert "path one: [m], path two: [m, f]" in projected(dynamo, "m, m.f")
    assert "path one: [m, f], path two: [m]" in projected(dynamo, "m.f, m")
    assert "conflict with each other" in projected(dynamo, "m.f, m[0]")
    batch = {"t": {"Keys": [KEY], "ProjectionExpression": "m", "ExpressionAttributeNames": {"#f": "f"}}}
    assert "unused in expressions: keys: {#f}" in refused(dynamo, "BatchGetItem", RequestItems=batch)


# --- conditions


def put_if(dynamo: Dynamo, expression: str, **given: dict[str, Any]) -> str:
    """`yes`, `no`, or the error of a put with a condition on what is there."""
    values = {f":{name}": value for name, value in given.items()}
    more = {"ExpressionAttributeValues": values} if values else {}
    item = dynamo.call("GetItem", TableName="t", Key=KEY).body.get("Item", KEY)
    answer = dynamo.call("PutItem", TableName="t", Item=item, ConditionExpression=expression, **more)
    if answer.status == 200:
        return "yes"
    return "no" if answer.error[0] == "ConditionalCheckFailedException" else answer.error[1]


@pytest.mark.parametrize(
    ("expression", "given", "expected"),
    [
        ("s < :x", {"S": "b"}, "yes"),
        ("s < :x", {"N": "9"}, "no"),  # of another type: moto fails
        ("s = :x", {"N": "1"}, "no"),
        ("s <> :x", {"N": "1"}, "yes"),
        ("flag = :x", {"N": "1"}, "no"),  # moto: yes
        ("nothing = :x", {"NULL": True}, "no"),  # moto: yes
        ("nothing <> :x", {"S": "a"}, "yes"),
        ("nothing < :x", {"S": "a"}, "no"),
        ("n = :x", {"N": "1.0"}, "yes"),
        ("n >= :x", {"N": "0.9"}, "yes"),
        ("b < :x", {"B": base64.b64encode(b"\xff").decode()}, "yes"),
        ("m.l[1] = :x", {"S": "second"}, "yes"),
        ("m = :x", {"M": {"l": {"L": [{"S": "first"}, {"S": "second"}]}}}, "yes"),
        ("ns = :x", {"NS": ["2", "1.0"]}, "yes"),
        ("NOT s = :x and attribute_exists(m.l)", {"S": "z"}, "yes"),
        ("s = :x OR s < :x AND attribute_not_exists(s)", {"S": "a"}, "yes"),
        ("(s = :x OR s < :x) AND attribute_not_exists(s)", {"S": "a"}, "no"),
        ("begins_with(s, :x)", {"S": "a"}, "yes"),  # moto's
        ("n BETWEEN :x AND :x", {"N": "1"}, "yes"),  # moto's
        ("size(s) = :x", {"N": "1"}, "yes"),  # moto's
    ],
)
def test_a_condition_holds_as_documented(
    dynamo: Dynamo, expression: str, given: dict[str, Any], expected: str
) -> None:
    item = {
        **KEY,
        "s": {"S": "a"},
        "n": {"N": "1"},
        "b": binary(b"a"),
        "flag": {"BOOL": True},
        "m": {"M": {"l": {"L": [{"S": "first"}, {"S": "second"}]}}},
        "ns": {"NS": ["1", "2"]},
    }
    assert dynamo.call("PutItem", TableName="t", Item=item).status == 200
    assert put_if(dynamo, expression, x=given) == expected
    assert canonical(dynamo.call("GetItem", TableName="t", Key=KEY).body["Item"]) == canonical(item)


def test_a_condition_that_dynamodb_refuses_is_refused(dynamo: Dynamo) -> None:
    assert "attribute name: #s" in put_if(dynamo, "attribute_exists(#s)")
    assert "attribute value: :x" in put_if(dynamo, "s = :x", y={"S": "a"})
    assert "unused in expressions: keys: {:y}" in put_if(dynamo, "s = :x", x={"S": "a"}, y={"S": "a"})
    assert "reserved keyword: name" in put_if(dynamo, "attribute_exists(name)")
    assert "can only be specified when using expressions" in refused(
        dynamo, "PutItem", TableName="t", Item=KEY, ExpressionAttributeValues={":x": {"S": "a"}}
    )


def test_who_loses_a_condition_is_told_what_is_there(dynamo: Dynamo) -> None:
    there = {**KEY, "b": binary(b"there")}
    dynamo.call("PutItem", TableName="t", Item=there)
    answer = dynamo.call(
        *("PutItem",),
        TableName="t",
        Item=KEY,
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert answer.error == ("ConditionalCheckFailedException", "The conditional request failed")
    assert answer.body["Item"] == there
    answer = dynamo.call("PutItem", TableName="t", Item=KEY, ReturnValues="ALL_OLD")
    assert answer.body == {"Attributes": there}


# --- capacity


def test_reads_and_writes_report_what_they_cost(dynamo: Dynamo) -> None:
    def units(operation: str, **request: Any) -> Any:
        return dynamo.call(operation, ReturnConsumedCapacity="TOTAL", **request).body["ConsumedCapacity"]

    big = {**KEY, "text": {"S": "x" * 4096}}  # 4.1 KB
    put = {"TableName": "t", "Item": big}
    assert units("PutItem", **put) == {"TableName": "t", "CapacityUnits": 5.0}
    assert (
        units("PutItem", TableName="t", Item=KEY)["CapacityUnits"] == 5.0
    )  # of the larger one, before or after
    assert units("PutItem", **put)["CapacityUnits"] == 5.0
    assert units("GetItem", TableName="t", Key=KEY)["CapacityUnits"] == 1.0
    assert units("GetItem", TableName="t", Key=KEY, ConsistentRead=True)["CapacityUnits"] == 2.0
    assert units("GetItem", TableName="t", Key={"pk": {"S": "none"}})["CapacityUnits"] == 0.5
    keys = [KEY, {"pk": {"S": "none"}}]
    assert units("BatchGetItem", RequestItems={"t": {"Keys": keys}}) == [
        {"TableName": "t", "CapacityUnits": 1.5}
    ]
    assert units("BatchWriteItem", RequestItems={"t": [{"DeleteRequest": {"Key": KEY}}]}) == [
        {"TableName": "t", "CapacityUnits": 5.0}
    ]
    assert dynamo.call("GetItem", TableName="t", Key=KEY, ReturnConsumedCapacity="INDEXES").body == {
        "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}}
    }
    assert "ConsumedCapacity" not in dynamo.call("BatchGetItem", RequestItems={"t": {"Keys": [KEY]}}).body
    assert "enum value set" in refused(
        dynamo, "BatchGetItem", RequestItems={"t": {"Keys": [KEY]}}, ReturnConsumedCapacity="ALL"
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(throughput, "time", own)
    return own


THROTTLED = (
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
    "provisioning level with the UpdateTable API.",
)


def provisioned(dynamo: Dynamo, read: int, write: int) -> None:
    dynamo.create("p", ProvisionedThroughput={"ReadCapacityUnits": read, "WriteCapacityUnits": write})
    assert dynamo.call("GetItem", TableName="p", Key=KEY, ConsistentRead=True).status == 200  # a unit is gone


def test_a_table_is_read_as_fast_as_it_is_provisioned(dynamo: Dynamo, clock: Clock) -> None:
    provisioned(dynamo, read=2, write=1)
    get = {"TableName": "p", "Key": KEY, "ConsistentRead": True}
    assert dynamo.call("GetItem", **get).status == 200
    assert dynamo.call("GetItem", **get).error == THROTTLED
    assert dynamo.call("BatchGetItem", RequestItems={"p": {"Keys": [KEY]}}).error == THROTTLED
    assert dynamo.call("Scan", TableName="p").error == THROTTLED
    clock.now += 1
    assert [dynamo.call("GetItem", **get).status for _ in range(3)] == [200, 200, 400]


def test_what_was_not_used_is_kept_for_300_seconds(dynamo: Dynamo, clock: Clock) -> None:
    provisioned(dynamo, read=2, write=1)
    clock.now += 10_000
    read = 0
    while dynamo.call("GetItem", TableName="p", Key=KEY, ConsistentRead=True).status == 200:
        read += 1
    assert read == 600


def test_a_batch_that_is_throttled_says_what_is_left(dynamo: Dynamo, clock: Clock) -> None:
    provisioned(dynamo, read=3, write=2)
    writes = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(4)]
    body = dynamo.call("BatchWriteItem", RequestItems={"p": writes}).body
    assert body == {"UnprocessedItems": {"p": writes[2:]}}
    assert dynamo.call("BatchWriteItem", RequestItems=body["UnprocessedItems"]).error == THROTTLED
    assert dynamo.call("PutItem", TableName="p", Item=KEY).error == THROTTLED
    update = {"UpdateExpression": "SET s = :s", "ExpressionAttributeValues": {":s": {"S": "x"}}}
    assert dynamo.call("UpdateItem", TableName="p", Key=KEY, **update).error == THROTTLED
    clock.now += 1
    assert dynamo.call("BatchWriteItem", RequestItems=body["UnprocessedItems"]).body == {
        "UnprocessedItems": {}
    }

    # Of 3 a second, 1 is gone and 3 have come since: 5.
    keys = [{"pk": {"S": str(number)}} for number in range(4)] + [
        {"pk": {"S": f"none {n}"}} for n in range(3)
    ]
    asked = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "pk"}
    body = dynamo.call("BatchGetItem", RequestItems={"p": asked}).body
    assert body["Responses"]["p"] == keys[:4]
    assert body["UnprocessedKeys"] == {"p": {**asked, "Keys": keys[5:]}}
    # What another table has left is answered.
    both = dynamo.call("BatchGetItem", RequestItems={"p": asked, "t": {"Keys": [KEY]}}).body
    assert both["Responses"] == {"p": [], "t": []}
    assert both["UnprocessedKeys"]["p"]["Keys"] == keys


def test_a_table_on_demand_is_never_throttled(dynamo: Dynamo, clock: Clock) -> None:
    writes = [
        {"PutRequest": {"Item": {"pk": {"S": str(number)}, "s": {"S": "x" * 4000}}}} for number in range(25)
    ]
    for _ in range(20):
        assert dynamo.call("BatchWriteItem", RequestItems={"t": writes}).body == {"UnprocessedItems": {}}
    provisioned(dynamo, read=1, write=1)
    assert dynamo.call("GetItem", TableName="p", Key=KEY).status == 400
    assert dynamo.call("UpdateTable", TableName="p", BillingMode="PAY_PER_REQUEST").status == 200
    assert dynamo.call("GetItem", TableName="p", Key=KEY).status == 200


def test_what_a_table_owed_is_forgotten_where_it_was_on_demand_meanwhile(
    dynamo: Dynamo, clock: Clock
) -> None:
    provisioned(dynamo, read=1, write=1)
    get = {"TableName": "p", "Key": KEY, "ConsistentRead": True}
    large = {**KEY, "s": {"S": "x" * 300_000}}
    assert dynamo.call("PutItem", TableName="p", Item=large).status == 200  # 294 units of one a second
    assert dynamo.call("PutItem", TableName="p", Item=KEY).error == THROTTLED
    assert dynamo.call("UpdateTable", TableName="p", BillingMode="PAY_PER_REQUEST").status == 200
    assert dynamo.call("GetItem", **get).status == 200

    again = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    answer = dynamo.call("UpdateTable", TableName="p", BillingMode="PROVISIONED", ProvisionedThroughput=again)
    assert answer.status == 200
    assert [dynamo.call("PutItem", TableName="p", Item=KEY).status for _ in range(2)] == [200, 400]


# --- threads


@pytest.fixture
def from_threads() -> Iterator[Callable[[Callable[[Dynamo, int], Any]], list[Any]]]:
    """Calls a function from eight threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    with installed():
        dynamo = Dynamo("eu-west-1", fast=True, patches=False)
        dynamo.create("t")
        dynamo.create("sorted", range_key="rk:N")
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(8) as pool:
                yield lambda work: list(pool.map(lambda number: work(dynamo, number), range(8)))
        finally:
            sys.setswitchinterval(interval)
            dynamodb_backends[ACCOUNT_ID]["eu-west-1"].reset()


FromThreads = Callable[[Callable[[Dynamo, int], Any]], list[Any]]


def test_of_conditional_puts_of_a_key_exactly_one_wins(from_threads: FromThreads) -> None:
    start = threading.Barrier(8)

    def put(dynamo: Dynamo, number: int) -> list[int]:
        statuses = []
        for each in range(100):
            item = {"pk": {"S": str(each)}, "by": {"N": str(number)}}
            start.wait(30)
            answer = dynamo.call(
                "PutItem", TableName="t", Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
            statuses.append(answer.status)
        return statuses

    statuses = from_threads(put)
    assert [won.count(200) for won in zip(*statuses, strict=True)] == [1] * 100


def test_updates_of_an_item_are_all_counted(from_threads: FromThreads) -> None:
    def count(dynamo: Dynamo, _number: int) -> None:
        update = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        for _ in range(25):
            assert dynamo.call("UpdateItem", TableName="t", Key=KEY, **update).status == 200

    from_threads(count)
    (item,) = Dynamo("eu-west-1", fast=False).call("Scan", TableName="t").body["Items"]
    assert item["n"] == {"N": "200"}


def test_tables_are_walked_over_while_they_are_written(from_threads: FromThreads) -> None:
    def work(dynamo: Dynamo, number: int) -> None:
        for turn in range(15):
            items = [{"pk": {"S": f"{number} {turn} {each}"}, "rk": {"N": "1"}} for each in range(25)]
            puts = [{"PutRequest": {"Item": item}} for item in items]
            calls: list[tuple[str, dict[str, Any]]] = [
                ("BatchWriteItem", {"RequestItems": {"sorted": puts}}),
                ("Scan", {"TableName": "sorted", "Limit": 5}),
                ("DescribeTable", {"TableName": "sorted"}),
                ("DeleteItem", {"TableName": "sorted", "Key": items[0]}),
            ]
            for operation, request in calls:
                assert dynamo.call(operation, **request).status == 200

    from_threads(work)


@pytest.mark.usefixtures("from_threads")
def test_a_function_that_a_stream_calls_may_use_the_tables() -> None:
    """Moto calls it in the midst of the write."""
    dynamo = Dynamo("eu-west-1", fast=True, patches=False)
    dynamo.create("streamed", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    table = dynamo.table("streamed")
    table.lambda_event_source_mappings = {"arn": "a mapping"}
    seen: list[int] = []

    def function(*_items: Any) -> None:
        other = threading.Thread(
            target=lambda: seen.append(dynamo.call("GetItem", TableName="t", Key=KEY).status), daemon=True
        )
        other.start()
        other.join(10)

    table.stream_shard.add = function
    put = {"Put": {"TableName": "streamed", "Item": {"pk": {"S": "b"}}}}
    assert dynamo.call("PutItem", TableName="streamed", Item=KEY).status == 200
    assert dynamo.call("TransactWriteItems", TransactItems=[put]).status == 200
    assert seen == [200, 200]


# --- requests


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(dynamo: Dynamo, body: bytes) -> None:
    assert dynamo.send("GetItem", body).error[0] == "SerializationException"


def test_what_is_not_done_here_is_given_to_moto_as_it_came(dynamo: Dynamo) -> None:
    dynamo.call("PutItem", TableName="t", Item={**KEY, "s": {"S": "x"}, "n": {"N": "1"}})
    before = dynamo.passed_on
    legacy = dynamo.call("BatchGetItem", RequestItems={"t": {"Keys": [KEY], "AttributesToGet": ["s"]}})
    assert legacy.body["Responses"] == {"t": [{"s": {"S": "x"}}]}
    expected = {"s": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "y"}]}}
    legacy = dynamo.call("PutItem", TableName="t", Item=KEY, Expected=expected)
    assert legacy.error[0] == "ConditionalCheckFailedException"
    by_arn = dynamo.call("GetItem", TableName=dynamo.table("t").table_arn, Key=KEY)
    assert by_arn.body["Item"]["s"] == {"S": "x"}
    assert dynamo.passed_on == before + 3


def test_the_region_is_that_of_who_asks(dynamo: Dynamo) -> None:
    other = Dynamo("ap-south-1", fast=True)
    assert other.call("GetItem", TableName="t", Key=KEY).error[0] == "ResourceNotFoundException"
    agent = {"HTTP_USER_AGENT": "Boto3/1.40 md/Botocore#1 region/eu-west-1"}
    assert other.send("GetItem", b'{"TableName": "t", "Key": {"pk": {"S": "a"}}}', agent).status == 200


@pytest.mark.parametrize("access_key", ["test", "A" * 20])
def test_any_access_key_will_do(dynamo: Dynamo, access_key: str) -> None:
    before = dynamo.passed_on
    scope = f"{access_key}/20260101/eu-west-1/dynamodb/aws4_request"
    signed = {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    assert dynamo.send("GetItem", b'{"TableName": "t", "Key": {"pk": {"S": "a"}}}', signed).status == 200
    assert dynamo.passed_on == before


def test_answers_have_the_headers_that_sdks_check(dynamo: Dynamo) -> None:
    answer = dynamo.call("GetItem", TableName="t", Key=KEY)
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert len(answer.headers["x-amzn-requestid"]) == 52
    assert answer.headers["content-length"] == str(len(json.dumps(answer.body)))


@pytest.mark.parametrize(
    "expression", ["", " ", "s", "s =", "= :x", "(s = :x", "s = :x)", "s ! :x", "NOT", "a-b = :x"]
)
def test_a_condition_that_cannot_be_read_is_left_to_moto(expression: str) -> None:
    with pytest.raises(errors.PassOn):
        conditions.condition_of(
            {"ConditionExpression": expression, "ExpressionAttributeValues": {":x": {"S": "a"}}}
        )


@pytest.mark.parametrize("expression", ["", "a,", "a b", "1a", "a..b", "a[x]", "a[", "-", ".a"])
def test_a_projection_that_cannot_be_read_is_left_to_moto(expression: str) -> None:
    with pytest.raises(errors.PassOn):
        paths.projection_of({"ProjectionExpression": expression})
