"""Published versions where moto's are not AWS's: their numbers, what they share with $LATEST, their policies."""

from __future__ import annotations

import copy
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaStorage
from moto.awslambda.policy import Policy


def install() -> None:
    LambdaStorage.publish_version = _publish
    LambdaBackend.add_permission = _add_permission


def _publish(self: Any, name_or_arn: str, description: str = "") -> Any:
    """A version of the function as it is; the last one where nothing has changed since.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
    """
    latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    group = self._functions[latest.function_name]
    last = group.get("last_version", 0)
    published = self._get_version(latest.function_name, str(last))
    if published is not None and not latest.code_or_config_updated:
        return published
    latest.code_or_config_updated = False
    version = copy.copy(latest)
    # What an update of $LATEST changes in place, or what belongs to each version by itself.
    version.code = dict(latest.code)
    version.policy = Policy(latest)
    version.event_invoke_config = []
    version.description = description or latest.description
    # Never the number of a version that was deleted.
    group["last_version"] = last + 1
    version.set_version(group["last_version"])
    group["versions"].append(version)
    self._arns[version.function_arn] = version
    return version


def _add_permission(self: Any, function_name: str, qualifier: str | None, raw: str) -> Any:
    function = self.get_function(function_name, qualifier)
    in_name = function_name.rsplit("function:", 1)[-1].partition(":")[2]
    statement, _ = function.policy.add_statement(raw, in_name or qualifier)
    return statement
