from __future__ import annotations

import json
import math
import os

import pytest

from containers.serve.metrics import (
    BUCKETS,
    REFUSALS,
    Totals,
    dimensions_of,
    embedded_metrics,
    prometheus,
)


def lines_of(totals: Totals) -> dict[str, float]:
    found = {}
    for line in prometheus(totals.sums()).decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def test_requests_are_counted_by_status_and_time() -> None:
    totals = Totals(1)
    counters = totals.counters(0)
    counters.request(200, 0.00005, quick=True)
    counters.request(200, 0.004)
    counters.request(400, 1000.0)
    found = lines_of(totals)
    assert found['sluice_invocations_total{status="200"}'] == 2
    assert found['sluice_invocations_total{status="400"}'] == 1
    assert found["sluice_quick_invocations_total"] == 1
    assert found['sluice_invocation_seconds_bucket{le="0.0001"}'] == 1
    assert found['sluice_invocation_seconds_bucket{le="0.005"}'] == 2
    assert found['sluice_invocation_seconds_bucket{le="+Inf"}'] == 3
    assert found["sluice_invocation_seconds_count"] == 3
    assert found["sluice_invocation_seconds_sum"] == 1000.00405


def test_a_bound_belongs_to_its_own_bucket() -> None:
    totals = Totals(1)
    totals.counters(0).request(200, BUCKETS[3])
    assert lines_of(totals)[f'sluice_invocation_seconds_bucket{{le="{BUCKETS[3]}"}}'] == 1


def test_any_worker_tells_the_sums_of_all() -> None:
    totals = Totals(3)
    totals.counters(0).request(200, 0.001)
    child = os.fork()
    if child == 0:
        totals.counters(2).request(200, 0.001)
        os._exit(0)
    os.waitpid(child, 0)
    assert lines_of(totals)['sluice_invocations_total{status="200"}'] == 2
    assert totals.counters(1).totals.sums() == totals.sums()


def test_a_minute_becomes_one_line_of_embedded_metrics() -> None:
    totals = Totals(1)
    before = totals.sums()
    counters = totals.counters(0)
    for status in (200, 200, 400, 500, 503):
        counters.request(status, 0.001)
    line = embedded_metrics(totals.sums(), before, 1_700_000_000_000)
    assert line is not None
    told = json.loads(line)
    assert (told["Requests"], told["Refused"], told["Failed"], told["Overloaded"]) == (5, 1, 1, 1)
    assert told["MeanLatency"] == 1000.0
    (definition,) = told["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in definition["Metrics"]} == told.keys() - {"_aws"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        (
            {"SLUICE_ENDPOINT": "churn-prod", "SLUICE_VARIANT": "AllTraffic"},
            {"EndpointName": "churn-prod", "VariantName": "AllTraffic"},
        ),
        ({"SLUICE_ENDPOINT": "churn-prod", "SLUICE_VARIANT": ""}, {"EndpointName": "churn-prod"}),
        # In a transform job of the endpoint's own model.
        ({"SLUICE_ENDPOINT": "churn-prod", "SLUICE_MODEL": "m", "SAGEMAKER_BATCH": "true"}, {}),
    ],
)
def test_metrics_are_those_of_an_endpoint(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: dict[str, str]
) -> None:
    for name in ("SLUICE_ENDPOINT", "SLUICE_VARIANT", "SLUICE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    totals = Totals(1)
    before = totals.sums()
    totals.counters(0).request(200, 0.001)
    line = embedded_metrics(totals.sums(), before, 1_700_000_000_000)
    assert line is not None
    told = json.loads(line)
    (definition,) = told["_aws"]["CloudWatchMetrics"]
    # A dimension is a name in the definition and a member of the document, beside the metrics and none of them.
    assert definition["Dimensions"] == [list(expected)]
    assert {name: told[name] for name in expected} == expected
    assert set(expected).isdisjoint(metric["Name"] for metric in definition["Metrics"])
    assert told["Requests"] == 1


def test_two_fleets_of_a_variant_are_told_apart() -> None:
    totals = Totals(1)
    before = totals.sums()
    totals.counters(0).request(200, 0.001)
    whose = {"EndpointName": "churn-prod", "VariantName": "AllTraffic", "EndpointConfigName": "churn-prod-2"}
    named = {"SLUICE_ENDPOINT": "churn-prod", "SLUICE_VARIANT": "AllTraffic", "SLUICE_MODEL": "churn-prod-2"}
    assert dimensions_of(named) == whose
    line = embedded_metrics(totals.sums(), before, 1_700_000_000_000, whose)
    assert line is not None
    told = json.loads(line)
    (definition,) = told["_aws"]["CloudWatchMetrics"]
    assert definition["Dimensions"] == [
        ["EndpointName", "VariantName"],
        ["EndpointName", "VariantName", "EndpointConfigName"],
    ]
    assert {name: told[name] for name in whose} == whose


def test_what_models_say_is_told_in_sums_of_all_workers() -> None:
    totals = Totals(2)
    totals.counters(0).predicted(9, 9.0, 9.0)
    before = totals.sums()
    totals.counters(0).predicted(1, 0.5, 0.25)
    totals.counters(1).predicted(2, -1.0, 0.75)
    for worker in (0, 1):
        totals.counters(worker).request(200, 100.0)  # the last bucket is the cell before
    line = embedded_metrics(totals.sums(), before, 0, {})
    assert line is not None
    told = json.loads(line)
    assert (told["Predictions"], told["PredictedSum"], told["PredictedSquares"]) == (3, -0.5, 1.0)
    assert (told["Requests"], told["MeanLatency"]) == (2, 1e8)
    found = lines_of(totals)
    assert (found["sluice_predicted_count"], found["sluice_predicted_sum"]) == (12, 8.5)
    assert found['sluice_invocation_seconds_bucket{le="+Inf"}'] == 2


def test_numbers_whose_squares_are_none_are_not_told() -> None:
    totals = Totals(1)
    before = totals.sums()
    totals.counters(0).predicted(1, 1e200, math.inf)
    totals.counters(0).request(200, 0.001)
    line = embedded_metrics(totals.sums(), before, 0, {})
    assert line is not None
    assert "Infinity" not in line
    assert "Predictions" not in json.loads(line)


def test_a_quiet_minute_is_not_told() -> None:
    totals = Totals(1)
    assert embedded_metrics(totals.sums(), totals.sums(), 0) is None


def test_what_the_protocol_refuses_is_told_also_in_a_minute_without_requests() -> None:
    totals = Totals(1)
    before = totals.sums()
    for what in REFUSALS:
        totals.counters(0).refusal(what)
    totals.counters(0).refusal("431")
    assert lines_of(totals)['sluice_refused_connections_total{what="431"}'] == 2
    assert lines_of(totals)['sluice_refused_connections_total{what="dropped"}'] == 1
    line = embedded_metrics(totals.sums(), before, 0)
    assert line is not None
    told = json.loads(line)
    assert (told["Requests"], told["RefusedConnections"]) == (0, len(REFUSALS) + 1)
    assert "MeanLatency" not in told
