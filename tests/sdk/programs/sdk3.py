"""What a user of the SageMaker SDK 3 does, unmodified; says what it saw as JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.core.training.configs import Compute, OutputDataConfig, StoppingCondition
from sagemaker.train import ModelTrainer

REGISTRY, ROLE = os.environ["REGISTRY"], os.environ["ROLE"]
URL = "s3://sdk/model/model.tar.gz"


def make_model(name: str) -> Model:
    container = ContainerDefinition(image=f"{REGISTRY}/serve:1", model_data_url=URL, environment={"A": name})
    return Model.create(model_name=name, primary_container=container, execution_role_arn=ROLE)


def make_config(name: str) -> EndpointConfig:
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=name, initial_instance_count=1, instance_type="ml.m5.large"
    )
    return EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])


def main() -> dict[str, object]:
    seen: dict[str, object] = {}
    trainer = ModelTrainer(
        training_image=f"{REGISTRY}/train:1",
        role=ROLE,
        base_job_name="sdk3",
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"act": "train"},
        output_data_config=OutputDataConfig(s3_output_path="s3://sdk/models"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
    )
    trainer.train(wait=True, logs=True)
    job = trainer._latest_training_job
    job.refresh()
    seen["trained"] = [job.training_job_status, job.model_artifacts.s3_model_artifacts]
    seen["listed"] = job.training_job_name in [each.training_job_name for each in TrainingJob.get_all()]

    model, config = make_model("sdk3-a"), make_config("sdk3-a")
    seen["model"] = model.primary_container.environment
    seen["models"] = sorted(each.model_name for each in Model.get_all(name_contains="sdk3-"))
    config = EndpointConfig.get("sdk3-a")
    seen["config"] = config.production_variants[0].model_name
    endpoint = Endpoint.create(endpoint_name="sdk3", endpoint_config_name="sdk3-a")
    endpoint.wait_for_status("InService")
    answer = endpoint.invoke(body=b"1,2", content_type="text/csv")
    seen["answer"] = json.loads(answer.body.read())["model"]
    make_model("sdk3-b")
    make_config("sdk3-b")
    endpoint.endpoint_config_name = "sdk3-b"
    endpoint.update()
    endpoint.wait_for_status("InService")
    endpoint.refresh()
    seen["updated"] = endpoint.endpoint_config_name
    endpoint.delete()
    endpoint.wait_for_delete()
    config.delete()
    model.delete()
    seen["left"] = [each.model_name for each in Model.get_all(name_contains="sdk3-")]
    return seen


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # the SDK shows a job's log as log records of its own
    with contextlib.redirect_stdout(sys.stderr):
        result = main()
    print(json.dumps(result))
