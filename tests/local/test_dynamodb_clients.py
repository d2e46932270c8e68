"""The local DynamoDB as boto3 sees it, and from many threads at once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws
from tests.support.stacks import Deploy

THREADS = 8


@pytest.fixture
def table(local_aws: LocalAws) -> Iterator[Any]:
    """A table of boto3's resource."""
    resource: Any = boto3.resource(
        "dynamodb",
        region_name=local_aws.region,
        endpoint_url=local_aws.endpoint_url,
        aws_access_key_id=local_aws.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=local_aws.env["AWS_SECRET_ACCESS_KEY"],
    )
    own = resource.create_table(
        TableName=f"t-{uuid.uuid4().hex[:8]}",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield own
    own.delete()
    resource.meta.client.close()


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives from so many threads, started together."""
    barrier = threading.Barrier(number)

    def run(each: int) -> Any:
        barrier.wait(30)
        return work(each)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_the_resource_writes_and_reads_every_type(table: Any) -> None:
    item = {
        "pk": "ü",
        "n": Decimal("1.5"),
        "b": Binary(b"\x00\xff"),
        "flag": True,
        "nothing": None,
        "ss": {"a", "b"},
        "ns": {Decimal(1), Decimal(2)},
        "l": [Decimal(1), {"x": "y"}],
        "m": {"f1": Binary(b"")},
    }
    table.put_item(Item=item)
    assert table.get_item(Key={"pk": "ü"})["Item"] == item
    found = table.get_item(
        Key={"pk": "ü"}, ProjectionExpression="#l[1].x, m.f1, ns", ExpressionAttributeNames={"#l": "l"}
    )
    assert found["Item"] == {"l": [{"x": "y"}], "m": {"f1": Binary(b"")}, "ns": {Decimal(1), Decimal(2)}}
    assert table.query(KeyConditionExpression=Key("pk").eq("ü"))["Items"] == [item]
    assert table.scan()["Items"] == [item]
    table.update_item(
        Key={"pk": "ü"}, UpdateExpression="SET n = n + :one", ExpressionAttributeValues={":one": Decimal(1)}
    )
    assert table.get_item(Key={"pk": "ü"}, ConsistentRead=True)["Item"]["n"] == Decimal("2.5")


def test_the_resources_batch_writer_and_conditions_work(table: Any) -> None:
    with table.batch_writer(overwrite_by_pkeys=["pk"]) as batch:
        for number in range(130):
            batch.put_item(Item={"pk": str(number), "n": number})
        batch.delete_item(Key={"pk": "0"})
    assert table.item_count == 0  # as it was loaded
    table.reload()
    assert table.item_count == 129

    table.put_item(Item={"pk": "1", "n": 7}, ConditionExpression=Attr("n").lt(2) | Attr("pk").not_exists())
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(Item={"pk": "1", "n": 8}, ConditionExpression=Attr("n").lt(2) & Attr("pk").exists())
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException) as caught:
        table.delete_item(
            Key={"pk": "1"},
            ConditionExpression=Attr("n").eq(2),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"] == {"pk": {"S": "1"}, "n": {"N": "7"}}


def test_the_client_reads_batches(local_aws: LocalAws, table: Any) -> None:
    client = local_aws.client("dynamodb")
    values = {"M": {f"f{number}": {"B": bytes([41, number])} for number in range(20)}}
    for start in range(0, 100, 25):
        items = [{"pk": {"S": str(number)}, "values": values} for number in range(start, start + 25)]
        written = client.batch_write_item(
            RequestItems={table.name: [{"PutRequest": {"Item": item}} for item in items]}
        )
        assert written["UnprocessedItems"] == {}
    keys = [{"pk": {"S": str(number)}} for number in range(100)]
    asked = {"Keys": keys, "ProjectionExpression": "pk, #v.f3", "ExpressionAttributeNames": {"#v": "values"}}
    answer = client.batch_get_item(RequestItems={table.name: asked})
    assert answer["UnprocessedKeys"] == {}
    assert answer["Responses"][table.name] == [
        {**key, "values": {"M": {"f3": {"B": bytes([41, 3])}}}} for key in keys
    ]
    with pytest.raises(ClientError, match="duplicates") as caught:
        client.batch_get_item(RequestItems={table.name: {"Keys": [keys[0], keys[0]]}})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert len(caught.value.response["ResponseMetadata"]["RequestId"]) == 52


def test_a_table_that_is_gone_is_said_to_be(local_aws: LocalAws) -> None:
    client = local_aws.client("dynamodb")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName="gone", Key={"pk": {"S": "a"}})
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.batch_get_item(RequestItems={"gone": {"Keys": [{"pk": {"S": "a"}}]}})
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.batch_write_item(RequestItems={"gone": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]})


def test_a_table_of_cloudformation_is_read_and_written(local_aws: LocalAws, deploy: Deploy) -> None:
    name = f"deployed-{uuid.uuid4().hex[:8]}"
    properties = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "entity_id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "entity_id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    }
    deploy({"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}})
    client = local_aws.client("dynamodb")
    # Moto keeps what has expired, as DynamoDB may for days.
    item = {"entity_id": {"S": "a"}, "expires": {"N": "1"}}
    client.put_item(TableName=name, Item=item)
    assert client.get_item(TableName=name, Key={"entity_id": {"S": "a"}})["Item"] == item


def test_of_conditional_puts_at_once_exactly_one_wins(table: Any) -> None:
    client = table.meta.client

    def put(number: int) -> bool:
        try:
            client.put_item(
                TableName=table.name,
                Item={"pk": f"race {race}", "by": number},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    for race in range(25):
        won = at_once(THREADS, put)
        assert won.count(True) == 1
        assert table.get_item(Key={"pk": f"race {race}"})["Item"]["by"] == won.index(True)


def test_updates_and_conditional_puts_of_one_item_take_turns(table: Any) -> None:
    """Moto's own read and write is in the same lock."""
    client = table.meta.client
    table.put_item(Item={"pk": "counter", "n": 0, "puts": 0})

    def count(number: int) -> int:
        puts = 0
        for _ in range(10):
            table.update_item(
                Key={"pk": "counter"},
                UpdateExpression="SET n = n + :one",
                ExpressionAttributeValues={":one": 1},
            )
            item = table.get_item(Key={"pk": "counter"})["Item"]
            try:
                table.put_item(
                    Item={**item, "puts": item["puts"] + 1},
                    ConditionExpression=Attr("n").eq(item["n"]) & Attr("puts").eq(item["puts"]),
                )
                puts += 1
            except client.exceptions.ConditionalCheckFailedException:
                pass
        return puts

    puts = sum(at_once(THREADS, count))
    assert table.get_item(Key={"pk": "counter"})["Item"] == {"pk": "counter", "n": 80, "puts": puts}


def test_scans_and_queries_while_batches_are_written_see_whole_items(table: Any) -> None:
    client = table.meta.client
    written = threading.Event()

    def work(number: int) -> int:
        if number >= THREADS // 2:
            seen = 0
            while not written.is_set():
                for item in table.scan()["Items"]:
                    assert item["a"] == item["b"]
                    seen += 1
                table.update_item(
                    Key={"pk": f"{number}"},
                    UpdateExpression="SET a = :t, b = :t",
                    ExpressionAttributeValues={":t": Decimal(time.monotonic_ns())},
                )
                table.query(KeyConditionExpression=Key("pk").eq("0 0"))
                table.reload()  # counts the items
            return seen
        for turn in range(12):
            items = [{"pk": f"{number} {turn % 6 * 25 + each}", "a": turn, "b": turn} for each in range(25)]
            client.batch_write_item(
                RequestItems={table.name: [{"PutRequest": {"Item": item}} for item in items]}
            )
            client.delete_item(TableName=table.name, Key={"pk": items[turn]["pk"]})
        if not writers.acquire(blocking=False):
            written.set()
        return 0

    writers = threading.Semaphore(THREADS // 2 - 1)
    assert sum(at_once(THREADS, work)) > 0


def test_a_provisioned_table_throttles_until_it_has_recovered(local_aws: LocalAws) -> None:
    client = local_aws.client("dynamodb")  # never tries again by itself
    name = f"p-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    patient: Any = boto3.client(
        "dynamodb",
        region_name=local_aws.region,
        endpoint_url=local_aws.endpoint_url,
        aws_access_key_id=local_aws.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=local_aws.env["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "total_max_attempts": 12}),
    )
    big = {"pk": {"S": "a"}, "text": {"S": "x" * 4000}}  # 4 units: three seconds more than there are
    client.put_item(TableName=name, Item=big)
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.put_item(TableName=name, Item=big)
    answer = patient.put_item(TableName=name, Item=big)
    assert answer["ResponseMetadata"]["RetryAttempts"] > 0
    patient.close()
    client.delete_table(TableName=name)
