"""What the report's page says of an evaluation: figures with their bounds, parts, groups, what features are worth."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.documents import Evaluation
from sluice.payloads.training import GateDecision, ReportOutcomeInput, Rule
from sluice.project import Project
from sluice.reporting.outcome import report_outcome
from tests.support.bucket import Bucket
from tests.support.page import Page

PROJECT = Project.model_validate(
    {
        "project": {"name": "bank"},
        "target": {"column": "y", "problem": "binary", "positive": "yes"},
        "columns": {"age": {"type": "integer"}, "y": {"type": "string"}, "who": {"type": "string"}},
        "features": {"numeric": ["age"]},
        "gates": {
            "minimum": {"log_loss": 0.5},
            "slices": [{"column": "who", "margin": 0.1}],
            "fairness": {"columns": ["who"], "max_calibration": 0.2},
        },
    }
)
BIN = {"predicted": 0.2, "seen": 0.25, "bounds": {"low": 0.1, "high": 0.4}, "rows": 50}
CALIBRATION = {
    "error": 0.05, "bias": -0.05, "reliability": 0.0, "resolution": 0.0, "uncertainty": 0.2, "bins": [BIN],
}  # fmt: skip
FIGURE = {"value": 0.9123, "bounds": {"low": 0.88, "high": 0.94}}
MODEL = {
    "metrics": {"roc_auc": 0.9, "log_loss": 0.3},
    "intervals": {"roc_auc": {"low": 0.87, "high": 0.93}},
    "calibration": CALIBRATION,
    "model_uri": "s3://a/m",
    "latency": {"row_ms": 4.567, "batch_row_us": 12.34},
    "archive_bytes": 2_345_678,
}
COMPARISON = {"difference": 0.05, "bounds": {"low": 0.012, "high": 0.088}, "method": "by hand"}
EVALUATION: dict[str, Any] = {
    "problem": "binary",
    "held_out_rows": 500,
    "confidence": 0.95,
    "challenger": MODEL,
    "champion": {**MODEL, "metrics": {"roc_auc": 0.85, "log_loss": 0.35}},
    "comparisons": {"roc_auc": COMPARISON, "log_loss": {**COMPARISON, "bounds": None}},
    "slices": [
        {"gate": 0, "column": "who", "value": "<b>", "rows": 1234, "challenger": {"roc_auc": FIGURE},
         "champion": {"roc_auc": {"why": "all of its rows are negative"}}},
        {"gate": 0, "column": "who", "value": "few", "rows": 3, "unjudged": "3 rows, and 100 are needed"},
    ],
    "groups": [
        {"column": "who", "value": "<b>", "rows": 200, "positives": 50, "selected": FIGURE,
         "found": {"why": "none of its rows is positive"}, "bias": {"value": -0.0312}, "calibration_error": 0.04},
    ],
    "gaps": [
        {"column": "who", "name": "calibration", "between": ["<b>", "a"], "value": 0.1234},
        {"column": "who", "name": "equal_opportunity"},
    ],
    "importance": {
        "metric": "roc_auc", "rows": 400, "shuffles": 3,
        "features": [
            {"feature": "<age>", "loss": 0.2, "error": 0.01}, {"feature": "luck", "loss": -0.01, "error": 0.02},
        ],
    },
    "curves": {"challenger": {"calibration": [[0.2, 0.25, 50]]}},
}  # fmt: skip
RULES = [
    Rule(name="minimum.log_loss", figure=0.3, limit=0.5, passed=True, sentence="log_loss is <fine>."),
    Rule(name="improvement", figure=-0.01, limit=0.0, passed=False, sentence="It may be worse."),
]


def page(rules: list[Rule] = RULES, **changed: Any) -> tuple[str, str]:
    """The page as people read it, and as it is written."""
    store = Bucket()
    evaluation = Evaluation.model_validate({**EVALUATION, **changed})
    store.write("e.json", evaluation.body(), "application/json")
    told = ReportOutcomeInput.model_validate(
        {
            "execution": "run",
            "execution_arn": "arn",
            "outcome": "GateRejected",
            "source": {},
            "gate": GateDecision(
                promote=False,
                rules=rules,
                metrics=evaluation.challenger.metrics,
                champion_metrics=None if evaluation.champion is None else evaluation.champion.metrics,
            ),
            "evaluation_uri": "s3://artifacts/e.json",
        }
    )
    report_outcome(told, PROJECT, store, None)
    html = store.objects["reports/run/report.html"].decode()
    return " ".join(Page(html).text.split()), html


def test_each_rule_is_a_line_met_or_not() -> None:
    text, html = page()
    assert "✓ log_loss is <fine>. minimum.log_loss" in text
    assert "✗ It may be worse. improvement" in text
    assert html.count('<tr class="bad">') == 1


def test_figures_and_differences_have_their_bounds_and_what_these_mean() -> None:
    text, _ = page()
    assert "0.9000 (0.8700 to 0.9300)" in text
    assert "+0.0500 (+0.0120 to +0.0880)" in text
    assert "+0.0500 (too few rows to tell)" in text
    assert "each bound holds with 95 % confidence" in text
    assert "better than the champion" in text
    assert "at most 0.5" in text


def test_parts_have_their_figures_or_the_reason_that_they_have_none() -> None:
    text, _ = page()
    assert "who: <b> 1,234 roc_auc 0.9123 (0.8800 to 0.9400) all of its rows are negative" in text
    assert "who: few 3 not judged: 3 rows, and 100 are needed" in text


def test_groups_and_gaps_are_told_with_what_is_allowed() -> None:
    text, _ = page()
    assert "who: <b> 200 25.0% 0.9123 (0.8800 to 0.9400) none of its rows is positive -0.0312" in text
    assert "who calibration <b> over a 0.1234 at most 0.2" in text
    assert "who equal opportunity – –" in text


def test_what_features_are_worth_is_drawn() -> None:
    text, html = page()
    assert "What each feature is worth" in text
    assert "<age>" in text
    assert "roc_auc lost where it is shuffled, on 400 rows" in text
    assert html.count('class="amount challenger"') == 2
    assert html.count('class="error"') == 2


@pytest.mark.parametrize(
    ("count", "drawn", "title"), [(15, 15, ">What each feature is worth<"), (40, 15, "is worth: 15 of 40")]
)
def test_of_many_features_the_most_important_are_drawn(count: int, drawn: int, title: str) -> None:
    features = [{"feature": f"f{number}", "loss": 1 / (number + 1), "error": 0.0} for number in range(count)]
    _, html = page(importance={"metric": "roc_auc", "rows": 9, "shuffles": 3, "features": features})
    assert html.count('class="amount challenger"') == drawn
    assert title in html


def test_a_model_that_refuses_shuffled_rows_is_told_of() -> None:
    text, _ = page(importance={"metric": "roc_auc", "unmeasured": "it raised <so>"})
    assert "What each feature is worth could not be told: it raised <so>" in text


def test_points_of_the_reliability_plot_have_their_bounds() -> None:
    _, html = page()
    assert html.count('class="whisker challenger"') == 1


def test_what_the_model_takes_is_said() -> None:
    text, _ = page()
    assert (
        "took 4.57 ms for a row that comes alone, and 12.3 µs for each of many. Its archive has 2.3 MB."
        in text
    )


def test_an_evaluation_of_before_has_figures_and_no_more() -> None:
    bare = {name: MODEL[name] for name in ("metrics", "model_uri")}
    text, html = page(
        rules=[], confidence=None, challenger=bare, champion=None, comparisons={}, slices=[], groups=[], gaps=[],
        importance=None,
    )  # fmt: skip
    assert "0.9000 – –" in text
    for absent in ("In brackets", "Parts of the rows", "Groups of people", "worth", "Its archive"):
        assert absent not in text
    assert "whisker challenger" not in html
