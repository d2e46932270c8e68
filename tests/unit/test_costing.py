"""What a project costs, against bills worked out by hand; the arithmetic is in each test, not the code's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from containers.serve.metrics import Totals, embedded_metrics
from infra.guard import guard
from sluice.costing import parts, prices
from sluice.costing.assumptions import Assumptions, NotARate, per_month
from sluice.costing.picture import picture
from sluice.costing.policies import ALARM_METRICS, Policy, policies
from sluice.costing.prices import PriceList
from sluice.costing.serving import Crossing, Way, cheapest, crossings, ways
from sluice.errors import SluiceError
from sluice.instances import Use
from sluice.project import Project

KNOWN = PriceList({})
ROOT = Path(__file__).resolve().parents[2]


def project(**told: Any) -> Project:
    return Project.model_validate(
        {
            "project": {"name": "bank"},
            "target": {"column": "y", "problem": "binary", "positive": "yes"},
            "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
            "features": {"numeric": ["age"]},
            **told,
        }
    )


def bill(told: Project, known: PriceList = KNOWN, features: bool = False, **given: float) -> dict[str, Any]:
    items = parts.month(told, "prod", Assumptions(**given), known, features=features)
    return {item.part: item.usd for item in items}


def of(found: list[Policy], strategy: str) -> Policy:
    (one,) = [each for each in found if each.strategy == strategy]
    return one


FLEET = {
    "serving": {"instance_type": "ml.m5.large", "instance_count": 4},
    "deployment": {"strategy": "canary", "share": 25, "wait_seconds": 600},
}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2000000", 2e6),
        ("2M", 2e6),
        ("1.5k/month", 1500),
        ("1000/day", 1000 * 730 / 24),
        ("10/hour", 7300),
        ("10/second", 26_280_000),
        ("0", 0),
    ],
)
def test_predictions_are_told_by_a_number_and_a_time(text: str, number: float) -> None:
    assert per_month(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "many", "-1", "5/fortnight", "5 6", "M", "nan", "inf"])
def test_what_is_no_number_of_predictions_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(NotARate, match="give it as --predictions 2M/month") as refused:
        per_month(text)
    assert "/month, /day, /hour, /second" in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trainings": -1.0}, "--trainings"),
        ({"request_ms": float("nan")}, "--request-ms"),
        ({"row_ms": float("inf")}, "--row-ms"),
        ({"memory_gb": 7.0}, "SageMaker takes 1, 2, 3, 4, 5 or 6"),
        ({"memory_gb": 1.5}, "a serverless endpoint has no 1.5 GB"),
    ],
)
def test_an_assumption_that_cannot_be_is_refused_with_its_flag(given: dict[str, float], said: str) -> None:
    with pytest.raises(SluiceError, match=said):
        Assumptions(**given)


def test_a_fleet_costs_its_hours_and_its_requests_data() -> None:
    found = bill(project(**FLEET), predictions=5e6, request_kb=2)

    assert found["SageMaker endpoint"] == pytest.approx(4 * 730 * 0.115)  # 335.80
    assert found["SageMaker endpoint, data"] == pytest.approx(10 * 0.016)  # 10 GB


def test_jobs_cost_their_minutes_and_a_search_its_trials() -> None:
    # 4 trainings of two processing jobs and 21 training jobs, six minutes each.
    search = {"trials": 20, "ranges": {"c": {"type": "number", "min": 0.1, "max": 1.0}}}
    found = bill(project(search=search), trainings=4, job_minutes=6)

    assert found["SageMaker processing jobs"] == pytest.approx(4 * 2 * 0.1 * 0.10)  # $0.08
    assert found["SageMaker training jobs"] == pytest.approx(4 * 21 * 0.1 * 0.115)  # $0.966
    assert "SageMaker transform jobs" not in found


def test_a_model_of_an_image_of_ones_own_is_judged_by_two_transform_jobs() -> None:
    found = bill(project(model={"image": "1.dkr/x:1"}), trainings=2, job_minutes=30)

    assert found["SageMaker transform jobs"] == pytest.approx(2 * 2 * 0.5 * 0.115)


def test_what_is_captured_is_kept_for_its_days() -> None:
    # A tenth of 7.3 M requests of 10 kB: 7.3 GB a month, of which ten of 30.4 days are there; a file a minute.
    found = bill(project(capture={"percent": 10, "days": 10}), predictions=7.3e6, request_kb=10)

    gb = 7.3 * 240 / 730
    assert found["S3, capture"] == pytest.approx(gb * 0.023 + 730 * 60 * 0.005 / 1000)
    assert "S3, capture" not in bill(project())


def test_looking_each_hour_whether_the_record_is_true_costs_state_transitions() -> None:
    found = bill(project(), trainings=0)

    assert found["Step Functions"] == pytest.approx(730 * 17 * 0.000025)  # $0.31
    assert found["Lambda"] == 0


def test_functions_cost_memory_time_and_the_scratch_space_beyond_half_a_gigabyte() -> None:
    # One training: six small functions of 3 s at 0.5 GB, one of 60 s at 3,008 MB and 10,240 MB of scratch space.
    found = bill(project(), trainings=1)

    memory = (6 * 3 * 0.5 + 60 * 3008 / 1024) * 0.0000166667
    scratch = 60 * (10240 - 512) / 1024 * 0.0000000309
    assert found["Lambda"] == pytest.approx(memory + scratch + 7 * 0.0000002)


def test_predictions_by_id_read_the_online_store_and_it_is_kept_up() -> None:
    told = project(online={"refresh_minutes": 60, "move_windows": "day"})
    found = bill(told, features=True, predictions=1e6, trainings=0, views=2, entities=1000)

    # Once a day, 1,000 entities of two views; half a read unit a view.
    writes, reads = 730 / 24 * 1000 * 2, 1e6 * 2 / 2
    assert found["DynamoDB, online store"] == pytest.approx(writes * 0.625e-6 + reads * 0.125e-6)
    still = project(online={"refresh_minutes": 0})
    assert bill(still, features=True, predictions=0, trainings=0)["DynamoDB, online store"] == 0
    assert "DynamoDB, online store" not in bill(told)


def test_a_container_that_nobody_asks_tells_no_metrics() -> None:
    assert bill(project(), predictions=0)["CloudWatch, metrics"] == 0
    assert bill(project(), predictions=1e6)["CloudWatch, metrics"] == pytest.approx(20 * 0.30)


def test_a_price_that_is_not_known_is_none_and_the_total_says_so() -> None:
    told = project(serving={"instance_type": "ml.g5.xlarge"})
    items = parts.month(told, "prod", Assumptions(trainings=1), KNOWN, features=False)

    unknown = [item for item in items if item.usd is None]
    assert [item.part for item in unknown] == ["SageMaker endpoint", "deployments, second fleet"]
    assert all("ml.g5.xlarge" in item.sum for item in unknown[:1])
    usd, complete = parts.total(items)
    assert not complete
    assert usd == pytest.approx(sum(item.usd for item in items if item.usd is not None))

    said = parts.month(told, "prod", Assumptions(), PriceList({"ml.g5.xlarge": 1.41}), features=False)
    assert said[0].usd == pytest.approx(730 * 1.41)
    assert parts.total(said)[1]


def test_spot_is_counted_as_on_demand_and_says_that_it_may_be_less() -> None:
    told = project(training={"spot": True})
    (item,) = [
        item
        for item in parts.month(told, "prod", Assumptions(trainings=1), KNOWN, features=False)
        if item.part == "SageMaker training jobs"
    ]
    assert item.usd == pytest.approx(5 / 60 * 0.115)
    assert item.sum.endswith("or less")


def test_the_three_ways_are_what_aws_charges_for_them() -> None:
    given = Assumptions(request_ms=50, request_kb=4, memory_gb=2, row_ms=2, batches=10, job_minutes=6)
    instances, serverless, batch = ways(project(**FLEET), given, KNOWN)

    data = 4 * 0.016 / 1e6
    assert instances.fixed == pytest.approx(335.80)
    assert instances.each == pytest.approx(data)
    # $0.00004 a second at 2 GB, as AWS's page has it by size.
    assert serverless.fixed == 0
    assert serverless.each == pytest.approx(0.05 * 0.00004 + data)
    assert batch.fixed == pytest.approx(10 * 0.1 * 0.115)
    assert batch.each == pytest.approx(0.002 / 3600 * 0.115)
    assert serverless.per_million(1e6) == pytest.approx(2 + 0.064)
    assert serverless.per_million(0) is None


def test_ways_cross_where_they_cost_the_same() -> None:
    always, asked, never = Way("a", 100, 0.0, ""), Way("b", 0, 1e-6, ""), Way("c", None, 0.0, "")

    assert crossings([always, asked, never]) == [Crossing(1e8, "b", "a")]
    assert crossings([Way("dear", 10, 2.0, ""), Way("cheap", 1, 1.0, "")]) == []
    assert crossings([Way("one", 10, 1.0, ""), Way("other", 1, 1.0, "")]) == []


def test_at_a_crossing_both_cost_the_same_and_beside_it_the_one_that_is_named() -> None:
    found = ways(project(**FLEET), Assumptions(), KNOWN)
    by_name = {way.name: way for way in found}
    met = crossings(found)

    assert {(each.below, each.above) for each in met} >= {
        ("serverless", "instances"),
        ("serverless", "batch"),
    }
    for each in met:
        below, above = by_name[each.below], by_name[each.above]
        assert below.monthly(each.predictions) == pytest.approx(above.monthly(each.predictions))
        assert cheapest([below, above], each.predictions / 2) is below
        assert cheapest([below, above], each.predictions * 2) is above


def test_serverless_and_the_smallest_instance_cross_where_the_hand_says() -> None:
    # $40.88 a month of ml.t2.medium, $0.80 a million requests of 20 ms at 2 GB.
    (met,) = [each for each in crossings(ways(project(), Assumptions(), KNOWN)) if each.above == "instances"][
        :1
    ]
    assert met.predictions == pytest.approx(40.88 / 0.8e-6)


def test_nothing_costs_least_where_no_price_is_known() -> None:
    assert cheapest([Way("a", None, 0.0, "")], 1) is None


def test_blue_green_pays_a_second_fleet_for_as_long_as_it_takes() -> None:
    found = policies(project(**FLEET), "prod", Assumptions(start_minutes=5), KNOWN)
    canary, once = of(found, "canary"), of(found, "all_at_once")

    # Five minutes until it is up, and ten for the canary, ten for all.
    assert (canary.share, canary.chosen, canary.minutes) == (25, True, 25)
    assert canary.extra_hours == pytest.approx(4 * 25 / 60)
    alarms = (2 + 4 + 4 + 6) * 0.10 / 730
    assert canary.usd == pytest.approx(4 * 25 / 60 * 0.115 + alarms)
    assert (once.minutes, once.chosen) == (15, False)
    # Four steps of a quarter.
    assert of(found, "linear").minutes == 5 + 4 * 10


def test_rolling_pays_one_batch_beside_the_fleet_and_starts_each() -> None:
    rolling = of(policies(project(**FLEET), "prod", Assumptions(start_minutes=5), KNOWN), "rolling")

    # One of four at a time: four starts of five minutes, four waits of ten.
    assert (rolling.share, rolling.minutes) == (25, 60)
    assert rolling.extra_hours == pytest.approx(1.0)


def test_a_policy_that_the_fleet_cannot_have_says_why() -> None:
    found = policies(project(), "prod", Assumptions(), KNOWN)

    assert of(found, "all_at_once").chosen
    for strategy in ("canary", "linear", "rolling"):
        one = of(found, strategy)
        assert "serving.instance_count = 1 is no instance" in one.impossible
        assert one.usd is None
    silent = project(
        serving={"instance_count": 2},
        deployment={"alarms": dict.fromkeys(("max_error_rate", "max_refused_rate"))}
        | {"wait_seconds": 60, "environments": ["prod"]},
    )
    assert "wait_seconds: 60" in of(policies(silent, "prod", Assumptions(), KNOWN), "canary").impossible


def test_where_the_policy_does_not_hold_all_goes_over_at_once_and_nothing_watches() -> None:
    found = policies(project(**FLEET), "dev", Assumptions(start_minutes=5), KNOWN)
    once = of(found, "all_at_once")

    assert (once.chosen, once.minutes) == (True, 5)
    assert once.usd == pytest.approx(4 * 5 / 60 * 0.115)
    assert not of(found, "canary").chosen


def test_an_alarm_is_charged_for_as_many_metrics_as_the_deployment_has_it_look_at() -> None:
    told = project(**{**FLEET, "deployment": {**FLEET["deployment"], "alarms": {"max_latency_ms": 50}}})
    found = guard(told, "prod")
    assert found is not None
    looked_at = {
        each["AlarmName"].rpartition("{model}-")[2]: sum("MetricStat" in metric for metric in each["Metrics"])
        for each in found["alarms"]
    }
    assert looked_at == ALARM_METRICS


def test_the_serving_container_tells_as_many_metrics_as_are_counted() -> None:
    def told(*, by_id: bool) -> int:
        totals = Totals(1)
        before = totals.sums()
        counters = totals.counters(0)
        counters.request(200, 0.001)
        counters.predicted(1, 0.5, 0.25)
        if by_id:
            counters.entities(1, 0, 0, 0)
        line = embedded_metrics(totals.sums(), before, 0, {"EndpointName": "e", "EndpointConfigName": "c"})
        (definition,) = json.loads(str(line))["_aws"]["CloudWatchMetrics"]
        return len(definition["Metrics"]) * len(definition["Dimensions"])

    flat = parts.month(project(), "prod", Assumptions(), KNOWN, features=False)
    by_id = parts.month(project(), "prod", Assumptions(), KNOWN, features=True)
    for items, count in ((flat, told(by_id=False)), (by_id, told(by_id=True))):
        (item,) = [item for item in items if item.part == "CloudWatch, metrics"]
        assert item.usd == pytest.approx(count * 0.30)


def test_the_document_names_every_price_and_what_is_in_no_total() -> None:
    text = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    for price in prices.FLAT.values():
        assert f"| {price.unit} |" in text
        assert price.source in text
    for use, instance_type in prices.INSTANCES:
        assert f"{instance_type} {prices.INSTANCES[use, instance_type].usd:g}" in text
    for what in prices.NOT_COUNTED:
        assert what in text
    assert prices.REGION in text
    assert prices.AS_OF in text


def test_every_price_says_its_unit_and_where_it_is_from() -> None:
    for price in (*prices.FLAT.values(), *prices.INSTANCES.values()):
        assert price.usd > 0
        assert price.unit
        assert price.source.startswith(("https://aws.amazon.com/", "https://docs.aws.amazon.com/"))
    assert set(prices.FLAT.values()) == {
        each for each in vars(prices).values() if isinstance(each, prices.Price)
    }


def test_spot_has_the_price_of_training_and_a_persons_price_goes_first() -> None:
    assert KNOWN.hourly(Use.SPOT_TRAINING, "ml.m5.large") == 0.115
    assert PriceList({"ml.m5.large": 0.2}).hourly(Use.ENDPOINT, "ml.m5.large") == 0.2
    assert KNOWN.hourly(Use.ENDPOINT, "ml.unheard.of") is None


def test_the_picture_shows_each_way_its_crossings_and_where_one_is() -> None:
    found = ways(project(), Assumptions(), KNOWN)
    met = crossings(found)
    drawn = picture("a <title>", found, met, 1e6)

    assert drawn.startswith("<svg ")
    assert "a &lt;title&gt;" in drawn
    assert drawn.count("<polyline") == 3
    assert drawn.count("<circle") == len(met) == 3
    assert "51.1M" in drawn
    assert "stroke-dasharray" in drawn
    unknown = [dataclasses.replace(way, fixed=None) if way.name == "batch" else way for way in found]
    assert picture("t", unknown, [], 0).count("<polyline") == 2
