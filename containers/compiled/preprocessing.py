"""Fitted transformers as what they do to signals: scikit-learn's own, by their exact class.

A subclass may do anything, and has no compiled form. Operations come in the order in which scikit-learn's
`transform` does them: the last bit depends on it.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from containers.compiled.plan import Doubles, Op, Step
from containers.compiled.signals import (
    Matrix,
    NotCompilable,
    Signal,
    TextSignal,
    question_of,
    then,
)

_MOST_CELLS = 1 << 22


def through(transformer: Any, matrix: Matrix) -> Matrix:
    """Take a matrix through a fitted transformer.

    Raises:
        NotCompilable: it, or a part of it, has no compiled form.
    """
    if transformer is None or transformer == "passthrough":
        return matrix
    kind = type(transformer)
    compile_one = _TRANSFORMERS.get((kind.__module__, kind.__name__))
    if compile_one is None:
        raise NotCompilable(f"{kind.__module__}.{kind.__qualname__} is no transformer with a compiled form")
    return compile_one(transformer, matrix)


def _pipeline(pipeline: Any, matrix: Matrix) -> Matrix:
    for _, step in pipeline.steps:
        matrix = through(step, matrix)
    return matrix


def _column_transformer(transformer: Any, matrix: Matrix) -> Matrix:
    signals: list[Signal] = []
    checks = list(matrix.checks)
    stores_zeros = False
    for name, part, _ in transformer.transformers_:
        indexes = transformer._transformer_to_input_indices[name]
        if (isinstance(part, str) and part == "drop") or len(indexes) == 0:
            continue
        made = through(part, matrix.take(indexes))
        signals += made.signals
        checks += made.checks
        stores_zeros |= made.stores_zeros
    sparse = bool(transformer.sparse_output_)
    return Matrix(tuple(signals), sparse, tuple(checks), sparse and stores_zeros)


def _function_transformer(transformer: Any, matrix: Matrix) -> Matrix:
    function = transformer.func
    if function is None:
        return matrix
    # What HistGradientBoosting puts in front of its numbers, and no more than a validation.
    validates = (
        isinstance(function, functools.partial)
        and getattr(function.func, "__module__", "") == "sklearn.utils.validation"
        and function.func.__name__ == "check_array"
        and function.keywords.get("ensure_all_finite") is False
    )
    if not validates:
        raise NotCompilable("a FunctionTransformer that is not the identity")
    return matrix


def _shifted_and_scaled(matrix: Matrix, shift: Any, scale: Any, more: tuple[Step, ...] = ()) -> Matrix:
    """Subtract, then divide; of a sparse matrix scikit-learn multiplies the stored values by 1 / scale."""
    columns = []
    for i in range(len(matrix.signals)):
        steps = [Step(Op.REFUSE_INFINITE)]
        if shift is not None:
            steps.append(Step(Op.SUBTRACT, float(shift[i])))
        if scale is not None and matrix.sparse:
            steps.append(Step(Op.MULTIPLY, 1.0 / float(scale[i])))
        elif scale is not None:
            steps.append(Step(Op.DIVIDE, float(scale[i])))
        columns.append([*steps, *more])
    # A product may be zero, and stay stored.
    return replace(matrix.by_column(*columns), stores_zeros=matrix.sparse)


def _standard(scaler: Any, matrix: Matrix) -> Matrix:
    mean = scaler.mean_ if scaler.with_mean else None
    return _shifted_and_scaled(matrix, mean, scaler.scale_ if scaler.with_std else None)


def _robust(scaler: Any, matrix: Matrix) -> Matrix:
    center = scaler.center_ if scaler.with_centering else None
    return _shifted_and_scaled(matrix, center, scaler.scale_ if scaler.with_scaling else None)


def _max_abs(scaler: Any, matrix: Matrix) -> Matrix:
    clip = (Step(Op.AT_LEAST, -1.0), Step(Op.AT_MOST, 1.0)) if getattr(scaler, "clip", False) else ()
    return _shifted_and_scaled(matrix, None, scaler.scale_, clip)


def _min_max(scaler: Any, matrix: Matrix) -> Matrix:
    low, high = map(float, scaler.feature_range)
    clip = [Step(Op.AT_LEAST, low), Step(Op.AT_MOST, high)] if scaler.clip else []
    return matrix.by_column(
        *(
            [
                Step(Op.REFUSE_INFINITE),
                Step(Op.MULTIPLY, float(scale)),
                Step(Op.ADD, float(least)),
                *clip,
            ]
            for scale, least in zip(scaler.scale_, scaler.min_, strict=True)
        ),
    )


def _simple_imputer(imputer: Any, matrix: Matrix) -> Matrix:
    if not (isinstance(imputer.missing_values, float) and math.isnan(imputer.missing_values)):
        raise NotCompilable(f"a SimpleImputer of missing_values={imputer.missing_values!r}")
    texts = [isinstance(signal, TextSignal) for signal in matrix.signals]
    if any(texts) and not all(texts):
        raise NotCompilable("a SimpleImputer over categories and numbers together")
    if any(texts) and imputer.add_indicator:
        raise NotCompilable("a SimpleImputer with add_indicator over categories")
    filled = [
        _imputed(signal, statistic)
        for signal, statistic in zip(matrix.signals, imputer.statistics_.tolist(), strict=True)
        if imputer.keep_empty_features or not _is_nan(statistic)
    ]
    if imputer.add_indicator:
        where_missing = (matrix.signals[i] for i in imputer.indicator_.features_)
        filled += [then(signal, Step(Op.IS_NULL)) for signal in where_missing]
    return replace(matrix, signals=tuple(filled), stores_zeros=matrix.sparse)


def _imputed(signal: Signal, statistic: Any) -> Signal:
    if not isinstance(signal, TextSignal):
        return then(signal, Step(Op.REFUSE_INFINITE), Step(Op.FILL_NULL, float(statistic)))
    if not isinstance(statistic, str):
        raise NotCompilable(f"a SimpleImputer that fills categories with {statistic!r}")
    if None in signal.words:
        return signal
    return replace(signal, words={**signal.words, None: statistic})


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _one_hot(encoder: Any, matrix: Matrix) -> Matrix:
    ends = np.cumsum([0, *encoder._n_features_outs]).tolist()
    made = _encoder(encoder, matrix, [slice(*edges) for edges in itertools.pairwise(ends)])
    return replace(made, sparse=bool(encoder.sparse_output))


def _ordinal(encoder: Any, matrix: Matrix) -> Matrix:
    return _encoder(encoder, matrix, [slice(i, i + 1) for i in range(len(encoder.categories_))])


def _encoder(encoder: Any, matrix: Matrix, outputs: list[slice]) -> Matrix:
    if np.dtype(encoder.dtype).kind == "f" and np.dtype(encoder.dtype) != np.float64:
        raise NotCompilable(f"an encoder of dtype {np.dtype(encoder.dtype)}")
    finite = [s if isinstance(s, TextSignal) else then(s, Step(Op.REFUSE_INFINITE)) for s in matrix.signals]
    matrix = replace(matrix, signals=tuple(finite))
    questions = [
        question_of(signal, categories)
        for signal, categories in zip(matrix.signals, encoder.categories_, strict=True)
    ]
    signals: list[Signal] = []
    checks = list(matrix.checks)
    answers = _Probe(encoder, matrix, outputs).answers([question.inputs for question in questions])
    for question, (values, refused) in zip(questions, answers, strict=True):
        tables = question.tables(values, refused)
        if tables[0].refused.any():
            checks.append(tables[0])
        signals += tables if values.shape[1] else []
    return Matrix(tuple(signals), checks=tuple(checks))


_Answer: TypeAlias = tuple[Doubles, npt.NDArray[np.bool]]
"""(k, width) what becomes of k values, and (k,) which of them the encoder raises for."""


class _Probe:
    """Asks an encoder what it makes of values: of all columns at once, for a question costs a frame of them all."""

    def __init__(self, encoder: Any, matrix: Matrix, outputs: list[slice]) -> None:
        self._encoder = encoder
        self._outputs = outputs
        self._usual = [categories[0] for categories in encoder.categories_]
        self._texts = [isinstance(signal, TextSignal) for signal in matrix.signals]
        framed = hasattr(encoder, "feature_names_in_")
        if any(self._texts) and not all(self._texts) and not framed:
            raise NotCompilable("an encoder over categories and numbers together, behind another step")
        if not framed and not any(self._texts) and any(c.dtype == object for c in encoder.categories_):
            raise NotCompilable("an encoder that was fitted on numbers among text")

    def answers(self, inputs: list[list[Any]]) -> list[_Answer]:
        """Ask about each column's values; the last two of them are an unknown one and null."""
        refused = [
            np.array([self._surely_refuses(column, value) for value in values], dtype=bool)
            for column, values in enumerate(inputs)
        ]
        made = [
            np.zeros((len(values), outputs.stop - outputs.start))
            for values, outputs in zip(inputs, self._outputs, strict=True)
        ]
        # The keys first, among which there is hardly one that is refused; then what may be, by kind.
        keys = [(c, row) for c, values in enumerate(inputs) for row in range(len(values) - 2)]
        unknown, null = ([(c, len(values) - back) for c, values in enumerate(inputs)] for back in (2, 1))
        groups = [[(c, row) for c, row in group if not refused[c][row]] for group in (keys, unknown, null)]
        while groups:
            group = groups.pop()
            if not group:
                continue
            try:
                for (column, row), answer in zip(group, self._ask(group, inputs), strict=True):
                    made[column][row] = answer
            except ValueError as error:
                if "unknown categories" not in str(error) and "NaN" not in str(error):
                    raise
                if len(group) == 1:
                    refused[group[0][0]][group[0][1]] = True
                else:
                    groups += [group[: len(group) // 2], group[len(group) // 2 :]]
        return list(zip(made, refused, strict=True))

    def _surely_refuses(self, column: int, value: Any) -> bool:
        """Tell what needs no asking: where unknown categories are errors, a value that is none."""
        if self._encoder.handle_unknown != "error":
            return False
        categories = self._known[column]
        return value not in categories and not (value != value and None in categories)

    @functools.cached_property
    def _known(self) -> list[set[Any]]:
        """Each column's categories; null is None."""
        return [
            {None if c is None or c != c else c for c in categories.tolist()}
            for categories in self._encoder.categories_
        ]

    def _ask(self, group: list[tuple[int, int]], inputs: list[list[Any]]) -> Iterator[Doubles]:
        """Give what becomes of the values at (column, row), in that order, a frame of bounded size at a time."""
        most = max(1, _MOST_CELLS // max(len(self._usual), self._outputs[-1].stop))
        columns: list[list[Any]] = [[] for _ in self._usual]
        placed: list[tuple[int, int]] = []

        def taken() -> Iterator[Doubles]:
            made = self._transform(columns)
            for column, row in placed:
                yield made[row, self._outputs[column]]
            placed.clear()
            for values in columns:
                values.clear()

        for column, row in group:
            if len(columns[column]) == most:
                yield from taken()
            placed.append((column, len(columns[column])))
            columns[column].append(inputs[column][row])
        yield from taken()

    def _transform(self, given: list[list[Any]]) -> Doubles:
        """Transform columns of different lengths, which the usual category fills up."""
        most = max(map(len, given))
        columns = [
            values + [usual] * (most - len(values)) for values, usual in zip(given, self._usual, strict=True)
        ]
        rows: Any
        if hasattr(self._encoder, "feature_names_in_"):
            types = [pd.StringDtype(na_value=np.nan) if text else "float64" for text in self._texts]
            rows = pd.DataFrame(
                {
                    name: pd.Series(column, dtype=kind)
                    for name, column, kind in zip(
                        self._encoder.feature_names_in_, columns, types, strict=True
                    )
                }
            )
        else:
            rows = np.array(columns, dtype=object if any(self._texts) else np.float64).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a category is unknown: that is what is asked
            made = self._encoder.transform(rows)
        dense = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
        return np.asarray(dense, dtype=np.float64)


_PREPROCESSING = "sklearn.preprocessing."
_TRANSFORMERS: dict[tuple[str, str], Callable[[Any, Matrix], Matrix]] = {
    ("sklearn.pipeline", "Pipeline"): _pipeline,
    ("sklearn.compose._column_transformer", "ColumnTransformer"): _column_transformer,
    (_PREPROCESSING + "_function_transformer", "FunctionTransformer"): _function_transformer,
    (_PREPROCESSING + "_data", "StandardScaler"): _standard,
    (_PREPROCESSING + "_data", "RobustScaler"): _robust,
    (_PREPROCESSING + "_data", "MaxAbsScaler"): _max_abs,
    (_PREPROCESSING + "_data", "MinMaxScaler"): _min_max,
    (_PREPROCESSING + "_encoders", "OneHotEncoder"): _one_hot,
    (_PREPROCESSING + "_encoders", "OrdinalEncoder"): _ordinal,
    ("sklearn.impute._base", "SimpleImputer"): _simple_imputer,
}
