"""Athena by one line of project.toml: its database, tables, workgroup and grants; without that line none of it."""

from __future__ import annotations

import json
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from infra.build import ROOT
from sluice.errors import ProjectError
from tests.infra.synthesized import PROJECT, Stacks, plain, synthesize, write_project, write_shop
from tests.infra.test_permissions import ACCOUNT, ARTIFACTS, granted

CHOSEN = '\n[offline]\nstore = "athena"\n'
AND_DUCKDB_HERE = '\n[offline]\nstore = "athena"\nscan_limit_gb = 5\nenvironments = { local = "duckdb" }\n'
DATABASE, WORKGROUP = "sluice_corner_shop_prod", "sluice-corner-shop-prod"


def glue(resource: str) -> str:
    return f"arn:<Partition>:glue:{ACCOUNT}:{resource}"


READ = ["glue:GetTable", "glue:GetPartition", "glue:GetPartitions"]
MADE_BY_FEAST = [*READ, "glue:CreateTable", "glue:DeleteTable", "glue:DeletePartition"]
MORE: dict[str, list[str]] = {
    f"arn:<Partition>:athena:{ACCOUNT}:workgroup/{WORKGROUP}": [
        "athena:StartQueryExecution",
        "athena:GetQueryExecution",
    ],
    glue("catalog"): ["glue:GetDatabase", *MADE_BY_FEAST],
    glue("database/default"): ["glue:GetDatabase"],
    glue(f"database/{DATABASE}"): ["glue:GetDatabase", *MADE_BY_FEAST],
    glue(f"table/{DATABASE}/view_activity"): READ,
    glue(f"table/{DATABASE}/feast_entity_df_*"): MADE_BY_FEAST,
    glue(f"table/{DATABASE}/_*"): MADE_BY_FEAST,
    ARTIFACTS: ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
    f"{ARTIFACTS}/offline/*": [
        "s3:GetObject",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ],
    f"{ARTIFACTS}/offline/staging/*": ["s3:DeleteObject"],
}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stacks, Path]:
    """The shop in prod with Athena, and the folder it was synthesized to."""
    folder, outdir = tmp_path_factory.mktemp("athena"), tmp_path_factory.mktemp("athena-out")
    write_shop(folder, settings=AND_DUCKDB_HERE)
    return synthesize(outdir, project=str(folder), environment="prod"), outdir


@pytest.fixture(scope="module")
def by_athena(chosen: tuple[Stacks, Path]) -> Stacks:
    return chosen[0]


def test_the_views_are_tables_with_a_partition_for_each_execution(by_athena: Stacks) -> None:
    properties = by_athena.pipeline.properties("Offline/view_activity")
    assert properties["DatabaseName"] == DATABASE
    table = properties["TableInput"]
    assert table["Name"] == "view_activity"
    assert table["TableType"] == "EXTERNAL_TABLE"
    parameters = {name: plain(value) for name, value in table["Parameters"].items()}
    assert parameters == {
        "EXTERNAL": "TRUE",
        "classification": "parquet",
        "projection.enabled": "true",
        "projection.execution.type": "injected",
        "storage.location.template": "s3://<ArtifactsBucket>/offline/rows/view_activity/${execution}",
    }
    assert table["PartitionKeys"] == [{"Name": "execution", "Type": "string"}]
    stored = table["StorageDescriptor"]
    assert plain(stored["Location"]) == "s3://<ArtifactsBucket>/offline/rows/view_activity/"
    assert [(each["Name"], each["Type"]) for each in stored["Columns"]] == [
        ("entity", "string"),
        ("event_timestamp", "timestamp"),
        ("f_spent_30d", "double"),
    ]
    assert stored["SerdeInfo"]["SerializationLibrary"].endswith(".parquet.serde.ParquetHiveSerDe")


def test_the_tables_are_in_a_database_of_this_environment(by_athena: Stacks) -> None:
    assert by_athena.pipeline.properties("Offline/Database")["DatabaseInput"]["Name"] == DATABASE
    table = by_athena.pipeline.resource("Offline/view_activity")
    assert table["DependsOn"] == [by_athena.pipeline.id("Offline/Database")]


