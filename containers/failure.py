"""The reason a job failed, in the file SageMaker reads it from and within the length it takes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sluice.errors import SluiceError, to_wire

# Of a training job's file the first 1,024 characters become FailureReason, which also gets "AlgorithmError: " in
# front and the exit code behind; of a processing job's the first 1,024 bytes become ExitMessage.
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
MAX_BYTES = 980


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
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_wire(error, most_bytes=MAX_BYTES), encoding="utf-8")
    print(f"{error.name}: {error}", file=sys.stderr, flush=True)


def run_job(work: Callable[[], None], failure_file: Path, *, unforeseen: type[SluiceError]) -> int:
    """Do the work of a job and give its exit status; why it failed, if it did, is reported to `failure_file`."""
    try:
        work()
    except Exception as error:
        report_failure(error, failure_file, unforeseen=unforeseen)
        return 1
    return 0
