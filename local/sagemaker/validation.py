"""The limits of SageMaker requests that its API enforces and moto does not."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import botocore.session

from local.sagemaker.errors import validation

MAX_NAME = 63
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
MAX_HYPERPARAMETERS = 100
MAX_HYPERPARAMETER_LENGTH = 2500
MAX_ENVIRONMENT = 100


def check_name(value: Any, member: str, longest: int = MAX_NAME) -> None:
    """Refuse a name of more than 63 characters, or `longest`, or outside SageMaker's pattern."""
    if not isinstance(value, str) or not value:
        raise _violation(repr(value), member, "Member must not be null")
    if len(value) > longest:
        raise _violation(repr(value), member, f"Member must have length less than or equal to {longest}")
    if not NAME.fullmatch(value):
        raise _violation(
            repr(value), member, f"Member must satisfy regular expression pattern: {NAME.pattern}"
        )


def check_hyperparameters(values: dict[str, Any]) -> None:
    """Refuse more than 100 hyperparameters, one that is no string, or one above 2,500 characters."""
    if len(values) > MAX_HYPERPARAMETERS:
        raise _violation(
            f"{len(values)} entries",
            "hyperParameters",
            f"Map must have at most {MAX_HYPERPARAMETERS} entries",
        )
    for name, value in values.items():
        if not isinstance(value, str):
            raise _violation(repr(value), f"hyperParameters.{name}", "Map value must be a string")
        if len(name) > 256:
            raise _violation(repr(name), "hyperParameters", "Map keys must have length at most 256")
        if len(value) > MAX_HYPERPARAMETER_LENGTH:
            raise _violation(
                f"{len(value)} characters",
                f"hyperParameters.{name}",
                f"Map value must have length less than or equal to {MAX_HYPERPARAMETER_LENGTH}",
            )


def check_environment(values: dict[str, Any]) -> None:
    """Refuse more than 100 environment variables, or one that is no string."""
    if len(values) > MAX_ENVIRONMENT:
        raise _violation(
            f"{len(values)} entries", "environment", f"Map must have at most {MAX_ENVIRONMENT} entries"
        )
    for name, value in values.items():
        if not isinstance(value, str):
            raise _violation(repr(value), f"environment.{name}", "Map value must be a string")


def check_max_runtime(stopping_condition: dict[str, Any]) -> None:
    """Refuse a MaxRuntimeInSeconds that is not at least 1."""
    seconds = stopping_condition.get("MaxRuntimeInSeconds", 1)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise _violation(
            repr(seconds),
            "stoppingCondition.maxRuntimeInSeconds",
            "Member must have value greater than or equal to 1",
        )


def check_instance_type(_config: Any, instance_type: str) -> None:
    """Refuse an endpoint instance type SageMaker does not have (moto's own list is years old).

    Stands in for `FakeEndpointConfig.validate_instance_type`, hence the unused first argument.
    """
    check_enum(instance_type, "instanceType", "ProductionVariantInstanceType")


def check_enum(value: Any, member: str, shape: str) -> None:
    """Refuse a value that is none of those the API's own model lists for `shape`."""
    if value not in _enum(shape):
        raise _violation(repr(value), member, "Member must satisfy enum value set")


@cache
def _enum(shape: str) -> frozenset[str]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    return frozenset(model.shape_for(shape).metadata["enum"])


def _violation(found: str, member: str, constraint: str) -> Exception:
    return validation(
        f"1 validation error detected: Value {found} at '{member}' failed to satisfy constraint: {constraint}"
    )
