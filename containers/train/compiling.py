"""The training job's last step: compile the model, compare the two, and leave the verdict beside the model."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

import pandas as pd

from containers.compiled import store
from containers.compiled.compile import compile_model
from containers.compiled.engine import engine_of, why_not_native
from containers.compiled.exactness import check
from containers.compiled.plan import CompiledModelError, Trees
from containers.compiled.signals import NotCompilable
from containers.frames import columns_of
from containers.scoring import Scoring
from sluice.contract import ModelContract


def compile_beside(model: Any, contract: ModelContract, features: pd.DataFrame, folder: Path) -> str:
    """Write the compiled model into the model folder if it is exact, and `scoring.json` in any case.

    A model without a compiled form is no failure: the fitted pipeline serves it, and the verdict says why.

    Args:
        model: the fitted pipeline.
        contract: the complete one, as it was saved.
        features: the rows it was trained on.
        folder: the model folder.

    Returns:
        One line for the log.
    """
    started = time.perf_counter()
    scoring = _verdict(model, contract, features, folder)
    scoring.save(folder)
    seconds = time.perf_counter() - started
    if scoring.path == "compiled":
        size = (folder / store.FILE_NAME).stat().st_size
        return f"scoring: {scoring.describe()}, {size:,} bytes ({seconds:.1f} s)"
    return f"scoring: {scoring.describe()} ({seconds:.1f} s)"


def _verdict(model: Any, contract: ModelContract, features: pd.DataFrame, folder: Path) -> Scoring:
    try:
        plan = compile_model(model, contract)
        engine = engine_of(plan, contract)
        found = check(model, plan, engine, contract, columns_of(features, contract))
    except (NotCompilable, CompiledModelError) as error:
        return Scoring(path="scikit-learn", why=f"not compilable: {error}")
    except Exception as error:
        # The model is trained and saved: a fault of the compiler costs speed, not the job.
        traceback.print_exc()
        return Scoring(path="scikit-learn", why=f"not compilable: {type(error).__name__}: {error}")
    if found.why:
        return Scoring(path="scikit-learn", why=found.why, rows=found.rows)
    store.save(plan, folder)
    return Scoring(
        path="compiled",
        engine=engine.name,
        why=why_not_native(),
        rows=found.rows,
        exact=isinstance(plan.model, Trees),
    )
