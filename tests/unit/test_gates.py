import math
from typing import Any

import pytest

from sluice.errors import GateFailed
from sluice.judging.gates import decide
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.project import Gates


def evaluation(
    challenger: dict[str, float],
    champion: dict[str, float] | None = None,
    *,
    champion_error: str | None = None,
    rows: int = 1_000,
    problem: Any = "binary",
) -> Evaluation:
    current = None
    if champion is not None or champion_error:
        current = ModelEvaluation(metrics=champion or {}, error=champion_error, model_uri="s3://b/champion")
    return Evaluation(
        problem=problem,
        held_out_rows=rows,
        challenger=ModelEvaluation(metrics=challenger, model_uri="s3://b/challenger"),
        champion=current,
    )


GATES = Gates(minimum={"roc_auc": 0.8}, compare="roc_auc")


def test_a_first_model_above_the_minimum_is_promoted() -> None:
    decision = decide(evaluation({"roc_auc": 0.8421}), GATES)
    assert decision.promote
    assert decision.champion_metrics is None
    assert decision.reasons == [
        "Judged on 1,000 held-out rows; at least 50 are needed.",
        "roc_auc is 0.8421, and at least 0.8 was asked for.",
        "There is no champion yet: only the minimums apply.",
    ]


def test_below_the_minimum_is_refused_with_both_figures() -> None:
    decision = decide(evaluation({"roc_auc": 0.79996}), GATES)
    assert not decision.promote
    assert "roc_auc is 0.79996, below the 0.8 that was asked for." in decision.reasons


@pytest.mark.parametrize(
    ("metric", "value", "best", "tolerance", "promoted"),
    [
        ("roc_auc", 0.85, 0.85, 0.0, True),
        ("roc_auc", 0.86, 0.85, 0.0, True),
        ("roc_auc", 0.84, 0.85, 0.0, False),
        ("roc_auc", 0.84, 0.85, 0.01, True),
        ("roc_auc", 0.83, 0.85, 0.01, False),
        ("log_loss", 0.3, 0.4, 0.0, True),
        ("log_loss", 0.4, 0.3, 0.0, False),
        ("log_loss", 0.4, 0.3, 0.1, True),
        ("roc_auc", math.nan, 0.85, 0.0, False),
    ],
)
def test_the_champion_is_not_to_be_beaten_by_less(
    metric: str, value: float, best: float, tolerance: float, promoted: bool
) -> None:
    gates = Gates(compare=metric, tolerance=tolerance)
    decision = decide(evaluation({metric: value}, {metric: best}), gates)
    assert decision.promote is promoted
    assert decision.champion_metrics == {metric: best}


@pytest.mark.parametrize(
    ("metric", "value", "best", "tolerance", "said"),
    [
        ("roc_auc", 0.85, 0.85, 0.0, "roc_auc is 0.85, as good as the champion's 0.85 on the same rows."),
        ("roc_auc", 0.86, 0.85, 0.0, "roc_auc is 0.86, better than the champion's 0.85 on the same rows."),
        ("log_loss", 0.3, 0.4, 0.0, "log_loss is 0.3, better than the champion's 0.4 on the same rows."),
        (
            "roc_auc",
            0.845,
            0.85,
            0.01,
            "roc_auc is 0.845, hardly worse than the champion's 0.85 on the same rows"
            " (a tolerance of 0.01 is allowed).",
        ),
        (
            "log_loss",
            0.5,
            0.4,
            0.01,
            "log_loss is 0.5, worse than the champion's 0.4 on the same rows (a tolerance of 0.01 is allowed).",
        ),
        # As many digits as tell the figures apart, and no more.
        ("roc_auc", 0.842113, 0.842111, 0.0, "roc_auc is 0.842113, better than the champion's 0.842111 on"),
        ("roc_auc", 0.8421134, 0.7333333, 0.0, "roc_auc is 0.8421, better than the champion's 0.7333 on"),
    ],
)
def test_the_reason_says_how_the_two_stand_to_each_other(
    metric: str, value: float, best: float, tolerance: float, said: str
) -> None:
    gates = Gates(compare=metric, tolerance=tolerance)
    assert decide(evaluation({metric: value}, {metric: best}), gates).reasons[-1].startswith(said)


@pytest.mark.parametrize(("value", "promoted"), [(0.840_000_01, True), (0.84, True), (0.839_999_99, False)])
def test_the_tolerance_is_allowed_to_its_end_and_no_further(value: float, promoted: bool) -> None:
    """0.85 - 0.84 is 0.010000000000000009 in a computer; a hundred-millionth beyond the tolerance is beyond it."""
    gates = Gates(compare="roc_auc", tolerance=0.01)
    assert decide(evaluation({"roc_auc": value}, {"roc_auc": 0.85}), gates).promote is promoted


