"""The endpoint as it is now: what may be said of it in a report."""

from __future__ import annotations

from sluice.payloads.training import EndpointSeen


def look(name: str) -> EndpointSeen:
    """Describe the endpoint. That it cannot be described is part of the answer: the report goes out anyway."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = boto3.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" in error.response["Error"].get("Message", ""):
            return EndpointSeen(name=name)
        return EndpointSeen(name=name, problem=str(error))
    except BotoCoreError as error:
        return EndpointSeen(name=name, problem=str(error))
    return EndpointSeen(name=name, status=found["EndpointStatus"], config=found["EndpointConfigName"])
