"""A custom MLServer runtime: the scikit-learn one, with the columns' dtypes said, since V2 has no null strings.

https://docs.seldon.ai/mlserver/user-guide/custom ; content type "pd", one input for each column. `parallel_workers`
stays at its default of one worker process.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Example(MLModel):
    async def load(self) -> bool:
        folder = Path(os.environ["MODEL_FOLDER"])
        features = json.loads((folder / "contract.json").read_text())["features"]
        self._dtypes = {f["name"]: "float64" if f["kind"] == "number" else "str" for f in features}
        self._model = joblib.load(folder / "model.joblib")
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        frame = self.decode_request(payload, default_codec=PandasCodec).astype(self._dtypes)
        probabilities = self._model.predict_proba(frame)[:, 1]
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("predict_proba", probabilities)],
        )
