import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.errors import GateFailed
from sluice.gate_tables import FairnessGate, Gates, SliceGate
from sluice.judging.gates import decide
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.payloads.evaluation import Bounds, Comparison, Figure, Gap, Latency, SliceEvaluation
from sluice.payloads.training import GateDecision, Rule


def evaluation(
    challenger: dict[str, float],
    champion: dict[str, float] | None = None,
    *,
    half: float | None = 0.005,
    champion_error: str | None = None,
    rows: int = 1_000,
    problem: Any = "binary",
    confidence: float = 0.95,
    **more: Any,
) -> Evaluation:
    """An evaluation where each difference may be off by `half`, or by nobody knows how much."""
    current = None
    if champion is not None or champion_error:
        current = ModelEvaluation(metrics=champion or {}, error=champion_error, model_uri="s3://b/champion")
    comparisons = {
        name: compared(challenger[name] - best, half)
        for name, best in (champion or {}).items()
        if name in challenger
    }
    return Evaluation(
        problem=problem,
        held_out_rows=rows,
        confidence=confidence,
        challenger=ModelEvaluation(metrics=challenger, model_uri="s3://b/challenger"),
        champion=current,
        comparisons=comparisons,
        **more,
    )


def compared(difference: float, half: float | None) -> Comparison:
    bounds = None if half is None else Bounds(low=difference - half, high=difference + half)
    return Comparison(difference=difference, bounds=bounds, method="by hand")


def rule(decision: GateDecision, name: str) -> Rule:
    (found,) = (each for each in decision.rules if each.name == name)
    return found


GATES = Gates(minimum={"roc_auc": 0.8}, compare="roc_auc")
NEVER_WORSE: dict[str, Any] = {"rule": "non-inferiority", "margin": 0.01}


def test_a_first_model_above_the_minimum_is_promoted() -> None:
    decision = decide(evaluation({"roc_auc": 0.8421}), GATES)
    assert decision.promote
    assert decision.champion_metrics is None
    assert decision.reasons == [
        "Judged on 1,000 held-out rows; at least 50 are needed.",
        "roc_auc is 0.8421, and at least 0.8 was asked for.",
        "There is no champion yet: it is held against limits only.",
    ]
    assert rule(decision, "minimum.roc_auc") == Rule(
        name="minimum.roc_auc", figure=0.8421, limit=0.8, passed=True, sentence=decision.reasons[1]
    )


def test_below_the_minimum_is_refused_with_both_figures() -> None:
    decision = decide(evaluation({"roc_auc": 0.79996}), GATES)
    assert not decision.promote
    assert "roc_auc is 0.79996, below the 0.8 that was asked for." in decision.reasons
    assert not rule(decision, "minimum.roc_auc").passed


@pytest.mark.parametrize(
    ("metric", "value", "best", "half", "promoted"),
    [
        ("roc_auc", 0.86, 0.85, 0.009, True),
        # A gain that may be luck is none.
        ("roc_auc", 0.86, 0.85, 0.011, False),
        ("roc_auc", 0.85, 0.85, 0.0, False),
        ("roc_auc", 0.85, 0.85, 0.02, False),
        ("roc_auc", 0.84, 0.85, 0.001, False),
        ("log_loss", 0.3, 0.4, 0.09, True),
        ("log_loss", 0.3, 0.4, 0.11, False),
        ("log_loss", 0.4, 0.3, 0.01, False),
        ("roc_auc", 0.86, 0.85, None, False),
        ("roc_auc", math.nan, 0.85, 0.001, False),
    ],
)
def test_with_no_configuration_a_champion_is_replaced_only_by_one_that_is_shown_to_be_better(
    metric: str, value: float, best: float, half: float | None, promoted: bool
) -> None:
    decision = decide(evaluation({metric: value}, {metric: best}, half=half), Gates(compare=metric))
    assert decision.promote is promoted
    assert decision.champion_metrics == {metric: best}


