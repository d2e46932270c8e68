"""EvaluateModel: challenger and champion on the same held-out rows: figures, or why there are none."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from containers.failure import run_job
from containers.hooks import unpack_project
from containers.model_files import EXAMPLE, GOLDEN, REFERENCE
from containers.paths import MlPaths
from containers.process import refusal
from containers.process.candidates import ArchivedModel, OwnImage
from containers.process.measured import Important
from containers.process.transform import ANSWERS
from containers.process.unseen import shown
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.project import Project


def evaluate(
    paths: MlPaths, environment: Mapping[str, str], scratch: Path
) -> tuple[Evaluation, ModelContract]:
    """Judge the challenger, and the champion if CHAMPION_MODEL_URI names one; give the challenger's contract, too.

    A model is given as its archive, or as what its own container has answered to the held-out rows.

    Raises:
        EvaluationFailed: the challenger does not load, does not predict, or predicts no figures; or the rows cannot
            be parted as [gates] asks. Of a champion that is told in its `error` instead.
        ProjectError: project.toml cannot be read.
    """
    held_out = paths.processing_input("held_out")
    champion_uri = environment.get("CHAMPION_MODEL_URI")
    unanswered = environment.get("CHAMPION_ERROR")
    folder = unpack_project(paths.processing_input("code"), scratch / "code")
    project = Project.load_file(folder / "project.toml")
    gates = project.gates
    sha256 = _sha256(held_out)
    with ExitStack() as started:

        def candidate(role: str, important: Important | None = None) -> ArchivedModel | OwnImage:
            folder = paths.processing_input(role)
            if (folder / ANSWERS).exists():
                return OwnImage(role, folder / ANSWERS)
            model = ArchivedModel(role, folder, held_out, scratch, important=important)
            started.callback(model.stop)
            return model

        seed = int(sha256[:16], 16)
        challenger = candidate("challenger", Important(gates.compare, seed))
        champion = candidate("champion") if champion_uri and not unanswered else None
        # Only now: these imports take a second, in which the models score already.
        from containers.frames import read_training_set
        from containers.process.judging import judge
        from containers.process.verdict import Contest

        table, given = read_training_set(held_out)
        from sluice.monitoring.model_reference import ModelReference, answers_of

        predictions, contract = challenger.predictions(given, table.num_rows)
        contest = Contest(table, given, gates, seed, judge(predictions, contract, table, gates.confidence))
        error = unseen = None
        if champion_uri:
            try:
                if champion is None:
                    raise _unanswered(unanswered or "")
                unseen = _unseen(champion, project)
                contest.champion = judge(
                    *champion.predictions(given, table.num_rows), table, gates.confidence
                )
            except EvaluationFailed as failure:
                print(f"the champion could not be judged: {failure}", flush=True)
                error = str(failure)
        evaluation = contest.evaluation(
            held_out_sha256=sha256,
            challenger=_seen(
                challenger,
                environment.get("CHALLENGER_MODEL_URI", ""),
                unseen=_unseen(challenger, project),
            ),
            champion=None if champion_uri is None else _seen(champion, champion_uri, error, unseen=unseen),
            importance=challenger.measured.importance,
        )
        if challenger.history:
            evaluation = evaluation.model_copy(update={"history": challenger.history})
        # Here, and not later: where rows and answers are at hand, and nothing has to be read again.
        answers = answers_of(predictions.values, predictions.labels, contract)
        uri = environment.get("CHALLENGER_MODEL_URI", "")
        reference = ModelReference.of(uri, table, answers, contract, challenger.measured.importance)
        reference.save(paths.processing_output("model") / REFERENCE)
        if challenger.example is not None:
            # Like the contract it lands beside the model's archive in S3.
            shutil.copyfile(challenger.example, paths.processing_output("model") / EXAMPLE)
        if challenger.golden is not None:
            shutil.copyfile(challenger.golden, paths.processing_output("model") / GOLDEN)
    return evaluation, contract


def _sha256(held_out: Path) -> str:
    """Hash the file of the held-out rows; where it is not one file, `read_training_set` says so."""
    digest = hashlib.sha256()
    for file in sorted(held_out.glob("*.parquet")):
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _unseen(model: ArchivedModel | OwnImage, project: Project) -> bool | None:
    try:
        return shown(model.record, project)
    except EvaluationFailed as error:
        raise refusal.of(model.role, error) from error


def _seen(
    model: ArchivedModel | OwnImage | None, uri: str, error: str | None = None, *, unseen: bool | None = None
) -> ModelEvaluation:
    """Say of a model what is no figure of the held-out rows."""
    if model is None or error is not None:
        return ModelEvaluation(model_uri=uri, error=error)
    return ModelEvaluation(
        model_uri=uri,
        scoring=model.scoring,
        latency=model.measured.latency,
        archive_bytes=model.archive_bytes,
        unseen=unseen,
    )


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
