"""Whether the online store agrees with the data that a challenger learned from well enough to serve it."""

from __future__ import annotations

from collections import Counter

from sluice.payloads.materialization import MeasuredSkew
from sluice.payloads.training import GateDecision, Rule

_MOST_NAMED = 5


def also_judged(decision: GateDecision, skew: MeasuredSkew | None, most: float) -> GateDecision:
    """Add to a decision what the online store says to it: one more rule, met or not.

    Args:
        decision: by the evaluation.
        skew: what was measured; None of a project that has no online store, whose decision stays as it is.
        most: the share of the compared entities that may be missing or differ (`gates.max_skew`).
    """
    if skew is None:
        return decision
    met, sentence = verdict(skew, most)
    rule = Rule(
        name="max_skew",
        figure=skew.wrong / skew.sampled if skew.sampled else None,
        limit=most,
        passed=met,
        sentence=sentence,
    )
    return decision.model_copy(update={"promote": decision.promote and met, "rules": [*decision.rules, rule]})


def verdict(skew: MeasuredSkew, most: float) -> tuple[bool, str]:
    """Hold what was measured against the share that is allowed, and say how they stand in a sentence.

    It names features and counts, and no values. Nothing to compare is no difference; but where there was something,
    and all of it was being written over, nobody knows, and the model is refused.
    """
    if not skew.sampled and skew.moved_on:
        return False, (
            "Whether the online store agrees with the training data could not be told: later uploads were being "
            "written to it. Start the execution again when they are."
        )
    if not skew.sampled:
        return True, "The dataset has no entity to compare the online store with."
    if not skew.wrong:
        return True, f"The online store agrees with the training data for all {_entities(skew)}."
    rate = skew.wrong / skew.sampled
    met = rate <= most
    shown, allowed = _percents(rate, most)
    differs = (
        f"The online store differs from the training data for {skew.wrong:,} of {_entities(skew)} "
        f"({shown} %, at most {allowed} % is allowed): {_worst(skew)}."
    )
    return met, differs if met else f"{differs} `sluice skew` shows both values."


def _entities(skew: MeasuredSkew) -> str:
    return f"{skew.sampled:,} sampled {'entity' if skew.sampled == 1 else 'entities'}"


def _worst(skew: MeasuredSkew) -> str:
    counts: Counter[str] = Counter()
    for view in skew.views:
        counts.update(view.features)
    # By name where they are as bad: a counter keeps the order it met them in.
    worst = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{skew.missing:,} missing"] if skew.missing else []
    told += [f"{name} {count:,}" for name, count in worst[:_MOST_NAMED]]
    if len(worst) > _MOST_NAMED:
        told.append(f"and {len(worst) - _MOST_NAMED} more features")
    return ", ".join(told)


def _percents(rate: float, most: float) -> tuple[str, str]:
    """Write two shares in percent with as many digits as it takes to tell them apart, three at most if that does."""
    for digits in range(3, 17):
        pair = f"{100 * rate:.{digits}g}", f"{100 * most:.{digits}g}"
        if rate == most or pair[0] != pair[1]:
            return pair
    return repr(100 * rate), repr(100 * most)
