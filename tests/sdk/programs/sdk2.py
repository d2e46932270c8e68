"""What a user of the SageMaker SDK 2 does, unmodified; says what it saw as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys

import boto3
import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

REGISTRY, ROLE = os.environ["REGISTRY"], os.environ["ROLE"]


def main() -> dict[str, object]:
    seen: dict[str, object] = {}
    session = sagemaker.Session(default_bucket="sdk")
    estimator = Estimator(
        image_uri=f"{REGISTRY}/train:1",
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        output_path="s3://sdk/models",
        base_job_name="sdk2",
        max_run=60,
        hyperparameters={"act": "train"},
        metric_definitions=[{"Name": "score", "Regex": "validation-score=(.*?);"}],
        sagemaker_session=session,
    )
    estimator.fit({"train": TrainingInput("s3://sdk/train", content_type="text/csv")}, wait=True, logs="All")
    name = estimator.latest_training_job.name
    seen["trained"] = estimator.model_data == f"s3://sdk/models/{name}/output/model.tar.gz"
    seen["metrics"] = sorted(TrainingJobAnalytics(name, sagemaker_session=session).dataframe()["value"])

    attached = Estimator.attach(name, sagemaker_session=session)
    seen["attached"] = [attached.image_uri == f"{REGISTRY}/train:1", attached.hyperparameters()["act"]]
    predictor = attached.deploy(
        1,
        "ml.m5.large",
        endpoint_name="sdk2",
        image_uri=f"{REGISTRY}/serve:1",
        serializer=CSVSerializer(),
    )
    seen["answer"] = json.loads(predictor.predict([[1, 2]]))["job"] == name
    before = predictor._get_endpoint_config_name()
    predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
    seen["updated"] = predictor._get_endpoint_config_name() != before

    other = Model(
        image_uri=f"{REGISTRY}/serve:1",
        model_data="s3://sdk/model/model.tar.gz",
        role=ROLE,
        predictor_cls=Predictor,
        sagemaker_session=session,
    )
    second = other.deploy(1, "ml.m5.large", endpoint_name="sdk2-model")
    seen["second"] = json.loads(second.predict(b"1"))["model"]
    for each in (predictor, second):
        each.delete_model()
        each.delete_endpoint(delete_endpoint_config=True)
    client = boto3.client("sagemaker")
    waiter = client.get_waiter("endpoint_deleted")
    for endpoint in ("sdk2", "sdk2-model"):
        waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    seen["left"] = [each["EndpointName"] for each in client.list_endpoints(NameContains="sdk2")["Endpoints"]]

    failing = Estimator(
        image_uri=f"{REGISTRY}/train:1",
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        output_path="s3://sdk/models",
        base_job_name="sdk2-failing",
        hyperparameters={"act": "fail"},
        sagemaker_session=session,
    )
    try:
        failing.fit(wait=True, logs="All")
    except sagemaker.exceptions.UnexpectedStatusException as error:
        seen["failed"] = str(error)
    return seen


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = main()
    print(json.dumps(result))
