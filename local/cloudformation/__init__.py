"""CloudFormation for the local AWS: deploys what it can deploy as written, and names what it cannot.

moto's own CloudFormation skips types and properties it does not know; this one takes its place on the wire.
"""

from __future__ import annotations

from moto.cloudformation import urls

from local.cloudformation import bucket_policy, moto_gaps
from local.cloudformation.api import CloudFormationApi
from local.cloudformation.engine import Clients, Engine


def install(context: Clients) -> None:
    """Takes over moto's CloudFormation endpoint. State is in memory: a restart starts without stacks."""
    CloudFormationApi.engine = Engine(context)
    urls.url_paths["{0}/$"] = CloudFormationApi.dispatch
    bucket_policy.install()
    moto_gaps.install()
