"""What API Gateway says itself is a problem, whatever is put for its variables."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from sluice.api import problem_details
from sluice.api.gateway_responses import gateway_responses
from sluice.api_table import Api

SAID = 'User: arn:aws:iam::1:user/ada is not "authorized"\nto perform: execute-api:Invoke'
TABLES = [Api(), Api(authorization="api_key", quota_per_day=10)]


def filled(template: str) -> dict[str, Any]:
    """Fill it as API Gateway does: simple substitution."""
    text = (
        template.replace("$context.error.messageString", json.dumps(SAID))
        .replace("$context.error.responseType", "WAF_FILTERED")
        .replace("$context.requestId", "r-1")
    )
    assert "$context" not in text
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("table", TABLES, ids=["iam", "api_key"])
def test_each_is_a_problem(table: Api) -> None:
    for response in gateway_responses(table).values():
        told = filled(response.template)
        jsonschema.validate(told, problem_details.SCHEMA)
        assert told["request_id"] == "r-1"
        assert told.get("status") == response.status
        assert response.parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"


def test_what_aws_says_of_a_caller_is_passed_on() -> None:
    assert filled(gateway_responses(Api())["ACCESS_DENIED"].template)["detail"] == SAID
    assert filled(gateway_responses(Api())["DEFAULT_4XX"].template)["code"] == "WAF_FILTERED"


def test_a_path_that_is_not_there_is_404_where_that_is_all_it_can_be() -> None:
    # Who signs nothing gets the same answer of API Gateway as who asks for nothing that is there.
    by_iam, by_key = (gateway_responses(table)["MISSING_AUTHENTICATION_TOKEN"] for table in TABLES)
    assert (by_iam.status, by_key.status) == (403, 404)
    assert "not signed" in filled(by_iam.template)["detail"]
    assert filled(by_key.template)["detail"] == "There is no such path: POST /invocations is what there is."


def test_the_limits_are_the_projects() -> None:
    told = gateway_responses(Api(max_rows=7, max_body_kb=2))
    assert "1 to 7 rows" in filled(told["BAD_REQUEST_BODY"].template)["detail"]
    assert "2,048 bytes" in filled(told["REQUEST_TOO_LARGE"].template)["detail"]
    assert told["THROTTLED"].parameters["gatewayresponse.header.Retry-After"] == "'1'"
