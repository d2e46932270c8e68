"""What the gate promotes of models whose truth is known, and what it takes to say so: prints a table and JSON.

    python benchmarks/judge.py [--pairs 500] [--rows 1000000] [--only rates cost]

Pairs of models are simulated: both see the truth, and each adds noise of its own. The difference that rows can show
is measured first: 2.49 standard errors of the difference of two equal models, which a one-sided test at 5 % finds in
four cases of five. Four questions:

- equals: how often the default gate promotes one of two equal models, beside "the higher figure wins" (`--pairs`);
- gains: how often it promotes a model that is better by twice that difference (`--others`);
- losses: how often non-inferiority lets pass a model that is worse by just the margin;
- cost: what all metrics of 1 M held-out rows take with 1,000 resamples, in a process of its own.

Bars: equals and losses at most 5 %, plus what so many draws may be off by (2.33 standard errors, 1 in 100); gains at
least 90 %; at most 30 s of processor time and 2 GB. Exit 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from containers import metrics
from containers.process.comparing import comparison
from sluice.gate_tables import Gates
from sluice.judging import spreads
from sluice.judging.figures import gain as gained
from sluice.judging.gates import decide
from sluice.judging.scores import BinaryScores, ValueScores
from sluice.judging.spreads import Asked
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.problems import Problem

RATE = 0.05
LEAST_FOUND = 0.9
MOST_SECONDS = 30.0
MOST_MB = 2_000.0

_POWER_80 = 1.6449 + 0.8416
_SURE = 2.326

Draws = np.random.Generator
Scores = BinaryScores | ValueScores


@dataclass(frozen=True)
class Setting:
    """Held-out rows of one kind: `share` of them positive, and `noise` added by either model."""

    name: str
    problem: Problem
    metric: str
    rows: int
    share: float = 0.3
    noise: float = 0.6

    def pair(self, draw: Draws, edge: float) -> tuple[Any, Scores, Scores]:
        """Draw rows with two models, the first of which sees the truth clearer by an edge; they are equal at 0."""
        if self.problem == "regression":
            truth = draw.normal(size=self.rows)
            first, second = self.noise * draw.standard_t(5, (2, self.rows))
            return truth, ValueScores(truth + math.exp(-edge) * first), ValueScores(truth + second)
        actual, first, second = self.binary(draw, edge)
        return actual, first, second

    def binary(self, draw: Draws, edge: float) -> tuple[npt.NDArray[np.bool_], BinaryScores, BinaryScores]:
        """Draw the same of a binary problem."""
        actual = draw.random(self.rows) < self.share
        signal = draw.normal(size=self.rows) + 1.5 * actual - 1.5
        first, second = signal + self.noise * draw.normal(size=(2, self.rows))
        return actual, _scores(first + edge * (actual - 0.5)), _scores(second)


def _scores(logits: npt.NDArray[np.float64]) -> BinaryScores:
    chance = 1 / (1 + np.exp(-logits))
    return BinaryScores(chance, chance > 0.5)


SETTINGS = (
    Setting("roc_auc, 1,400 rows", "binary", "roc_auc", 1_400),
    Setting("roc_auc, 200 rows", "binary", "roc_auc", 200),
    Setting("roc_auc, 1,500 rows, 5 % positive", "binary", "roc_auc", 1_500, share=0.05),
    Setting("average_precision, 1,400 rows", "binary", "average_precision", 1_400),
    Setting("accuracy, 200 rows", "binary", "accuracy", 200),
    Setting("f1, 1,400 rows", "binary", "f1", 1_400),
    Setting("log_loss, 1,400 rows", "binary", "log_loss", 1_400),
    Setting("rmse, 500 rows", "regression", "rmse", 500),
)


@dataclass(frozen=True)
class Rates:
    """Of one setting: shares of the pairs that were promoted, and what was to be told apart."""

    setting: str
    pairs: int
    others: int
    equals: float
    higher_wins: float
    detectable: float
    gain: float
    gains: float
    margin: float
    losses: float

    @property
    def misses(self) -> list[str]:
        error = math.sqrt(RATE * (1 - RATE))
        most, most_of_others = (RATE + _SURE * error / math.sqrt(n) for n in (self.pairs, self.others))
        return [
            f"{self.setting}: {what} {share:.1%}"
            for what, share, met in (
                ("equals", self.equals, self.equals <= most),
                ("losses", self.losses, self.losses <= most_of_others),
                ("gains", self.gains, self.gains >= LEAST_FOUND),
            )
            if not met
        ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--others", type=int, default=300, help="pairs of models that are not equal")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=["rates", "cost"], default=["rates", "cost"])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(_measure(arguments.rows)))
        return 0
    load = os.getloadavg()[0]
    figures: dict[str, Any] = {"benchmark": "judge", "pairs": arguments.pairs}
    missed: list[str] = []
    if "rates" in arguments.only:
        found = list(_all_rates(arguments.pairs, arguments.others, arguments.processes))
        figures["rates"] = [asdict(each) for each in found]
        missed += [miss for each in found for miss in each.misses]
    if "cost" in arguments.only:
        argv = [sys.executable, "-m", "benchmarks.judge", "--measure", "--rows", str(arguments.rows)]
        cost = json.loads(subprocess.check_output(argv, cwd=Path(__file__).resolve().parent.parent))
        figures["cost"] = cost | {"bar_seconds": MOST_SECONDS, "bar_mb": MOST_MB}
        if cost["cpu_seconds"] > MOST_SECONDS or cost["peak_rss_mb"] > MOST_MB:
            missed.append(f"cost: {cost['cpu_seconds']:.1f} s, {cost['peak_rss_mb']:.0f} MB")
    figures["load_before_and_after"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    figures["missed"] = missed
    print(json.dumps(figures, indent=2))
    return 1 if missed else 0


def _all_rates(pairs: int, others: int, processes: int) -> Iterator[Rates]:
    """Give the rates of each setting, and print the table of them as they are found."""
    print(f"{'promoted':36} {'equals':>8} {'higher wins':>12} {'gains':>8} {'losses':>8}")
    with ProcessPoolExecutor(processes) as pool:
        for each in pool.map(_rates, SETTINGS, repeat(pairs), repeat(others), range(len(SETTINGS))):
            shares = f"{each.equals:8.1%} {each.higher_wins:12.1%} {each.gains:8.1%} {each.losses:8.1%}"
            print(f"{each.setting:36} {shares}", flush=True)
            yield each


def _rates(setting: Setting, pairs: int, others: int, number: int) -> Rates:
    gates = Gates(compare=setting.metric)
    equal = list(_evaluations(setting, 0.0, pairs, seed=number))
    differences = [each.comparisons[setting.metric].difference for each in equal]
    detectable = _POWER_80 * float(np.std(differences))
    gain = 2 * detectable
    better, worse = _edge_for(setting, gain), _edge_for(setting, -detectable)
    # What the edge that was found makes of it, on rows enough to say.
    margin = -_true_gain(setting, worse, 16)
    lenient = Gates(compare=setting.metric, rule="non-inferiority", margin=margin)
    ahead = [gained(setting.metric, difference, 0.0) > 0 for difference in differences]
    return Rates(
        setting=setting.name,
        pairs=pairs,
        others=others,
        equals=_promoted(equal, gates),
        higher_wins=float(np.mean(ahead)),
        detectable=detectable,
        gain=_true_gain(setting, better, 16),
        gains=_promoted(_evaluations(setting, better, others, seed=1_000 + number), gates),
        margin=margin,
        losses=_promoted(_evaluations(setting, worse, others, seed=2_000 + number), lenient),
    )


def _evaluations(setting: Setting, edge: float, pairs: int, *, seed: int) -> Iterator[Evaluation]:
    draw = np.random.default_rng(seed)
    for _ in range(pairs):
        actual, *models = setting.pair(draw, edge)
        yield _evaluation(setting, actual, models, int(draw.integers(2**32)))


def _evaluation(setting: Setting, actual: Any, models: list[Scores], seed: int) -> Evaluation:
    """Judge a pair as EvaluateModel does, by the one metric."""
    asked = Asked(confidence=0.95, seed=seed, metrics=[setting.metric])
    found = spreads.BY_PROBLEM[setting.problem](actual, models, asked)[setting.metric]
    figures = [_figure(setting, actual, model) for model in models]
    return Evaluation(
        problem=setting.problem,
        held_out_rows=setting.rows,
        confidence=0.95,
        challenger=ModelEvaluation(model_uri="first", metrics={setting.metric: figures[0]}),
        champion=ModelEvaluation(model_uri="second", metrics={setting.metric: figures[1]}),
        comparisons={setting.metric: comparison(figures[0], figures[1], found)},
    )


def _figure(setting: Setting, actual: Any, model: Scores) -> float:
    of: Callable[..., dict[str, float]] = (
        metrics.regression_metrics if setting.problem == "regression" else metrics.binary_metrics
    )
    return of(actual, model, [setting.metric])[setting.metric]


def _promoted(evaluations: Any, gates: Gates) -> float:
    return float(np.mean([decide(each, gates).promote for each in evaluations]))


def _true_gain(setting: Setting, edge: float, rounds: int = 1) -> float:
    """Give what a model with that edge is better by in truth: on many rows, with the same draws each time."""
    draw = np.random.default_rng(99)
    gains = []
    for _ in range(rounds):
        actual, first, second = replace(setting, rows=250_000).pair(draw, edge)
        gains.append(
            gained(setting.metric, _figure(setting, actual, first), _figure(setting, actual, second))
        )
    return float(np.mean(gains))


def _edge_for(setting: Setting, gain: float) -> float:
    """Find the edge that makes a model better by a gain, by halving."""
    low, high = -4.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        if _true_gain(setting, middle) < gain:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _measure(rows: int) -> dict[str, float]:
    """Compare two models by all metrics of a binary problem."""
    setting = Setting("cost", "binary", "roc_auc", rows, share=0.1, noise=0.3)
    actual, *models = setting.binary(np.random.default_rng(0), 0.1)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    figures = [metrics.binary_metrics(actual, model) for model in models]
    found = spreads.binary(actual, models, Asked(confidence=0.95, seed=1))
    compared = {name: comparison(figures[0][name], figures[1][name], each) for name, each in found.items()}
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, kilobytes elsewhere
    return {
        "rows": rows,
        "metrics": len(compared),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_rss_mb": round(after.ru_maxrss / unit),
    }


if __name__ == "__main__":
    sys.exit(main())