@pytest.mark.parametrize(
    ("metric", "value", "best", "half", "promoted"),
    [
        ("roc_auc", 0.85, 0.85, 0.0, True),
        ("roc_auc", 0.845, 0.85, 0.004, True),
        # It looks worse by less than the margin, but may be worse by more.
        ("roc_auc", 0.845, 0.85, 0.006, False),
        ("roc_auc", 0.86, 0.85, 0.03, False),
        ("roc_auc", 0.86, 0.85, 0.019, True),
        ("log_loss", 0.404, 0.4, 0.005, True),
        ("log_loss", 0.404, 0.4, 0.007, False),
        ("roc_auc", 0.85, 0.85, None, False),
    ],
)
def test_non_inferiority_lets_pass_what_is_shown_to_be_worse_by_less_than_the_margin(
    metric: str, value: float, best: float, half: float | None, promoted: bool
) -> None:
    gates = Gates(compare=metric, **NEVER_WORSE)
    decision = decide(evaluation({metric: value}, {metric: best}, half=half), gates)
    assert decision.promote is promoted
    assert rule(decision, "non-inferiority").limit == -0.01


@pytest.mark.parametrize(
    ("low", "improvement", "non_inferiority"),
    [(0.0, False, True), (1e-9, True, True), (-0.01, False, False), (-0.009_999_99, False, True)],
)
def test_a_bound_at_the_limit_is_not_beyond_it(low: float, improvement: bool, non_inferiority: bool) -> None:
    told = evaluation({"roc_auc": 0.86}, {"roc_auc": 0.85})
    bounds = Bounds(low=low, high=0.05)
    told = told.model_copy(
        update={"comparisons": {"roc_auc": Comparison(difference=0.01, bounds=bounds, method="by hand")}}
    )
    assert decide(told, Gates(compare="roc_auc")).promote is improvement
    assert decide(told, Gates(compare="roc_auc", **NEVER_WORSE)).promote is non_inferiority


@pytest.mark.parametrize(
    ("metric", "value", "best", "half", "more", "said"),
    [
        (
            *("roc_auc", 0.86, 0.85, 0.004, {}),
            "roc_auc is 0.86, the champion's 0.85 on the same 1,000 rows. It is better, with 95 % confidence by "
            "0.006 at least.",
        ),
        (
            *("roc_auc", 0.85, 0.85, 0.0, {}),
            "roc_auc is 0.85, the champion's 0.85 on the same 1,000 rows. They do not differ, and an equal model "
            "takes nobody's place.",
        ),
        (
            *("roc_auc", 0.852, 0.85, 0.005, {}),
            "roc_auc is 0.852, the champion's 0.85 on the same 1,000 rows. It looks better, which may be luck: with "
            "95 % confidence one can only say that it may be worse by 0.003.",
        ),
        (
            *("log_loss", 0.401, 0.4, 0.005, {}),
            "log_loss is 0.401, the champion's 0.4 on the same 1,000 rows. It looks no better, which may be luck: "
            "with 95 % confidence one can only say that it may be worse by 0.006.",
        ),
        (
            *("log_loss", 0.45, 0.4, 0.01, {}),
            "log_loss is 0.45, the champion's 0.4 on the same 1,000 rows. It is worse, with 95 % confidence by 0.04 "
            "at least.",
        ),
        (
            *("roc_auc", 0.86, 0.85, None, {}),
            "roc_auc is 0.86, the champion's 0.85 on the same 1,000 rows. They are too few to tell one from the "
            "other.",
        ),
        (
            *("roc_auc", 0.848, 0.85, 0.004, NEVER_WORSE),
            "roc_auc is 0.848, the champion's 0.85 on the same 1,000 rows. If it is worse, then with 95 % confidence "
            "by no more than 0.006, and less than 0.01 is allowed.",
        ),
        (
            *("roc_auc", 0.848, 0.85, 0.04, NEVER_WORSE),
            "roc_auc is 0.848, the champion's 0.85 on the same 1,000 rows. It may be worse by 0.042 (with 95 % "
            "confidence), and less than 0.01 is allowed.",
        ),
        (
            *("roc_auc", 0.86, 0.85, 0.004, NEVER_WORSE),
            "roc_auc is 0.86, the champion's 0.85 on the same 1,000 rows. It is no worse, with 95 % confidence.",
        ),
        # As many digits as tell the figures apart, and no more.
        ("roc_auc", 0.842113, 0.842111, 0.1, {}, "roc_auc is 0.842113, the champion's 0.842111 on"),
        ("roc_auc", 0.8421134, 0.7333333, 0.0, {}, "roc_auc is 0.8421, the champion's 0.7333 on"),
    ],
)
def test_the_sentence_says_what_is_known_of_the_difference(
    metric: str, value: float, best: float, half: float | None, more: dict[str, Any], said: str
) -> None:
    gates = Gates(compare=metric, **more)
    told = evaluation({metric: value}, {metric: best}, half=half)
    assert decide(told, gates).reasons[-1].startswith(said)


