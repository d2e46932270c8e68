"""A fitted model against its compiled form, and the two engines against each other."""

from __future__ import annotations

from typing import Any

from containers.compiled import store
from containers.compiled.compile import compile_model
from containers.compiled.engine import Engine, NumpyEngine
from containers.compiled.exactness import Verdict, check
from containers.compiled.plan import Plan

from . import cases
from .cases import Classes, contract_for


def compiled(model: Any, classes: Classes) -> Plan:
    """Through the file, as a serving process gets it."""
    return store.from_bytes(store.to_bytes(compile_model(model, contract_for(classes))))


def verdict(model: Any, plan: Plan, engine: Engine, classes: Classes) -> Verdict:
    return check(model, plan, engine, contract_for(classes), cases.columns(400, seed=7), seconds=60)


def engines_agree(plan: Plan, native: Engine) -> None:
    data = cases.columns(300, seed=11)
    pure = NumpyEngine(plan)
    for rows in (slice(0, 1), slice(1, 8), slice(8, None)):
        some = {name: values[rows] for name, values in data.items()}
        assert native.score_columns(some) == pure.score_columns(some)