def test_a_query_that_would_read_more_than_the_limit_is_cancelled(by_athena: Stacks) -> None:
    group = by_athena.pipeline.properties("Offline/WorkGroup")
    assert group["Name"] == WORKGROUP
    assert group["RecursiveDeleteOption"] is True
    settings = group["WorkGroupConfiguration"]
    assert settings["BytesScannedCutoffPerQuery"] == 5_000_000_000
    assert settings["PublishCloudWatchMetricsEnabled"] is True
    # An enforcing workgroup fails a CREATE TABLE AS with an external_location, and Feast gives one.
    assert settings["EnforceWorkGroupConfiguration"] is False
    results = settings["ResultConfiguration"]
    assert plain(results["OutputLocation"]) == "s3://<ArtifactsBucket>/offline/results/"
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}


def test_jobs_may_ask_it_and_nothing_else_more(by_athena: Stacks, shop: Stacks) -> None:
    before, after = granted(shop, "SageMakerRole"), granted(by_athena, "SageMakerRole")
    more = {resource: actions - before.get(resource, set()) for resource, actions in after.items()}
    assert {name: actions for name, actions in more.items() if actions} == {
        resource: set(actions) for resource, actions in MORE.items()
    }
    for role in ("Machines/TrainingRole", "Functions/MaterializeViewRole"):
        assert granted(by_athena, role) == granted(shop, role)


@pytest.mark.parametrize("table", ["view_activity", "view_", "default"])
def test_no_table_of_a_view_can_be_made_or_dropped_by_a_job(by_athena: Stacks, table: str) -> None:
    deletable = [
        resource
        for resource, actions in granted(by_athena, "SageMakerRole").items()
        if "glue:DeleteTable" in actions and ":table/" in resource
    ]
    assert len(deletable) == 2
    assert not any(fnmatchcase(glue(f"table/{DATABASE}/{table}"), each) for each in deletable)


def test_the_training_set_s_job_is_told_of_it(by_athena: Stacks) -> None:
    assert by_athena.pipeline.settings("Training")["offline"] == {
        "ATHENA_REGION": "<Region>",
        "ATHENA_DATABASE": DATABASE,
        "ATHENA_WORKGROUP": WORKGROUP,
        "ATHENA_EXECUTION": "{job}",
        "ATHENA_ROWS_URI": "s3://<ArtifactsBucket>/offline/rows",
        "ATHENA_STAGING_URI": "s3://<ArtifactsBucket>/offline/staging/{job}",
    }


def test_what_athena_read_and_wrote_expires(by_athena: Stacks, shop: Stacks) -> None:
    rules = by_athena.data.properties("ArtifactsBucket")["LifecycleConfiguration"]["Rules"]
    (rule,) = (each for each in rules if each.get("Prefix") == "offline/")
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 7)
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    without = shop.data.properties("ArtifactsBucket")["LifecycleConfiguration"]["Rules"]
    assert "offline/" not in [each.get("Prefix") for each in without]


def test_without_that_line_there_is_none_of_it(shop: Stacks, prod: Stacks) -> None:
    for stacks in (shop, prod):
        assert stacks.pipeline.settings("Training")["offline"] == {}
        for stack in stacks.both:
            text = json.dumps(stack.template)
            for word in ("AWS::Glue", "AWS::Athena", "athena:", "glue:", "ATHENA_"):
                assert word not in text


def test_the_local_aws_has_no_athena_and_says_so(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", settings=CHOSEN)
    with pytest.raises(ProjectError) as caught:
        synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    told = str(caught.value)
    assert "the local AWS has no Athena" in told
    assert 'environments = { local = "duckdb" }' in told


def test_one_line_has_the_local_aws_join_by_duckdb(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", settings=AND_DUCKDB_HERE)
    stacks = synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="local")
    assert stacks.pipeline.settings("Training")["offline"] == {}
    assert not stacks.pipeline.of_type("AWS::Athena::WorkGroup")


def test_athena_without_features_has_nothing_to_join(tmp_path: Path) -> None:
    write_project(tmp_path / "shop", PROJECT + CHOSEN)
    with pytest.raises(ProjectError) as caught:
        synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="prod")
    assert "features.py declares no features" in str(caught.value)


def test_the_templates_pass_cfn_lint(chosen: tuple[Stacks, Path]) -> None:
    linter = ROOT / ".venv" / "bin" / "cfn-lint"
    if not linter.is_file():
        pytest.skip("cfn-lint is in .venv, which `make setup` makes")
    stacks, outdir = chosen
    files = []
    for stack in stacks.both:
        files.append(outdir / f"{stack.stack.stack_name}.template.json")
        files[-1].write_text(json.dumps(stack.template))
    done = subprocess.run([str(linter), *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
