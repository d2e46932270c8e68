"""The trials of a search, as SageMaker lists them: too much to pass from state to state."""

from __future__ import annotations

from sluice.errors import TrackingUnavailable


def hyperparameters(tuning_job: str) -> dict[str, dict[str, str]]:
    """Give what each trial was given, by its name, as SageMaker hands it on.

    Raises:
        TrackingUnavailable: SageMaker does not list them.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    pages = boto3.client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    try:
        return {
            trial["TrainingJobName"]: dict(trial["TunedHyperParameters"])
            for page in pages.paginate(HyperParameterTuningJobName=tuning_job)
            for trial in page["TrainingJobSummaries"]
        }
    except (BotoCoreError, ClientError) as error:
        raise TrackingUnavailable(
            "the trials of the search cannot be listed", where=tuning_job, why=str(error)
        ) from error
