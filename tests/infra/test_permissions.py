"""Who may do what on which resources, written down here: a grant that is wider, narrower or another fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infra.synthesized import Stacks, plain, states

MACHINES = ["Intake", "Events", "Batch", "Training", "Deployment"]
ACCOUNT = "<Region>:<AccountId>"
DIGITS = "?" * 16


def sagemaker(resource: str, name: str) -> str:
    return f"arn:<Partition>:sagemaker:{ACCOUNT}:{resource}/{name}"


ARTIFACTS, UPLOADS = "<ArtifactsBucket>", "<UploadsBucket>"
LOGS = ["logs:CreateLogStream", "logs:PutLogEvents"]
PUT = ["s3:PutObject", "s3:AbortMultipartUpload"]
# An app knows one action, for all that can be asked of it.
TRACKS = {"<MlflowAppArn>": ["sagemaker:CallMlflowAppApi"]}
MACHINE_LOGS = {
    "*": [
        f"logs:{each}"
        for each in (
            "CreateLogDelivery",
            "DeleteLogDelivery",
            "DescribeLogGroups",
            "DescribeResourcePolicies",
            "GetLogDelivery",
            "ListLogDeliveries",
            "PutResourcePolicy",
            "UpdateLogDelivery",
        )
    ]
}
# role -> resource -> actions
ALLOWED: dict[str, dict[str, list[str]]] = {
    "Functions/ValidateDatasetRole": {
        "<FunctionsValidateDatasetLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/datasets/files/md5/*": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/datasets/*/lineage.json": PUT,
        f"{ARTIFACTS}/datasets/*/parts.json": PUT,
        f"{ARTIFACTS}/datasets/*/manifest.json": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/datasets/current.json": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/quarantine/*/rejected.csv": PUT,
        f"{ARTIFACTS}/reports/*/validation.json": PUT,
        UPLOADS: ["s3:ListBucket", "s3:ListBucketVersions"],
        f"{UPLOADS}/*": ["s3:GetObject", "s3:GetObjectVersion"],
    },
    "Functions/PrepareBatchRole": {
        "<FunctionsPrepareBatchLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/models/*-train/output/contract.json": ["s3:GetObject"],
        f"{ARTIFACTS}/batch-jobs/*/rows/part-*.*": PUT,
        f"{ARTIFACTS}/batch-jobs/*/set_aside.parquet": PUT,
        UPLOADS: ["s3:ListBucket", "s3:ListBucketVersions"],
        f"{UPLOADS}/*": ["s3:GetObject", "s3:GetObjectVersion"],
    },
    "Functions/JoinPredictionsRole": {
        "<FunctionsJoinPredictionsLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/models/*-train/output/contract.json": ["s3:GetObject"],
        f"{ARTIFACTS}/batch-jobs/*/answers/part-*.*.out": ["s3:GetObject"],
        f"{ARTIFACTS}/batch-jobs/*/set_aside.parquet": ["s3:GetObject"],
        f"{ARTIFACTS}/batch/*/predictions.*": PUT,
        UPLOADS: ["s3:ListBucket", "s3:ListBucketVersions"],
        f"{UPLOADS}/*": ["s3:GetObject", "s3:GetObjectVersion"],
    },
    "Functions/DecideGateRole": {
        "<FunctionsDecideGateLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": ["s3:GetObject"],
    },
    "Functions/ReportOutcomeRole": {
        "<FunctionsReportOutcomeLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/reports/*/validation.json": ["s3:GetObject"],
        f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": ["s3:GetObject"],
        f"{ARTIFACTS}/training-sets/*/summary/training_set.json": ["s3:GetObject"],
        f"{ARTIFACTS}/reports/*/report.json": PUT,
        # It reads the page again to keep it with the run.
        f"{ARTIFACTS}/reports/*/report.html": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/mlflow/*": PUT,
        **TRACKS,
        f"{ARTIFACTS}/reports/*/card.md": PUT,
        sagemaker("endpoint", "sluice-bank-prod"): ["sagemaker:DescribeEndpoint"],
    },
    "Functions/OpenRunRole": {
        "<FunctionsOpenRunLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        **TRACKS,
    },
    "Functions/RegisterModelRole": {
        "<FunctionsRegisterModelLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": ["s3:GetObject"],
        f"{ARTIFACTS}/models/*-train/output/contract.json": ["s3:GetObject"],
        f"{ARTIFACTS}/models/*-train/output/input_example.json": ["s3:GetObject"],
        f"{ARTIFACTS}/mlflow/*": PUT,
        **TRACKS,
    },
    "Functions/VerifyModelRole": {
        "<FunctionsVerifyModelLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/models/*-train/output/golden.json": ["s3:GetObject"],
        sagemaker("endpoint", "sluice-bank-prod"): ["sagemaker:InvokeEndpoint"],
    },
    "Functions/MoveAliasRole": {
        "<FunctionsMoveAliasLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        **TRACKS,
    },
    "Functions/ReportEndingRole": {
        "<FunctionsReportEndingLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/reports/*/validation.json": ["s3:GetObject"],
        f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": ["s3:GetObject"],
        f"{ARTIFACTS}/training-sets/*/summary/training_set.json": ["s3:GetObject"],
        f"{ARTIFACTS}/reports/*/report.json": PUT,
        f"{ARTIFACTS}/reports/*/report.html": PUT,
        f"{ARTIFACTS}/reports/*/card.md": PUT,
        f"{ARTIFACTS}/reports/*/told.json": ["s3:GetObject", *PUT],
        **TRACKS,
        sagemaker("endpoint", "sluice-bank-prod"): ["sagemaker:DescribeEndpoint"],
        **{
            f"arn:<Partition>:states:{ACCOUNT}:execution:sluice-bank-prod-{name}:*": [
                "states:GetExecutionHistory"
            ]
            for name in ("intake", "events", "batch", "training")
        },
        "<Outcomes>": ["sns:Publish"],
    },
    "SageMakerRole": {
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/datasets/files/md5/*": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/*/parts.json": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/*/manifest.json": ["s3:GetObject"],
        f"{ARTIFACTS}/training-sets/*": ["s3:GetObject"],
        f"{ARTIFACTS}/models/*": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/searches/*": PUT,
        f"{ARTIFACTS}/checkpoints/*": ["s3:GetObject", *PUT],
        f"{ARTIFACTS}/reports/*/predictions/*": ["s3:GetObject", *PUT],
        # A file's rows to be predicted, and what is answered to them.
        f"{ARTIFACTS}/batch-jobs/*/rows/part-*.*": ["s3:GetObject"],
        f"{ARTIFACTS}/batch-jobs/*/answers/*": PUT,
        # The project's own calls while it trains.
        f"{ARTIFACTS}/mlflow/*": ["s3:GetObject", *PUT],
        **TRACKS,
        f"{ARTIFACTS}/training-sets/*/train/train.parquet": PUT,
        f"{ARTIFACTS}/training-sets/*/held_out/*": PUT,
        f"{ARTIFACTS}/training-sets/*/summary/training_set.json": PUT,
        f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": PUT,
        f"arn:<Partition>:logs:{ACCOUNT}:log-group:/aws/sagemaker/*": [
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ],
        "*": ["cloudwatch:DescribeAlarms", "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"],
        f"arn:<Partition>:ecr:{ACCOUNT}:repository/cdk-hnb659fds-container-assets-<AccountId>-<Region>": [
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
        ],
    },
    "Machines/ObjectCreatedRole": {"<MachinesIntake>": ["states:StartExecution"]},
    "Machines/IntakeRole": {
        **MACHINE_LOGS,
        "<MachinesTraining>": ["states:StartExecution"],
        "<MachinesEvents>": ["states:StartExecution"],
        "<MachinesBatch>": ["states:StartExecution"],
    },
    "Machines/BatchRole": {
        "*": [*MACHINE_LOGS["*"], "cloudwatch:PutMetricData"],
        **{
            f"<Functions{name}>:*": ["lambda:InvokeFunction"]
            for name in ("PrepareBatch", "JoinPredictions", "ReportOutcome")
        },
        "<ReleasesTable>": ["dynamodb:GetItem"],
        sagemaker("transform-job", f"bank-prod-{DIGITS}-*"): [
            "sagemaker:CreateTransformJob",
            "sagemaker:DescribeTransformJob",
            "sagemaker:StopTransformJob",
            "sagemaker:AddTags",
            "sagemaker:ListTags",
        ],
        "<Outcomes>": ["sns:Publish"],
        **{
            f"arn:<Partition>:events:{ACCOUNT}:rule/StepFunctionsGetEventsFor{each}Rule": [
                "events:PutTargets",
                "events:PutRule",
                "events:DescribeRule",
            ]
            for each in (
                "SageMakerTrainingJobs",
                "SageMakerTuningJobs",
                "SageMakerProcessingJobs",
                "SageMakerTransformJobs",
                "StepFunctionsExecution",
            )
        },
    },
    "Machines/EventsRole": {
        **MACHINE_LOGS,
        "<FunctionsValidateDataset>:*": ["lambda:InvokeFunction"],
        "<FunctionsReportOutcome>:*": ["lambda:InvokeFunction"],
        "<Outcomes>": ["sns:Publish"],
    },
    "Machines/TrainingRole": {
        **MACHINE_LOGS,
        "arn:<Partition>:s3:::cdk-hnb659fds-assets-<AccountId>-<Region>/CODE.zip": ["s3:GetObject"],
        f"{ARTIFACTS}/training-sets/*/code/project.zip": ["s3:PutObject"],
        **{
            f"<Functions{name}>:*": ["lambda:InvokeFunction"]
            for name in ("ValidateDataset", "OpenRun", "DecideGate", "RegisterModel", "ReportOutcome")
        },
        "<ReleasesTable>": ["dynamodb:GetItem"],
        f"{ARTIFACTS}/models/*-train/output/model.tar.gz": ["s3:GetObject"],
        "<Outcomes>": ["sns:Publish"],
        **{
            sagemaker(f"{kind.lower()}-job", f"bank-prod-{DIGITS}-*"): [
                *(f"sagemaker:{verb}{kind}Job" for verb in ("Create", "Describe", "Stop")),
                "sagemaker:AddTags",
                "sagemaker:ListTags",
            ]
            for kind in ("Training", "Processing", "Transform")
        },
        # The first six digits of sha256("bank-prod-"): SageMaker takes no longer names there.
        sagemaker("hyper-parameter-tuning-job", f"bank-ece5c1-{DIGITS}"): [
            *(f"sagemaker:{verb}HyperParameterTuningJob" for verb in ("Create", "Describe", "Stop")),
            "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
            "sagemaker:AddTags",
            "sagemaker:ListTags",
        ],
        ARTIFACTS: ["s3:ListBucket"],
        sagemaker("model", f"bank-prod-{DIGITS}"): [
            "sagemaker:CreateModel",
            "sagemaker:DescribeModel",
            "sagemaker:AddTags",
        ],
        "<SageMakerRole>": ["iam:PassRole"],
        "<MachinesDeployment>": ["states:StartExecution"],
        f"arn:<Partition>:states:{ACCOUNT}:execution:<MachinesDeployment.Name>:*": [
            "states:DescribeExecution",
            "states:StopExecution",
        ],
        **{
            f"arn:<Partition>:events:{ACCOUNT}:rule/StepFunctionsGetEventsFor{each}Rule": [
                "events:PutTargets",
                "events:PutRule",
                "events:DescribeRule",
            ]
            for each in (
                "SageMakerTrainingJobs",
                "SageMakerTuningJobs",
                "SageMakerProcessingJobs",
                "SageMakerTransformJobs",
                "StepFunctionsExecution",
            )
        },
    },
    "Machines/ReconciliationRole": {"<MachinesDeployment>": ["states:StartExecution"]},
    "Machines/DeploymentRole": {
        "*": [
            *MACHINE_LOGS["*"],
            "sagemaker:ListEndpoints",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:GetMetricData",
            "cloudwatch:PutMetricData",
        ],
        f"arn:<Partition>:cloudwatch:{ACCOUNT}:alarm:sluice-bank-prod-bank-prod-{DIGITS}-*": [
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:DeleteAlarms",
        ],
        f"arn:<Partition>:states:{ACCOUNT}:execution:sluice-bank-prod-deployment:*": [
            "states:DescribeExecution"
        ],
        "<ReleasesTable>": [f"dynamodb:{verb}Item" for verb in ("Get", "Update", "Put", "Delete")],
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/models/*-train/output/model.tar.gz": ["s3:GetObject"],
        sagemaker("model", f"bank-prod-{DIGITS}"): [
            "sagemaker:CreateModel",
            "sagemaker:DescribeModel",
            "sagemaker:AddTags",
        ],
        sagemaker("endpoint-config", f"bank-prod-{DIGITS}"): [
            "sagemaker:CreateEndpointConfig",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:AddTags",
            "sagemaker:CreateEndpoint",
            "sagemaker:UpdateEndpoint",
        ],
        sagemaker("endpoint", "sluice-bank-prod"): [
            "sagemaker:CreateEndpoint",
            "sagemaker:UpdateEndpoint",
            "sagemaker:DescribeEndpoint",
            "sagemaker:DeleteEndpoint",
            "sagemaker:AddTags",
        ],
        **{
            f"arn:<Partition>:logs:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/sluice-bank-prod{form}": [
                "logs:PutRetentionPolicy"
            ]
            for form in ("", ":*")
        },
        **{f"<Functions{name}>:*": ["lambda:InvokeFunction"] for name in ("VerifyModel", "MoveAlias")},
        "<SageMakerRole>": ["iam:PassRole"],
    },
}
SYNC = {
    "sagemaker:createTrainingJob.sync": (
        "sagemaker:DescribeTrainingJob sagemaker:StopTrainingJob sagemaker:AddTags sagemaker:ListTags"
    ),
    "sagemaker:createHyperParameterTuningJob.sync": (
        "sagemaker:DescribeHyperParameterTuningJob sagemaker:StopHyperParameterTuningJob sagemaker:AddTags "
        "sagemaker:ListTags"
    ),
    "sagemaker:createProcessingJob.sync": (
        "sagemaker:DescribeProcessingJob sagemaker:StopProcessingJob sagemaker:AddTags sagemaker:ListTags"
    ),
    "sagemaker:createTransformJob.sync": (
        "sagemaker:DescribeTransformJob sagemaker:StopTransformJob sagemaker:AddTags sagemaker:ListTags"
    ),
    "states:startExecution.sync:2": "states:DescribeExecution states:StopExecution",
}


def granted(stacks: Stacks, role: str) -> dict[str, set[str]]:
    """What a role may do: resource -> actions, resources as plain text."""
    found: dict[str, set[str]] = {}
    for statement in stacks.pipeline.statements(role):
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            name = re.sub(r"/[0-9a-f]{64}\.zip$", "/CODE.zip", plain(resource))
            found.setdefault(name, set()).update(statement["Action"])
    return found


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_this_on_these_resources_and_nothing_else(prod: Stacks, role: str) -> None:
    assert granted(prod, role) == {resource: set(actions) for resource, actions in ALLOWED[role].items()}


def test_every_role_is_in_the_table(prod: Stacks) -> None:
    assert len(prod.data.of_type("AWS::IAM::Role")) == 1, "the MLflow app's"
    ids = {prod.pipeline.id(role) for role in ALLOWED}
    resources = prod.pipeline.template["Resources"]
    assert ids == {name for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    assert len(prod.pipeline.of_type("AWS::IAM::Policy")) == len(ids)


def test_the_mlflow_app_may_keep_its_files_and_no_more(prod: Stacks) -> None:
    may = {
        plain(resource): set(statement["Action"])
        for statement in prod.data.statements("MlflowRole")
        for resource in statement["Resource"]
    }
    assert may == {
        ARTIFACTS: {"s3:ListBucket"},
        f"{ARTIFACTS}/mlflow/*": {"s3:GetObject", "s3:DeleteObject", *PUT},
    }


def test_no_managed_policy_is_attached(prod: Stacks) -> None:
    roles = prod.pipeline.of_type("AWS::IAM::Role")
    assert len(roles) >= len(ALLOWED)
    assert [role for role in roles if "ManagedPolicyArns" in role["Properties"]] == []


def test_where_approvals_are_asked_for_a_function_may_write_that_down(shop: Stacks) -> None:
    assert granted(shop, "Functions/RequestApprovalRole") == {
        resource: set(actions)
        for resource, actions in {
            "<FunctionsRequestApprovalLogs>": LOGS,
            ARTIFACTS: ["s3:ListBucket"],
            f"{ARTIFACTS}/reports/*/validation.json": ["s3:GetObject"],
            f"{ARTIFACTS}/reports/*/evaluation/evaluation.json": ["s3:GetObject"],
            f"{ARTIFACTS}/training-sets/*/summary/training_set.json": ["s3:GetObject"],
            f"{ARTIFACTS}/reports/*/report.json": PUT,
            f"{ARTIFACTS}/reports/*/report.html": PUT,
            "<ReleasesTable>": ["dynamodb:PutItem"],
            "<Outcomes>": ["sns:Publish"],
        }.items()
    }
    assert granted(shop, "Machines/TrainingRole")["<FunctionsRequestApproval>:*"] == {"lambda:InvokeFunction"}


def test_an_approver_may_answer_and_write_nothing_but_the_answer(shop: Stacks) -> None:
    (policy,) = shop.pipeline.of_type("AWS::IAM::ManagedPolicy")
    properties = policy["Properties"]
    assert properties["ManagedPolicyName"] == "sluice-corner-shop-prod-approvers"
    assert not {"Roles", "Users", "Groups"} & properties.keys(), "the stack attaches it to nobody"
    found: dict[str, set[str]] = {}
    for statement in properties["PolicyDocument"]["Statement"]:
        actions, resources = (
            each if isinstance(each, list) else [each]
            for each in (statement["Action"], statement["Resource"])
        )
        for resource in resources:
            found.setdefault(plain(resource), set()).update(actions)
    assert found == {
        f"arn:<Partition>:cloudformation:{ACCOUNT}:stack/sluice-corner-shop-prod/*": {
            "cloudformation:DescribeStacks"
        },
        "<ReleasesTable>": {"dynamodb:Query", "dynamodb:GetItem", "dynamodb:UpdateItem"},
        "<MachinesTraining>": {"states:SendTaskSuccess"},
        f"arn:<Partition>:states:{ACCOUNT}:execution:<MachinesTraining.Name>:*": {"states:DescribeExecution"},
        f"{ARTIFACTS}/reports/*/report.json": {"s3:GetObject"},
        f"{ARTIFACTS}/reports/*/report.html": {"s3:GetObject"},
    }
    (update,) = (
        each for each in properties["PolicyDocument"]["Statement"] if each["Action"] == "dynamodb:UpdateItem"
    )
    assert update["Condition"]["ForAllValues:StringEquals"] == {
        "dynamodb:Attributes": [
            "endpoint_name",
            "item",
            "decision",
            "decided_by",
            "decided_at",
            "reason",
            "answered_at",
        ]
    }


def test_a_role_is_assumed_by_one_service_and_for_this_account(prod: Stacks) -> None:
    roles = prod.pipeline.of_type("AWS::IAM::Role")
    assert len(roles) >= len(ALLOWED)
    for role in roles:
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert re.fullmatch(
            r"(lambda|states|sagemaker|events)\.amazonaws\.com", statement["Principal"]["Service"]
        )
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machines_role_is_for_that_machine_alone(prod: Stacks, name: str) -> None:
    document = prod.pipeline.properties(f"Machines/{name}Role")["AssumeRolePolicyDocument"]
    (statement,) = document["Statement"]
    assert {key: plain(value) for key, value in statement["Condition"]["ArnLike"].items()} == {
        "aws:SourceArn": f"arn:<Partition>:states:{ACCOUNT}:stateMachine:sluice-bank-prod-{name.lower()}"
    }


def test_what_stands_on_every_resource_is_conditioned_or_knows_none(prod: Stacks) -> None:
    (statement,) = (
        each
        for each in prod.pipeline.statements("SageMakerRole")
        if each["Action"] == ["cloudwatch:PutMetricData"]
    )
    assert statement["Condition"] == {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}


@pytest.mark.parametrize(
    ("name", "namespace"), [("Batch", "Sluice/Batch"), ("Deployment", "Sluice/Deployments")]
)
def test_a_machine_puts_metrics_into_its_own_namespace_alone(
    prod: Stacks, machines: dict[str, dict[str, Any]], name: str, namespace: str
) -> None:
    (statement,) = (
        each
        for each in prod.pipeline.statements(f"Machines/{name}Role")
        if each["Action"] == ["cloudwatch:PutMetricData"]
    )
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": namespace}}
    put = [arguments for resource, arguments in tasks(machines[name]) if resource.endswith(":putMetricData")]
    assert {arguments["Namespace"] for arguments in put} == {namespace}


def test_no_grant_hangs_on_how_a_service_words_its_request(prod: Stacks) -> None:
    """Such as `s3:prefix`, which is another text from one client to the next: then the state fails on AWS alone."""
    keys = {
        key
        for role in ALLOWED
        for each in prod.pipeline.statements(role)
        for tests in each.get("Condition", {}).values()
        for key in tests
    }
    assert keys == {"cloudwatch:namespace", "iam:PassedToService"}


@pytest.mark.parametrize("name", ["Training", "Deployment"])
def test_the_sagemaker_role_is_passed_to_sagemaker_alone(prod: Stacks, name: str) -> None:
    (statement,) = (
        each for each in prod.pipeline.statements(f"Machines/{name}Role") if "iam:PassRole" in each["Action"]
    )
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("bank-prod-0123456789abcdef-train", True),
        ("bank-prod-0123456789abcdef", False),  # a job has a suffix
        ("bank-dev-0123456789abcdef-train", False),
        ("bank-cards-prod-0123456789abcdef-train", False),
        ("bank-prod-dev-0123456789abcdef-train", False),  # a project called bank-prod, in dev
        ("bank-prod-local-0123456789abcdef-train", False),
    ],
)
def test_jobs_of_other_projects_and_environments_are_not_ours(prod: Stacks, name: str, ours: bool) -> None:
    patterns = [
        each.rsplit("/", 1)[1] for each in granted(prod, "Machines/TrainingRole") if ":training-job/" in each
    ]
    assert any(fnmatchcase(name, pattern) for pattern in patterns) == ours


def tasks(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each task's resource, and its arguments."""
    for _, state in states(machine):
        if state["Type"] == "Task":
            yield state["Resource"].removeprefix("arn:${Partition}:states:::"), state["Arguments"]


