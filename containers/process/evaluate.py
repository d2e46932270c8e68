"""EvaluateModel: challenger and champion on the same held-out rows: figures, or why there are none."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from containers.failure import run_job
from containers.paths import MlPaths
from containers.process.candidates import ArchivedModel, OwnImage
from containers.process.transform import ANSWERS
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.payloads.documents import Evaluation, ModelEvaluation


def evaluate(
    paths: MlPaths, environment: Mapping[str, str], scratch: Path
) -> tuple[Evaluation, ModelContract]:
    """Judge the challenger, and the champion if CHAMPION_MODEL_URI names one; give the challenger's contract, too.

    A model is given as its archive, or as what its own container has answered to the held-out rows.

    Raises:
        EvaluationFailed: the challenger does not load, does not predict, or predicts no figures. Of a
            champion that is told in its `error` instead.
    """
    held_out = paths.processing_input("held_out")
    challenger_uri = environment.get("CHALLENGER_MODEL_URI", "")
    champion_uri = environment.get("CHAMPION_MODEL_URI")
    unanswered = environment.get("CHAMPION_ERROR")
    with ExitStack() as started:

        def candidate(role: str) -> ArchivedModel | OwnImage:
            folder = paths.processing_input(role)
            if (folder / ANSWERS).exists():
                return OwnImage(role, folder / ANSWERS)
            model = ArchivedModel(role, folder, held_out, scratch)
            started.callback(model.stop)
            return model

        challenger = candidate("challenger")
        champion = candidate("champion") if champion_uri and not unanswered else None
        # Only now: these imports take a second, in which the models score already.
        from containers.frames import read_training_set
        from containers.process.judging import judge

        table, given = read_training_set(held_out)
        predictions, contract = challenger.predictions(given, table.num_rows)
        judged = {"challenger": judge(predictions, contract, table)}
        champion_evaluation = None
        if champion_uri:
            try:
                if champion is None:
                    raise _unanswered(unanswered or "")
                judged["champion"] = judge(*champion.predictions(given, table.num_rows), table)
                champion_evaluation = judged["champion"].evaluation(champion_uri, champion.scoring)
            except EvaluationFailed as error:
                print(f"the champion could not be judged: {error}", flush=True)
                champion_evaluation = ModelEvaluation(model_uri=champion_uri, error=str(error))
    evaluation = Evaluation(
        problem=given.target.problem,
        held_out_rows=table.num_rows,
        challenger=judged["challenger"].evaluation(challenger_uri, challenger.scoring),
        champion=champion_evaluation,
        curves={name: each.curves for name, each in judged.items()},
    )
    return evaluation, contract


def _unanswered(reason: str) -> EvaluationFailed:
    return EvaluationFailed(
        "champion: there are no predictions of it for the held-out rows",
        where="the champion's archive or, of an image of your own, its transform job",
        why=reason,
        fix="restore the archive; of a job its log says more, and one of other features can have none",
    )


def main() -> int:
    paths = MlPaths.of(os.environ)

    def work() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            evaluation, contract = evaluate(paths, os.environ, Path(scratch))
        evaluation.save(paths.processing_output("evaluation") / "evaluation.json")
        # It lands beside the model's archive in S3.
        contract.save(paths.processing_output("model") / "contract.json")
        print(f"challenger: {evaluation.challenger.metrics}", flush=True)

    return run_job(work, paths.processing_message, unforeseen=EvaluationFailed)


if __name__ == "__main__":
    sys.exit(main())
