"""Step Functions of the local AWS: moto's interpreter, executing, with JSONata and SageMaker."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from moto.core.config import default_user_config

from local.stepfunctions import (
    activities,
    api,
    clients,
    definitions,
    distributed_map,
    executions,
    express,
    interpreter,
    jsonpath,
    nested,
    sagemaker_task,
    tasks,
    versions,
)

if TYPE_CHECKING:
    from local.context import Context


def install(context: Context) -> None:
    """Make state machines run in this process; their tasks call the AWS at the context's endpoint."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    clients.install(context.client)
    install_language()
    executions.install()
    api.install()
    versions.install()
    express.install()


@functools.cache  # the patches wrap what they find: twice would be once too often
def install_language() -> None:
    """The interpreter alone: all that a definition's meaning depends on, without an API or a client."""
    definitions.install()
    interpreter.install()
    jsonpath.install()
    distributed_map.install()
    tasks.install()
    sagemaker_task.install()
    nested.install()
    activities.install()
