"""Concept drift: evidence, label by label, that a model errs more than its evaluation allows for.

A Shiryaev-Roberts e-detector (Shin, Ramdas and Rinaldo 2023, New England Journal of Statistics in Data Science 2) of
bets on bounded losses (Waudby-Smith and Ramdas 2024, JRSS B 86). As long as each loss's mean is at most the bound,
whatever came before, the rows until the evidence reaches a threshold are at least the threshold in the mean, however
often one looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from sluice.payloads.base import Document

_BETS = (0.1, 0.2, 0.4, 0.8)
"""Parts of the most that may be bet: small ones find a small rise, large ones a great rise sooner."""
_MOST = 1e300


class Evidence(Document):
    """What speaks against a version so far.

    Attributes:
        bound: the highest mean loss that the version's evaluation allows for: the upper end of its interval.
        rows: losses that are in it.
        wagers: what each bet has come to.
    """

    bound: float = Field(gt=0, lt=1)
    rows: int = 0
    wagers: tuple[float, ...] = (0.0,) * len(_BETS)

    @property
    def weight(self) -> float:
        return sum(self.wagers) / len(self.wagers)

    def after(self, losses: Iterable[float]) -> Self:
        """Add losses, 0 to 1 each (1 for a wrong class, or Brier's), in the order in which labels came.

        Raises:
            ValueError: a loss is not from 0 to 1.
        """
        rows, wagers = self.rows, list(self.wagers)
        for loss in losses:
            if not 0 <= loss <= 1:
                raise ValueError(f"a loss of {loss:g} is not from 0 to 1")
            rows += 1
            for place, bet in enumerate(_BETS):
                won = 1 + bet / self.bound * (loss - self.bound)
                wagers[place] = min(_MOST, (wagers[place] + 1) * won)
        return self.model_copy(update={"rows": rows, "wagers": tuple(wagers)})

    def is_alarming(self, rows_a_month: int, alarms: float) -> bool:
        """Tell whether it is more than chance makes `alarms` times a month, in the mean at the most."""
        return self.weight >= rows_a_month / alarms