@pytest.mark.parametrize(("value", "promoted"), [(0.799_999, False), (0.8, True), (0.800_001, True)])
def test_the_minimum_itself_is_enough(value: float, promoted: bool) -> None:
    assert decide(evaluation({"roc_auc": value}), GATES).promote is promoted


@pytest.mark.parametrize("metric", ["log_loss", "brier", "rmse", "mae"])
def test_of_an_error_less_is_better(metric: str) -> None:
    gates = Gates(compare=metric)
    assert decide(evaluation({metric: 0.1}, {metric: 0.2}), gates).promote
    assert not decide(evaluation({metric: 0.2}, {metric: 0.1}), gates).promote


@pytest.mark.parametrize(
    "metric", ["roc_auc", "average_precision", "accuracy", "f1", "precision", "recall", "f1_macro", "r2"]
)
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
    assert all(each.figure is None or math.isfinite(each.figure) for each in decision.rules)
    assert any(f"{metric} is nan, which is no figure" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("champion", "error"),
    [
        (None, "its archive is not there any more"),
        (None, "the model's archive cannot be unpacked"),
        (None, "it takes 'age', which is no feature any more"),
        ({"roc_auc": math.nan}, None),
        ({"roc_auc": math.inf}, None),
        ({"f1": 0.5}, None),
    ],
)
@pytest.mark.parametrize(
    ("policy", "challenger", "promoted"),
    [
        ({}, 0.9, False),
        ({"unjudged_champion": "minimums"}, 0.9, True),
        ({"unjudged_champion": "minimums"}, 0.7, False),
        ({"unjudged_champion": "reject"}, 0.9, False),
        ({"unjudged_champion": "reject"}, 0.7, False),
    ],
)
def test_a_champion_that_could_not_be_judged_blocks_or_counts_as_beaten_and_the_sentence_says_which(
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
    if policy == {"unjudged_champion": "minimums"}:
        assert "counts as beaten" in reason
    else:
        assert 'blocks, for gates.unjudged_champion is "reject"' in reason
        assert 'set that to "minimums"' in reason


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


@pytest.mark.parametrize(
    "told",
    [
        evaluation({"roc_auc": 0.9}, {"roc_auc": 0.85}, confidence=0.9),
        evaluation({"roc_auc": 0.9}, {"roc_auc": 0.85}).model_copy(update={"comparisons": {}}),
        # As it was written before there were intervals.
        evaluation({"roc_auc": 0.9}, {"roc_auc": 0.85}).model_copy(
            update={"confidence": None, "comparisons": {}}
        ),
    ],
)
def test_what_was_compared_in_another_way_is_not_decided_on(told: Evaluation) -> None:
    with pytest.raises(GateFailed, match="does not compare roc_auc with a confidence of") as caught:
        decide(told, GATES)
    assert "evaluate again" in caught.value.fix


SLICES = Gates(
    compare="roc_auc",
    slices=(SliceGate(column="who", minimum={"roc_auc": 0.7}, margin=0.02),),
)


def part(value: str, auc: float | None, gain: float | None = None, **more: Any) -> SliceEvaluation:
    figure = Figure(value=auc) if auc is not None else Figure(why="all of its rows are negative")
    return SliceEvaluation(
        gate=0,
        column="who",
        value=value,
        rows=200,
        challenger={"roc_auc": figure},
        comparison=None if gain is None else compared(gain, 0.01),
        **more,
    )


def parted(parts: Sequence[SliceEvaluation], *, champion: bool = True) -> Evaluation:
    return evaluation({"roc_auc": 0.9}, {"roc_auc": 0.8} if champion else None, slices=tuple(parts))


FEW = SliceEvaluation(gate=0, column="who", value="few", rows=7, unjudged="7 rows, and 100 are needed")


def test_the_worst_part_decides_on_limit_and_margin() -> None:
    decision = decide(parted([part("a", 0.9, 0.0), part("b", 0.72, 0.05), FEW]), SLICES)
    assert decision.promote
    assert rule(decision, "slices.who.minimum.roc_auc").sentence == (
        "roc_auc where who is 'b', of 2 parts the worst, is 0.72, and at least 0.7 was asked for. Not judged: 'few' "
        "(7 rows, and 100 are needed)."
    )
    margin = rule(decision, "slices.who.margin")
    assert margin.figure == pytest.approx(-0.01)
    assert margin.limit == -0.02
    assert margin.sentence == (
        "Where who is 'a', of 2 parts the worst, roc_auc may be worse than the champion's by 0.01 (with 95 % "
        "confidence), and less than 0.02 is allowed. Not judged: 'few' (7 rows, and 100 are needed)."
    )


@pytest.mark.parametrize(
    ("parts", "failing"),
    [
        ([part("a", 0.9, 0.0), part("b", 0.69, 0.05)], "slices.who.minimum.roc_auc"),
        ([part("a", 0.9, -0.011), part("b", 0.9, 0.05)], "slices.who.margin"),
    ],
)
def test_one_part_that_does_not_hold_refuses(parts: list[SliceEvaluation], failing: str) -> None:
    decision = decide(parted(parts), SLICES)
    assert [each.name for each in decision.rules if not each.passed] == [failing]


def test_a_first_model_has_limits_in_its_parts_and_no_margins() -> None:
    decision = decide(parted([part("a", 0.9)], champion=False), SLICES)
    assert decision.promote
    assert "slices.who.margin" not in {each.name for each in decision.rules}


@pytest.mark.parametrize("parts", [[FEW], [part("one class", None)]])
def test_where_no_part_can_be_judged_the_rule_is_not_met(parts: list[SliceEvaluation]) -> None:
    decision = decide(parted(parts), SLICES)
    assert not decision.promote
    reason = "7 rows, and 100 are needed" if parts == [FEW] else "all of its rows are negative"
    assert rule(decision, "slices.who.minimum.roc_auc").sentence == (
        f"Of who no part could be judged: {parts[0].value!r} ({reason})."
    )


def test_a_part_that_is_named_has_to_be_judged() -> None:
    named = Gates(
        compare="roc_auc", slices=(SliceGate(column="who", values=("a", "few"), minimum={"roc_auc": 0.7}),)
    )
    decision = decide(parted([part("a", 0.9), FEW]), named)
    assert not decision.promote
    assert rule(decision, "slices.who.minimum.roc_auc").sentence == (
        "Of who not every value that gates.slices names could be judged: 'few' (7 rows, and 100 are needed)."
    )


def test_of_an_error_the_worst_part_has_the_most() -> None:
    gates = Gates(compare="rmse", slices=(SliceGate(column="who", minimum={"rmse": 2.0}),))
    parts = [
        SliceEvaluation(gate=0, column="who", value=value, rows=200, challenger={"rmse": Figure(value=rmse)})
        for value, rmse in (("a", 1.0), ("b", 2.5), ("c", 1.5))
    ]
    decision = decide(evaluation({"rmse": 1.5}, problem="regression", slices=tuple(parts)), gates)
    found = rule(decision, "slices.who.minimum.rmse")
    assert (found.figure, found.passed) == (2.5, False)
    assert "where who is 'b'" in found.sentence


def test_of_many_parts_a_few_are_named() -> None:
    few = [FEW.model_copy(update={"value": f"few {number}"}) for number in range(8)]
    sentence = rule(decide(parted([part("a", 0.9, 0.05), *few]), SLICES), "slices.who.margin").sentence
    assert "'few 4'" in sentence
    assert "'few 5'" not in sentence
    assert sentence.endswith(" and 3 more.")


def test_parts_that_were_not_looked_at_are_a_failure() -> None:
    with pytest.raises(GateFailed, match="no slices of 'who'"):
        decide(parted([]), SLICES)
    lacking = part("a", 0.9, 0.0).model_copy(update={"challenger": {}})
    with pytest.raises(GateFailed, match="no roc_auc in slices of 'who'"):
        decide(parted([lacking]), SLICES)
    fair = Gates(compare="roc_auc", fairness=FairnessGate(columns=("who",), max_calibration=0.1))
    with pytest.raises(GateFailed, match="no groups of 'who'"):
        decide(evaluation({"roc_auc": 0.9}), fair)


@pytest.mark.parametrize(
    ("gap", "passed", "sentence"),
    [
        (
            Gap(column="who", name="demographic_parity", between=("a", "b"), value=0.1),
            True,
            "The share that is predicted positive differs by 0.1 between who 'a' and 'b', and at most 0.1 is "
            "allowed.",
        ),
        (
            Gap(column="who", name="demographic_parity", between=("a", "b"), value=0.101),
            False,
            "The share that is predicted positive differs by 0.101 between who 'a' and 'b', and no more than 0.1 is "
            "allowed.",
        ),
        (
            Gap(column="who", name="demographic_parity"),
            False,
            "demographic_parity between groups of who could not be judged: fewer than two of them have 100 rows and "
            "the figure.",
        ),
    ],
)
def test_groups_may_be_apart_as_far_as_is_allowed(gap: Gap, passed: bool, sentence: str) -> None:
    gates = Gates(compare="roc_auc", fairness=FairnessGate(columns=("who",), max_demographic_parity=0.1))
    decision = decide(evaluation({"roc_auc": 0.9}, gaps=(gap,)), gates)
    found = rule(decision, "fairness.max_demographic_parity.who")
    assert (found.passed, found.limit, found.sentence) == (passed, 0.1, sentence)
    assert decision.promote is passed


@pytest.mark.parametrize(
    ("gates", "name", "passed", "sentence"),
    [
        (
            {"max_row_ms": 5},
            "max_row_ms",
            True,
            "A row alone takes it 5 ms, within the 5 ms that are allowed.",
        ),
        (
            {"max_row_ms": 4.9},
            "max_row_ms",
            False,
            "A row alone takes it 5 ms, beyond the 4.9 ms that are allowed.",
        ),
        (
            {"max_model_mb": 2},
            "max_model_mb",
            True,
            "Its archive has 2 MB, within the 2 MB that are allowed.",
        ),
        (
            {"max_model_mb": 1},
            "max_model_mb",
            False,
            "Its archive has 2 MB, beyond the 1 MB that are allowed.",
        ),
    ],
)
def test_budgets_are_kept_or_not(gates: dict[str, Any], name: str, passed: bool, sentence: str) -> None:
    told = evaluation({"roc_auc": 0.9})
    latency = Latency(row_ms=5.0, batch_row_us=3.0)
    challenger = told.challenger.model_copy(update={"latency": latency, "archive_bytes": 2_000_000})
    with pytest.raises(GateFailed, match=f"says nothing of gates.{name}"):
        decide(told, Gates(compare="roc_auc", **gates))
    decision = decide(told.model_copy(update={"challenger": challenger}), Gates(compare="roc_auc", **gates))
    assert (rule(decision, name).passed, rule(decision, name).sentence) == (passed, sentence)
    assert decision.promote is passed


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 0.5))
def test_what_improves_is_not_inferior_and_what_is_shown_to_be_worse_never_improves(
    difference: float, half: float, margin: float
) -> None:
    told = evaluation({"roc_auc": 0.5 + difference}, {"roc_auc": 0.5}, half=half)
    improves = decide(told, Gates(compare="roc_auc")).promote
    not_inferior = decide(told, Gates(compare="roc_auc", rule="non-inferiority", margin=margin)).promote
    assert not_inferior or not improves
    assert not (improves and difference <= 0)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tolerance": 0.01}, '"non-inferiority" and margin = 0.01'),
        ({"margin": 0.01}, '`margin` is for rule = "non-inferiority", and needed there'),
        ({"rule": "non-inferiority"}, '`margin` is for rule = "non-inferiority", and needed there'),
        ({"rule": "non-inferiority", "margin": 0}, "margin"),
        ({"confidence": 0.995}, "confidence"),
        ({"confidence": 0.4}, "confidence"),
        ({"slices": [{"column": "a", "values": ["x"], "cuts": [1]}]}, "two ways to tell the parts"),
        ({"slices": [{"column": "a", "cuts": [2, 1]}]}, "`cuts` have to rise: 2, 1"),
        ({"slices": [{"column": "a", "min_rows": 1}]}, "min_rows"),
        ({"fairness": {"columns": []}}, "columns"),
    ],
)
def test_gates_that_say_nothing_clear_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Gates.model_validate(keys)
    assert said in str(caught.value)
