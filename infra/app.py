"""The CDK app's entry point: reads the context, makes the two stacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk

from infra.config import CONTEXT_KEYS, DeployConfig
from infra.data_stack import DataStack
from infra.features import check_gates, feature_plan, registry_file
from infra.offline import athena_plan
from infra.pipeline_stack import PipelineStack
from sluice import naming
from sluice.errors import SluiceError
from sluice.project import Project


def build(outdir: str | None = None, context: Mapping[str, Any] | None = None) -> cdk.App:
    """Make the app. The CDK CLI gives `outdir` and `context` through the process's environment.

    Raises:
        SluiceError: the context or the project cannot be used.
    """
    # No analytics resource, no traces: neither says anything about the pipeline, and both vary by machine.
    app = cdk.App(outdir=outdir, context=context, analytics_reporting=False, stack_traces=False)
    found = {key: app.node.try_get_context(key) for key in CONTEXT_KEYS}
    config = DeployConfig.from_context({key: value for key, value in found.items() if value is not None})
    project = Project.load(config.project)
    names = (project.name, config.environment)
    # The plan comes with it.
    registry_file(config.project, naming.online_store(*names))
    plan = feature_plan(config.project)
    check_gates(project, plan, config.project)
    by_athena = athena_plan(config, project, plan)
    data = DataStack(
        app,
        naming.data_stack(*names),
        config=config,
        project=project.name,
        plan=plan,
        expires_offline=by_athena is not None,
        keeps_runs=project.tracking.own_app,
        captures_days=project.capture.days if project.capture.percent else 0,
    )
    PipelineStack(
        app, naming.stack(*names), config=config, project=project, plan=plan, by_athena=by_athena, data=data
    )
    return app


def main() -> int:
    try:
        build().synth()
    except SluiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
