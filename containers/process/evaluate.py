"""EvaluateModel: challenger and champion on the same held-out rows: figures, or why there are none."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from containers.failure import report_failure
from containers.paths import MlPaths
from containers.process.candidates import ArchivedModel, OwnImage
from containers.process.transform import ANSWERS
from sluice.errors import EvaluationFailed
from sluice.payloads.documents import Evaluation, ModelEvaluation

if TYPE_CHECKING:
    from containers.process.judging import Judged


def evaluate(paths: MlPaths, environment: Mapping[str, str], scratch: Path) -> Evaluation:
    """Judge the challenger, and the champion if CHAMPION_URI names one.

    A model is given as its archive, or as what its own container has answered to the held-out rows.

    Raises:
        EvaluationFailed: the challenger does not load, does not predict, or predicts no figures. Of a
            champion that is told in its `error` instead.
    """
    test = paths.processing_input("test")
    challenger_uri = environment.get("CHALLENGER_URI", "")
    champion_uri = environment.get("CHAMPION_URI")
    unanswered = environment.get("CHAMPION_ERROR")
    with ExitStack() as started:

        def candidate(role: str) -> ArchivedModel | OwnImage:
            folder = paths.processing_input(role)
            if (folder / ANSWERS).exists():
                return OwnImage(role, folder / ANSWERS)
            model = ArchivedModel(role, folder, test, scratch)
            started.callback(model.stop)
            return model

        challenger = candidate("challenger")
        champion = candidate("champion") if champion_uri and not unanswered else None
        # Only now: these imports take a second, in which the models score already.
        from containers.frames import read_training_set
        from containers.process.judging import judge

        table, contract = read_training_set(test)

        def judged_by(model: ArchivedModel | OwnImage) -> Judged:
            return judge(*model.predictions(contract, table.num_rows), table)

        judged = {"challenger": judged_by(challenger)}
        champion_evaluation = None
        if champion_uri:
            try:
                if champion is None:
                    raise _unanswered(unanswered or "")
                judged["champion"] = judged_by(champion)
                champion_evaluation = judged["champion"].evaluation(champion_uri, champion.scoring)
            except EvaluationFailed as error:
                print(f"the champion could not be judged: {error}", flush=True)
                champion_evaluation = ModelEvaluation(model_uri=champion_uri, error=str(error))
    return Evaluation(
        problem=contract.target.problem,
        held_out_rows=table.num_rows,
        challenger=judged["challenger"].evaluation(challenger_uri, challenger.scoring),
        champion=champion_evaluation,
        curves={name: each.curves for name, each in judged.items()},
    )


def _unanswered(reason: str) -> EvaluationFailed:
    return EvaluationFailed(
        "champion: its container did not answer to the held-out rows",
        where="the champion's transform job",
        why=reason,
        fix="see the job's log; a champion of other features cannot be judged on these rows",
    )


def main() -> int:
    paths = MlPaths.of(os.environ)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            evaluation = evaluate(paths, os.environ, Path(scratch))
        file = paths.processing_output("evaluation") / "evaluation.json"
        file.write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
        print(f"challenger: {evaluation.challenger.metrics}", flush=True)
    except Exception as error:
        report_failure(error, paths.processing_message, unforeseen=EvaluationFailed)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
