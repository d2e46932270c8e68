"""The Lambda functions, each declared once: its size, what it needs installed, and what it may read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import bundle
from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.features import registry_file
from infra.grants import Grant, allow, arn, machine_name, searches, service_role
from infra.logs import log_group
from infra.tracking import Tracking
from sluice import keys, naming
from sluice.api_table import MOST_SECONDS, Api
from sluice.features.source import PLAN, REGISTRY


@dataclass(frozen=True)
class FunctionSpec:
    """One function. `reads` and `writes` are keys of the artifacts bucket, `*` standing for any name in them.

    One that `tells_of_endings` is no state: a rule calls it where an execution has ended. Nor is one that
    `answers_requests`, which API Gateway calls: it knows the endpoint alone, and waits as long as [api] says.

    Memory buys processor time (1,769 MB is one core), so the small handlers get more than they fill.
    """

    name: str
    memory_mb: int
    timeout_seconds: int
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    reads_uploads: bool = False
    looks_at_endpoint: bool = False
    tells_of_endings: bool = False
    answers_requests: bool = False
    asks_for_approval: bool = False
    lists_trials: bool = False
    asks_endpoint: bool = False
    plans_materialization: bool = False
    materializes: bool = False
    measures_skew: bool = False
    watches_drift: bool = False
    tells_of_drift: bool = False
    tracks: bool = False
    scratch_mb: int = 512

    @property
    def is_state(self) -> bool:
        return not (self.tells_of_endings or self.answers_requests)

    @property
    def needs_features(self) -> bool:
        return self.plans_materialization or self.materializes or self.measures_skew

    @property
    def needs_tracking(self) -> bool:
        """Whether it is of no use where no runs are kept."""
        return self.tracks and self.name in ("OpenRun", "RegisterModel", "MoveAlias")

    @property
    def module(self) -> str:
        """`ValidateDataset` is `validate_dataset`: a state's handler is the module of that name."""
        return "".join(f"_{each.lower()}" if each.isupper() else each for each in self.name).lstrip("_")

    @property
    def dependency_group(self) -> str:
        """The group of pyproject.toml that says what its bundle holds."""
        return self.module.replace("_", "-")


SKEW_NAMESPACE = "Sluice/Features"
DRIFT_NAMESPACE = "Sluice/Drift"
"""What windows of captured traffic show, by endpoint."""

