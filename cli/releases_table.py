"""The items of the releases table that belong to a stack's endpoint: the release, the lock, approvals, history."""

from __future__ import annotations

from typing import Any

from cli.stack import Stack


class ReleasesTable:
    """Reads the latest, as DynamoDB types it. What is refused comes as it is: whoever asks says whom to turn to."""

    def __init__(self, deployed: Stack) -> None:
        self.name = deployed.output("ReleasesTableName")
        self._endpoint = deployed.output("EndpointName")
        self._dynamodb = deployed.client("dynamodb")

    def key(self, item: str) -> dict[str, Any]:
        return {"endpoint_name": {"S": self._endpoint}, "item": {"S": item}}

    def item(self, name: str) -> dict[str, Any] | None:
        """Give an item; None where there is none of this name."""
        found: dict[str, Any] | None = self._dynamodb.get_item(
            TableName=self.name, Key=self.key(name), ConsistentRead=True
        ).get("Item")
        return found

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """Give the items whose names begin so, in the order of their names."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="endpoint_name = :endpoint AND begins_with(#item, :prefix)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={":endpoint": {"S": self._endpoint}, ":prefix": {"S": prefix}},
            ConsistentRead=True,
        )
        return [item for page in pages for item in page["Items"]]
