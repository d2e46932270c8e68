"""What was seen of an uploaded file: counts by column, by reason and by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from sluice.arrow import compute as pc
from sluice.datasets.sample import EvenSample
from sluice.datasets.schema import Range, range_of
from sluice.project import Project

_MOST_CLASSES = 1_000


@dataclass
class ColumnReport:
    """What was seen in one column: nulls among the rows read, rejected cells, and the accepted range."""

    type: str
    nulls: int = 0
    rejected: int = 0
    min: Any = None
    max: Any = None

    def widen(self, low: Any, high: Any) -> None:
        if low is not None:
            self.min = low if self.min is None else min(self.min, low)
            self.max = high if self.max is None else max(self.max, high)


@dataclass
class ValidationReport:
    """What became of the file. `reasons` counts rejected cells by "column: reason".

    By the same, `rows_of` numbers the first rows of each, and `examples` holds the first value: that is for the
    report alone, and goes into no error, message or log. `missing` counts the accepted rows' nulls by column, `drawn`
    are some of these rows: both are for the statistics of the dataset version.
    """

    rows: int = 0
    rejected_rows: int = 0
    columns: dict[str, ColumnReport] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    rows_of: dict[str, list[int]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    drawn: EvenSample = field(default_factory=EvenSample)

    @property
    def rejected_share(self) -> float:
        total = self.rows + self.rejected_rows
        return self.rejected_rows / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: what `sluice.payloads.documents.Validation` holds of it."""
        return {
            "rows": self.rows,
            "rejected_rows": self.rejected_rows,
            "rejected_share": self.rejected_share,
            "reasons": dict(self.reasons.most_common()),
            "examples": self.examples,
            "classes": dict(self.classes.most_common()),
            "columns": {
                name: {key: str(v) if isinstance(v, datetime) else v for key, v in vars(column).items()}
                for name, column in self.columns.items()
            },
        }

    @classmethod
    def of(cls, project: Project) -> ValidationReport:
        """A report on nothing read yet."""
        return cls(columns={name: ColumnReport(column.type) for name, column in project.columns.items()})

    def observe(
        self, rows: pa.RecordBatch, project: Project, ranges: Mapping[str, Range | None] | None = None
    ) -> None:
        """Take down what accepted rows hold; `ranges` are those of their columns, where they are known."""
        self.drawn.take(rows)
        for name, column in project.columns.items():
            values = rows.column(rows.schema.get_field_index(name))
            self.missing[name] += values.null_count
            found = range_of(column, values) if ranges is None else ranges[name]
            if found is not None:
                self.columns[name].widen(*found)
            if name == project.target.column and project.target.problem != "regression":
                if len(self.classes) > _MOST_CLASSES:
                    continue
                for count in pc.value_counts(values).to_pylist():
                    self.classes[_class_name(count["values"])] += count["counts"]

    def forget_accepted(self) -> None:
        """Forget what accepted rows hold, to observe them anew."""
        self.classes.clear()
        self.missing.clear()
        self.drawn = EvenSample()
        for column in self.columns.values():
            column.min = column.max = None


def _class_name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