FUNCTIONS = (
    # Streams a file of any size: minutes and scratch space at Lambda's limits, and 3,008 MB because that is
    # the most a new account may ask for. The scratch space holds the Parquet file until its hash is known.
    FunctionSpec(
        "ValidateDataset",
        memory_mb=3008,
        timeout_seconds=900,
        scratch_mb=10240,
        # Of the parts that are there already it reads keys and times.
        reads=(keys.manifest("*"), f"{keys.STORED}/*", keys.current()),
        writes=(
            f"{keys.STORED}/*",
            keys.lineage("*"),
            keys.parts("*"),
            keys.manifest("*"),
            keys.current(),
            keys.rejected("*"),
            keys.validation("*"),
        ),
        reads_uploads=True,
    ),
    # Like ValidateDataset, of a file whose rows are to be predicted: it writes what the model is to be sent of them.
    FunctionSpec(
        "PrepareBatch",
        memory_mb=3008,
        timeout_seconds=900,
        scratch_mb=10240,
        reads=(keys.contract(keys.model("*")),),
        writes=(keys.batch_rows("*", "*", ".*"), keys.set_aside("*")),
        reads_uploads=True,
    ),
    FunctionSpec(
        "JoinPredictions",
        memory_mb=3008,
        timeout_seconds=900,
        scratch_mb=10240,
        reads=(
            keys.contract(keys.model("*")),
            keys.batch_answers("*", keys.batch_rows("*", "*", ".*")),
            keys.set_aside("*"),
        ),
        writes=(keys.predictions("*", ".*"),),
        reads_uploads=True,
    ),
    FunctionSpec("DecideGate", memory_mb=512, timeout_seconds=30, reads=(keys.evaluation("*"),)),
    FunctionSpec(
        "ReportOutcome",
        memory_mb=512,
        # The trials of a search are some hundred runs; cut off, the next try goes on.
        timeout_seconds=120,
        reads=(keys.validation("*"), keys.training_set("*"), keys.evaluation("*"), keys.page("*")),
        writes=(keys.report("*"), keys.page("*"), keys.card("*"), f"{keys.TRACKING}/*"),
        looks_at_endpoint=True,
        lists_trials=True,
        tracks=True,
    ),
    # Their requests take a tenth of a second; the time is for a server that is slow.
    FunctionSpec("OpenRun", memory_mb=512, timeout_seconds=80, reads=(), tracks=True),
    FunctionSpec(
        "RegisterModel",
        memory_mb=512,
        timeout_seconds=80,
        reads=(
            keys.evaluation("*"),
            keys.contract(keys.model("*")),
            keys.input_example(keys.model("*")),
        ),
        writes=(f"{keys.TRACKING}/*",),
        tracks=True,
    ),
    FunctionSpec(
        "VerifyModel",
        memory_mb=512,
        # The model has 60 s for an answer.
        timeout_seconds=80,
        reads=(keys.golden(keys.model("*")),),
        asks_endpoint=True,
    ),
    FunctionSpec("MoveAlias", memory_mb=512, timeout_seconds=80, reads=(), tracks=True),
    FunctionSpec(
        "RequestApproval",
        memory_mb=512,
        timeout_seconds=60,
        reads=(keys.validation("*"), keys.training_set("*"), keys.evaluation("*")),
        writes=(keys.report("*"), keys.page("*")),
        asks_for_approval=True,
    ),
    FunctionSpec(
        "PlanMaterialization",
        memory_mb=512,
        timeout_seconds=30,
        # The only function that writes the registry.
        reads=(keys.manifest("*"), keys.current(), keys.registry()),
        writes=(keys.registry(),),
        plans_materialization=True,
    ),
    # Like ValidateDataset: minutes, and room for a dataset's parts and for what is put apart of them.
    FunctionSpec(
        "MaterializeView",
        memory_mb=3008,
        timeout_seconds=900,
        scratch_mb=10240,
        reads=(keys.manifest("*"), f"{keys.STORED}/*", keys.materialized("*", "*", "*")),
        writes=(keys.materialized("*", "*", "*"),),
        materializes=True,
    ),
    # As much as it takes to recompute: the parts, and what is put apart of them.
    FunctionSpec(
        "MeasureSkew",
        memory_mb=3008,
        timeout_seconds=900,
        scratch_mb=10240,
        reads=(keys.manifest("*"), f"{keys.STORED}/*", keys.current()),
        measures_skew=True,
    ),
    # It lists what is captured, and the ledger names all of that: some seconds for a hundred thousand objects.
    FunctionSpec(
        "PlanDrift",
        memory_mb=1024,
        timeout_seconds=300,
        reads=(keys.drift_ledger(), keys.drift_window("*"), keys.reference(keys.model("*"))),
        writes=(keys.drift_ledger(), keys.drift_window("*")),
        watches_drift=True,
    ),
    # A core, which is what decoding takes; the rows pass through, and are not kept.
    FunctionSpec(
        "CountCaptures",
        memory_mb=1769,
        timeout_seconds=900,
        reads=(f"{keys.captures('*')}/*", keys.drift_window("*"), keys.reference(keys.model("*"))),
        writes=(keys.drift_counts("*", "*"),),
        watches_drift=True,
    ),
    FunctionSpec(
        "JudgeDrift",
        memory_mb=1769,
        timeout_seconds=300,
        reads=(
            keys.drift_ledger(),
            keys.drift_window("*"),
            keys.drift_counts("*", "*"),
            keys.reference(keys.model("*")),
        ),
        writes=(keys.drift_ledger(), keys.drift_verdict("*"), keys.drift_page("*")),
        watches_drift=True,
        tells_of_drift=True,
    ),
    FunctionSpec(
        "ReportEnding",
        memory_mb=512,
        timeout_seconds=60,
        reads=(keys.validation("*"), keys.training_set("*"), keys.evaluation("*"), keys.told("*")),
        writes=(keys.report("*"), keys.page("*"), keys.card("*"), keys.told("*")),
        looks_at_endpoint=True,
        tells_of_endings=True,
        tracks=True,
    ),
    # Somebody waits, also while it starts.
    FunctionSpec(
        "AnswerRequest", memory_mb=1024, timeout_seconds=MOST_SECONDS, reads=(), answers_requests=True
    ),
)


