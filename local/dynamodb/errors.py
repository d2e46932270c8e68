"""How a request to DynamoDB ends that is not answered: refused as DynamoDB refuses it, or left to moto."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.exceptions import ERROR_TYPE_PREFIX


class PassOn(Exception):
    """The request is moto's: it holds what is not done here, or what moto refuses in words of its own."""


class Refused(Exception):
    """The answer to a request that DynamoDB would refuse, too."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.more = more

    def body(self) -> dict[str, Any]:
        return {"__type": ERROR_TYPE_PREFIX + self.code, "message": self.message, **self.more}


def invalid(message: str) -> Refused:
    return Refused("ValidationException", message)


KEY_SCHEMA = "The provided key element does not match the schema"
DUPLICATES = "Provided list of item keys contains duplicates"
THROTTLED = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)


def throttled() -> Refused:
    return Refused("ProvisionedThroughputExceededException", THROTTLED)
