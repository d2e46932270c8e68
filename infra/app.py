"""The CDK app's entry point: reads the context, makes the one stack."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk

from infra.config import DeployConfig
from infra.stack import PipelineStack
from sluice.errors import SluiceError
from sluice.project import Project

_CONTEXT_KEYS = (
    "project",
    "environment",
    "poll_seconds",
    "processing_instance_type",
    "alarm_email",
    "outcome_email",
)


def build(outdir: str | None = None, context: Mapping[str, Any] | None = None) -> cdk.App:
    """Make the app. The CDK CLI gives `outdir` and `context` through the process's environment.

    Raises:
        SluiceError: the context or the project cannot be used.
    """
    # No analytics resource, no traces: neither says anything about the pipeline, and both vary by machine.
    app = cdk.App(outdir=outdir, context=context, analytics_reporting=False, stack_traces=False)
    found = {key: app.node.try_get_context(key) for key in _CONTEXT_KEYS}
    config = DeployConfig.from_context({key: value for key, value in found.items() if value is not None})
    project = Project.load(config.project_folder)
    PipelineStack(app, f"sluice-{project.name}-{config.environment}", config=config, project=project)
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
