"""Function settings that moto accepts and forgets: the log group, /tmp size and tracing after an update."""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaFunction


def install() -> None:
    """Make LambdaFunction keep LoggingConfig, and update EphemeralStorage and TracingConfig."""
    create, update, describe = (
        LambdaFunction.__init__,
        LambdaFunction.update_configuration,
        LambdaFunction.get_configuration,
    )

    def __init__(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: N807
        create(self, account_id, spec, *args, **kwargs)
        _set_logging(self, spec.get("LoggingConfig"))

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        update(self, config_updates)
        if "LoggingConfig" in config_updates:
            _set_logging(self, config_updates["LoggingConfig"])
        if "EphemeralStorage" in config_updates:
            self.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
        if "TracingConfig" in config_updates:
            self.tracing_config = config_updates["TracingConfig"]
        return self.get_configuration()

    def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        return {**describe(self, on_create), "LoggingConfig": self.logging_config}

    LambdaFunction.__init__ = __init__
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.get_configuration = get_configuration


# Levels exist in the JSON format only.
# https://docs.aws.amazon.com/lambda/latest/api/API_LoggingConfig.html
_LEVELS = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}


def _set_logging(function: Any, config: dict[str, Any] | None) -> None:
    given = config or {}
    function.logging_config = {
        "LogFormat": "Text",
        "LogGroup": f"/aws/lambda/{function.function_name}",
        **(_LEVELS if given.get("LogFormat") == "JSON" else {}),
        **given,
    }
    function.logs_group_name = function.logging_config["LogGroup"]