def actions(resource: str, arguments: dict[str, Any]) -> set[str]:
    """`aws-sdk:sagemaker:createModel` and `sagemaker:createTrainingJob.sync` as IAM actions."""
    if resource in ("lambda:invoke", "lambda:invoke.waitForTaskToken"):
        return {"lambda:InvokeFunction"}
    if resource == "aws-sdk:s3:copyObject":
        return {"s3:GetObject", "s3:PutObject"}
    if resource == "aws-sdk:s3:headObject":
        # Without the second a missing object is 403, and not what the Catch knows.
        return {"s3:GetObject", "s3:ListBucket"}
    resource = resource.replace("aws-sdk:sfn:", "states:")
    service, verb = resource.removeprefix("aws-sdk:").split(":")[:2]
    service = {"cloudwatchlogs": "logs"}.get(service, service)
    verb = verb.removesuffix(".sync")
    tagging = {"sagemaker:AddTags"} if service == "sagemaker" and "Tags" in arguments else set()
    return {f"{service}:{verb[0].upper()}{verb[1:]}", *SYNC.get(resource, "").split(), *tagging}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_may_do_what_its_states_ask_for_and_no_more(
    prod: Stacks, machines: dict[str, dict[str, Any]], name: str
) -> None:
    wanted = {action for task in tasks(machines[name]) for action in actions(*task)}
    if any("sagemaker_role_arn" in str(state) for state in machines[name]["States"].values()):
        wanted.add("iam:PassRole")
    if any(".sync" in resource for resource, _ in tasks(machines[name])):
        wanted |= {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
    may = set().union(*granted(prod, f"Machines/{name}Role").values()) - set(MACHINE_LOGS["*"])
    assert may == wanted
