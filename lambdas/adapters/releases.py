"""The releases table, as far as functions write to it."""

from __future__ import annotations

from sluice.errors import PipelineFailed
from sluice.release.approvals import Approval


def ask_for(approval: Approval, table: str) -> None:
    """Write down that an approval is asked for: anew where the same execution asks again, with another token.

    Raises:
        PipelineFailed: another execution has asked under this name.
    """
    import boto3

    dynamodb = boto3.client("dynamodb")
    try:
        dynamodb.put_item(
            TableName=table,
            Item=approval.item(),
            ConditionExpression="attribute_not_exists(#execution) OR #execution = :execution",
            ExpressionAttributeNames={"#execution": "execution"},
            ExpressionAttributeValues={":execution": {"S": approval.execution_arn}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        raise PipelineFailed(
            "the approval cannot be asked for: another execution has asked for one under this name",
            where=f"{approval.key['item']['S']} in the table {table}",
            why="an item of that name is there, and names another execution",
            fix="delete the item if nothing needs it, then upload the file again",
        ) from error