class Functions(Construct):
    """The functions, and of each the version that this deployment's machines call.

    A version keeps its code and its project: what is deployed while an execution runs does not reach it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        data: DataStack,
        endpoint_name: str,
        asks_for_approval: bool,
        searches: bool,
        captures: bool,
        tracking: Tracking,
        api: Api | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._tracking = tracking
        self._searches = searches
        self._api = api
        self.all: dict[str, lambda_.Function] = {}
        self.versions: dict[str, lambda_.Version] = {}
        for spec in FUNCTIONS:
            if spec.needs_features and not data.features:
                continue
            if spec.asks_for_approval and not asks_for_approval:
                continue
            if spec.watches_drift and not captures:
                continue
            if spec.needs_tracking and tracking.uri is None:
                continue
            if spec.answers_requests and api is None:
                continue
            function = self._function(spec, config, data, endpoint_name)
            self.all[spec.name] = function
            if spec.is_state:
                self.versions[spec.name] = function.current_version

    @property
    def states(self) -> Mapping[str, lambda_.Function]:
        """The functions that are states of a machine."""
        return {name: self.all[name] for name in self.versions}

    @property
    def version_arns(self) -> Mapping[str, str]:
        return {name: version.function_arn for name, version in self.versions.items()}

    def _function(
        self, spec: FunctionSpec, config: DeployConfig, data: DataStack, endpoint_name: str
    ) -> lambda_.Function:
        group = log_group(self, spec.name, folder="/aws/lambda", config=config)
        # A role of our own: the one CDK would make may write to every log group of the account.
        role = service_role(
            self, f"{spec.name}Role", service="lambda", description=f"What the handler {spec.name} may do"
        )
        allow(role, [Grant(("logs:CreateLogStream", "logs:PutLogEvents"), (group.log_group_arn,))])
        told_where = {
            "ARTIFACTS_BUCKET": data.artifacts.bucket_name,
            "PROJECT_FILE": "project/project.toml",
        }
        timeout_seconds = spec.timeout_seconds
        if spec.answers_requests and self._api is not None:
            timeout_seconds = self._api.timeout_seconds
            told_where = {
                "ENDPOINT_NAME": endpoint_name,
                "API_MAX_BODY_BYTES": str(self._api.max_body_bytes),
                "API_TIMEOUT_SECONDS": str(timeout_seconds),
            }
            allow(
                role, [Grant(("sagemaker:InvokeEndpoint",), (arn("sagemaker", "endpoint", endpoint_name),))]
            )
        else:
            allow(role, _grants(spec, data))
        if spec.looks_at_endpoint:
            allow(
                role, [Grant(("sagemaker:DescribeEndpoint",), (arn("sagemaker", "endpoint", endpoint_name),))]
            )
        if spec.asks_endpoint:
            allow(
                role, [Grant(("sagemaker:InvokeEndpoint",), (arn("sagemaker", "endpoint", endpoint_name),))]
            )
        if spec.lists_trials and self._searches:
            trials = searches(data.project, config.environment)
            allow(role, [Grant(("sagemaker:ListTrainingJobsForHyperParameterTuningJob",), (trials,))])
        if spec.tracks:
            told_where |= self._tracking.told
            allow(role, self._tracking.grants)
        if spec.tells_of_endings:
            told_where |= {"TOPIC_ARN": data.outcomes.topic_arn, "ENDPOINT_NAME": endpoint_name}
            histories = tuple(
                arn("states", "execution", f"{machine_name(self, name)}:*", separator=":")
                for name in ("Intake", "Events", "Batch", "Training")
            )
            allow(
                role,
                [
                    Grant(("states:GetExecutionHistory",), histories),
                    Grant(("sns:Publish",), (data.outcomes.topic_arn,)),
                ],
            )
        if spec.asks_for_approval:
            told_where |= {"TOPIC_ARN": data.outcomes.topic_arn, "RELEASES_TABLE": data.releases.table_name}
            allow(
                role,
                [
                    Grant(("dynamodb:PutItem",), (data.releases.table_arn,)),
                    Grant(("sns:Publish",), (data.outcomes.topic_arn,)),
                ],
            )
        if spec.watches_drift:
            told_where |= {"ENDPOINT_NAME": endpoint_name}
        if spec.tells_of_drift:
            # PutMetricData knows no resources, but namespaces.
            ours = {"StringEquals": {"cloudwatch:namespace": DRIFT_NAMESPACE}}
            allow(role, [Grant(("cloudwatch:PutMetricData",), ("*",), ours)])
        if spec.needs_features:
            told_where |= {
                "ONLINE_STORE": naming.online_store(data.project, config.environment),
                "FEATURE_PLAN": f"project/{PLAN}",
            }
            if spec.plans_materialization:
                told_where["FEATURE_REGISTRY"] = f"project/{REGISTRY}"
            tables = data.feature_arns
            if spec.materializes:
                written = (
                    "dynamodb:DescribeTable",
                    "dynamodb:PartiQLInsert",
                    "dynamodb:PutItem",
                    "dynamodb:DeleteItem",
                )
                allow(role, [Grant(written, tables)])
            elif spec.measures_skew:
                # PutMetricData knows no resources, but namespaces.
                ours = {"StringEquals": {"cloudwatch:namespace": SKEW_NAMESPACE}}
                allow(
                    role,
                    [
                        Grant(("dynamodb:BatchGetItem",), tables),
                        Grant(("cloudwatch:PutMetricData",), ("*",), ours),
                    ],
                )
        zip_file = bundle.build(
            config.project,
            group=spec.dependency_group if config.profile.lambda_wheels else None,
            registry=registry_file(config.project, naming.online_store(data.project, config.environment))
            if spec.plans_materialization
            else None,
        )
        return lambda_.Function(
            self,
            spec.name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.X86_64,
            handler=f"lambdas.{spec.module}.handler",
            code=lambda_.Code.from_asset(str(zip_file), asset_hash=zip_file.stem),
            role=role,
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=spec.memory_mb,
            timeout=cdk.Duration.seconds(timeout_seconds),
            ephemeral_storage_size=cdk.Size.mebibytes(spec.scratch_mb),
            environment=told_where,
            current_version_options=lambda_.VersionOptions(removal_policy=cdk.RemovalPolicy.RETAIN),
        )


def _grants(spec: FunctionSpec, data: DataStack) -> list[Grant]:
    artifacts, uploads = data.artifacts, data.uploads
    grants = [
        # Without it S3 answers 403, not 404, for an object that is not there.
        Grant(("s3:ListBucket",), (artifacts.bucket_arn,)),
    ]
    if spec.reads:
        grants.append(Grant(("s3:GetObject",), tuple(map(artifacts.arn_for_objects, spec.reads))))
    if spec.writes:
        grants.append(
            Grant(
                ("s3:PutObject", "s3:AbortMultipartUpload"),
                tuple(map(artifacts.arn_for_objects, spec.writes)),
            )
        )
    if spec.reads_uploads:
        grants += [
            Grant(("s3:ListBucket", "s3:ListBucketVersions"), (uploads.bucket_arn,)),
            Grant(("s3:GetObject", "s3:GetObjectVersion"), (uploads.arn_for_objects("*"),)),
        ]
    return grants
