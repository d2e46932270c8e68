"""Published on-demand prices in US dollars, each with its unit and where it was seen; what is not known is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sluice.instances import Use

REGION = "us-east-1"
AS_OF = "2026-11-27"
"""When the figures were last looked at. Free tiers, savings plans and taxes are in none of them."""

Seen = Literal["published", "quoted"]
"""`published`: read in AWS's own text. `quoted`: read where others cite AWS's page or price list, not on it."""

_SAGEMAKER = "https://aws.amazon.com/sagemaker/ai/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_S3 = "https://aws.amazon.com/s3/pricing/"


@dataclass(frozen=True)
class Price:
    """US dollars for one unit."""

    usd: float
    unit: str
    source: str
    seen: Seen


STATE_TRANSITION = Price(
    0.025 / 1_000, "state transition", "https://aws.amazon.com/step-functions/pricing/", "published"
)
LAMBDA_REQUEST = Price(
    0.20 / 1e6,
    "request",
    "https://docs.aws.amazon.com/whitepapers/latest/how-aws-pricing-works/lambda.html",
    "published",
)
LAMBDA_GB_SECOND = Price(0.0000166667, "GB-second (x86)", "https://aws.amazon.com/lambda/pricing/", "quoted")
LAMBDA_SCRATCH_GB_SECOND = Price(
    0.0000000309, "GB-second beyond 512 MB", "https://aws.amazon.com/lambda/pricing/", "quoted"
)
DYNAMODB_WRITE = Price(0.625 / 1e6, "write request unit (1 KB)", _DYNAMODB, "quoted")
DYNAMODB_READ = Price(0.125 / 1e6, "read request unit (4 KB, consistent)", _DYNAMODB, "quoted")
S3_GB_MONTH = Price(0.023, "GB and month, Standard", _S3, "quoted")
S3_PUT = Price(0.005 / 1_000, "PUT, COPY, POST or LIST request", _S3, "quoted")
ALARM_METRIC = Price(0.10, "metric of a standard alarm and month", _CLOUDWATCH, "quoted")
CUSTOM_METRIC = Price(0.30, "custom metric and month", _CLOUDWATCH, "quoted")
DASHBOARD = Price(3.00, "dashboard and month", _CLOUDWATCH, "quoted")
LOG_GB = Price(0.50, "GB of logs taken in", _CLOUDWATCH, "quoted")
ENDPOINT_GB = Price(0.016, "GB into or out of an endpoint", _SAGEMAKER, "quoted")
SERVERLESS_GB_SECOND = Price(
    0.00002, "GB of memory and second of a serverless endpoint", _SAGEMAKER, "quoted"
)

FLAT: Mapping[str, Price] = {
    "Step Functions": STATE_TRANSITION,
    "Lambda, requests": LAMBDA_REQUEST,
    "Lambda, memory": LAMBDA_GB_SECOND,
    "Lambda, scratch space": LAMBDA_SCRATCH_GB_SECOND,
    "DynamoDB, writes": DYNAMODB_WRITE,
    "DynamoDB, reads": DYNAMODB_READ,
    "S3, storage": S3_GB_MONTH,
    "S3, writes": S3_PUT,
    "CloudWatch, alarms": ALARM_METRIC,
    "CloudWatch, metrics": CUSTOM_METRIC,
    "CloudWatch, dashboard": DASHBOARD,
    "CloudWatch, logs": LOG_GB,
    "SageMaker, data of an endpoint": ENDPOINT_GB,
    "SageMaker, serverless": SERVERLESS_GB_SECOND,
}

_HOURLY: Mapping[Use, Mapping[str, float]] = {
    Use.ENDPOINT: {
        "ml.t2.medium": 0.056,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.c5.large": 0.102,
        "ml.c5.xlarge": 0.204,
    },
    Use.TRAINING: {
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.m5.4xlarge": 0.922,
    },
    Use.PROCESSING: {
        "ml.t3.medium": 0.05,
        "ml.t3.large": 0.10,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
    },
    Use.TRANSFORM: {"ml.m5.large": 0.115, "ml.m5.xlarge": 0.23},
}

INSTANCES: Mapping[tuple[Use, str], Price] = {
    (use, instance_type): Price(usd, "instance and hour", _SAGEMAKER, "quoted")
    for use, prices in _HOURLY.items()
    for instance_type, usd in prices.items()
}

NOT_COUNTED: Mapping[str, str] = {
    "the MLflow app": "its price could not be verified",
    "the discount of spot training": "it moves; counted as on demand, which is the most it costs",
    "volumes of endpoints and jobs": "cents; the size of an endpoint's volume is not published for each type",
    "container images in ECR": "by their size, $0.10 for a GB and month",
    "SNS, SQS, EventBridge": "a few thousand messages a month: below a cent",
    "traffic out of AWS": "by where the callers are",
    "the HTTP API": "by requests: a call of API Gateway and one of a small function each",
    "looks at captured traffic": "by requests and columns: seconds of functions of a gigabyte or two",
    "functions of batches": "seconds; the jobs are in the comparison above",
}
"""What is in no total, and why."""


@dataclass(frozen=True)
class PriceList:
    """The prices of instances, and what a person has said of some of them, which goes first."""

    given: Mapping[str, float]

    def hourly(self, use: Use, instance_type: str) -> float | None:
        """Give what an instance costs an hour; None where it is not known."""
        if instance_type in self.given:
            return self.given[instance_type]
        found = INSTANCES.get((Use.TRAINING if use is Use.SPOT_TRAINING else use, instance_type))
        return None if found is None else found.usd
