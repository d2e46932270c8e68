"""Promote or reject: the evaluation against the project's gates, rule by rule, in sentences a person can follow."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sluice.errors import GateFailed
from sluice.gate_tables import Gates
from sluice.judging import part_rules, superiority
from sluice.judging.figures import against_limit, finite_or_none, metric_of
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.payloads.training import GateDecision, Rule


def decide(evaluation: Evaluation, gates: Gates) -> GateDecision:
    """Hold an evaluation against the gates; every rule is looked at, and all have to be met.

    A wrong model passes all rules more rarely than any one of them: more rules need no correction of the confidence
    (Berger (1982), Technometrics 24). Metrics that are not finite refuse the challenger and are left out of the
    decision's `metrics`, which travel as JSON.

    Raises:
        GateFailed: the evaluation lacks what a rule is about.
    """
    challenger, champion = evaluation.challenger, evaluation.champion
    rules = [_enough_rows(evaluation.held_out_rows, gates.min_held_out_rows)]
    if challenger.error is not None:
        rules.append(_unscored(challenger.error))
    else:
        rules += _finite(challenger)
        rules += [
            against_limit(f"minimum.{metric}", metric, metric_of(challenger, metric), limit)
            for metric, limit in gates.minimum.items()
        ]
        rules += _against_champion(evaluation, gates)
        rules += part_rules.of(evaluation, gates)
        rules += _budgets(challenger, gates)
    return GateDecision(
        promote=all(rule.passed for rule in rules),
        rules=rules,
        metrics=_finite_only(challenger.metrics),
        champion_metrics=None if champion is None or champion.error else _finite_only(champion.metrics),
    )


def _enough_rows(rows: int, least: int) -> Rule:
    passed = rows >= least
    sentence = (
        f"Judged on {rows:,} held-out rows; at least {least:,} are needed."
        if passed
        else f"Only {rows:,} held-out rows; at least {least:,} are needed to judge a model."
    )
    return Rule(name="min_held_out_rows", figure=rows, limit=least, passed=passed, sentence=sentence)


def _unscored(error: str) -> Rule:
    sentence = f"The challenger could not score the held-out rows: {error}"
    return Rule(name="scores", figure=None, limit=None, passed=False, sentence=sentence)


def _finite(challenger: ModelEvaluation) -> list[Rule]:
    broken = {name: value for name, value in challenger.metrics.items() if not math.isfinite(value)}
    return [
        Rule(
            name="finite",
            figure=None,
            limit=None,
            passed=False,
            sentence=f"The challenger's {name} is {value}, which is no figure.",
        )
        for name, value in broken.items()
    ]


def _against_champion(evaluation: Evaluation, gates: Gates) -> Iterator[Rule]:
    metric, champion = gates.compare, evaluation.champion
    value = metric_of(evaluation.challenger, metric)
    if champion is None:
        sentence = "There is no champion yet: it is held against limits only."
        yield Rule(name="champion", figure=None, limit=None, passed=True, sentence=sentence)
        return
    best = champion.metrics.get(metric, math.nan)
    if champion.error is not None or not math.isfinite(best):
        yield _unjudged(champion.error or f"it has no {metric} on the held-out rows", gates)
        return
    if not math.isfinite(value):
        sentence = f"The challenger has no {metric} to be compared by."
        yield Rule(name=gates.rule, figure=None, limit=None, passed=False, sentence=sentence)
        return
    if evaluation.confidence != gates.confidence or metric not in evaluation.comparisons:
        raise GateFailed(
            f"the evaluation does not compare {metric} with a confidence of {gates.confidence:g}",
            where="evaluation.json",
            why=f"its confidence is {evaluation.confidence}, and it compares "
            f"{', '.join(sorted(evaluation.comparisons)) or 'nothing'}",
            fix="evaluate again with the project.toml whose [gates] are to decide",
        )
    compared = superiority.Compared(
        metric, value, best, evaluation.comparisons[metric], gates.confidence, evaluation.held_out_rows
    )
    yield superiority.rule(compared, gates)


def _unjudged(why: str, gates: Gates) -> Rule:
    """Do with a champion that could not be judged, whatever the reason, what the project says."""
    beaten = gates.unjudged_champion == "minimums"
    sentence = (
        'The champion could not be judged and counts as beaten, for gates.unjudged_champion is "minimums": the '
        f"limits alone decide. Why it could not: {why}"
        if beaten
        else 'The champion could not be judged, and so it blocks, for gates.unjudged_champion is "reject". To '
        'replace it without a comparison, set that to "minimums", deploy, and upload again. '
        f"Why it could not: {why}"
    )
    return Rule(name="unjudged_champion", figure=None, limit=None, passed=beaten, sentence=sentence)


def _budgets(challenger: ModelEvaluation, gates: Gates) -> Iterator[Rule]:
    latency, size = challenger.latency, challenger.archive_bytes
    if gates.max_row_ms is not None:
        yield _budget(
            "max_row_ms",
            None if latency is None else latency.row_ms,
            gates.max_row_ms,
            "A row alone takes it",
            "ms",
        )
    if gates.max_model_mb is not None:
        megabytes = None if size is None else size / 1e6
        yield _budget("max_model_mb", megabytes, gates.max_model_mb, "Its archive has", "MB")


def _budget(name: str, found: float | None, limit: float, what: str, unit: str) -> Rule:
    if found is None:
        raise GateFailed(
            f"the evaluation says nothing of gates.{name}",
            where="evaluation.json",
            why="it was written before there was this rule, or of an image of your own",
            fix="evaluate again with the project.toml whose [gates] are to decide",
        )
    passed = found <= limit
    sentence = f"{what} {found:.3g} {unit}, {'within' if passed else 'beyond'} the {limit:g} {unit} that are allowed."
    return Rule(name=name, figure=finite_or_none(found), limit=limit, passed=passed, sentence=sentence)


def _finite_only(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
