"""On-demand views: a project's own functions, made of the text that the plan carries."""

from __future__ import annotations

import ast
import builtins
import importlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from containers.serve.online.failures import UnreadableFeatures
from sluice.errors import ProjectError
from sluice.features.plan import FeaturePlan, OnDemand, Type

Lists: TypeAlias = dict[str, list[Any]]
"""Values by name, one a row; None for null."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Function:
    """An on-demand view, ready to be asked.

    Attributes:
        needs_frames: it is given a pandas frame, which takes its time.
        inputs: the names of what it is given.
    """

    def __init__(self, view: OnDemand, types: Mapping[str, Type]) -> None:
        self.name = view.name
        self.inputs = view.inputs
        self.needs_frames = view.mode == "pandas"
        self._outputs = [value.name for value in view.features]
        self._types = {name: types[name] for name in view.inputs}
        self._function = _compiled(view)
        if self.needs_frames:
            # Not only with the first request, which would wait for it.
            importlib.import_module("pandas")

    def answer(self, inputs: Mapping[str, Sequence[Any]]) -> Lists:
        """Make the view's features.

        Args:
            inputs: values by name, timestamps in microseconds since 1970.

        Raises:
            UnreadableFeatures: the function raises, or does not give one value a row.
        """
        rows = len(inputs[self.inputs[0]])
        given = {
            name: _moments(inputs[name]) if self._types[name] == "timestamp" else list(inputs[name])
            for name in self.inputs
        }
        try:
            made = self._framed(given) if self.needs_frames else self._function(given)
            found = {name: _plain(made[name]) for name in self._outputs}
        except Exception as error:  # whatever a project's own function raises
            raise self._failure(f"{type(error).__name__}: {error}") from error
        for name, values in found.items():
            if len(values) != rows:
                raise self._failure(f"{name!r}: it made {len(values)} values of {rows} rows")
        return found

    def _failure(self, why: str) -> UnreadableFeatures:
        return UnreadableFeatures(
            f"the on-demand view {self.name!r} failed",
            where=f"{self._function.__name__} in features.py",
            why=why,
            fix="it has to stand for itself, and to give one value a row for each of its features, also for nulls",
        )

    def _framed(self, given: Lists) -> Lists:
        import pandas as pd

        frame = pd.DataFrame({name: _series(values, self._types[name]) for name, values in given.items()})
        made = self._function(frame)
        return {
            name: made[name].astype(object).where(made[name].notna(), None).tolist() for name in self._outputs
        }


def _compiled(view: OnDemand) -> Callable[[Any], Any]:
    """Make the function of its text, without what decorates it: that is Feast's, which is not here.

    Raises:
        ProjectError: there is no such function in it, or it does not stand for itself.
    """
    try:
        tree = ast.parse(textwrap.dedent(view.source))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == view.function:
                node.decorator_list = []
                # Annotations are for people here: they may name what only the project's environment has.
                node.returns = None
                for argument in node.args.args:
                    argument.annotation = None
        names: dict[str, Any] = {"__builtins__": builtins, "__name__": f"features_{view.name}"}
        exec(compile(tree, f"<on-demand view {view.name}>", "exec"), names)  # noqa: S102  # the project's own code
        function: Callable[[Any], Any] = names[view.function]
    except Exception as error:
        raise ProjectError(
            f"the on-demand view {view.name!r} cannot be loaded",
            where=f"{view.function} in features.py",
            why=f"{type(error).__name__}: {error}",
            fix="write the function so that it stands for itself: what it imports, it imports in its own lines",
        ) from error
    return function


def functions_of(plan: FeaturePlan) -> tuple[Function, ...]:
    """Make those on-demand views ready whose features the model takes.

    Raises:
        ProjectError: one cannot be loaded.
    """
    wanted = {reference.partition(":")[0] for reference in plan.model if ":" in reference}
    types: dict[str, Type] = {value.name: value.type for value in plan.request}
    types |= {value.name: value.type for view in plan.views for value in view.features}
    return tuple(Function(view, types) for view in plan.on_demand if view.name in wanted)


def _moments(values: Sequence[int | None]) -> list[datetime | None]:
    """Give timestamps as Feast gives them to a function."""
    return [None if value is None else _EPOCH + timedelta(microseconds=value) for value in values]


def _plain(values: Any) -> list[Any]:
    """Give what a function made as a list of Python's own values."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value.item() if hasattr(value, "item") else value for value in listed]


def _series(values: list[Any], type_: Type) -> Any:
    """Give a column as pandas makes it of such values, also where all of them are null."""
    import pandas as pd

    if type_ == "timestamp":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True)
    if type_ == "number" or (type_ == "integer" and None in values):
        return pd.Series(values, dtype="float64")
    if type_ == "integer":
        return pd.Series(values, dtype="int64")
    return pd.Series(values)
