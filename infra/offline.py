"""Athena as the offline store: its database and tables, its workgroup, and what a job may do there."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_athena as athena_
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import DeployConfig
from infra.grants import Grant, arn
from sluice import keys, naming
from sluice.errors import ProjectError
from sluice.features import athena
from sluice.features.plan import FeaturePlan
from sluice.project import Project

_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# As Feast calls the labels' table and the answer's: a test of its calls holds these.
_OF_FEAST = ("feast_entity_df_*", "_*")
_GB = 10**9


def athena_plan(config: DeployConfig, project: Project, plan: FeaturePlan | None) -> FeaturePlan | None:
    """Give the plan whose views are tables of Athena; None where this environment's store is another.

    Raises:
        ProjectError: Athena is chosen and cannot be: there are no features, or this is the local AWS.
    """
    if project.offline.store_of(config.environment) != "athena":
        return None
    where = f"{config.project / 'project.toml'}: offline.store"
    if plan is None:
        raise ProjectError(
            'store = "athena", and features.py declares no features',
            where=where,
            why="it joins the views of features.py to the labels; there is nothing to join",
            fix="take [offline] out, or declare features (docs/features.md)",
        )
    if config.environment == "local":
        raise ProjectError(
            'store = "athena", and the local AWS has no Athena',
            where=where,
            fix='have the environment local join by duckdb: [offline] environments = { local = "duckdb" }',
        )
    return plan


class Offline(Construct):
    """The database `sluice_<project>_<environment>` with a table for each view, and the workgroup `sluice-…`.

    Attributes:
        settings: what a job is told, as its environment; `{job}` is to be its execution's job name.
        grants: what it may do, with what the project's own code in it may do.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        project: Project,
        plan: FeaturePlan,
        artifacts: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        names = (project.name, config.environment)
        self._bucket = artifacts
        self._database = naming.offline_database(*names)
        self._tables = athena.tables(plan)
        self._workgroup = naming.stack(*names)
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self._database, description=f"Sluice: features of {project.name}, {config.environment}"
            ),
        )
        for table in self._tables:
            self._table(table).add_dependency(database)
        self._query_by(project.offline.scan_limit_gb)
        self.settings = {
            "ATHENA_REGION": cdk.Aws.REGION,
            "ATHENA_DATABASE": self._database,
            "ATHENA_WORKGROUP": self._workgroup,
            "ATHENA_EXECUTION": "{job}",
            "ATHENA_ROWS_URI": naming.uri(artifacts.bucket_name, f"{keys.OFFLINE}/rows"),
            "ATHENA_STAGING_URI": naming.uri(artifacts.bucket_name, keys.offline_staging("{job}")),
        }
        self.grants = self._grants()

    def _table(self, table: athena.Table) -> glue.CfnTable:
        """Declare a table whose partitions are computed from the query: no crawler, and nobody adds any.

        https://docs.aws.amazon.com/athena/latest/ug/partition-projection-dynamic-id-partitioning.html
        """
        folder = keys.offline_rows(table.name, f"${{{athena.EXECUTION}}}")
        return glue.CfnTable(
            self,
            table.name,
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self._database,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description=f"Rows of the view {table.view}, of each execution that joined them to labels",
                table_type="EXTERNAL_TABLE",
                parameters={
                    "EXTERNAL": "TRUE",
                    "classification": "parquet",
                    "projection.enabled": "true",
                    f"projection.{athena.EXECUTION}.type": "injected",
                    "storage.location.template": naming.uri(self._bucket.bucket_name, folder),
                },
                partition_keys=[glue.CfnTable.ColumnProperty(name=athena.EXECUTION, type="string")],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[
                        glue.CfnTable.ColumnProperty(name=each.name, type=each.type, comment=each.comment)
                        for each in table.columns
                    ],
                    location=naming.uri(self._bucket.bucket_name, f"{keys.OFFLINE}/rows/{table.name}/"),
                    input_format=f"{_PARQUET}.MapredParquetInputFormat",
                    output_format=f"{_PARQUET}.MapredParquetOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library=f"{_PARQUET}.serde.ParquetHiveSerDe"
                    ),
                ),
            ),
        )

    def _query_by(self, scan_limit_gb: int) -> None:
        athena_.CfnWorkGroup(
            self,
            "WorkGroup",
            name=self._workgroup,
            description="Joins features to labels",
            recursive_delete_option=True,
            work_group_configuration=athena_.CfnWorkGroup.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=scan_limit_gb * _GB,
                # An enforcing one refuses Feast's CREATE TABLE AS, which says where to. The limit holds all the same,
                # and the role can write nowhere but below `offline/`:
                # https://docs.aws.amazon.com/athena/latest/ug/ctas-considerations-limitations.html
                enforce_work_group_configuration=False,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=athena_.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena_.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=naming.uri(self._bucket.bucket_name, f"{keys.offline_results()}/"),
                    encryption_configuration=athena_.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )

    def _grants(self) -> list[Grant]:
        objects, database = self._bucket.arn_for_objects, self._database
        catalog = arn("glue", "catalog", "", separator="")
        views = tuple(arn("glue", "table", f"{database}/{table.name}") for table in self._tables)
        of_feast = tuple(arn("glue", "table", f"{database}/{name}") for name in _OF_FEAST)
        found = (catalog, arn("glue", "database", database))
        return [
            Grant(
                ("athena:StartQueryExecution", "athena:GetQueryExecution"),
                (arn("athena", "workgroup", self._workgroup),),
            ),
            # Athena looks whether there is a database `default`, whatever it is asked:
            # https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
            Grant(("glue:GetDatabase",), (*found, arn("glue", "database", "default"))),
            Grant(("glue:GetTable", "glue:GetPartition", "glue:GetPartitions"), (*found, *views, *of_feast)),
            Grant(("glue:CreateTable", "glue:DeleteTable", "glue:DeletePartition"), (*found, *of_feast)),
            Grant(("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"), (self._bucket.bucket_arn,)),
            Grant(
                ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
                (objects(f"{keys.OFFLINE}/*"),),
            ),
            Grant(("s3:DeleteObject",), (objects(keys.offline_staging("*")),)),
        ]
