"""How often which values were there, in a reference's bins: the counts of parts add up to the window's."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from sluice.payloads.base import Document, Payload


class Counts(Payload):
    """Rows of one column.

    Attributes:
        bins: of each bin of the reference; of categories, one for each known value, and one for all others.
        nulls: rows without a value, NaN among them.
        below, above: numbers outside of what the training rows span. They are in the outer bins, too.
    """

    bins: tuple[int, ...]
    nulls: int = Field(default=0, ge=0)
    below: int = Field(default=0, ge=0)
    above: int = Field(default=0, ge=0)

    @property
    def values(self) -> int:
        return sum(self.bins)

    @property
    def rows(self) -> int:
        return self.values + self.nulls

    def __add__(self, other: Self) -> Self:
        return type(self)(
            bins=tuple(one + another for one, another in zip(self.bins, other.bins, strict=True)),
            nulls=self.nulls + other.nulls,
            below=self.below + other.below,
            above=self.above + other.above,
        )


class Window(Document):
    """The counts of a window, or of a part of one.

    Attributes:
        reference: the name of the reference whose bins these are; counts of another do not add.
    """

    reference: str
    rows: int
    columns: dict[str, Counts]

    def __add__(self, other: Self) -> Self:
        if self.reference != other.reference or self.columns.keys() != other.columns.keys():
            raise ValueError(f"counts by {self.reference} and by {other.reference} do not add")
        return type(self)(
            reference=self.reference,
            rows=self.rows + other.rows,
            columns={name: counts + other.columns[name] for name, counts in self.columns.items()},
        )
