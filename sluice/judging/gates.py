"""Promote or reject: the challenger against the project's gates, with reasons a person can follow."""

from __future__ import annotations

import math

from sluice.errors import GateFailed
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.payloads.training import GateDecision
from sluice.problems import SMALLER_IS_BETTER
from sluice.project import Gates

# 0.85 - 0.84 is more than 0.01 in binary floating point.
_ROUNDING = 1e-12


def decide(evaluation: Evaluation, gates: Gates) -> GateDecision:
    """Hold an evaluation against the gates; every gate is looked at, and gives one reason, met or not.

    Metrics that are not finite refuse the challenger and are left out of the decision's `metrics`,
    which travel as JSON.

    Raises:
        GateFailed: the evaluation lacks a metric that a gate is about.
    """
    challenger, champion = evaluation.challenger, evaluation.champion
    verdicts = [_enough_rows(evaluation.held_out_rows, gates.min_held_out_rows)]
    if challenger.error is not None:
        verdicts.append((False, f"The challenger could not score the held-out rows: {challenger.error}"))
    else:
        verdicts += _finite(challenger)
        verdicts += [_limit(challenger, metric, limit) for metric, limit in gates.minimum.items()]
        verdicts.append(_against_champion(challenger, champion, gates))
    return GateDecision(
        promote=all(met for met, _ in verdicts),
        reasons=[reason for _, reason in verdicts],
        metrics=_finite_only(challenger.metrics),
        champion_metrics=None if champion is None or champion.error else _finite_only(champion.metrics),
    )


_Verdict = tuple[bool, str]


def _enough_rows(rows: int, least: int) -> _Verdict:
    if rows < least:
        return False, f"Only {rows:,} held-out rows; at least {least:,} are needed to judge a model."
    return True, f"Judged on {rows:,} held-out rows; at least {least:,} are needed."


def _finite(challenger: ModelEvaluation) -> list[_Verdict]:
    broken = {name: value for name, value in challenger.metrics.items() if not math.isfinite(value)}
    return [
        (False, f"The challenger's {name} is {value}, which is no figure.") for name, value in broken.items()
    ]


def _limit(challenger: ModelEvaluation, metric: str, limit: float) -> _Verdict:
    value = _metric(challenger, metric)
    if metric in SMALLER_IS_BETTER:
        met, bound, beyond = value <= limit, "at most", "above"
    else:
        met, bound, beyond = value >= limit, "at least", "below"
    shown, wanted = _figures(value, limit)
    if met:
        return True, f"{metric} is {shown}, and {bound} {wanted} was asked for."
    if math.isnan(value):
        return False, f"{metric} is NaN, where {bound} {wanted} was asked for."
    return False, f"{metric} is {shown}, {beyond} the {wanted} that was asked for."


def _against_champion(
    challenger: ModelEvaluation, champion: ModelEvaluation | None, gates: Gates
) -> _Verdict:
    metric = gates.compare
    value = _metric(challenger, metric)
    if champion is None:
        return True, "There is no champion yet: only the minimums apply."
    best = champion.metrics.get(metric, math.nan)
    if champion.error is not None or not math.isfinite(best):
        return _unjudged(champion.error or f"it has no {metric} on the held-out rows", gates)
    worse = value - best if metric in SMALLER_IS_BETTER else best - value
    shown, champions = _figures(value, best)
    allowed = f" (a tolerance of {gates.tolerance:g} is allowed)" if gates.tolerance else ""
    if worse <= gates.tolerance + _ROUNDING:
        how = "as good as" if worse == 0 else "better than" if worse < 0 else "hardly worse than"
        return True, f"{metric} is {shown}, {how} the champion's {champions} on the same rows{allowed}."
    # NaN compares as not worse and not better: it is refused here.
    return False, f"{metric} is {shown}, worse than the champion's {champions} on the same rows{allowed}."


def _unjudged(why: str, gates: Gates) -> _Verdict:
    """Do with a champion that could not be judged, whatever the reason, what the project says."""
    if gates.unjudged_champion == "minimums":
        return True, f"The champion could not be judged, so only the minimums apply: {why}"
    return False, (
        'The champion could not be judged, and gates.unjudged_champion is "reject". To replace it without a '
        f'comparison, set that to "minimums", deploy, and upload again: {why}'
    )


def _metric(model: ModelEvaluation, name: str) -> float:
    try:
        return model.metrics[name]
    except KeyError:
        found = ", ".join(sorted(model.metrics)) or "none"
        raise GateFailed(
            f"the evaluation has no {name}",
            where="evaluation.json",
            why=f"its metrics are: {found}",
            fix="evaluate again with the project.toml whose [gates] are to decide",
        ) from None


def _figures(value: float, other: float) -> tuple[str, str]:
    """Write two figures with as many digits as it takes to tell them apart, four at least."""
    for digits in range(4, 17):
        pair = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if value == other or pair[0] != pair[1]:
            return pair
    return repr(value), repr(other)


def _finite_only(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
