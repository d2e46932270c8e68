"""A project with features: its plan, its tables, what writes and checks them. Without features there is none."""

from __future__ import annotations

import json
import shutil
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra import bundle, features
from infra.asl import load
from sluice import keys, naming
from sluice.errors import ProjectError
from tests.infra.synthesized import SHOP_FEATURES, Stacks, Synthesized, plain, synthesize, write_shop
from tests.infra.test_drift import ALLOWED as OF_DRIFT
from tests.infra.test_permissions import (
    ACCOUNT,
    ARTIFACTS,
    LOGS,
    MACHINE_LOGS,
    PUT,
    actions,
    granted,
    tasks,
)

TABLE = "arn:<Partition>:dynamodb:<Region>:<AccountId>:table/corner_shop_prod.activity"
ALLOWED: dict[str, dict[str, list[str]]] = {
    "Functions/PlanMaterializationRole": {
        "<FunctionsPlanMaterializationLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/datasets/*/manifest.json": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/current.json": ["s3:GetObject"],
        f"{ARTIFACTS}/feast/registry.db": ["s3:GetObject", *PUT],
    },
    "Functions/MaterializeViewRole": {
        "<FunctionsMaterializeViewLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/datasets/*/manifest.json": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/files/md5/*": ["s3:GetObject"],
        f"{ARTIFACTS}/features/*/*-of-*.parquet": ["s3:GetObject", *PUT],
        TABLE: [
            "dynamodb:DescribeTable",
            "dynamodb:PartiQLInsert",
            "dynamodb:PutItem",
            "dynamodb:DeleteItem",
        ],
    },
    "Functions/MeasureSkewRole": {
        "<FunctionsMeasureSkewLogs>": LOGS,
        ARTIFACTS: ["s3:ListBucket"],
        f"{ARTIFACTS}/datasets/*/manifest.json": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/files/md5/*": ["s3:GetObject"],
        f"{ARTIFACTS}/datasets/current.json": ["s3:GetObject"],
        TABLE: ["dynamodb:BatchGetItem"],
        "*": ["cloudwatch:PutMetricData"],
    },
    "Machines/MaterializationRole": {
        **MACHINE_LOGS,
        "<FunctionsPlanMaterialization>:*": ["lambda:InvokeFunction"],
        "<FunctionsMaterializeView>:*": ["lambda:InvokeFunction"],
        "<FunctionsMeasureSkew>:*": ["lambda:InvokeFunction"],
    },
    "Machines/MaterializationRuleRole": {"<MachinesMaterialization>": ["states:StartExecution"]},
}


def covers(resources: Any, key: str) -> bool:
    """Whether one of the resources is the artifacts bucket's object of this key."""
    texts = [plain(each) for each in (resources if isinstance(resources, list) else [resources])]
    return any(fnmatchcase(f"{ARTIFACTS}/{key}", each) for each in texts)


def roles(stack: Synthesized) -> set[str]:
    found = stack.template["Resources"].items()
    return {name for name, each in found if each["Type"] == "AWS::IAM::Role"}


@pytest.mark.parametrize("role", ALLOWED)
def test_what_keeps_the_store_up_may_do_this_and_nothing_else(shop: Stacks, role: str) -> None:
    assert granted(shop, role) == {resource: set(actions) for resource, actions in ALLOWED[role].items()}


def test_a_project_without_features_has_none_of_it(prod: Stacks) -> None:
    assert len(prod.data.of_type("AWS::DynamoDB::Table")) == 1
    names = {name for each in prod.both for name in each.template["Resources"]}
    for word in ("Materializ", "Skew", "TableMoved", "Refresh"):
        assert not [name for name in names if word in name]
    assert "MaterializationArn" not in prod.pipeline.template["Outputs"]


def test_these_roles_are_all_that_a_project_with_features_has_more(shop: Stacks, prod: Stacks) -> None:
    # It also captures traffic, and asks for approvals: tests/infra/test_drift.py, tests/infra/test_permissions.py.
    more = {*ALLOWED, *OF_DRIFT, "Functions/RequestApprovalRole"}
    assert {shop.pipeline.id(role) for role in more} == roles(shop.pipeline) - roles(prod.pipeline)


def test_nobody_may_delete_a_table_or_make_one(shop: Stacks) -> None:
    policies = [
        policy["Properties"]["PolicyDocument"] for policy in shop.pipeline.of_type("AWS::IAM::Policy")
    ]
    allowed = {
        action
        for policy in policies
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {each for each in allowed if "Table" in each or "*" in each} == {"dynamodb:DescribeTable"}


def test_one_function_alone_may_write_the_registry_and_no_machine_or_job(shop: Stacks) -> None:
    registry = "feast/registry.db"
    writers = {
        path
        for path in roles(shop.pipeline)
        for statement in shop.pipeline.template["Resources"].values()
        if statement["Type"] == "AWS::IAM::Policy" and {"Ref": path} in statement["Properties"]["Roles"]
        for each in statement["Properties"]["PolicyDocument"]["Statement"]
        if "s3:PutObject" in each["Action"] and covers(each["Resource"], registry)
    }
    assert writers == {shop.pipeline.id("Functions/PlanMaterializationRole")}


def test_figures_are_put_into_our_namespace_alone(shop: Stacks) -> None:
    (statement,) = (
        each
        for each in shop.pipeline.statements("Functions/MeasureSkewRole")
        if each["Action"] == ["cloudwatch:PutMetricData"]
    )
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Sluice/Features"}}


def test_a_views_table_is_the_one_that_feast_looks_for(shop: Stacks) -> None:
    table = shop.data.properties("Viewactivity")
    # Feast's project takes no hyphen.
    assert table["TableName"] == "corner_shop_prod.activity"
    assert table["KeySchema"] == [{"AttributeName": "entity_id", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "entity_id", "AttributeType": "S"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_no_view_is_kept_by_a_reference_to_its_table(shop: Stacks) -> None:
    """An export that another stack has cannot be deleted: a view that left could not be deployed."""
    exports = json.dumps(shop.data.template.get("Outputs", {}))
    assert "Viewactivity" not in exports
    assert "Viewactivity" not in json.dumps(shop.pipeline.template)


def test_what_is_captured_is_written_by_its_endpoint_alone_and_expires(shop: Stacks, prod: Stacks) -> None:
    name = shop.pipeline.settings("Deployment")["endpoint_name"]
    captured = shop.pipeline.settings("Deployment")["capture"]
    assert (captured["EnableCapture"], captured["InitialSamplingPercentage"]) == (True, 20)
    place = f"<ArtifactsBucket>/captures/{name}/*"
    writable = [each for each in granted(shop, "SageMakerRole") if "/captures/" in each]
    assert [each.endswith(place) for each in writable] == [True]
    rules = shop.data.properties("ArtifactsBucket")["LifecycleConfiguration"]["Rules"]
    (rule,) = (each for each in rules if each.get("Prefix") == "captures/")
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 7)
    # Where nothing is captured nothing may be written.
    assert not [each for each in granted(prod, "SageMakerRole") if "/captures/" in each]


def test_features_outlive_their_stack_in_prod_alone(shop: Stacks, shop_local: Stacks) -> None:
    kept = shop.data.resource("Viewactivity")
    assert kept["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert kept["DeletionPolicy"] == "RetainExceptOnCreate"
    assert kept["UpdateReplacePolicy"] == "Retain"
    local = shop_local.data.resource("Viewactivity")
    assert "PointInTimeRecoverySpecification" not in local["Properties"]
    assert local["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("name", ["PlanMaterialization", "MaterializeView", "MeasureSkew"])
def test_what_reads_the_plan_is_told_where_it_and_the_store_are(shop: Stacks, name: str) -> None:
    variables = shop.pipeline.properties(f"Functions/{name}")["Environment"]["Variables"]
    assert {key: plain(value) for key, value in variables.items()} == {
        "ARTIFACTS_BUCKET": "<ArtifactsBucket>",
        "PROJECT_FILE": "project/project.toml",
        "ONLINE_STORE": "corner_shop_prod",
        "FEATURE_PLAN": "project/features.json",
        **({"FEATURE_REGISTRY": "project/registry.db"} if name == "PlanMaterialization" else {}),
    }


def test_the_machines_are_told_of_the_store(shop: Stacks) -> None:
    settings = shop.pipeline.settings("Deployment")
    assert settings["online_store"] == "corner_shop_prod"
    called = shop.pipeline.settings("Materialization")["functions"]
    for name in ("PlanMaterialization", "MaterializeView", "MeasureSkew"):
        assert called[name].startswith(f"<Functions{name}CurrentVersion")


def test_the_materialization_is_deployed_as_it_is_written(shop: Stacks) -> None:
    properties = shop.pipeline.properties("Machines/Materialization")
    assert json.loads(properties["DefinitionString"]) == load.load(load.MACHINES / "materialization.asl.yaml")
    assert shop.pipeline.settings("Materialization")["machines"] == {}


def test_its_machine_may_do_what_its_states_ask_for_and_no_more(
    shop: Stacks, machines: dict[str, dict[str, Any]]
) -> None:
    wanted = {action for task in tasks(machines["Materialization"]) for action in actions(*task)}
    assert wanted
    may = set().union(*granted(shop, "Machines/MaterializationRole").values()) - set(MACHINE_LOGS["*"])
    assert may == wanted


def started_by(shop: Stacks, rule: str) -> dict[str, Any]:
    """What a rule says, but for its one target, which is the materialization with an empty input."""
    properties = dict(shop.pipeline.properties(f"Machines/{rule}"))
    (target,) = properties.pop("Targets")
    assert plain(target["Arn"]) == "<MachinesMaterialization>"
    assert plain(target["RoleArn"]) == "<MachinesMaterializationRuleRole>"
    assert json.loads(target["Input"]) == {}
    return properties


def test_it_starts_where_no_training_starts_it_itself(shop: Stacks) -> None:
    pattern = started_by(shop, "TableMoved")["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (
        ["aws.states"],
        ["Step Functions Execution Status Change"],
    )
    assert pattern["detail"].keys() == {"$or"}
    moving = {
        plain(each["stateMachineArn"][0]): set(each["status"])
        for each in pattern["detail"]["$or"]
        if len(each["stateMachineArn"]) == 1 and each.keys() == {"stateMachineArn", "status"}
    }
    assert moving == {
        # An execution that fails after its part was accepted has moved the table all the same.
        "<MachinesEvents>": {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"},
        # One that was stopped may not have come to it; any other would have the store written twice.
        "<MachinesTraining>": {"ABORTED", "TIMED_OUT"},
    }


def test_a_training_may_start_and_see_the_materialization(shop: Stacks, prod: Stacks) -> None:
    def training(stacks: Stacks) -> dict[str, set[str]]:
        names = {"corner-shop-prod": "NAME", "bank-prod": "NAME"}
        # The names of tuning jobs are shorter, and hold a hash.
        prefixes = (naming.search_prefix("corner-shop", "prod"), naming.search_prefix("bank", "prod"))
        names |= dict.fromkeys(prefixes, "SEARCH")
        found: dict[str, set[str]] = {}
        for resource, may in granted(stacks, "Machines/TrainingRole").items():
            for name, same in names.items():
                resource = resource.replace(name, same)
            found[resource] = may
        return found

    more = {
        resource: may - training(prod).get(resource, set())
        for resource, may in training(shop).items()
        if may != training(prod).get(resource)
    }
    assert more == {
        "<FunctionsRequestApproval>:*": {"lambda:InvokeFunction"},
        "<MachinesMaterialization>": {"states:StartExecution"},
        # What it does not wait for by `.sync` it does not stop.
        f"arn:<Partition>:states:{ACCOUNT}:execution:<MachinesMaterialization.Name>:*": {
            "states:DescribeExecution"
        },
    }
    assert not training(prod).keys() - training(shop).keys()


def test_a_training_is_told_of_the_machine_it_starts(shop: Stacks) -> None:
    settings = shop.pipeline.settings("Training")
    assert settings["machines"] == {
        "deployment": "<MachinesDeployment>",
        "materialization": "<MachinesMaterialization>",
    }


def test_a_gate_that_would_never_be_looked_at_ends_the_synth(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", "def build_features(table): ...\n", settings="\n[gates]\nmax_skew = 0.1\n")
    with pytest.raises(
        ProjectError, match=r"gates\.max_skew is about the online store, and this project has none"
    ):
        synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    write_shop(tmp_path / "kept", settings="\n[gates]\nmax_skew = 0.1\n")
    synthesize(tmp_path / "kept-out", project=str(tmp_path / "kept"), environment="local")


def test_it_starts_on_a_schedule(shop: Stacks) -> None:
    assert started_by(shop, "Refresh")["ScheduleExpression"] == "rate(1 hour)"


def test_a_schedule_can_be_left_out(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", settings="\n[online]\nrefresh_minutes = 0\n")
    stacks = synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    rules = {
        name
        for name, each in stacks.pipeline.template["Resources"].items()
        if each["Type"] == "AWS::Events::Rule"
    }
    assert not [name for name in rules if "Refresh" in name]
    assert [name for name in rules if "TableMoved" in name]


def test_a_machine_that_fails_to_keep_the_store_up_is_an_alarm(shop: Stacks) -> None:
    dimensions = [
        plain(dimension["Value"])
        for alarm in shop.pipeline.of_type("AWS::CloudWatch::Alarm")
        for dimension in alarm["Properties"]["Dimensions"]
    ]
    assert "<MachinesMaterialization>" in dimensions
    assert "corner_shop_prod" in dimensions


def test_the_plan_is_in_the_bundle_beside_the_project(shop_folder: Path, project_folder: Path) -> None:
    with zipfile.ZipFile(bundle.build(shop_folder, group=None)) as archive:
        plan = json.loads(archive.read("project/features.json"))
    assert [view["name"] for view in plan["views"]] == ["activity"]
    assert plan["model"] == ["activity:spent_30d"]
    with zipfile.ZipFile(bundle.build(project_folder, group=None)) as archive:
        assert "project/features.json" not in archive.namelist()


def test_a_plan_is_compiled_once_and_again_when_the_definitions_change(
    shop_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(shop_folder, project, ignore=shutil.ignore_patterns("__pycache__"))
    first = features.plan_file(project, tmp_path / "build")
    assert first is not None
    with monkeypatch.context() as without_feast:
        without_feast.setattr(features, "PYTHON", tmp_path / "nowhere")
        assert features.plan_file(project, tmp_path / "build") == first
        (project / "features.py").write_text(SHOP_FEATURES.replace("days=30", "days=7"))
        with pytest.raises(features.PlanError, match="make setup"):
            features.plan_file(project, tmp_path / "build")
    second = features.feature_plan(project, tmp_path / "build")
    assert second is not None
    assert second.views[0].aggregations[0].window_microseconds == 7 * 24 * 3600 * 1_000_000


def test_the_registry_is_compiled_with_the_plan_and_by_store(
    shop_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = tmp_path / "build"
    first = features.registry_file(shop_folder, "corner_shop_dev", build)
    assert first is not None
    with monkeypatch.context() as without_feast:
        without_feast.setattr(features, "PYTHON", tmp_path / "nowhere")
        assert features.registry_file(shop_folder, "corner_shop_dev", build) == first
        assert features.plan_file(shop_folder, build) is not None
        with pytest.raises(features.PlanError, match="make setup"):
            features.registry_file(shop_folder, "corner_shop_prod", build)
    again = features.registry_file(shop_folder, "corner_shop_dev", tmp_path / "elsewhere")
    assert again is not None
    assert again.read_bytes() == first.read_bytes()
    assert b"corner_shop_dev" in first.read_bytes()


def test_the_registry_is_in_the_bundle_of_the_one_function_that_publishes_it(
    shop: Stacks, shop_folder: Path
) -> None:
    registry = features.registry_file(shop_folder, "corner_shop_prod")
    with zipfile.ZipFile(bundle.build(shop_folder, group=None, registry=registry)) as archive:
        assert b"corner_shop_prod" in archive.read("project/registry.db")
    with zipfile.ZipFile(bundle.build(shop_folder, group=None)) as archive:
        assert "project/registry.db" not in archive.namelist()
    told = {
        name
        for name in ("PlanMaterialization", "MaterializeView", "MeasureSkew", "ReportOutcome")
        if "FEATURE_REGISTRY" in shop.pipeline.properties(f"Functions/{name}")["Environment"]["Variables"]
    }
    assert told == {"PlanMaterialization"}


def test_a_mistake_in_the_definitions_ends_the_synth_in_words(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", SHOP_FEATURES.replace('column="amount"', 'column="amuont"'))
    with pytest.raises(ProjectError) as caught:
        synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    assert "amuont" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_what_is_not_feasts_is_no_plan_and_needs_no_feast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "PYTHON", tmp_path / "nowhere")
    write_shop(tmp_path / "shop", "def build_features(table): ...\n")
    assert features.plan_file(tmp_path / "shop", tmp_path / "build") is None


def test_the_ledgers_have_the_key_that_the_role_is_for() -> None:
    assert keys.materialized("activity", 0, 1) == "features/activity/0-of-1.parquet"
