"""The reason a job failed, in the file SageMaker reads it from and within the length it takes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sluice.errors import SluiceError

# The first 1,024 characters of the file become the job's FailureReason, which also gets "AlgorithmError: " in
# front and the exit code behind.
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
MAX_CHARACTERS = 980
_SHORTEST_WHY = 80


def failure_text(error: SluiceError, limit: int = MAX_CHARACTERS) -> str:
    """Give `str(error)` in at most `limit` characters; its `why`, of any length, gives way first."""
    excess = len(str(error)) - limit
    if excess > 0 and len(error.why) > _SHORTEST_WHY:
        why = error.why[: max(len(error.why) - excess - 1, _SHORTEST_WHY)] + "…"
        error = type(error)(error.what, where=error.where, why=why, fix=error.fix)
    text = str(error)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def report_failure(error: BaseException, file: Path, *, unforeseen: type[SluiceError]) -> None:
    """Write why a job ends to `file` and stderr: a SluiceError in its own words, anything else as a bug.

    Args:
        error: what ended the job.
        file: `output/failure` of a training job, `output/message` of a processing job.
        unforeseen: the error class for what is no SluiceError.
    """
    if not isinstance(error, SluiceError):
        traceback.print_exception(error)
        last = traceback.extract_tb(error.__traceback__)[-1:]
        error = unforeseen(
            f"Sluice itself failed: {type(error).__name__}",
            where=f"{last[0].filename}:{last[0].lineno} in {last[0].name}" if last else "",
            why=str(error),
            fix="this is no mistake of the project: report it with the job's log",
        )
    # The name lets sluice.reporting.failures end the execution with the error itself, not just with the state's.
    text = f"{error.name}: {failure_text(error, MAX_CHARACTERS - len(error.name) - 2)}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    print(text, file=sys.stderr, flush=True)


def run_job(work: Callable[[], None], failure_file: Path, *, unforeseen: type[SluiceError]) -> int:
    """Do the work of a job and give its exit status; why it failed, if it did, is reported to `failure_file`."""
    try:
        work()
    except Exception as error:
        report_failure(error, failure_file, unforeseen=unforeseen)
        return 1
    return 0
