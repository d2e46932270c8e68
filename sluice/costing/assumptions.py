"""What no project.toml says and every bill hangs on: how much is asked, how often one trains, how long it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sluice.errors import SluiceError

HOURS_A_MONTH = 730
_HOURS = {"month": HOURS_A_MONTH, "day": 24, "hour": 1, "second": 1 / 3600}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][0-9]+)?)\s*([kKmMbB]?)\s*(?:/\s*(\w+))?")
_TIMES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


class NotARate(SluiceError):
    """How many predictions there are was not understood."""


def per_month(text: str) -> float:
    """Read `2000000`, `2M/month`, `500/hour`, `10/second` as predictions a month of 730 hours.

    Raises:
        NotARate: it is none of these.
    """
    found = _RATE.fullmatch(text.strip())
    unit = (found[3] or "month") if found else ""
    if found is None or unit not in _HOURS:
        raise NotARate(
            f"{text!r} is no number of predictions",
            where="--predictions",
            why=f"found {text!r}; allowed: a number, k, M or B behind it, and /{', /'.join(_HOURS)}",
            fix="give it as --predictions 2M/month",
        )
    return float(found[1]) * _TIMES[found[2].lower()] * HOURS_A_MONTH / _HOURS[unit]


def _of(default: float, help_text: str) -> float:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class Assumptions:
    """Each is a flag of `sluice cost`; all are counted by the month of 730 hours."""

    predictions: float = 1_000_000
    trainings: float = _of(4, "executions of `training` a month; each is taken to end with a deployment")
    request_ms: float = _of(20, "milliseconds that a serverless request is billed for")
    request_kb: float = _of(1, "kB of a request and its answer together")
    row_ms: float = _of(1, "milliseconds a row of a batch takes an instance")
    job_minutes: float = _of(
        5, "minutes that a job is billed for, a trial of a search and a batch's start too"
    )
    start_minutes: float = _of(5, "minutes until a new fleet of instances is in service")
    batches: float = _of(30, "batch jobs a month")
    memory_gb: float = _of(2, "GB of memory of a serverless endpoint: 1 to 6")
    stored_gb: float = _of(1, "GB in S3 beside what [capture] keeps: datasets, models, reports")
    stream_seconds: float = _of(60, "seconds of a function that goes through a dataset")
    views: float = _of(1, "feature views that a prediction by id reads, where features.py declares any")
    entities: float = _of(
        10_000, "entities whose features are written anew each time the online store is kept up"
    )

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise SluiceError(f"{value:g} is below 0 or no number", where=f"--{name.replace('_', '-')}")
        if not (1 <= self.memory_gb <= 6 and float(self.memory_gb).is_integer()):
            raise SluiceError(
                f"a serverless endpoint has no {self.memory_gb:g} GB",
                where="--memory-gb",
                why="SageMaker takes 1, 2, 3, 4, 5 or 6",
            )
