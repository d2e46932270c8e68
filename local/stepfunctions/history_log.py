"""An execution's history in its machine's log group, as the logging configuration asks."""

from __future__ import annotations

import datetime
import json
import logging
import time
from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import logs_backends
from moto.stepfunctions.parser.asl.eval.event.logging import (
    CloudWatchLoggingConfiguration,
    is_logging_enabled_for,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

_LOG = logging.getLogger(__name__)


def open_log(machine: Any, execution_arn: str) -> HistoryLog | None:
    """The log that a machine's executions write to; None where logging is off."""
    configuration = CloudWatchLoggingConfiguration.from_logging_configuration(
        machine.arn, {"includeExecutionData": False, **machine.loggingConfiguration}
    )
    return HistoryLog(machine.name, execution_arn, configuration) if configuration else None


class HistoryLog:
    """What moto's interpreter hands each history event to.

    moto's own CloudWatchLoggingSession expects other timestamps than the interpreter passes: it always fails.
    """

    def __init__(self, machine_name: str, execution_arn: str, configuration: Any) -> None:
        self.execution_arn = execution_arn
        self.configuration = configuration
        today = datetime.datetime.now(tz=datetime.UTC)
        self._stream = f"states/{machine_name}/{today:%Y-%m-%d-%H-%M}/{execution_arn.rsplit(':', 1)[-1]}"
        self._backend = logs_backends[configuration.log_account_id][configuration.log_region]
        self._lost = False
        try:
            self._backend.create_log_stream(configuration.log_group_name, self._stream)
        except ResourceNotFoundException:
            # As on AWS, an execution does not fail for want of its log.
            self._lost = True
            _LOG.warning("%s: the log group %s does not exist", execution_arn, configuration.log_group_name)

    def log_level_filter(self, history_event_type: Any) -> bool:
        enabled: bool = is_logging_enabled_for(self.configuration.log_level, history_event_type)
        return enabled

    def publish_history_log(self, history_log: dict[str, Any]) -> None:
        if self._lost:
            return
        event = json.loads(to_json_str(history_log))
        event["type"] = str(getattr(history_log["type"], "value", history_log["type"]))
        self._backend.put_log_events(
            self.configuration.log_group_name,
            self._stream,
            [{"timestamp": int(time.time() * 1000), "message": json.dumps(event)}],
        )
