"""A model's own reference: its features and its answers on held-out rows, which it has not learned from."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from sluice import keys, naming
from sluice.arrow import Array, Table
from sluice.artifacts import Artifacts
from sluice.column_names import PREDICTION
from sluice.contract import ModelContract, plain_class
from sluice.monitoring.reference import Reference, reference_of
from sluice.monitoring.windows import no_reference
from sluice.payloads.base import Document
from sluice.payloads.evaluation import Importances


class ModelReference(Document):
    """reference.json beside a model's archive: what the traffic that it answers is held against.

    Features and answers are of the same held-out rows. Of the rows it was trained on a model is surer than of any
    that come later, so that its answers to those would differ from traffic where nothing has moved.

    Attributes:
        model_uri: of the archive.
        contract: by which serving decodes requests, and by which captured ones are decoded.
        reference: a column a feature, and `PREDICTION`: the positive class's probability, a regression's value, or
            of several classes the one that is answered.
        importances: by column, not negative; None where nothing was measured.
    """

    model_uri: str
    contract: ModelContract
    reference: Reference
    importances: dict[str, float] | None = Field(default=None)

    @classmethod
    def of(
        cls,
        model_uri: str,
        held_out: Table,
        answers: Array,
        contract: ModelContract,
        importances: Importances | None,
    ) -> Self:
        """Make the reference of a model.

        Args:
            model_uri: of the archive.
            held_out: (n,) rows, with the features by the contract's names.
            answers: (n,) as `answers_of` gives them.
            contract: the model's.
            importances: as they were measured, if they were.
        """
        rows = held_out.select(list(contract.names)).append_column(PREDICTION, answers)
        return cls(
            model_uri=model_uri,
            contract=contract,
            reference=reference_of(model_uri, rows.to_batches),
            importances=_weights(importances),
        )

    @classmethod
    def find(cls, model_uri: str, artifacts: Artifacts) -> Self:
        """Read the reference of the model of an archive.

        Raises:
            NoReference: there is none.
        """
        key = keys.reference(naming.split_uri(model_uri)[1])
        body = artifacts.read(key)
        if body is None:
            raise no_reference(artifacts.uri(key))
        return cls.model_validate_json(body)


def answers_of(
    values: npt.NDArray[np.float64], labels: npt.NDArray[np.int64] | None, contract: ModelContract
) -> Array:
    """Give a model's answers as the column that is compared.

    Args:
        values: (n, classes) probabilities in the contract's order, or (n,) values of a regression.
        labels: (n,) indexes of the classes; None of a regression.
        contract: says which class is the positive one.
    """
    target = contract.target
    if labels is None:
        return pa.array(values, pa.float64())
    if target.positive is not None:
        return pa.array(values[:, target.classes.index(target.positive)], pa.float64())
    names = [plain_class(each) for each in target.classes]
    return pa.array([names[label] for label in labels.tolist()], pa.string())


def _weights(importances: Importances | None) -> dict[str, float] | None:
    """Give what a model uses. Its answers are what all others are used for: they weigh as the most important."""
    losses: dict[str, Any] = {each.feature: each.loss for each in importances.features} if importances else {}
    positive = {name: max(0.0, loss) for name, loss in losses.items()}
    if not any(positive.values()):
        return None
    return positive | {PREDICTION: max(positive.values())}
