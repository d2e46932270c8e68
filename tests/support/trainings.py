"""A stack with a trained model, whose SageMaker makes of the same requests the same objects."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from cli.stack import Stack
from sluice import keys, naming
from sluice.payloads.documents import Evaluation, Manifest, ModelEvaluation, Part
from sluice.payloads.training_record import FILE_NAME, TrainingRecord
from tests.support.builds import RECORD
from tests.support.deployed import ARTIFACTS, S3, md5_of

REGION = "eu-central-1"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/images"
EXECUTION = "bank-csv-run"
MODEL = "shop-dev-0123456789abcdef"
VERSION = "00112233445566aa"
CODE = b"a zip of the project"
ROWS = pa.table({"age": [1.0, 2.0, 3.0, 4.0], "y": ["no", "yes", "no", "yes"]})


class ResourceNotFound(ClientError):
    """What SageMaker answers of a job that is not there."""

    def __init__(self, operation: str) -> None:
        answer: Any = {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}
        super().__init__(answer, operation)


class SageMaker:
    """Jobs that end as soon as they are asked for.

    Attributes:
        created: the requests.
        fails: by the end of a job's name, what its container leaves as the reason.
        keeps_running: jobs whose names end so do not end.
        rows: what the dataset holds now; record: what a training job runs on.
    """

    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self.jobs: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.fails: dict[str, str] = {}
        self.keeps_running: str | None = None
        self.rows = ROWS
        self.record: TrainingRecord = RECORD
        self.compiled = b"compiled"

    def describe_processing_job(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803
        return self._described(ProcessingJobName, "DescribeProcessingJob")

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        return self._described(TrainingJobName, "DescribeTrainingJob")

    def create_processing_job(self, **request: Any) -> None:
        name = request["ProcessingJobName"]
        evaluates = request["AppSpecification"]["ContainerArguments"] == ["evaluate"]
        self._run(name, "Processing", request, self._evaluate if evaluates else self._build)

    def create_training_job(self, **request: Any) -> None:
        name = request["TrainingJobName"]
        uri = f"{request['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        artifacts = {"ModelArtifacts": {"S3ModelArtifacts": uri}, "TrainingTimeInSeconds": 12}
        self._run(name, "Training", {**request, **artifacts}, self._train)

    def _described(self, name: str, operation: str) -> dict[str, Any]:
        if name not in self.jobs:
            raise ResourceNotFound(operation)
        return self.jobs[name]

    def _run(
        self, name: str, kind: str, request: dict[str, Any], work: Callable[[dict[str, Any]], None]
    ) -> None:
        assert name not in self.jobs, "a name is taken once"
        self.created.append(request)
        failure = next((text for end, text in self.fails.items() if name.endswith(end)), None)
        status = "InProgress" if self.keeps_running and name.endswith(self.keeps_running) else "Completed"
        told = {key: value for key, value in request.items() if key != "Tags"}
        if failure is not None:
            told |= {"FailureReason": f"AlgorithmError: {failure}, exit code: 1", "ExitMessage": failure}
            status = "Failed"
        self.jobs[name] = {**told, f"{kind}JobStatus": status}
        if status == "Completed":
            work(request)

    def _build(self, request: dict[str, Any]) -> None:
        outputs = {
            each["OutputName"]: each["S3Output"]["S3Uri"]
            for each in request["ProcessingOutputConfig"]["Outputs"]
        }
        self._put(f"{outputs['train']}/train.parquet", parquet(self.rows.slice(1)))
        self._put(f"{outputs['held_out']}/held_out.parquet", parquet(self.rows.slice(0, 1)))

    def _train(self, request: dict[str, Any]) -> None:
        channels = {
            each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
            for each in request["InputDataConfig"]
        }
        train = self._get(f"{channels['train']}train.parquet")
        given = request["HyperParameters"]
        record = self.record.model_copy(
            update={
                "train_sha256": sha256(train),
                "code_sha256": sha256(self._get(channels["code"])),
                "hyperparameters": given,
            }
        )
        members = {
            FILE_NAME: record.body(),
            "compiled.sluice": self.compiled + sha256(train).encode() + json.dumps(given).encode(),
            "contract.json": b"{}",
            "model.joblib": b"pickle",
            "scoring.json": b"{}",
        }
        self._put(request["ModelArtifacts"]["S3ModelArtifacts"], archive(members))

    def _evaluate(self, request: dict[str, Any]) -> None:
        inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"]}
        rows = self._get(f"{inputs['held_out']}held_out.parquet")

        def judged(uri: str) -> ModelEvaluation:
            with tarfile.open(fileobj=io.BytesIO(self._get(uri))) as tar:
                compiled = tar.extractfile("compiled.sluice")
                assert compiled is not None
                said = sha256(compiled.read() + rows)
            return ModelEvaluation(
                metrics={"roc_auc": int(said[:6], 16) / 16**6}, model_uri=uri, predictions_sha256=said
            )

        (target,) = (
            each["S3Output"]["S3Uri"]
            for each in request["ProcessingOutputConfig"]["Outputs"]
            if each["OutputName"] == "evaluation"
        )
        document = Evaluation(
            problem="binary",
            held_out_rows=1,
            held_out_sha256=sha256(rows),
            challenger=judged(inputs["challenger"]),
            champion=judged(inputs["champion"]) if "champion" in inputs else None,
        )
        self._put(f"{target}/evaluation.json", document.body())

    def _put(self, uri: str, body: bytes) -> None:
        bucket, key = naming.split_uri(uri)
        self._s3.buckets[bucket][key] = body

    def _get(self, uri: str) -> bytes:
        bucket, key = naming.split_uri(uri)
        return self._s3.buckets[bucket][key]


class Ecr:
    """A registry that has all images but those that are `gone`."""

    meta = SimpleNamespace(region_name=REGION)

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def describe_images(self, **request: Any) -> None:
        (image,) = request["imageIds"]
        if image["imageTag"] in self.gone:
            answer: Any = {"Error": {"Code": "ImageNotFoundException", "Message": "The image does not exist"}}
            raise ClientError(answer, "DescribeImages")


class DynamoDb:
    """A releases table with the release that is recorded, if one is."""

    def __init__(self) -> None:
        self.release: dict[str, str] | None = None

    def get_item(self, **request: Any) -> dict[str, Any]:
        assert request["Key"]["item"] == {"S": "release"}
        if self.release is None:
            return {}
        return {"Item": {name: {"S": value} for name, value in self.release.items()}}


class TrainedStack(Stack):
    """A stack whose one model was made by jobs as `training` asks for them."""

    s3: S3
    sagemaker: SageMaker
    ecr: Ecr
    dynamodb: DynamoDb

    @classmethod
    def of(cls) -> TrainedStack:
        outputs = {
            "ArtifactsBucketName": ARTIFACTS,
            "ReleasesTableName": "releases",
            "EndpointName": "sluice-shop-dev",
            "Project": "shop",
            "Environment": "dev",
        }
        made = cls(outputs, {}, name="sluice-shop-dev")
        s3 = S3()
        for name, client in {
            "s3": s3,
            "sagemaker": SageMaker(s3),
            "ecr": Ecr(),
            "dynamodb": DynamoDb(),
        }.items():
            object.__setattr__(made, name, client)
        made.train()
        return made

    def client(self, service: str) -> Any:
        return getattr(self, service)

    @property
    def objects(self) -> dict[str, bytes]:
        return self.s3.buckets[ARTIFACTS]

    def train(self, model: str = MODEL, execution: str = EXECUTION) -> None:
        self.objects[keys.part(PART.md5)] = PARQUET
        self.objects[keys.manifest(VERSION)] = MANIFEST.body()
        self.objects[keys.code(execution)] = CODE
        places = {name: naming.uri(ARTIFACTS, key) for name, key in keys.places(execution, model).items()}
        processing = {
            "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_processing_job(
            ProcessingJobName=f"{model}-build",
            AppSpecification={
                "ImageUri": f"{REGISTRY}:process",
                "ContainerArguments": ["build-training-set"],
            },
            Environment={"DATASET_VERSION": VERSION},
            ProcessingInputs=[
                _input("dataset", naming.uri(ARTIFACTS, keys.parts(VERSION))),
                _input("manifest", naming.uri(ARTIFACTS, keys.manifest(VERSION))),
                _input("code", places["code_file"]),
            ],
            ProcessingOutputConfig={
                "Outputs": [_output(name, places[name]) for name in ("train", "held_out", "summary")]
            },
            **processing,
        )
        self.sagemaker.create_training_job(
            TrainingJobName=f"{model}-train",
            RoleArn=processing["RoleArn"],
            AlgorithmSpecification={"TrainingImage": f"{REGISTRY}:train", "TrainingInputMode": "File"},
            HyperParameters={"max_iter": "100"},
            Environment={"DATASET_VERSION": VERSION, "MLFLOW_RUN_ID": "run", "MLFLOW_TRACKING_URI": "uri"},
            InputDataConfig=[_channel("train", f"{places['train']}/"), _channel("code", places["code_file"])],
            OutputDataConfig={"S3OutputPath": places["models"]},
            ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        archive_uri = naming.uri(ARTIFACTS, keys.model(model))
        self.sagemaker.create_processing_job(
            ProcessingJobName=f"{model}-evaluate",
            AppSpecification={"ImageUri": f"{REGISTRY}:process", "ContainerArguments": ["evaluate"]},
            Environment={"CHALLENGER_MODEL_URI": archive_uri},
            ProcessingInputs=[
                _input("held_out", f"{places['held_out']}/"),
                _input("code", places["code_file"]),
                _input("challenger", archive_uri),
            ],
            ProcessingOutputConfig={
                "Outputs": [_output("evaluation", places["evaluation"]), _output("model", places["model"])]
            },
            **processing,
        )
        self.sagemaker.created.clear()


def _input(name: str, uri: str) -> dict[str, Any]:
    place = f"/opt/ml/processing/input/{name}"
    kind = "ManifestFile" if name == "dataset" else "S3Prefix"
    told = {"S3Uri": uri, "LocalPath": place, "S3DataType": kind, "S3InputMode": "File"}
    return {"InputName": name, "AppManaged": False, "S3Input": told}


def _output(name: str, uri: str) -> dict[str, Any]:
    place = f"/opt/ml/processing/output/{name}"
    told = {"S3Uri": uri, "LocalPath": place, "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "AppManaged": False, "S3Output": told}


def _channel(name: str, uri: str) -> dict[str, Any]:
    s3 = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated", "S3Uri": uri}
    return {"ChannelName": name, "CompressionType": "None", "DataSource": {"S3DataSource": s3}}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return sink.getvalue()


PARQUET = parquet(ROWS)
_SOURCE = {"uri": "s3://uploads/incoming/training/a.csv", "version_id": "v", "etag": "e", "execution": "run"}
PART = Part.model_validate(
    {
        "name": VERSION,
        "sha256": sha256(PARQUET),
        "md5": md5_of(PARQUET),
        "bytes": len(PARQUET),
        "rows": 4,
        "source": _SOURCE,
    }
)
MANIFEST = Manifest.model_validate(
    {
        "dataset_version": VERSION,
        "sha256": PART.sha256,
        "bytes": PART.bytes,
        "rows": 4,
        "project": "shop",
        "columns": {},
        "source": _SOURCE,
        "parts": [PART],
    }
)
