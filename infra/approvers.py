"""The managed policy of who may approve or reject a model: to read what waits, to answer, and nothing else."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data_stack import DataStack
from infra.grants import Grant, arn
from infra.machines import Machines
from sluice import keys
from sluice.release.approvals import WRITTEN_BY_APPROVERS

APPROVERS_OUTPUT = "ApproversPolicyArn"


class Approvers(Construct):
    """`<stack>-approvers`, to be attached to the people's own role or group; the stack attaches it to nobody."""

    def __init__(self, scope: Construct, construct_id: str, *, data: DataStack, machines: Machines) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        executions = arn("states", "execution", f"{machines.training.state_machine_name}:*", separator=":")
        grants = [
            # `--stack` finds the rest by its outputs.
            Grant(
                ("cloudformation:DescribeStacks",), (arn("cloudformation", "stack", f"{stack.stack_name}/*"),)
            ),
            Grant(("dynamodb:Query", "dynamodb:GetItem"), (data.releases.table_arn,)),
            # The table holds the release and the lock, too: of no item anything but an answer can be written.
            # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
            Grant(
                ("dynamodb:UpdateItem",),
                (data.releases.table_arn,),
                {
                    "ForAllValues:StringEquals": {
                        "dynamodb:Attributes": ["endpoint_name", "item", *WRITTEN_BY_APPROVERS]
                    },
                    "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
                },
            ),
            Grant(("states:SendTaskSuccess",), (machines.training.state_machine_arn,)),
            Grant(("states:DescribeExecution",), (executions,)),
            # What the message links.
            Grant(
                ("s3:GetObject",),
                tuple(map(data.artifacts.arn_for_objects, (keys.report("*"), keys.page("*")))),
            ),
        ]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=f"{stack.stack_name}-approvers",
            description="May approve or reject models of this pipeline that passed their gates",
            statements=[grant.statement() for grant in grants],
        )
