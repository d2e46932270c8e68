"""What a function logs with Python's `logging`, in the format its LoggingConfig names, in its log group."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.local_aws import LocalAws, create_function

SOURCE = """
import logging
log = logging.getLogger("decisions")
def handler(event, context):
    log.debug("never seen")
    log.info("decided", extra={"execution": "e-1", "rows": 3, "passed": True})
    try:
        raise ValueError("of our own")
    except ValueError:
        log.exception("went wrong")
    return context.aws_request_id
"""


def lines(server: LocalAws, group: str) -> list[str]:
    events = server.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


def run(server: LocalAws, name: str, **logging: Any) -> tuple[str, list[str]]:
    """The request's id and the lines between START and END."""
    create_function(
        server, name, SOURCE, Timeout=30, LoggingConfig={"LogGroup": f"logs-of-{name}", **logging}
    )
    request_id = json.loads(server.client("lambda").invoke(FunctionName=name)["Payload"].read())
    return request_id, lines(server, f"logs-of-{name}")


def test_json_is_one_line_for_each_record_with_its_extras(local_aws: LocalAws) -> None:
    request_id, written = run(local_aws, "json-logs", LogFormat="JSON")
    records = [json.loads(line) for line in written]
    decided, failed = (record for record in records if "logger" in record)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", decided.pop("timestamp"))
    assert decided == {
        "level": "INFO",
        "message": "decided",
        "logger": "decisions",
        "requestId": request_id,
        "execution": "e-1",
        "rows": 3,
        "passed": True,
    }
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == (
        "ERROR",
        "ValueError",
        "of our own",
    )
    assert "in handler" in "".join(failed["stackTrace"])


def test_json_is_also_what_the_platform_writes(local_aws: LocalAws) -> None:
    request_id, written = run(local_aws, "json-platform", LogFormat="JSON")
    records = [json.loads(line) for line in written]
    start, report = (record for record in records if "type" in record)
    assert (start["type"], report["type"]) == ("platform.start", "platform.report")
    assert start["record"] == {"requestId": request_id, "version": "$LATEST"}
    assert (report["record"]["requestId"], report["record"]["status"]) == (request_id, "success")
    assert report["record"]["metrics"]["durationMs"] > 0
    assert report["record"]["metrics"]["memorySizeMB"] == 128


def test_text_has_no_extras(local_aws: LocalAws) -> None:
    request_id, written = run(local_aws, "text-logs", LogFormat="Text")
    assert written[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert next(line for line in written if "went wrong" in line).startswith("[ERROR]")
    # Not the value: a request id may hold it.
    assert "execution" not in "".join(written)
    assert not [line for line in written if "decided" in line], "text logging starts at WARNING"


@pytest.mark.parametrize(("level", "seen"), [("DEBUG", True), ("INFO", False)])
def test_the_level_is_the_functions(local_aws: LocalAws, level: str, seen: bool) -> None:
    _, written = run(local_aws, f"level-{level}", LogFormat="JSON", ApplicationLogLevel=level)
    assert ("never seen" in "".join(written)) is seen


def test_the_format_can_be_changed(local_aws: LocalAws) -> None:
    run(local_aws, "changed-logs", LogFormat="Text")
    client = local_aws.client("lambda")
    config = {"LogGroup": "logs-of-changed-logs", "LogFormat": "JSON"}
    client.update_function_configuration(FunctionName="changed-logs", LoggingConfig=config)
    client.invoke(FunctionName="changed-logs")
    assert '"execution": "e-1"' in "".join(lines(local_aws, "logs-of-changed-logs"))
