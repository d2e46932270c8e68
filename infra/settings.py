"""What a state machine is told: one object literal, which its state Begin assigns to `$settings`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.guard import guard
from infra.images import Images
from infra.searching import condition, search_settings
from sluice import hyperparameters, keys, naming
from sluice.features.plan import FeaturePlan
from sluice.project import Project


def machine_settings(
    *,
    config: DeployConfig,
    project: Project,
    data: DataStack,
    images: Images,
    sagemaker_role_arn: str,
    functions: Mapping[str, str],
    offline: Mapping[str, str],
    tracking: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Give what the machines are told, but for each other's ARNs; `functions` are ARNs by name."""
    bucket = data.artifacts.bucket_name
    spot = project.training.spot_in(config.environment)
    training_condition = condition(project, spot=spot, seconds=project.model.max_runtime_seconds)
    code = images.project_code
    return {
        "project": project.name,
        # What the endpoint reads features from; nothing where a project declares none.
        "online_store": naming.online_store(project.name, config.environment) if data.features else "",
        "environment": config.environment,
        "endpoint_name": naming.endpoint(project.name, config.environment),
        "deployment_alarms": naming.deployment_alarms(project.name, config.environment),
        "job_prefix": naming.job_prefix(project.name, config.environment),
        "artifacts_bucket": bucket,
        "releases_table": data.releases.table_name,
        "topic_arn": data.outcomes.topic_arn,
        "sagemaker_role_arn": sagemaker_role_arn,
        "images": {
            "training_set": images.training_set_uri,
            "process": images.process_uri,
            "train": images.train_uri,
            "serve": images.serve_uri,
        },
        "missing_features": project.serving.missing,
        # What makes training sets is told of its offline store; nothing where that is its own.
        "offline": dict(offline),
        # Null where nobody is asked whether a model that passed its gates may serve.
        "approval": None
        if (seconds := project.approval.expires_seconds(config.environment)) is None
        else {"expires_seconds": seconds},
        "capture": _capture(project, bucket),
        # Null where all traffic goes over at once, and nothing watches it.
        "guard": guard(project, config.environment),
        "own_image": project.model.image is not None,
        "code_source": f"{code.s3_bucket_name}/{code.s3_object_key}",
        "places": {
            name: naming.uri(bucket, key) for name, key in keys.places("{execution}", "{job}").items()
        },
        "hyperparameters": hyperparameters.encode(project.model.hyperparameters),
        "max_runtime_seconds": project.model.max_runtime_seconds,
        "spot": spot,
        "training_condition": training_condition,
        "max_wait_seconds": max(training_condition.values()),
        **search_settings(project, config.environment),
        "instance_types": {
            "processing": config.processing_instance_type,
            "training": project.model.instance_type,
            "transform": config.transform_instance_type,
            "serving": project.serving.instance_type,
        },
        "serving_instance_count": project.serving.instance_count,
        "poll_seconds": config.poll_seconds,
        "metrics_seconds": str(config.profile.metrics_seconds),
        "events_prefix": keys.INCOMING_EVENTS,
        "batch_prefix": keys.INCOMING_BATCH,
        "batch": {
            "instance_mb": project.batch.instance_mb,
            "max_instances": project.batch.max_instances,
            "limit_seconds": project.batch.max_hours * 3_600,
        },
        "log_retention_days": config.profile.log_retention_days,
        "functions": dict(functions),
        # Null where no runs are kept.
        "tracking": None if tracking is None else dict(tracking),
    }


def _capture(project: Project, bucket: str) -> dict[str, Any]:
    """Give SageMaker's DataCaptureConfig; one that is off has to say where to, too."""
    return {
        "EnableCapture": project.capture.percent > 0,
        "InitialSamplingPercentage": project.capture.percent,
        "DestinationS3Uri": naming.uri(bucket, keys.CAPTURES),
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        # Everything else is kept as base64.
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json", "application/jsonlines"],
        },
    }


def tracking_settings(project: Project, config: DeployConfig, plan: FeaturePlan | None) -> dict[str, Any]:
    """Give what a run says of the deployment, and what becomes of an execution that has none."""
    return {
        "on_failure": project.tracking.on_failure,
        "feature_plan": None
        if plan is None
        else hashlib.sha256(plan.model_dump_json().encode()).hexdigest()[:16],
        "commit": config.commit,
    }


def literal(settings: Mapping[str, Any]) -> str:
    r"""Write settings as `"{% ${Settings} %}"` in the ASL takes them: JSONata in a JSON string.

    A JSON object is a JSONata object literal of the same value; the outer dumps escapes it for the string it is put
    into. A token's marker holds nothing that is escaped, nor does what CloudFormation puts in its place.
    """
    return json.dumps(json.dumps(settings))[1:-1]
