"""[gates] of project.toml: what a challenger must show on the held-out rows before it is deployed."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from sluice.column_names import normal
from sluice.tables import Table

_Name = Annotated[str, AfterValidator(normal)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Margin = Annotated[FiniteFloat, Field(gt=0)]

_LEAST_ROWS = 100


class SliceGate(Table):
    """[[gates.slices]]: what holds in every part of the held-out rows, by the values of one column.

    Attributes:
        column: a feature, or a column of the table that the training set is made of.
        values: only these, which then have to have rows enough; without, every value that has.
        cuts: of numbers: the bounds between parts; each part is from a bound, included, up to the next.
        min_rows: a part with fewer rows is shown, and judged by nothing.
        minimum: as gates.minimum, in every part.
        margin: by how much the challenger may be worse than the champion by gates.compare, in every part.
    """

    column: _Name
    values: tuple[str | int | bool, ...] = ()
    cuts: tuple[FiniteFloat, ...] = ()
    min_rows: Annotated[int, Field(ge=2)] = _LEAST_ROWS
    minimum: dict[str, FiniteFloat] = Field(default={})
    margin: _Margin | None = None

    @model_validator(mode="after")
    def _parts_are_told_one_way(self) -> Self:
        if self.values and self.cuts:
            raise ValueError("`values` and `cuts` are two ways to tell the parts of a column: give one")
        if any(low >= high for low, high in itertools.pairwise(self.cuts)):
            raise ValueError(f"`cuts` have to rise: {', '.join(f'{cut:g}' for cut in self.cuts)}")
        return self


class FairnessGate(Table):
    """[gates.fairness]: how far groups of people may be apart in what a binary model does to them.

    Attributes:
        columns: each value of each of them is a group.
        min_rows: smaller groups are shown, and judged by nothing.
        max_demographic_parity: the largest gap between groups in the share that is predicted positive.
        max_equal_opportunity: the largest gap in the share of the positives that is predicted so.
        max_calibration: the largest gap in mean probability minus share of positives.
    """

    columns: Annotated[tuple[_Name, ...], Field(min_length=1)]
    min_rows: Annotated[int, Field(ge=2)] = _LEAST_ROWS
    max_demographic_parity: _Share | None = None
    max_equal_opportunity: _Share | None = None
    max_calibration: _Share | None = None

    @property
    def limits(self) -> dict[str, float | None]:
        """The limits by the name of the gap."""
        return {
            "demographic_parity": self.max_demographic_parity,
            "equal_opportunity": self.max_equal_opportunity,
            "calibration": self.max_calibration,
        }


class Gates(Table):
    """[gates]. Every rule has to be met: more rules never make a wrong promotion likelier.

    Attributes:
        minimum: the least, of an error the most, that a metric may be.
        compare: the metric by which the champion is to be beaten; empty: the problem's usual one.
        rule: that the challenger is better has to be shown, or only that it is not worse by the margin or more.
        margin: of non-inferiority, in the metric's own unit.
        confidence: with which it has to be shown, one-sided: so rarely does chance alone promote.
        unjudged_champion: of a champion that cannot be judged: it blocks, or counts as beaten.
        max_row_ms: the longest that the model may take for a row that comes alone, in the evaluation.
        max_model_mb: the largest that its archive may be, in units of 1,000,000 bytes.
        max_skew: the share of the entities looked at that the online store may lack, or hold otherwise than the
            dataset says; of a project that declares features.
    """

    minimum: dict[str, FiniteFloat] = Field(default={})
    compare: str = ""
    rule: Literal["improvement", "non-inferiority"] = "improvement"
    margin: _Margin | None = None
    # Beyond, a thousand resamples have too few at the end to say where it is.
    confidence: Annotated[float, Field(ge=0.5, le=0.99)] = 0.95
    min_held_out_rows: Annotated[int, Field(ge=1)] = 50
    unjudged_champion: Literal["minimums", "reject"] = "reject"
    max_row_ms: Annotated[FiniteFloat, Field(gt=0)] | None = None
    max_model_mb: Annotated[FiniteFloat, Field(gt=0)] | None = None
    max_skew: _Share = 0.01
    slices: tuple[SliceGate, ...] = ()
    fairness: FairnessGate | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the held-out rows are parted by, each once."""
        sensitive = () if self.fairness is None else self.fairness.columns
        return tuple(dict.fromkeys([*(each.column for each in self.slices), *sensitive]))

    @property
    def metrics(self) -> dict[str, str]:
        """Where a metric is named, and which."""
        named = {"gates.compare": self.compare} | {f"gates.minimum.{name}": name for name in self.minimum}
        for each in self.slices:
            named |= {f"gates.slices ({each.column}).minimum.{name}": name for name in each.minimum}
        return named

    @model_validator(mode="before")
    @classmethod
    def _tolerance_is_a_margin(cls, given: Any) -> Any:
        if isinstance(given, dict) and "tolerance" in given:
            raise ValueError(
                "`tolerance` is no key any more: two figures side by side do not tell luck from loss. "
                'Write rule = "non-inferiority" and margin = 0.01: that the model is not worse by that much '
                "then has to be shown"
            )
        return given

    @model_validator(mode="after")
    def _margin_goes_with_its_rule(self) -> Self:
        if (self.margin is not None) != (self.rule == "non-inferiority"):
            raise ValueError('`margin` is for rule = "non-inferiority", and needed there')
        return self