@pytest.mark.parametrize(("value", "promoted"), [(0.799_999, False), (0.8, True), (0.800_001, True)])
def test_the_minimum_itself_is_enough(value: float, promoted: bool) -> None:
    assert decide(evaluation({"roc_auc": value}), GATES).promote is promoted


@pytest.mark.parametrize("metric", ["log_loss", "brier", "rmse", "mae"])
def test_of_an_error_less_is_better(metric: str) -> None:
    gates = Gates(compare=metric)
    assert decide(evaluation({metric: 0.1}, {metric: 0.2}), gates).promote
    assert not decide(evaluation({metric: 0.2}, {metric: 0.1}), gates).promote


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy", "f1", "f1_macro", "r2"])
def test_of_a_score_more_is_better(metric: str) -> None:
    gates = Gates(compare=metric)
    assert decide(evaluation({metric: 0.2}, {metric: 0.1}), gates).promote
    assert not decide(evaluation({metric: 0.1}, {metric: 0.2}), gates).promote


@pytest.mark.parametrize(("value", "promoted"), [(1.9, True), (2.0, True), (2.1, False)])
def test_the_minimum_of_an_error_metric_is_a_maximum(value: float, promoted: bool) -> None:
    gates = Gates(minimum={"rmse": 2.0}, compare="rmse")
    decision = decide(evaluation({"rmse": value}, problem="regression"), gates)
    assert decision.promote is promoted
    assert ("at most 2" if promoted else "above the 2") in decision.reasons[1]


@pytest.mark.parametrize("best", [math.nan, math.inf, -math.inf])
def test_a_champion_without_a_figure_is_not_compared_with(best: float) -> None:
    decision = decide(evaluation({"roc_auc": 0.9}, {"roc_auc": best}), GATES)
    assert decision.promote
    assert decision.reasons[-1] == (
        "The champion could not be judged, so only the minimums apply: it has no roc_auc on the held-out rows"
    )
    assert decision.champion_metrics == {}


def test_just_enough_held_out_rows_are_enough() -> None:
    assert decide(evaluation({"roc_auc": 0.9}, rows=50), GATES).promote


def test_too_few_held_out_rows_refuse() -> None:
    decision = decide(evaluation({"roc_auc": 0.9}, rows=49), GATES)
    assert not decision.promote
    assert decision.reasons[0] == "Only 49 held-out rows; at least 50 are needed to judge a model."


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_a_metric_that_is_no_figure_refuses_and_does_not_travel(metric: str) -> None:
    decision = decide(evaluation({"roc_auc": 0.9, metric: math.nan}), GATES)
    assert not decision.promote
    assert metric not in decision.metrics
    assert any(f"{metric} is nan, which is no figure" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("champion", "error"),
    [
        (None, "its archive is not there any more"),
        (None, "the model's archive cannot be unpacked"),
        (None, "it takes 'age', which is no feature any more"),
        ({"roc_auc": math.nan}, None),
        ({"f1": 0.5}, None),
    ],
)
@pytest.mark.parametrize(
    ("policy", "challenger", "promoted"),
    [
        ({}, 0.9, True),
        ({}, 0.7, False),
        ({"unjudged_champion": "minimums"}, 0.9, True),
        ({"unjudged_champion": "reject"}, 0.9, False),
        ({"unjudged_champion": "reject"}, 0.7, False),
    ],
)
def test_what_a_champion_that_could_not_be_judged_means_is_the_projects_to_say(
    champion: dict[str, float] | None,
    error: str | None,
    policy: dict[str, Any],
    challenger: float,
    promoted: bool,
) -> None:
    gates = Gates(minimum={"roc_auc": 0.8}, compare="roc_auc", **policy)
    decision = decide(evaluation({"roc_auc": challenger}, champion, champion_error=error), gates)
    assert decision.promote is promoted
    reason = decision.reasons[-1]
    assert reason.startswith("The champion could not be judged")
    assert (error or "it has no roc_auc") in reason
    if policy == {"unjudged_champion": "reject"}:
        assert 'set that to "minimums"' in reason
    else:
        assert "only the minimums apply" in reason


def test_a_challenger_that_could_not_score_is_refused() -> None:
    broken = evaluation({}).model_copy(
        update={"challenger": ModelEvaluation(model_uri="s3://b/c", error="it raised")}
    )
    decision = decide(broken, GATES)
    assert not decision.promote
    assert "it raised" in decision.reasons[-1]


def test_a_gate_on_a_metric_that_was_not_computed_is_a_failure() -> None:
    with pytest.raises(GateFailed, match="the evaluation has no roc_auc"):
        decide(evaluation({"rmse": 1.0}, problem="regression"), GATES)
    with pytest.raises(GateFailed, match="its metrics are: mae, rmse"):
        decide(evaluation({"rmse": 1.0, "mae": 0.5}, problem="regression"), GATES)
    with pytest.raises(GateFailed, match="its metrics are: none"):
        decide(evaluation({}), GATES)
